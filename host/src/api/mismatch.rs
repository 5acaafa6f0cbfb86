//! AWS's words for a value of another type than is due.

use std::fmt;

use serde_json::Value;

/// The type of a value, as AWS calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Object,
    List,
    Text,
    Number,
    True,
    False,
    Null,
}

/// The type that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    List,
    Map,
    Boolean,
    Integer,
    Double,
    Timestamp,
    Text,
}

/// A value of one type where another is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) found: Found,
    pub(super) due: Due,
}

impl From<&Value> for Found {
    fn from(value: &Value) -> Self {
        match value {
            Value::Object(_) => Self::Object,
            Value::Array(_) => Self::List,
            Value::String(_) => Self::Text,
            Value::Number(_) => Self::Number,
            Value::Bool(true) => Self::True,
            Value::Bool(false) => Self::False,
            Value::Null => Self::Null,
        }
    }
}

impl Mismatch {
    /// Reads it from what `serde_json` says, which has no other form. `None` if it speaks of something else.
    pub(super) fn read(message: &str) -> Option<Self> {
        // A list is as good as its fields to `serde`, if there are enough of them.
        if message.starts_with("invalid length") {
            return Some(Self { found: Found::List, due: Due::Map });
        }
        let message =
            message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
        let (found, due) = message.rsplit_once(", expected ")?;
        let (due, _) = due.rsplit_once(" at line ").unwrap_or((due, ""));
        let found = match found {
            "map" => Found::Object,
            "sequence" => Found::List,
            "null" => Found::Null,
            "boolean `true`" => Found::True,
            "boolean `false`" => Found::False,
            _ if found.starts_with("string") => Found::Text,
            _ if found.starts_with("integer") || found.starts_with("floating point") => Found::Number,
            _ => return None,
        };
        let due = match due {
            "a sequence" => Due::List,
            "a boolean" => Due::Boolean,
            "f64" => Due::Double,
            "a map" => Due::Map,
            _ if due.starts_with("a string") => Due::Text,
            _ if due.starts_with("struct ") => Due::Map,
            _ if due.starts_with(['i', 'u']) => Due::Integer,
            _ => return None,
        };
        Some(Self { found, due })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = match self.found {
            Found::Object => return f.write_str("Start of structure or map found where not expected."),
            Found::List => return f.write_str("Start of list found where not expected"),
            Found::Text => "STRING_VALUE",
            Found::Number => "NUMBER_VALUE",
            Found::True => "TRUE_VALUE",
            Found::False => "FALSE_VALUE",
            Found::Null => "NULL_VALUE",
        };
        let due = match self.due {
            Due::List => return f.write_str("Expected list or null"),
            Due::Map => return f.write_str("Expected map or null"),
            Due::Boolean => "a Boolean",
            Due::Integer => "an Integer",
            Due::Double => "a Double",
            Due::Timestamp => "milliseconds since epoch",
            Due::Text => "a String",
        };
        write!(f, "{found} can not be converted to {due}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[expect(dead_code, reason = "what matters is that it cannot be read")]
    struct Outer {
        text: Option<String>,
        flag: Option<bool>,
        count: Option<i64>,
        share: Option<f64>,
        list: Option<Vec<String>>,
        map: Option<BTreeMap<String, String>>,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "what matters is that it cannot be read")]
    struct Inner {
        a: Option<i64>,
        b: Option<i64>,
    }

    #[test]
    fn what_serde_says_is_told_in_awss_words() {
        const LIST: &str = "Start of list found where not expected";
        const OBJECT: &str = "Start of structure or map found where not expected.";
        for (given, expected) in [
            (r#"{"Text": 1}"#, "NUMBER_VALUE can not be converted to a String"),
            (r#"{"Text": true}"#, "TRUE_VALUE can not be converted to a String"),
            (r#"{"Text": {}}"#, OBJECT),
            (r#"{"Text": []}"#, LIST),
            (r#"{"Flag": "true"}"#, "STRING_VALUE can not be converted to a Boolean"),
            (r#"{"Count": "1, expected a boolean"}"#, "STRING_VALUE can not be converted to an Integer"),
            (r#"{"Count": 0.5}"#, "NUMBER_VALUE can not be converted to an Integer"),
            (r#"{"Count": 9223372036854775808}"#, "NUMBER_VALUE can not be converted to an Integer"),
            (r#"{"Share": false}"#, "FALSE_VALUE can not be converted to a Double"),
            (r#"{"List": "a"}"#, "Expected list or null"),
            (r#"{"List": [null]}"#, "NULL_VALUE can not be converted to a String"),
            (r#"{"Map": 1}"#, "Expected map or null"),
            (r#"{"Inner": "a"}"#, "Expected map or null"),
            (r#"{"Inner": []}"#, LIST),
            (r"[]", LIST),
            (r#""text""#, "Expected map or null"),
        ] {
            let error = serde_json::from_str::<Outer>(given).unwrap_err().to_string();
            let told = Mismatch::read(&error).map(|mismatch| mismatch.to_string());
            assert_eq!(told.as_deref(), Some(expected), "{given}: {error}");
        }
        let missing = "missing field `a` at line 1 column 2";
        assert_eq!(Mismatch::read(missing), None);
    }
}
