//! Label and field selectors, and what an event is to a watch that has some.

use serde_json::Value;

use crate::failure::Failure;
use crate::resource::{EVENTS, PODS, Resource};

/// What a client wants to see of a kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// Fields of pods that can be selected by, beside name and namespace.
const POD_FIELDS: [&str; 9] = [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];
const EVENT_FIELDS: [&str; 9] = [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "type",
];

impl Selector {
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self.fields.iter().all(|(path, equal, wanted)| (field(object, path) == *wanted) == *equal)
    }
}

/// Whether the `matchLabels` and `matchExpressions` of an object choose these labels.
pub(crate) fn matches_label_selector(selector: &Value, labels: &Value) -> bool {
    let mut requirements: Vec<Requirement> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        requirements.push(Requirement::In(key.clone(), vec![value.as_str().unwrap_or("").to_owned()]));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        requirements.extend(from_expression(expression));
    }
    requirements.iter().all(|requirement| requirement.holds(labels))
}

/// `{key, operator, values}`, as node affinities and label selectors have it.
fn from_expression(expression: &Value) -> Option<Requirement> {
    let key = expression["key"].as_str()?.to_owned();
    let values = expression["values"].as_array().into_iter().flatten();
    let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
    let number = values.first().and_then(|value| value.parse().ok());
    Some(match expression["operator"].as_str()? {
        "In" => Requirement::In(key, values),
        "NotIn" => Requirement::NotIn(key, values),
        "Exists" => Requirement::Exists(key),
        "DoesNotExist" => Requirement::Missing(key),
        "Gt" => Requirement::Greater(key, number?),
        "Lt" => Requirement::Less(key, number?),
        _ => return None,
    })
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &str| labels[key].as_str();
        let number = |key: &str| value(key).and_then(|value| value.parse::<i64>().ok());
        let is_in =
            |key: &str, values: &[String]| value(key).is_some_and(|it| values.iter().any(|v| v == it));
        match self {
            Self::In(key, values) => is_in(key, values),
            Self::NotIn(key, values) => !is_in(key, values),
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
            Self::Greater(key, than) => number(key).is_some_and(|it| it > *than),
            Self::Less(key, than) => number(key).is_some_and(|it| it < *than),
        }
    }
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, Failure> {
    let mut requirements = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = end_of_requirement(rest);
        requirements.push(parse_requirement(rest[..end].trim())?);
        rest = rest[end..].trim_start_matches(',').trim_start();
    }
    Ok(requirements)
}

/// Commas between parentheses separate values, not requirements.
fn end_of_requirement(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn parse_requirement(text: &str) -> Result<Requirement, Failure> {
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Requirement::Missing(key.trim().to_owned()));
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(operator) {
            let (key, values) = (key.trim().to_owned(), vec![value.trim().to_owned()]);
            return Ok(if equal { Requirement::In(key, values) } else { Requirement::NotIn(key, values) });
        }
    }
    let (key, operation) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let key = key.to_owned();
    let operation = operation.trim();
    let set = |rest: &str| {
        let inner = rest.trim().trim_start_matches('(').trim_end_matches(')');
        inner.split(',').map(|value| value.trim().to_owned()).collect()
    };
    if operation.is_empty() {
        Ok(Requirement::Exists(key))
    } else if let Some(rest) = operation.strip_prefix("notin") {
        Ok(Requirement::NotIn(key, set(rest)))
    } else if let Some(rest) = operation.strip_prefix("in").filter(|rest| rest.trim().starts_with('(')) {
        Ok(Requirement::In(key, set(rest)))
    } else {
        let found = operation.split_whitespace().next().unwrap_or("");
        let expected = "in, notin, =, ==, !=, gt, lt";
        Err(Failure::bad_request(format!(
            "unable to parse requirement: found '{found}', expected: {expected}"
        )))
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<(String, bool, String)>, Failure> {
    let mut fields = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (path, equal, value) = split_field(part).ok_or_else(|| {
            Failure::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'"))
        })?;
        if !can_be_selected(resource, path) {
            return Err(Failure::bad_request(format!("field label not supported: {path}")));
        }
        fields.push((path.to_owned(), equal, value.to_owned()));
    }
    Ok(fields)
}

fn split_field(part: &str) -> Option<(&str, bool, &str)> {
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((path, value)) = part.split_once(operator) {
            return Some((path, equal, value));
        }
    }
    None
}

fn can_be_selected(resource: &Resource, path: &str) -> bool {
    matches!(path, "metadata.name" | "metadata.namespace")
        || (*resource == PODS && POD_FIELDS.contains(&path))
        || (*resource == EVENTS && EVENT_FIELDS.contains(&path))
        || (resource.kind == "Secret" && path == "type")
}

fn field(object: &Value, path: &str) -> String {
    if path == "status.podIPs" {
        return field(object, "status.podIP");
    }
    if path == "spec.hostNetwork" {
        return object["spec"]["hostNetwork"].as_bool().unwrap_or(false).to_string();
    }
    let value = path.split('.').fold(object, |value, part| &value[part]);
    value.as_str().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"set": "paging", "size": "3"}},
            "spec": {}, "status": {"phase": "Pending"},
        });
        Selector::parse(&PODS, labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn selectors_choose_as_they_say() {
        for (labels, fields, expected) in [
            ("", "", true),
            ("set=paging", "", true),
            ("set==paging,size!=4", "", true),
            ("set!=paging", "", false),
            ("set in (paging,other),!pool", "status.phase=Pending,spec.nodeName=", true),
            ("set notin (paging)", "", false),
            ("set,size", "", true),
            ("pool", "", false),
            ("", "status.phase!=Pending", false),
            ("", "metadata.name=b", false),
            ("", "spec.hostNetwork=false", true),
        ] {
            assert_eq!(matches(labels, fields), expected, "{labels} {fields}");
        }
    }
}
