//! The form of what requests bring, as data: what the model says of members that are stored as they come, or that
//! this host does nothing with.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::error::{ApiError, SERIALIZATION};
use super::mismatch::{Due, Mismatch};
use super::pattern;
use super::validate::Violations;

/// What a value must be like.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// Any number within bounds.
    Double(f64, f64),
    /// Seconds since 1970.
    Timestamp,
    /// So many characters, of this pattern.
    Text(usize, usize, Pattern),
    /// One of these.
    Word(&'static [&'static str]),
    /// So many elements.
    List(usize, usize, &'static Shape),
    /// So many entries: keys and values.
    Map(usize, usize, &'static Shape, &'static Shape),
    /// Members with a name. Those that are not known are ignored.
    Structure(&'static [Member]),
}

/// A regular expression; empty for any text.
#[derive(Debug)]
pub(super) struct Pattern {
    /// As errors show it.
    pub(super) shown: &'static str,
    /// The same in a form that [`pattern`] can compile.
    pub(super) tested: &'static str,
}

/// Any text.
pub(super) const ANY: Pattern = Pattern::new("");
/// Any text of one line.
pub(super) const LINE: Pattern = Pattern::new(".*");
/// The ARN of anything.
pub(super) const RESOURCE: Shape = Shape::Text(
    0,
    10_000,
    Pattern::new(
        r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    ),
);
/// The ARN of where something goes; empty for nowhere.
pub(super) const DESTINATION: Shape = Shape::Text(
    0,
    350,
    Pattern::new(
        r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    ),
);
/// The ARN of a key, or of a queue or topic; empty for none.
pub(super) const KEY: Shape =
    Shape::Text(0, 10_000, Pattern::new(r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"));
/// Tags, each with its value.
pub(super) const TAGS: Shape = Shape::Map(0, usize::MAX, &TAG_KEY, &Shape::Text(0, 256, TAG));
/// The name of a tag.
pub(super) const TAG_KEY: Shape = Shape::Text(1, 128, TAG);
/// Letters, digits and spaces of any alphabet.
const TAG: Pattern = Pattern { shown: r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", tested: r"[\w\s.:/=+\-@]*" };

impl Pattern {
    /// One that is shown as it is tested.
    pub(super) const fn new(pattern: &'static str) -> Self {
        Self { shown: pattern, tested: pattern }
    }
}

/// A member of a structure.
#[derive(Debug)]
pub(super) struct Member {
    name: &'static str,
    shape: Shape,
    is_required: bool,
}

impl Member {
    /// One that may be missing.
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, is_required: false }
    }

    /// One that must be there.
    pub(super) const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, is_required: true }
    }
}

/// Takes members that this host does nothing with: they are checked, and refused if they are well formed.
pub(super) fn refuse(
    tables: &[&[Member]],
    given: Map<String, Value>,
    violations: &mut Violations,
) -> Result<Option<ApiError>, ApiError> {
    let given = take(tables, given, violations)?;
    let refused = given.iter().find(|(_, value)| !value.is_null());
    Ok(refused.map(|(name, _)| ApiError::invalid(format!("{name} is not supported by this host."))))
}

/// Takes the members that these tables know out of others. Their types must be right; what they hold is checked.
pub(super) fn take(
    tables: &[&[Member]],
    mut given: Map<String, Value>,
    violations: &mut Violations,
) -> Result<Map<String, Value>, ApiError> {
    let members = || tables.iter().copied().flatten();
    given.retain(|name, _| members().any(|member| member.name == name));
    for member in members() {
        if let Some(value) = given.get_mut(member.name) {
            member.shape.admit(value)?;
            member.shape.forget_unknown(value);
        }
    }
    for table in tables {
        check_members(table, &given, "", violations);
    }
    Ok(given)
}

fn check_members(members: &[Member], given: &Map<String, Value>, at: &str, violations: &mut Violations) {
    for Member { name, shape, is_required } in members {
        let at = format!("{at}{}", spelled(name));
        match given.get(*name).filter(|value| !value.is_null()) {
            Some(value) => shape.check(value, &at, violations),
            None if *is_required => drop(violations.required(None::<()>, &at)),
            None => {}
        }
    }
}

