//! Who calls, as far as it decides which functions they see: the account and region of their credentials.

use axum::http::HeaderMap;

use super::access::Access;
use super::arn::{NAMESPACED, NameRule, QUALIFIER_MAX, QUALIFIER_PATTERN, is_qualifier, is_region};
use super::error::{ACCESS_DENIED, ApiError, RESOURCE_NOT_FOUND};
use super::validate::Violations;
use super::{Settings, access};
use crate::catalog::FunctionRef;
use crate::catalog::function::{FunctionKey, partition};
use crate::catalog::resource::Place;

/// The account and region that a request is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller<'a> {
    /// Twelve digits.
    pub(super) account: &'a str,
    /// As in `us-east-1`.
    pub(super) region: &'a str,
    /// Whether functions of other accounts are none of theirs. Where anybody may call, an account is but a name.
    pub(super) confined: bool,
}

impl<'a> Caller<'a> {
    /// Reads the credential scope of a signed request. The settings tell what is not said.
    pub(super) fn of(headers: &'a HeaderMap, settings: &'a Settings) -> Self {
        let (key_id, region) = access::scope(headers).unwrap_or_default();
        Self {
            account: settings.access.account_of(key_id).unwrap_or(&settings.account),
            region: if is_region(region) { region } else { &settings.region },
            confined: matches!(settings.access, Access::KeyHolders(_)),
        }
    }

    /// What the caller has besides functions and layers.
    pub(super) fn place(&self) -> Place {
        Place { account: self.account.to_owned(), region: self.region.to_owned() }
    }

    /// Finds out which function a request means: its name in any form, and its qualifier in either place.
    pub(super) fn locate(&self, name: &'a str, qualifier: Option<&'a str>) -> Result<Located<'a>, ApiError> {
        self.locate_as(&NAMESPACED, name, qualifier)
    }

    /// The same, for an operation whose names follow another rule.
    pub(super) fn locate_as(
        &self,
        rule: &NameRule,
        name: &'a str,
        qualifier: Option<&'a str>,
    ) -> Result<Located<'a>, ApiError> {
        let mut violations = Violations::default();
        let located = self.locate_with(&mut violations, rule, name, qualifier);
        violations.check()?;
        located
    }

    /// The same, as part of a larger check: what is wrong with the form is added to `violations`, and the
    /// answer means nothing then.
    pub(super) fn locate_with(
        &self,
        violations: &mut Violations,
        rule: &NameRule,
        name: &'a str,
        qualifier: Option<&'a str>,
    ) -> Result<Located<'a>, ApiError> {
        violations.length(name, "functionName", 1, rule.max_length);
        let parsed = rule.parse(name);
        violations.pattern(name, "functionName", rule.pattern, |_| parsed.is_some());
        if let Some(qualifier) = qualifier {
            violations.length(qualifier, "qualifier", 1, QUALIFIER_MAX);
            violations.pattern(qualifier, "qualifier", QUALIFIER_PATTERN, is_qualifier);
        }
        let Some(parsed) = parsed else { return Err(ApiError::invalid("The function name is malformed.")) };
        if let (Some(derived), Some(given)) = (parsed.qualifier, qualifier)
            && derived != given
        {
            return Err(ApiError::invalid(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        let region = self.region;
        if let Some(other) = parsed.region.filter(|other| *other != region) {
            let message = format!("Functions from '{other}' are not reachable in this region ('{region}')");
            return Err(ApiError::new(&RESOURCE_NOT_FOUND, message));
        }
        let located = Located {
            account: parsed.account.unwrap_or(self.account),
            region,
            name: parsed.name,
            qualifier: qualifier.or(parsed.qualifier),
        };
        if self.confined && located.account != self.account {
            return Err(self.denied("perform this operation", &located));
        }
        Ok(located)
    }

    /// What AWS says to whom no policy allows something.
    pub(super) fn denied(&self, what: &str, located: &Located<'_>) -> ApiError {
        let Self { account, region, .. } = self;
        let message = format!(
            "User: arn:{}:iam::{account}:root is not authorized to {what} on resource: {} because no resource-based \
             policy allows it",
            partition(region),
            located.arn()
        );
        ApiError::new(&ACCESS_DENIED, message)
    }
}

/// The function that a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Located<'a> {
    /// Twelve digits.
    pub(super) account: &'a str,
    /// As in `us-east-1`.
    pub(super) region: &'a str,
    /// The bare name.
    pub(super) name: &'a str,
    /// Version or alias, if the caller named one.
    pub(super) qualifier: Option<&'a str>,
}

