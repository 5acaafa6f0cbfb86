//! Create, replace, patch, delete, evict.

use std::sync::Arc;

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Api, Call, Reply, apply, read, reply};
use crate::admission::{self, decode};
use crate::clock;
use crate::cluster::{self, State};
use crate::deletion::{self, Options};
use crate::failure::{Failure, details};
use crate::patch;
use crate::resource::{BUDGETS, LEASES, NAMESPACES, PODS};
use crate::selector;
use crate::store::Key;

pub(super) fn create(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    check_content_type(&call.headers)?;
    let decoded = decode::object(call.resource, body)?;
    let mut warnings = unknown_fields(call, &decoded.unknown)?;
    let mut object = decoded.object;
    name_it(call, &mut object)?;
    let object = api.cluster.with(|state, now| store_new(state, call, object, now))?;
    warnings.extend(admission::warnings(call.resource, &object));
    Ok(reply::warn(reply::json(201, &object), &warnings))
}

fn store_new(state: &mut State, call: &Call, mut object: Value, now: Timestamp) -> Result<Value, Failure> {
    let namespace = &call.target.namespace;
    admission::admit_new(state, call.resource, namespace, &mut object)?;
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let key = Key::new(call.resource, namespace, &name);
    if let Some(found) = state.store.get(&key) {
        let is_terminating = !found["metadata"]["deletionTimestamp"].is_null();
        return Err(Failure::already_exists(call.resource, &name, is_terminating));
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    if call.query.get("dryRun").is_some() {
        return Ok(cluster::new_object(object, now));
    }
    if *call.resource == NAMESPACES {
        return Ok(cluster::add_namespace(&mut state.store, &state.authority, object, now));
    }
    Ok((*state.store.put(key, cluster::new_object(object, now))).clone())
}

/// The name and the namespace that the path and the body agree on.
fn name_it(call: &Call, object: &mut Value) -> Result<(), Failure> {
    let metadata = &mut object["metadata"];
    if call.resource.namespaced {
        if metadata["namespace"].as_str().is_some_and(|it| it != call.target.namespace) {
            let message =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(message));
        }
        metadata["namespace"] = json!(call.target.namespace);
    }
    if let (None, Some(prefix)) = (metadata["name"].as_str(), metadata["generateName"].as_str()) {
        metadata["name"] = json!(format!("{prefix}{}", admission::random_suffix()));
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
    Ok(())
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    match content_type(headers) {
        "application/json" | "application/yaml" | "" => Ok(()),
        _ => {
            let message = "the body of the request was in an unknown format - accepted media types include: \
                           application/json, application/yaml, application/vnd.kubernetes.protobuf";
            Err(Failure::status(415, "UnsupportedMediaType", message, None))
        }
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}

/// Warnings, or a refusal, about fields that the kind does not have.
fn unknown_fields(call: &Call, unknown: &[String]) -> Result<Vec<String>, Failure> {
    let told: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    match call.query.get("fieldValidation") {
        Some("Ignore") => Ok(Vec::new()),
        Some("Strict") if !told.is_empty() => {
            let why = format!("strict decoding error: {}", told.join(", "));
            Err(Failure::undecodable(call.resource, call.resource.kind, &why))
        }
        _ => Ok(told),
    }
}

pub(super) fn replace(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    check_content_type(&call.headers)?;
    let decoded = decode::object(call.resource, body)?;
    let warnings = unknown_fields(call, &decoded.unknown)?;
    let object = api.cluster.with(|state, _| {
        let key = call.key();
        let before = state.store.get(&key).cloned();
        let before = before.ok_or_else(|| Failure::not_found(call.resource, &key.name))?;
        let sent = &decoded.object["metadata"]["resourceVersion"];
        if !sent.is_null() && *sent != before["metadata"]["resourceVersion"] {
            return Err(Failure::modified(call.resource, &key.name));
        }
        if sent.is_null() && *call.resource == LEASES {
            return Err(refuse_blind_update(&key));
        }
        store_change(state, call, &key, &before, decoded.object)
    })?;
    Ok(reply::warn(reply::json(200, &object), &warnings))
}

/// Named like a resource, unlike every other invalid object.
fn refuse_blind_update(key: &Key) -> Failure {
    let cause =
        crate::failure::Cause::invalid("metadata.resourceVersion", "0x0", "must be specified for an update");
    let details = details(key.resource, key.resource.plural, &key.name);
    Failure::invalid_as(&key.resource.qualified(), details, &key.name, &[cause])
}

pub(super) fn patch(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    let content_type = content_type(&call.headers);
    if content_type == "application/apply-patch+yaml" {
        return apply::serve(api, call, body);
    }
    let (object, warnings) = api.cluster.with(|state, _| {
        let key = call.key();
        let before = state.store.get(&key).cloned();
        let before = before.ok_or_else(|| Failure::not_found(call.resource, &key.name))?;
        let patched = patch::apply(content_type, &before, body)?;
        let version = &patched["metadata"]["resourceVersion"];
        if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
            return Err(Failure::modified(call.resource, &key.name));
        }
        let decoded = decode::typed(call.resource, patched)?;
        let warnings = unknown_fields(call, &decoded.unknown)?;
        Ok((store_change(state, call, &key, &before, decoded.object)?, warnings))
    })?;
    Ok(reply::warn(reply::json(200, &object), &warnings))
}

/// Writes what became of an object: only its status, or all but its status.
pub(super) fn store_change(
    state: &mut State,
    call: &Call,
    key: &Key,
    before: &Arc<Value>,
    mut object: Value,
) -> Result<Arc<Value>, Failure> {
    if call.target.subresource() == "status" {
        let mut with_status = (**before).clone();
        with_status["status"] = object["status"].take();
        return Ok(state.store.put(key.clone(), with_status));
    }
    let is_resize = call.target.subresource() == "resize";
    admission::admit_change(call.resource, before, &mut object, is_resize)?;
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
    ] {
        // What is null is dropped below.
        object["metadata"][field] = before["metadata"][field].clone();
    }
    if let Some(object) = object.as_object_mut() {
        match before.get("status") {
            Some(status) => object.insert("status".to_owned(), status.clone()),
            None => object.remove("status"),
        };
    }
    drop_empty(&mut object["metadata"]);
    if *call.resource == PODS && object["spec"] != before["spec"] {
        object["metadata"]["generation"] = json!(before["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
    }
    if call.query.get("dryRun").is_some() {
        return Ok(Arc::new(object));
    }
    match deletion::release(&mut state.store, key, &object) {
        Some(gone) => Ok(gone),
        None => Ok(state.store.put(key.clone(), object)),
    }
}

/// An empty list of finalizers is none.
fn drop_empty(metadata: &mut Value) {
    let is_empty = |value: &Value| {
        value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|_, value| !is_empty(value) && !value.is_null());
    }
}

/// What the caller says of a deletion: the body as a whole, or else the query.
fn options(call: &Call, body: &[u8]) -> Result<Options, Failure> {
    if !body.is_empty() {
        let body: Value =
            serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
        return Ok(Options::from_body(&body));
    }
    Ok(Options {
        grace: call.query.get("gracePeriodSeconds").and_then(|it| it.parse().ok()),
        propagation: call.query.get("propagationPolicy").map(str::to_owned),
        is_dry_run: call.query.get("dryRun").is_some(),
        ..Options::default()
    })
}

pub(super) fn delete(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    let options = options(call, body)?;
    let key = call.key();
    let object = api.cluster.with(|state, now| deletion::delete(&mut state.store, &key, &options, now))?;
    if *call.resource == PODS || *call.resource == NAMESPACES {
        return Ok(reply::json(200, &object));
    }
    let mut details = details(call.resource, call.resource.plural, &key.name);
    details["uid"] = object["metadata"]["uid"].clone();
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    Ok(reply::json(200, &status))
}

/// Answers the objects as they were before.
pub(super) fn delete_all(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    let options = options(call, body)?;
    let selector = call.selector()?;
    let list = api.cluster.with(|state, now| {
        let all = state.store.list(call.resource, call.namespace());
        let all = all.filter(|(_, object)| selector.matches(object));
        let before: Vec<(Key, Arc<Value>)> = all.map(|(key, it)| (key.clone(), Arc::clone(it))).collect();
        let metadata = json!({"resourceVersion": state.store.revision().to_string()});
        for (key, _) in &before {
            deletion::delete(&mut state.store, key, &options, now)?;
        }
        Ok::<_, Failure>(read::list_object(call, &metadata, before.iter().map(|(_, object)| &**object)))
    })?;
    Ok(reply::json(200, &list))
}

/// Asks for the end of a pod as a drained node does: a disruption budget may forbid it.
pub(super) fn evict(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    let eviction: Value =
        serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    let options = Options::from_body(&eviction["deleteOptions"]);
    let key = call.key();
    api.cluster.with(|state, now| {
        let pod = state.store.get(&key).cloned();
        let pod = pod.ok_or_else(|| Failure::not_found(&PODS, &key.name))?;
        check_budgets(state, &key.namespace, &pod)?;
        let target = disruption("EvictionByEvictionAPI", "Eviction API: evicting", now);
        state.store.put(key.clone(), with_condition(&pod, target));
        deletion::delete(&mut state.store, &key, &options, now)
    })?;
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(reply::json(201, &status))
}

/// A condition that says who ends the pod.
pub(crate) fn disruption(reason: &str, message: &str, now: Timestamp) -> Value {
    json!({
        "type": "DisruptionTarget", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": clock::seconds(now), "reason": reason, "message": message,
    })
}

pub(crate) fn with_condition(pod: &Value, condition: Value) -> Value {
    let mut pod = pod.clone();
    match pod["status"]["conditions"].as_array_mut() {
        Some(conditions) => conditions.push(condition),
        None => pod["status"]["conditions"] = json!([condition]),
    }
    pod
}

fn check_budgets(state: &State, namespace: &str, pod: &Value) -> Result<(), Failure> {
    for (key, budget) in state.store.list(&BUDGETS, Some(namespace)) {
        let covers = |it: &Value| {
            selector::matches_label_selector(&budget["spec"]["selector"], &it["metadata"]["labels"])
        };
        let pods = state.store.list(&PODS, Some(namespace)).filter(|(_, it)| covers(it));
        let (total, healthy) =
            pods.fold((0, 0), |(total, healthy), (_, it)| (total + 1, healthy + i64::from(is_ready(it))));
        let needed = budget["spec"]["minAvailable"]
            .as_i64()
            .or_else(|| Some(total - budget["spec"]["maxUnavailable"].as_i64()?))
            .unwrap_or(0);
        if covers(pod) && healthy - 1 < needed {
            let message = format!(
                "The disruption budget {} needs {needed} healthy pods and has {healthy} currently",
                key.name
            );
            let details = json!({"causes": [{"reason": "DisruptionBudget", "message": message}]});
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            return Err(Failure::status(429, "TooManyRequests", message, Some(details)));
        }
    }
    Ok(())
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|it| it["type"] == "Ready" && it["status"] == "True")
}
