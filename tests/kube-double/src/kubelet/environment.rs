//! The variables and the command line of a container, put together from the pod, the image, and what is in the store.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::images::Image;
use crate::admission::Quantity;
use crate::resource::{CONFIG_MAPS, Resource, SECRETS};
use crate::store::{Key, Store};

/// What is known of a pod when one of its containers starts.
#[derive(Clone, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) pod: &'a Value,
    pub(super) address: String,
    pub(super) host: String,
    pub(super) api_port: u16,
}

/// All variables; or why there is one that cannot be had.
pub(super) fn variables(
    store: &Store,
    about: &Circumstances<'_>,
    container: &Value,
    image: &Image,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = image.env.clone();
    all.insert("HOSTNAME".to_owned(), about.pod["metadata"]["name"].as_str().unwrap_or("").to_owned());
    all.insert("KUBERNETES_SERVICE_HOST".to_owned(), about.host.clone());
    all.insert("KUBERNETES_SERVICE_PORT".to_owned(), about.api_port.to_string());
    let namespace = about.pod["metadata"]["namespace"].as_str().unwrap_or("");
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = source["prefix"].as_str().unwrap_or("");
        for (kind, field) in [(&CONFIG_MAPS, "configMapRef"), (&SECRETS, "secretRef")] {
            if let Some(name) = source[field]["name"].as_str() {
                let found = entries(store, kind, namespace, name, source[field]["optional"] == true)?;
                all.extend(found.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or("").to_owned();
        let value = if variable["valueFrom"].is_object() {
            from_elsewhere(store, about, container, &variable["valueFrom"])?
        } else {
            Some(expand(variable["value"].as_str().unwrap_or(""), &all))
        };
        if let Some(value) = value {
            all.insert(name, value);
        }
    }
    Ok(all)
}

fn from_elsewhere(
    store: &Store,
    about: &Circumstances<'_>,
    container: &Value,
    source: &Value,
) -> Result<Option<String>, String> {
    let namespace = about.pod["metadata"]["namespace"].as_str().unwrap_or("");
    for (kind, field) in [(&CONFIG_MAPS, "configMapKeyRef"), (&SECRETS, "secretKeyRef")] {
        let reference = &source[field];
        let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str()) else {
            continue;
        };
        let is_optional = reference["optional"] == true;
        let found = entries(store, kind, namespace, name, is_optional)?.remove(key);
        return match found {
            None if !is_optional => {
                Err(format!("couldn't find key {key} in {} {namespace}/{name}", kind.kind))
            }
            found => Ok(found),
        };
    }
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return Ok(Some(field(about, path)));
    }
    let resource = source["resourceFieldRef"]["resource"].as_str().unwrap_or("");
    let (kind, name) = resource.split_once('.').unwrap_or(("", ""));
    let amount = Quantity::of(&container["resources"][kind][name]);
    Ok(Some(amount.map_or(0, Quantity::units).to_string()))
}

/// What a config map or a secret holds.
pub(super) fn entries(
    store: &Store,
    kind: &'static Resource,
    namespace: &str,
    name: &str,
    is_optional: bool,
) -> Result<BTreeMap<String, String>, String> {
    let Some(object) = store.get(&Key::new(kind, namespace, name)) else {
        let what = kind.kind.to_lowercase();
        return if is_optional { Ok(BTreeMap::new()) } else { Err(format!("{what} {name:?} not found")) };
    };
    let data = object["data"].as_object().into_iter().flatten();
    let decode = |text: &str| {
        if *kind == SECRETS {
            String::from_utf8_lossy(&BASE64_STANDARD.decode(text).unwrap_or_default()).into_owned()
        } else {
            text.to_owned()
        }
    };
    Ok(data.map(|(key, value)| (key.clone(), decode(value.as_str().unwrap_or("")))).collect())
}

/// A field of the pod, as the downward API has it.
pub(super) fn field(about: &Circumstances<'_>, path: &str) -> String {
    let pod = about.pod;
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    for map in ["labels", "annotations"] {
        let values = &pod["metadata"][map];
        if path == format!("metadata.{map}") {
            let all = values.as_object().into_iter().flatten();
            return all.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("\n");
        }
        let key = path.strip_prefix(&format!("metadata.{map}['")).and_then(|rest| rest.strip_suffix("']"));
        if let Some(key) = key {
            return text(&values[key]);
        }
    }
    match path {
        "status.podIP" | "status.podIPs" => about.address.clone(),
        "status.hostIP" | "status.hostIPs" => about.host.clone(),
        _ => text(path.split('.').fold(pod, |value, name| &value[name])),
    }
}

/// The command line: what the pod says instead of what the image says.
pub(super) fn command(container: &Value, image: &Image, variables: &BTreeMap<String, String>) -> Vec<String> {
    let list = |name: &str| {
        container[name]
            .as_array()
            .map(|it| it.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
    };
    let line = match (list("command"), list("args")) {
        (Some(command), arguments) => [command, arguments.unwrap_or_default()].concat(),
        (None, Some(arguments)) => [image.entrypoint.clone(), arguments].concat(),
        (None, None) => [image.entrypoint.clone(), image.command.clone()].concat(),
    };
    line.iter().map(|part| expand(part, variables)).collect()
}

/// `$(NAME)` becomes its value if there is one; `$$` is a dollar.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest.strip_prefix("$(").and_then(|it| it.split_once(')')).map(|(name, _)| name);
        match name.and_then(|name| Some((name, variables.get(name)?))) {
            Some((name, value)) => {
                result.push_str(value);
                rest = &rest[name.len() + 3..];
            }
            None if rest.starts_with("$$") => {
                result.push('$');
                rest = &rest[2..];
            }
            None => {
                result.push('$');
                rest = &rest[1..];
            }
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_variables_become_their_values() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in [("x$(A)y", "x1y"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("5$", "5$")] {
            assert_eq!(expand(text, &variables), expected);
        }
    }
}
