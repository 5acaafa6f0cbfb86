//! Filter criteria: which messages of a queue a function wants.
//!
//! The rules are those of <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>: a message is
//! wanted if it fits one of the patterns, and it fits a pattern if it has a fitting value for each of its members.

use serde_json::{Map, Value};

use super::batch::record;
use crate::aws::sqs::Message;

/// The patterns of a mapping, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    patterns: Vec<Map<String, Value>>,
}

impl Filters {
    /// Reads `FilterCriteria`. No filters let everything through.
    ///
    /// # Errors
    ///
    /// If a pattern is no JSON object, or has a rule in it that is not known: what is wrong, for people.
    pub fn parse(criteria: Option<&Value>) -> Result<Self, String> {
        let filters = criteria.and_then(|criteria| criteria.get("Filters")?.as_array());
        let patterns = filters.into_iter().flatten().filter_map(|filter| filter.get("Pattern")?.as_str());
        let parse = |text: &str| {
            let pattern: Map<String, Value> =
                serde_json::from_str(text).map_err(|error| format!("`{text}` is no JSON object: {error}"))?;
            check(&pattern).map_err(|problem| format!("`{text}`: {problem}"))?;
            Ok(pattern)
        };
        Ok(Self { patterns: patterns.map(parse).collect::<Result<_, String>>()? })
    }

    /// Whether the function wants a message.
    pub(super) fn wants(&self, message: &Message) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let Ok(Value::Object(mut whole)) = serde_json::to_value(record("", "", message)) else {
            return false;
        };
        // A pattern for a body that is an object fits JSON alone, and one for a text fits no JSON.
        if let Ok(body @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(&message.body) {
            whole.insert("body".to_owned(), body);
        }
        self.patterns.iter().any(|pattern| fits(pattern, &whole))
    }
}

/// Whether each rule is one that is known.
fn check(pattern: &Map<String, Value>) -> Result<(), String> {
    for (name, rule) in pattern {
        match rule {
            Value::Array(choices) if name == "$or" => {
                for choice in choices {
                    check(choice.as_object().ok_or("$or is a list of objects")?)?;
                }
            }
            Value::Object(inner) => check(inner)?,
            Value::Array(rules) if !rules.is_empty() => rules.iter().try_for_each(check_rule)?,
            _ => return Err(format!("`{name}` must be an object, or a list of values and rules")),
        }
    }
    Ok(())
}

fn check_rule(rule: &Value) -> Result<(), String> {
    let Value::Object(rule) = rule else {
        return if rule.is_array() { Err("a list in a list is no rule".to_owned()) } else { Ok(()) };
    };
    let mut members = rule.iter();
    let (Some((name, operand)), None) = (members.next(), members.next()) else {
        return Err("a rule has one member".to_owned());
    };
    let is_right = match name.as_str() {
        "exists" => operand.is_boolean(),
        "prefix" | "suffix" | "equals-ignore-case" => operand.is_string(),
        "numeric" => operand.as_array().is_some_and(|list| is_numeric(list)),
        "anything-but" => {
            !operand.is_object() || operand.as_object().is_some_and(|it| it.contains_key("prefix"))
        }
        _ => return Err(format!("`{name}` is no rule that is known")),
    };
    if is_right { Ok(()) } else { Err(format!("`{name}` cannot be {operand}")) }
}

/// As in `[">", 0, "<=", 5]`.
fn is_numeric(list: &[Value]) -> bool {
    let is_comparison = |pair: &[Value]| match pair {
        [operator, limit] => {
            matches!(operator.as_str(), Some("=" | "<" | "<=" | ">" | ">=")) && limit.is_number()
        }
        _ => false,
    };
    !list.is_empty() && list.chunks(2).all(is_comparison)
}

fn fits(pattern: &Map<String, Value>, value: &Map<String, Value>) -> bool {
    pattern.iter().all(|(name, rule)| match rule {
        Value::Array(choices) if name == "$or" => {
            choices.iter().filter_map(Value::as_object).any(|choice| fits(choice, value))
        }
        Value::Object(inner) => match value.get(name) {
            Some(Value::Object(found)) => fits(inner, found),
            Some(_) => false,
            // What is not there may still be what a rule asks for.
            None => fits(inner, &Map::new()),
        },
        Value::Array(rules) => match value.get(name) {
            // Of a list, one fitting element is enough.
            Some(Value::Array(found)) => found.iter().any(|it| fits_one(rules, Some(it))),
            found => fits_one(rules, found),
        },
        _ => false,
    })
}

fn fits_one(rules: &[Value], found: Option<&Value>) -> bool {
    rules.iter().any(|rule| match rule {
        Value::Object(rule) => rule.iter().all(|(name, operand)| holds(name, operand, found)),
        // 1 and 1.0 are the same number.
        Value::Number(wanted) => found.is_some_and(|it| it.is_number() && it.as_f64() == wanted.as_f64()),
        value => found == Some(value),
    })
}

fn holds(rule: &str, operand: &Value, found: Option<&Value>) -> bool {
    let text = found.and_then(Value::as_str);
    let with = |test: fn(&str, &str) -> bool| {
        text.zip(operand.as_str()).is_some_and(|(text, operand)| test(text, operand))
    };
    match rule {
        // A leaf exists: an object in its place does not count.
        "exists" => operand.as_bool() == Some(found.is_some_and(|it| !it.is_object())),
        "prefix" => with(|text, prefix| text.starts_with(prefix)),
        "suffix" => with(|text, suffix| text.ends_with(suffix)),
        "equals-ignore-case" => with(|text, other| text.to_lowercase() == other.to_lowercase()),
        "numeric" => found.and_then(Value::as_f64).is_some_and(|number| {
            operand.as_array().is_some_and(|list| list.chunks(2).all(|pair| compares(number, pair)))
        }),
        "anything-but" => found.is_some_and(|found| match operand {
            Value::Array(others) => !others.contains(found),
            Value::Object(inner) => !inner.iter().all(|(name, operand)| holds(name, operand, Some(found))),
            other => other != found,
        }),
        _ => false,
    }
}

