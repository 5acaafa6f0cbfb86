//! Server-side apply: who said a field last owns it, and a field that its owner leaves out goes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Api, Call, Reply, reply, write};
use crate::admission::{self, decode};
use crate::clock;
use crate::cluster::{self, State};
use crate::failure::{Cause, Failure};

/// The path of a field, a name for each step.
type Path = Vec<String>;

pub(super) fn serve(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    let Some(manager) = call.query.get("fieldManager") else {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Failure::invalid_options("PatchOptions", &[cause]));
    };
    let wanted = decode::object(call.resource, body)?.object;
    api.cluster.with(|state, now| {
        let key = call.key();
        let Some(before) = state.store.get(&key).cloned() else {
            let mut object = wanted.clone();
            object["metadata"]["name"] = json!(key.name);
            if call.resource.namespaced {
                object["metadata"]["namespace"] = json!(key.namespace);
            }
            admission::admit_new(state, call.resource, &key.namespace, &mut object)?;
            let mut object = cluster::new_object(object, now);
            let owned = BTreeMap::from([(manager.to_owned(), fields(&wanted))]);
            object["metadata"]["managedFields"] = managed(call, &owned, &clock::seconds(now));
            return Ok(reply::json(201, &state.store.put(key, object)));
        };
        let mut owned = owners(&before);
        let ours = owned.remove(manager).unwrap_or_default();
        let claims = fields(&wanted);
        take_over(call, &before, &wanted, &claims, &mut owned)?;
        let mut object = (*before).clone();
        for path in ours.difference(&claims) {
            let is_shared = owned.values().any(|it| it.contains(path));
            if !is_shared {
                remove(&mut object, path);
            }
        }
        for path in &claims {
            *at(&mut object, path) = lookup(&wanted, path).clone();
        }
        owned.insert(manager.to_owned(), claims);
        // Nothing but a new time is no change.
        if owned != owners(&before) {
            object["metadata"]["managedFields"] = managed(call, &owned, &clock::seconds(now));
        }
        finish(state, call, &before, object)
    })
}

fn finish(
    state: &mut State,
    call: &Call,
    before: &std::sync::Arc<Value>,
    object: Value,
) -> Result<Reply, Failure> {
    let managed = object["metadata"]["managedFields"].clone();
    let mut object = decode::typed(call.resource, object)?.object;
    object["metadata"]["managedFields"] = managed;
    let object = write::store_change(state, call, &call.key(), before, object)?;
    Ok(reply::json(200, &object))
}

/// Fields that others own and that differ are a conflict, unless the caller insists.
fn take_over(
    call: &Call,
    before: &Value,
    wanted: &Value,
    claims: &BTreeSet<Path>,
    owned: &mut BTreeMap<String, BTreeSet<Path>>,
) -> Result<(), Failure> {
    let differs = |path: &Path| lookup(before, path) != lookup(wanted, path);
    let mut causes = Vec::new();
    for (manager, paths) in owned.iter() {
        for path in paths.intersection(claims).filter(|path| differs(path)) {
            causes.push((manager.clone(), path.clone()));
        }
    }
    if !call.query.is_true("force") && !causes.is_empty() {
        return Err(conflict(&causes));
    }
    for (manager, path) in causes {
        if let Some(paths) = owned.get_mut(&manager) {
            paths.remove(&path);
        }
    }
    owned.retain(|_, paths| !paths.is_empty());
    Ok(())
}

fn conflict(found: &[(String, Path)]) -> Failure {
    let field = |path: &Path| format!(".{}", path.join("."));
    let causes: Vec<Value> = found
        .iter()
        .map(|(manager, path)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager:?}"),
                   "field": field(path)})
        })
        .collect();
    let plural = if found.len() == 1 { "" } else { "s" };
    let list: Vec<String> =
        found.iter().map(|(manager, path)| format!("conflict with {manager:?}: {}", field(path))).collect();
    let message = format!("Apply failed with {} conflict{plural}: {}", found.len(), list.join(", "));
    Failure::status(409, "Conflict", message, Some(json!({"causes": causes})))
}

/// What an applied object says: every leaf but its identity. A list is one field.
fn fields(object: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    collect(object, &mut Vec::new(), &mut found);
    found.retain(|path| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        !matches!(path[..], ["kind" | "apiVersion"] | ["metadata", "name" | "namespace"])
    });
    found
}

fn collect(value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                path.push(name.clone());
                collect(value, path, found);
                path.pop();
            }
        }
        _ => {
            found.insert(path.clone());
        }
    }
}

fn lookup<'a>(object: &'a Value, path: &Path) -> &'a Value {
    path.iter().fold(object, |value, name| &value[name])
}

fn at<'a>(object: &'a mut Value, path: &Path) -> &'a mut Value {
    path.iter().fold(object, |value, name| &mut value[name])
}

fn remove(object: &mut Value, path: &Path) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = at(object, &parents.to_vec());
    if let Some(parent) = parent.as_object_mut() {
        parent.remove(last);
    }
    let is_empty = parent.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty && !parents.is_empty() {
        remove(object, &parents.to_vec());
    }
}

/// As `metadata.managedFields` has them: `{"f:data": {"f:a": {}}}`.
fn managed(call: &Call, owned: &BTreeMap<String, BTreeSet<Path>>, time: &Value) -> Value {
    let entries = owned.iter().filter(|(_, paths)| !paths.is_empty()).map(|(manager, paths)| {
        let mut tree = json!({});
        for path in paths {
            let steps: Path = path.iter().map(|name| format!("f:{name}")).collect();
            *at(&mut tree, &steps) = json!({});
        }
        json!({
            "manager": manager, "operation": "Apply", "apiVersion": call.resource.api_version(), "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": tree,
        })
    });
    entries.collect()
}

fn owners(object: &Value) -> BTreeMap<String, BTreeSet<Path>> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries
        .filter_map(|entry| {
            let mut paths = BTreeSet::new();
            collect_owned(&entry["fieldsV1"], &mut Vec::new(), &mut paths);
            Some((entry["manager"].as_str()?.to_owned(), paths))
        })
        .collect()
}

fn collect_owned(tree: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    let Some(tree) = tree.as_object() else { return };
    if tree.is_empty() && !path.is_empty() {
        found.insert(path.clone());
    }
    for (name, tree) in tree {
        path.push(name.trim_start_matches("f:").to_owned());
        collect_owned(tree, path, found);
        path.pop();
    }
}
