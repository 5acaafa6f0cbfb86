//! What is wrong with an object of any kind: names, labels, sizes, what may not change.

use serde_json::Value;

use super::validate_pod;
use crate::failure::Cause;
use crate::resource::{CONFIG_MAPS, LEASES, PODS, Resource, SECRETS};

const MOST_DATA: usize = 1 << 20;
const MOST_ANNOTATIONS: usize = 256 << 10;
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
     or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const LABEL_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

pub(super) fn causes(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = metadata(object);
    if *resource == PODS {
        causes.extend(validate_pod::causes(object));
    }
    if *resource == SECRETS || *resource == CONFIG_MAPS {
        causes.extend(keys(object));
    }
    causes.extend(too_much_data(resource, object));
    causes
}

/// Keys of data become files and variables.
fn keys(object: &Value) -> impl Iterator<Item = Cause> {
    let lists = ["data", "binaryData"].into_iter().filter_map(|it| Some((it, object[it].as_object()?)));
    let is_fit = |key: &str| {
        key.len() <= 253 && key.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
    };
    lists
        .flat_map(|(list, data)| data.keys().map(move |key| (list, key)))
        .filter(move |(_, key)| !is_fit(key))
        .map(|(list, key)| Cause::invalid(format!("{list}[{key}]"), &format!("{key:?}"), CONFIG_KEY))
}

/// The same for a change of an object.
pub(super) fn change_causes(resource: &Resource, before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (old, new) = (&before["metadata"], &object["metadata"]);
    for field in ["uid", "name", "namespace"] {
        if !new[field].is_null() && new[field] != old[field] {
            let cause =
                Cause::invalid(format!("metadata.{field}"), &new[field].to_string(), "field is immutable");
            // Checked twice by the API, and told twice.
            causes.extend([cause.clone(), cause]);
        }
    }
    let added = new_finalizers(old, new);
    if !old["deletionTimestamp"].is_null() && !added.is_empty() {
        let list = added.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(", ");
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
        );
        let cause = Cause::forbidden("metadata.finalizers", &why);
        causes.extend([cause.clone(), cause]);
    }
    if *resource == LEASES && new["resourceVersion"].is_null() {
        causes.push(Cause::invalid("metadata.resourceVersion", "0x0", "must be specified for an update"));
    }
    if before["immutable"] == true && (before["data"] != object["data"] || object["immutable"] != true) {
        causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
    }
    causes.extend(metadata(object));
    causes.extend(too_much_data(resource, object));
    causes
}

fn new_finalizers<'a>(old: &Value, new: &'a Value) -> Vec<&'a str> {
    let had = |it: &str| old["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == it));
    let list = new["finalizers"].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).filter(|it| !had(it)).collect()
}

fn metadata(object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    match metadata["name"].as_str() {
        None | Some("") => causes.push(Cause::required("metadata.name", "name or generateName is required")),
        Some(name) if name.len() > 253 => {
            let quoted = format!("{name:?}");
            causes.push(Cause::invalid("metadata.name", &quoted, "must be no more than 253 characters"));
        }
        Some(name) if !is_subdomain(name) => {
            causes.push(Cause::invalid("metadata.name", &format!("{name:?}"), SUBDOMAIN));
        }
        Some(_) => {}
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        causes.extend(label(key, value.as_str().unwrap_or("")));
    }
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    for (key, _) in annotations.clone().filter(|(key, _)| !is_qualified_name(&key.to_lowercase())) {
        causes.push(Cause::invalid("metadata.annotations", &format!("{key:?}"), LABEL_NAME));
    }
    let length: usize = annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if length > MOST_ANNOTATIONS {
        causes.push(Cause::too_long("metadata.annotations", MOST_ANNOTATIONS));
    }
    for reference in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if reference[field].as_str().unwrap_or("").is_empty() {
                let path = format!("metadata.ownerReferences.{field}");
                let what = if field == "apiVersion" { "version" } else { field };
                causes.push(Cause::invalid(path, "\"\"", &format!("{what} must not be empty")));
            }
        }
    }
    causes
}

fn label(key: &str, value: &str) -> Option<Cause> {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let invalid = |what: &str, why: &str| Some(Cause::invalid("metadata.labels", &format!("{what:?}"), why));
    if name.len() > 63 {
        invalid(key, "name part must be no more than 63 characters")
    } else if !is_label(name) {
        invalid(key, LABEL_NAME)
    } else if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        invalid(key, &format!("prefix part {SUBDOMAIN}"))
    } else if value.len() > 63 {
        invalid(value, "must be no more than 63 characters")
    } else if !value.is_empty() && !is_label(value) {
        invalid(value, LABEL_VALUE)
    } else {
        None
    }
}

pub(super) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// Lower case letters, digits, and hyphens between them.
pub(super) fn is_dns_label(name: &str) -> bool {
    let is_letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.iter().all(|c| is_letter(*c) || *c == b'-')
        && bytes.first().is_some_and(|c| is_letter(*c))
        && bytes.last().is_some_and(|c| is_letter(*c))
}

/// A name with or without a prefix: `kubernetes.io/arch`.
pub(super) fn is_qualified_name(name: &str) -> bool {
    let (prefix, name) = name.rsplit_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    name.len() <= 63 && is_label(name) && prefix.is_none_or(is_subdomain)
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn too_much_data(resource: &Resource, object: &Value) -> Option<Cause> {
    let field = match () {
        () if *resource == SECRETS => "data",
        () if *resource == CONFIG_MAPS => "[]",
        () => return None,
    };
    let lists = [&object["data"], &object["binaryData"]].into_iter().filter_map(Value::as_object).flatten();
    let size = |value: &Value| value.as_str().map_or(0, str::len);
    // Base64 is a third longer than what it stands for.
    let decoded = |value: &Value| {
        let text = value.as_str().unwrap_or("");
        text.len() / 4 * 3 - text.bytes().rev().take_while(|c| *c == b'=').count()
    };
    let total: usize = lists.map(|(_, it)| if field == "data" { decoded(it) } else { size(it) }).sum();
    (total > MOST_DATA).then(|| Cause::too_long(field, MOST_DATA))
}
