//! Checks of a request against the model. AWS reports all violations at once.

use std::fmt::Display;

use serde_json::Value;

use super::error::{ApiError, VALIDATION};
use super::shape::Shape;

/// The violations found so far.
#[derive(Debug, Default)]
pub(super) struct Violations {
    found: Vec<String>,
}

impl Violations {
    /// An error with all violations, if there are any.
    pub(super) fn check(self) -> Result<(), ApiError> {
        let count = self.found.len();
        if count == 0 {
            return Ok(());
        }
        let errors = if count == 1 { "error" } else { "errors" };
        let message = format!("{count} validation {errors} detected: {}", self.found.join("; "));
        Err(ApiError::new(&VALIDATION, message))
    }

    /// Adds a violation, in AWS's words: what the member must do.
    pub(super) fn add(&mut self, value: impl Display, member: &str, constraint: impl Display) {
        self.found.push(format!("Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"));
    }

    /// The member must be there.
    pub(super) fn required<T>(&mut self, value: Option<T>, member: &str) -> Option<T> {
        if value.is_none() {
            self.found.push(format!(
                "Value null at '{member}' failed to satisfy constraint: Member must not be null"
            ));
        }
        value
    }

    /// The member must have this form.
    pub(super) fn form(&mut self, value: impl Into<Value>, member: &str, form: &Shape) {
        form.check(&value.into(), member, self);
    }

    /// The member must match; `pattern` is what `fits` looks for.
    pub(super) fn pattern(
        &mut self,
        value: &str,
        member: &str,
        pattern: &str,
        fits: impl FnOnce(&str) -> bool,
    ) {
        if !fits(value) {
            self.add(
                value,
                member,
                format_args!("Member must satisfy regular expression pattern: {pattern}"),
            );
        }
    }

    /// The member must be so many characters long.
    pub(super) fn length(&mut self, value: &str, member: &str, least: usize, most: usize) {
        let length = value.chars().count();
        if length > most {
            self.add(value, member, format_args!("Member must have length less than or equal to {most}"));
        }
        if length < least {
            self.add(value, member, format_args!("Member must have length greater than or equal to {least}"));
        }
    }

    /// The member must lie between two numbers; answers it if it does.
    pub(super) fn range(&mut self, value: i64, member: &str, least: u32, most: u32) -> Option<u32> {
        if value > i64::from(most) {
            self.add(value, member, format_args!("Member must have value less than or equal to {most}"));
        }
        if value < i64::from(least) {
            self.add(value, member, format_args!("Member must have value greater than or equal to {least}"));
        }
        u32::try_from(value).ok().filter(|value| (least..=most).contains(value))
    }

    /// The member must be one of these words; answers what the word means.
    pub(super) fn word<T>(
        &mut self,
        value: &str,
        member: &str,
        words: &[&str],
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(value);
        if parsed.is_none() {
            let set = words.join(", ");
            self.add(value, member, format_args!("Member must satisfy enum value set: [{set}]"));
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fill: impl FnOnce(&mut Violations)) -> String {
        let mut violations = Violations::default();
        fill(&mut violations);
        match violations.check() {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn violations_are_told_together() {
        assert_eq!(message(|_| {}), "fine");
        assert_eq!(
            message(|violations| {
                violations.range(0, "timeout", 1, 900);
                violations.word("Tar", "packageType", &["Zip", "Image"], |_| None::<()>);
                violations.required(None::<()>, "role");
                violations.length("abc", "description", 0, 2);
            }),
            "ValidationException: 4 validation errors detected: \
             Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1; \
             Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Zip, Image]; \
             Value null at 'role' failed to satisfy constraint: Member must not be null; \
             Value 'abc' at 'description' failed to satisfy constraint: Member must have length less than or equal to 2"
        );
    }
}
