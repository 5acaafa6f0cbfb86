//! Patches: merge, strategic merge, JSON.

use json_patch::{Patch, PatchOperation};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Lists that a strategic merge patch merges, and the field that identifies their items.
const MERGED_LISTS: [(&str, &str); 12] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("env", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("ports", "containerPort"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("conditions", "type"),
    ("ownerReferences", "uid"),
    ("secrets", "name"),
    ("resizePolicy", "resourceName"),
];

/// What the patch makes of an object, by the content type of the request.
pub(crate) fn apply(content_type: &str, object: &Value, patch: &[u8]) -> Result<Value, Failure> {
    let mut result = object.clone();
    match content_type {
        "application/json-patch+json" => {
            let operations: Vec<PatchOperation> = read(patch)?;
            json_patch::patch(&mut result, &Patch(operations)).map_err(|_| Failure::rejected_patch())?;
        }
        "application/merge-patch+json" => json_patch::merge(&mut result, &read(patch)?),
        "application/strategic-merge-patch+json" => merge(&mut result, read(patch)?),
        _ => {
            let message = "415: Unsupported Media Type";
            return Err(Failure::status(415, "UnsupportedMediaType", message, Some(json!({}))));
        }
    }
    Ok(result)
}

fn read<T: serde::de::DeserializeOwned>(patch: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(patch)
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))
}

fn merge(object: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *object = patch;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let Some(target) = object.as_object_mut() else { return };
    for (name, value) in patch.into_iter().filter(|(name, _)| name != "$setElementOrder") {
        if value.is_null() {
            target.remove(&name);
        } else if let Some(key) = merge_key(&name).filter(|_| value.is_array() && target.contains_key(&name))
        {
            merge_list(&mut target[&name], value, key);
        } else if name == "finalizers" && target.contains_key(&name) {
            add_missing(&mut target[&name], value);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn merge_key(list: &str) -> Option<&'static str> {
    MERGED_LISTS.iter().find(|(name, _)| *name == list).map(|(_, key)| *key)
}

fn merge_list(list: &mut Value, patch: Value, key: &str) {
    let (Some(list), Value::Array(patch)) = (list.as_array_mut(), patch) else { return };
    for mut item in patch {
        let found = list.iter().position(|it| it[key] == item[key]);
        let is_removal = item["$patch"] == "delete";
        if let Some(item) = item.as_object_mut() {
            item.remove("$patch");
        }
        match found {
            Some(at) if is_removal => {
                list.remove(at);
            }
            Some(at) => merge(&mut list[at], item),
            None if is_removal => {}
            None => list.push(item),
        }
    }
}

fn add_missing(list: &mut Value, more: Value) {
    let (Some(list), Value::Array(more)) = (list.as_array_mut(), more) else { return };
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, patch: &Value, expected: &Value) {
        let object = json!({
            "metadata": {"labels": {"pool": "warm", "app": "fn"}},
            "spec": {"containers": [{"name": "fn", "image": "a:1"}, {"name": "log", "image": "b:1"}]},
        });
        let result = apply(content_type, &object, patch.to_string().as_bytes());
        assert_eq!(result.unwrap_or_else(|failure| json!(failure.code)), *expected);
    }

    #[test]
    fn a_merge_patch_removes_what_is_null() {
        check(
            "application/merge-patch+json",
            &json!({"metadata": {"labels": {"app": null}}, "spec": null}),
            &json!({"metadata": {"labels": {"pool": "warm"}}}),
        );
    }

    #[test]
    fn a_strategic_merge_patch_merges_containers_by_name() {
        check(
            "application/strategic-merge-patch+json",
            &json!({"spec": {"containers": [{"name": "log", "image": "b:2"}]}}),
            &json!({
                "metadata": {"labels": {"pool": "warm", "app": "fn"}},
                "spec": {"containers": [{"name": "fn", "image": "a:1"}, {"name": "log", "image": "b:2"}]},
            }),
        );
    }

    #[test]
    fn a_json_patch_whose_test_fails_is_invalid() {
        let patch = json!([{"op": "test", "path": "/metadata/labels/pool", "value": "cold"}]);
        check("application/json-patch+json", &patch, &json!(422));
    }
}