/// Members are spelled with a small letter in errors.
fn spelled(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

impl Shape {
    /// Whether a value has the right type, down to the last element.
    pub(super) fn admit(&self, value: &Value) -> Result<(), ApiError> {
        match (self, value) {
            (_, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Double(..) | Self::Timestamp, Value::Number(_))
            | (Self::Text(..) | Self::Word(_), Value::String(_)) => Ok(()),
            (Self::Integer(..), Value::Number(number)) if number.is_i64() => Ok(()),
            (Self::List(_, _, element), Value::Array(list)) => {
                list.iter().try_for_each(|it| element.admit(it))
            }
            (Self::Map(_, _, _, inner), Value::Object(map)) => {
                map.values().try_for_each(|it| inner.admit(it))
            }
            (Self::Structure(members), Value::Object(map)) => {
                let known =
                    |member: &Member| map.get(member.name).map_or(Ok(()), |it| member.shape.admit(it));
                members.iter().try_for_each(known)
            }
            _ => {
                let mismatch = Mismatch { found: value.into(), due: self.due() };
                Err(ApiError::new(&SERIALIZATION, mismatch.to_string()))
            }
        }
    }

    /// Takes the members away that this shape does not know.
    fn forget_unknown(&self, value: &mut Value) {
        match (self, value) {
            (Self::List(_, _, element), Value::Array(list)) => {
                for one in list {
                    element.forget_unknown(one);
                }
            }
            (Self::Map(_, _, _, inner), Value::Object(map)) => {
                for one in map.values_mut() {
                    inner.forget_unknown(one);
                }
            }
            (Self::Structure(members), Value::Object(map)) => {
                map.retain(|name, _| members.iter().any(|member| member.name == name));
                for member in *members {
                    if let Some(inner) = map.get_mut(member.name) {
                        member.shape.forget_unknown(inner);
                    }
                }
            }
            _ => {}
        }
    }

    fn due(&self) -> Due {
        match self {
            Self::Boolean => Due::Boolean,
            Self::Integer(..) => Due::Integer,
            Self::Double(..) => Due::Double,
            Self::Timestamp => Due::Timestamp,
            Self::Text(..) | Self::Word(_) => Due::Text,
            Self::List(..) => Due::List,
            Self::Map(..) | Self::Structure(_) => Due::Map,
        }
    }

    /// Adds what is wrong with a value of the right type.
    pub(super) fn check(&self, value: &Value, at: &str, violations: &mut Violations) {
        for constraint in self.broken(value) {
            violations.add(shown(value), at, constraint);
        }
        match (self, value) {
            (Self::List(_, _, element), Value::Array(list)) => {
                element.check_elements(list, value, at, violations);
            }
            (Self::Map(_, _, key, inner), Value::Object(map)) => {
                if map.keys().any(|name| key.breaks(&Value::from(name.as_str()))) {
                    violations.add(
                        shown(value),
                        at,
                        format_args!("Map keys must satisfy constraint: [{}]", key.all()),
                    );
                }
                if map.values().any(|one| inner.breaks(one)) {
                    let all = inner.all();
                    violations.add(
                        shown(value),
                        at,
                        format_args!("Map value must satisfy constraint: [{all}]"),
                    );
                }
            }
            (Self::Structure(members), Value::Object(map)) => {
                let parent = if at.is_empty() { String::new() } else { format!("{at}.") };
                check_members(members, map, &parent, violations);
            }
            _ => {}
        }
    }

    /// Structures are told of one by one, everything else as a list.
    fn check_elements(&self, list: &[Value], whole: &Value, at: &str, violations: &mut Violations) {
        if matches!(self, Self::Structure(_)) {
            if list.iter().any(Value::is_null) {
                violations.add(
                    shown(whole),
                    at,
                    format_args!("Member must satisfy constraint: [{}]", self.all()),
                );
            }
            for (place, element) in (1..).zip(list) {
                self.check(element, &format!("{at}.{place}.member"), violations);
            }
        } else if list.iter().any(|element| self.breaks(element)) {
            violations.add(
                shown(whole),
                at,
                format_args!("Member must satisfy constraint: [{}]", self.all()),
            );
        }
    }

    /// Whether anything is wrong with a value, or with what is in it.
    fn breaks(&self, value: &Value) -> bool {
        let inside = match (self, value) {
            (Self::List(_, _, element), Value::Array(list)) => list.iter().any(|it| element.breaks(it)),
            _ => value.is_null(),
        };
        inside || !self.broken(value).is_empty()
    }

    /// The constraints that a value itself breaks, in AWS's words.
    fn broken(&self, value: &Value) -> Vec<String> {
        let fits = |constraint: &Constraint<'_>| match (constraint, value) {
            (Constraint::AtMost(most), Value::Number(number)) => number.as_i64() <= Some(*most),
            (Constraint::AtLeast(least), Value::Number(number)) => number.as_i64() >= Some(*least),
            (Constraint::Most(most), Value::Number(number)) => number.as_f64() <= Some(*most),
            (Constraint::Least(least), Value::Number(number)) => number.as_f64() >= Some(*least),
            (Constraint::Longest(most), _) => length(value) <= *most,
            (Constraint::Shortest(least), _) => length(value) >= *least,
            (Constraint::Word(words), Value::String(text)) => words.contains(&text.as_str()),
            (Constraint::Pattern(pattern), Value::String(text)) => pattern::fits(pattern.tested, text),
            _ => true,
        };
        self.constraints().iter().filter(|it| !fits(it)).map(ToString::to_string).collect()
    }

    fn constraints(&self) -> Vec<Constraint<'_>> {
        match self {
            Self::Boolean | Self::Timestamp | Self::Structure(_) => Vec::new(),
            Self::Integer(least, most) => vec![Constraint::AtMost(*most), Constraint::AtLeast(*least)],
            Self::Double(least, most) => vec![Constraint::Most(*most), Constraint::Least(*least)],
            Self::Text(least, most, pattern) if pattern.shown.is_empty() => lengths(*least, *most),
            Self::Text(least, most, pattern) => {
                let mut all = lengths(*least, *most);
                all.push(Constraint::Pattern(pattern));
                all
            }
            Self::Word(words) => vec![Constraint::Word(words)],
            Self::List(least, most, _) | Self::Map(least, most, ..) => lengths(*least, *most),
        }
    }

    /// Every constraint, as AWS tells them of an element.
    fn all(&self) -> String {
        let mut all = String::new();
        for constraint in self.constraints() {
            // Writing to a string does not fail.
            let _ = write!(all, "{constraint}, ");
        }
        if let Self::List(_, _, element) = self {
            let _ = write!(all, "Member must satisfy constraint: [{}], ", element.all());
        }
        all + "Member must not be null"
    }
}