#[expect(clippy::float_cmp, reason = "equal is what the rule says")]
fn compares(number: f64, pair: &[Value]) -> bool {
    let [operator, limit] = pair else { return false };
    let Some(limit) = limit.as_f64() else { return false };
    match operator.as_str() {
        Some("=") => number == limit,
        Some("<") => number < limit,
        Some("<=") => number <= limit,
        Some(">") => number > limit,
        Some(">=") => number >= limit,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filters(patterns: &[&str]) -> Result<Filters, String> {
        let filters: Vec<_> = patterns.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
        Filters::parse(Some(&json!({ "Filters": filters })))
    }

    fn message(body: &str) -> Message {
        let message = json!({
            "MessageId": "a",
            "ReceiptHandle": "r",
            "Body": body,
            "Attributes": {"SenderId": "me"},
            "MessageAttributes": {"Kind": {"DataType": "String", "StringValue": "big"}},
        });
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn a_message_is_wanted_if_it_fits_one_pattern() {
        let order = r#"{"id": 7, "state": "Open", "price": 9.5, "tags": ["a", "b"], "none": null, "deep": {"x": ""}}"#;
        for (pattern, body, is_wanted) in [
            (r#"{"body": {"state": ["Open"]}}"#, order, true),
            (r#"{"body": {"state": ["open"]}}"#, order, false),
            (r#"{"body": {"state": [{"equals-ignore-case": "open"}]}}"#, order, true),
            (r#"{"body": {"state": [{"prefix": "Op"}], "id": [7]}}"#, order, true),
            (r#"{"body": {"state": [{"suffix": "en"}], "id": [8]}}"#, order, false),
            (r#"{"body": {"id": [7.0]}}"#, order, true),
            (r#"{"body": {"id": ["7"]}}"#, order, false),
            (r#"{"body": {"price": [{"numeric": [">", 9, "<=", 9.5]}]}}"#, order, true),
            (r#"{"body": {"price": [{"numeric": ["=", 9]}]}}"#, order, false),
            (r#"{"body": {"tags": ["b", "c"]}}"#, order, true),
            (r#"{"body": {"tags": ["c"]}}"#, order, false),
            (r#"{"body": {"none": [null], "deep": {"x": [""]}}}"#, order, true),
            (r#"{"body": {"absent": [{"exists": false}], "id": [{"exists": true}]}}"#, order, true),
            (
                r#"{"body": {"deep": {"y": [{"exists": false}]}, "other": {"z": [{"exists": false}]}}}"#,
                order,
                true,
            ),
            (r#"{"body": {"state": [{"anything-but": ["Closed"]}]}}"#, order, true),
            (r#"{"body": {"state": [{"anything-but": "Open"}]}}"#, order, false),
            (r#"{"body": {"state": [{"anything-but": {"prefix": "Op"}}]}}"#, order, false),
            (r#"{"body": {"absent": [{"anything-but": "x"}]}}"#, order, false),
            (r#"{"body": {"$or": [{"id": [8]}, {"state": ["Open"]}]}}"#, order, true),
            (r#"{"body": {"$or": [{"id": [8]}, {"state": ["Shut"]}]}}"#, order, false),
            // A pattern for JSON fits no text, and the other way round.
            (r#"{"body": {"state": ["Open"]}}"#, "Open", false),
            (r#"{"body": ["Open"]}"#, "Open", true),
            (r#"{"body": ["Open"]}"#, r#"{"Open": 1}"#, false),
            (r#"{"messageAttributes": {"Kind": {"stringValue": ["big"]}}}"#, "x", true),
            (r#"{"attributes": {"SenderId": [{"prefix": "you"}]}}"#, "x", false),
        ] {
            assert_eq!(filters(&[pattern]).unwrap().wants(&message(body)), is_wanted, "{pattern} {body}");
        }
        assert!(filters(&[r#"{"body": ["a"]}"#, r#"{"body": ["b"]}"#]).unwrap().wants(&message("b")));
        assert!(Filters::parse(None).unwrap().wants(&message("anything")));
    }

    #[test]
    fn a_pattern_that_cannot_be_kept_is_refused_with_the_reason() {
        for (pattern, problem) in [
            ("body", "`body` is no JSON object: expected value at line 1 column 1"),
            (
                r#"{"body": "x"}"#,
                r#"`{"body": "x"}`: `body` must be an object, or a list of values and rules"#,
            ),
            (r#"{"body": []}"#, r#"`{"body": []}`: `body` must be an object, or a list of values and rules"#),
            (
                r#"{"body": [{"wildcard": "x*"}]}"#,
                r#"`{"body": [{"wildcard": "x*"}]}`: `wildcard` is no rule that is known"#,
            ),
            (r#"{"a": [{"numeric": [">"]}]}"#, r#"`{"a": [{"numeric": [">"]}]}`: `numeric` cannot be [">"]"#),
            (
                r#"{"a": [{"prefix": "b", "suffix": "c"}]}"#,
                r#"`{"a": [{"prefix": "b", "suffix": "c"}]}`: a rule has one member"#,
            ),
        ] {
            assert_eq!(filters(&[pattern]).unwrap_err(), problem);
        }
    }
}