impl<'a> Located<'a> {
    /// For the catalog.
    pub(super) fn key(&self) -> FunctionKey {
        FunctionKey::new(self.account, self.region, self.name)
    }

    /// For the catalog's invoke path.
    pub(super) fn reference(&self) -> FunctionRef<'a> {
        let Self { account, region, name, qualifier } = *self;
        FunctionRef { account, region, name, qualifier }
    }

    /// The function's ARN, with the qualifier if the caller gave one.
    pub(super) fn arn(&self) -> String {
        let Self { account, region, name, qualifier } = self;
        let partition = partition(region);
        match qualifier {
            Some(qualifier) => {
                format!("arn:{partition}:lambda:{region}:{account}:function:{name}:{qualifier}")
            }
            None => format!("arn:{partition}:lambda:{region}:{account}:function:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn located(name: &str, qualifier: Option<&str>) -> String {
        let caller = Caller { account: "000000000000", region: "us-east-1", confined: false };
        match caller.locate(name, qualifier) {
            Ok(located) => located.arn(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_credential_scope_names_account_and_region() {
        let settings = Settings::default();
        for (authorization, account, region) in [
            (None, "000000000000", "us-east-1"),
            (Some("Bearer x"), "000000000000", "us-east-1"),
            (
                Some(
                    "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-3/lambda/aws4_request, SignedHeaders=host, Signature=0",
                ),
                "000000000000",
                "eu-west-3",
            ),
            (
                Some("AWS4-HMAC-SHA256 Credential=123456789012/20260101/eu-west-3/lambda/aws4_request"),
                "123456789012",
                "eu-west-3",
            ),
            (
                Some("AWS4-HMAC-SHA256 Credential=123456789012/20260101/../lambda/aws4_request"),
                "123456789012",
                "us-east-1",
            ),
            (Some("AWS4-HMAC-SHA256 Credential="), "000000000000", "us-east-1"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = authorization {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            let caller = Caller::of(&headers, &settings);
            assert_eq!((caller.account, caller.region), (account, region), "{authorization:?}");
        }
    }

    #[test]
    fn a_function_is_found_by_every_form_of_its_name() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for (name, qualifier, expected) in [
            ("f", None, arn.to_owned()),
            ("000000000000:function:f", None, arn.to_owned()),
            (arn, None, arn.to_owned()),
            ("f", Some("live"), format!("{arn}:live")),
            ("f:live", None, format!("{arn}:live")),
            ("f:live", Some("live"), format!("{arn}:live")),
            ("123456789012:function:f", None, arn.replace("000000000000", "123456789012")),
        ] {
            assert_eq!(located(name, qualifier), expected, "{name} {qualifier:?}");
        }
    }

    #[test]
    fn a_name_that_means_no_function_here_is_refused_in_awss_words() {
        let long = "a".repeat(129);
        for (name, qualifier, expected) in [
            ("f:1", Some("2"), "InvalidParameterValueException: The derived qualifier from the function name does not match the specified qualifier.".to_owned()),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f", None, "ResourceNotFoundException: Functions from 'eu-west-1' are not reachable in this region ('us-east-1')".to_owned()),
            ("f", Some("invalid!"), r"ValidationException: 1 validation error detected: Value 'invalid!' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+".to_owned()),
            ("f", Some(long.as_str()), format!("ValidationException: 1 validation error detected: Value '{long}' at 'qualifier' failed to satisfy constraint: Member must have length less than or equal to 128")),
            ("arn:aws:lambda:us-east-1:123400000000@function:myfn", None, r"ValidationException: 1 validation error detected: Value 'arn:aws:lambda:us-east-1:123400000000@function:myfn' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?".to_owned()),
        ] {
            assert_eq!(located(name, qualifier), expected);
        }
    }
}