/// What a value must keep to.
enum Constraint<'a> {
    AtMost(i64),
    AtLeast(i64),
    Most(f64),
    Least(f64),
    Longest(usize),
    Shortest(usize),
    Word(&'a [&'static str]),
    Pattern(&'a Pattern),
}

impl std::fmt::Display for Constraint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "Member must have value less than or equal to {most}"),
            Self::AtLeast(least) => write!(f, "Member must have value greater than or equal to {least}"),
            Self::Most(most) => write!(f, "Member must have value less than or equal to {most:?}"),
            Self::Least(least) => write!(f, "Member must have value greater than or equal to {least:?}"),
            Self::Longest(most) => write!(f, "Member must have length less than or equal to {most}"),
            Self::Shortest(least) => write!(f, "Member must have length greater than or equal to {least}"),
            Self::Word(words) => write!(f, "Member must satisfy enum value set: [{}]", words.join(", ")),
            Self::Pattern(pattern) => {
                write!(f, "Member must satisfy regular expression pattern: {}", pattern.shown)
            }
        }
    }
}

fn lengths<'a>(least: usize, most: usize) -> Vec<Constraint<'a>> {
    vec![Constraint::Longest(most), Constraint::Shortest(least)]
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(list) => list.len(),
        Value::Object(map) => map.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A value as AWS shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: &[Member] = &[
        Member::new("Flag", Shape::Boolean),
        Member::new("KMSKeyArn", Shape::Text(1, 5, Pattern::new("[a-z]*"))),
        Member::new("Mode", Shape::Word(&["On", "Off"])),
        Member::new("Many", Shape::List(1, 2, &Shape::Text(1, 3, ANY))),
        Member::new("ByName", Shape::Map(0, 9, &Shape::Word(&["A"]), &Shape::Integer(0, 5))),
        Member::new(
            "Filters",
            Shape::List(0, 9, &Shape::Structure(&[Member::required("Rate", Shape::Double(0.0, 1.0))])),
        ),
    ];

    fn told(given: &Value) -> String {
        let mut violations = Violations::default();
        let given = given.as_object().unwrap().clone();
        let taken = take(&[TABLE], given, &mut violations);
        match taken.and_then(|taken| violations.check().map(|()| taken)) {
            Ok(taken) => Value::from(taken).to_string(),
            Err(error) => error.to_string().replace(" failed to satisfy constraint: ", " | "),
        }
    }

    #[test]
    fn what_is_right_is_taken_and_what_is_not_known_is_left() {
        let given = json!({
            "Flag": true, "KMSKeyArn": "abc", "Mode": "On", "Many": ["a"], "ByName": {"A": 5}, "Colour": "blue",
            "Filters": [{"Rate": 0.5, "Other": 1}],
        });
        let mut expected = given.clone();
        expected.as_object_mut().unwrap().remove("Colour");
        expected["Filters"][0].as_object_mut().unwrap().remove("Other");
        assert_eq!(told(&given), expected.to_string());
        assert_eq!(told(&json!({"Mode": null, "Many": null})), r#"{"Many":null,"Mode":null}"#);
    }

    #[test]
    fn what_is_wrong_is_told_in_awss_words() {
        for (given, expected) in [
            (
                json!({"KMSKeyArn": ""}),
                "Value '' at 'kMSKeyArn' | Member must have length greater than or equal to 1",
            ),
            (
                json!({"KMSKeyArn": "A"}),
                "Value 'A' at 'kMSKeyArn' | Member must satisfy regular expression pattern: [a-z]*",
            ),
            (json!({"Mode": "on"}), "Value 'on' at 'mode' | Member must satisfy enum value set: [On, Off]"),
            (
                json!({"Many": []}),
                "Value '[]' at 'many' | Member must have length greater than or equal to 1",
            ),
            (
                json!({"Many": ["long", "a"]}),
                "Value '[long, a]' at 'many' | Member must satisfy constraint: [Member must have length less than or equal to 3, Member must have length greater than or equal to 1, Member must not be null]",
            ),
            (
                json!({"ByName": {"B": 1}}),
                "Value '{B=1}' at 'byName' | Map keys must satisfy constraint: [Member must satisfy enum value set: [A], Member must not be null]",
            ),
            (
                json!({"ByName": {"A": 6}}),
                "Value '{A=6}' at 'byName' | Map value must satisfy constraint: [Member must have value less than or equal to 5, Member must have value greater than or equal to 0, Member must not be null]",
            ),
            (
                json!({"Filters": [{"Rate": 1}, {"Rate": 1.5}]}),
                "Value '1.5' at 'filters.2.member.rate' | Member must have value less than or equal to 1.0",
            ),
            (
                json!({"Filters": [null]}),
                "Value '[null]' at 'filters' | Member must satisfy constraint: [Member must not be null]",
            ),
            (json!({"Filters": [{}]}), "Value null at 'filters.1.member.rate' | Member must not be null"),
        ] {
            assert_eq!(told(&given), format!("ValidationException: 1 validation error detected: {expected}"));
        }
    }

    #[test]
    fn another_type_is_told_in_awss_words() {
        for (given, expected) in [
            (json!({"Flag": "true"}), "STRING_VALUE can not be converted to a Boolean"),
            (json!({"Mode": 1}), "NUMBER_VALUE can not be converted to a String"),
            (json!({"Mode": {}}), "Start of structure or map found where not expected."),
            (json!({"Many": "a"}), "Expected list or null"),
            (json!({"Many": [["a"]]}), "Start of list found where not expected"),
            (json!({"ByName": {"A": 1.5}}), "NUMBER_VALUE can not be converted to an Integer"),
            (json!({"ByName": true}), "Expected map or null"),
        ] {
            assert_eq!(told(&given), format!("SerializationException: {expected}"));
        }
    }
}
