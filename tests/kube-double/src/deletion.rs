//! How objects go: at once, after a grace, or once nobody holds them any more.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock;
use crate::failure::Failure;
use crate::resource::PODS;
use crate::store::{Key, Store};

pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// What a client may say with a deletion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) propagation: Option<String>,
    pub(crate) is_dry_run: bool,
}

impl Options {
    /// A body beats the query as a whole.
    pub(crate) fn from_body(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            grace: body["gracePeriodSeconds"].as_i64(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            propagation: text(&body["propagationPolicy"]),
            is_dry_run: body["dryRun"].as_array().is_some_and(|it| !it.is_empty()),
        }
    }

    pub(crate) fn at_once() -> Self {
        Self { grace: Some(0), ..Self::default() }
    }
}

/// Begins or shortens the end of an object; answers it as it is afterwards, or as it was last.
pub(crate) fn delete(
    store: &mut Store,
    key: &Key,
    options: &Options,
    now: Timestamp,
) -> Result<Arc<Value>, Failure> {
    let object = store.get(key).cloned().ok_or_else(|| Failure::not_found(key.resource, &key.name))?;
    check_preconditions(key, &object, options)?;
    if options.is_dry_run {
        return Ok(object);
    }
    let mut ending = (*object).clone();
    match options.propagation.as_deref() {
        Some("Orphan") => abandon_dependents(store, &object),
        Some("Foreground") => hold_for_dependents(&mut ending),
        _ => {}
    }
    if *key.resource == PODS {
        Ok(delete_pod(store, key, ending, options, now))
    } else {
        Ok(delete_other(store, key, ending, now))
    }
}

fn check_preconditions(key: &Key, object: &Value, options: &Options) -> Result<(), Failure> {
    let metadata = &object["metadata"];
    let refuse = |what: &str, wanted: &str, found: &Value, hint: &str| {
        let found = found.as_str().unwrap_or("");
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). {hint}"
        );
        Err(Failure::precondition(key.resource, &key.name, &why))
    };
    if let Some(uid) = options.uid.as_deref().filter(|uid| metadata["uid"] != **uid) {
        return refuse("UID", uid, &metadata["uid"], "The object might have been deleted and then recreated");
    }
    let stale = |version: &&str| metadata["resourceVersion"] != **version;
    if let Some(version) = options.resource_version.as_deref().filter(stale) {
        let hint = "The object might have been modified";
        return refuse("ResourceVersion", version, &metadata["resourceVersion"], hint);
    }
    Ok(())
}

fn delete_pod(store: &mut Store, key: &Key, mut pod: Value, options: &Options, now: Timestamp) -> Arc<Value> {
    let grace = if goes_at_once(&pod) { 0 } else { grace_of(&pod, options) };
    // A longer grace than the one that runs changes nothing.
    let current = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if current.is_none_or(|current| grace < current) {
        mark(&mut pod, grace, now);
    }
    let pod = store.put(key.clone(), pod);
    if grace == 0 { remove_unless_held(store, key).unwrap_or(pod) } else { pod }
}

/// Nobody has to be asked about a pod that is on no node or has ended.
fn goes_at_once(pod: &Value) -> bool {
    let has_ended = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    pod["spec"]["nodeName"].as_str().is_none() || has_ended
}

fn grace_of(pod: &Value, options: &Options) -> i64 {
    let grace = options.grace.or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_i64());
    grace.unwrap_or(30).max(0)
}

fn mark(object: &mut Value, grace: i64, now: Timestamp) {
    let metadata = &mut object["metadata"];
    if metadata["deletionTimestamp"].is_null() {
        metadata["generation"] = json!(metadata["generation"].as_i64().unwrap_or(0) + 1);
    }
    metadata["deletionTimestamp"] = clock::seconds(now + SignedDuration::from_secs(grace));
    metadata["deletionGracePeriodSeconds"] = json!(grace);
}

/// The node says that nothing of the pod runs any more.
pub(crate) fn confirm(store: &mut Store, key: &Key, now: Timestamp) {
    let Some(pod) = store.get(key).filter(|pod| !pod["metadata"]["deletionTimestamp"].is_null()) else {
        return;
    };
    let mut pod = (**pod).clone();
    mark(&mut pod, 0, now);
    store.put(key.clone(), pod);
    remove_unless_held(store, key);
}

fn delete_other(store: &mut Store, key: &Key, mut object: Value, now: Timestamp) -> Arc<Value> {
    if is_held(&object) {
        if object["metadata"]["deletionTimestamp"].is_null() {
            mark(&mut object, 0, now);
        }
        return store.put(key.clone(), object);
    }
    store.remove(key).unwrap_or_else(|| Arc::new(object))
}

/// Finalizers keep an object; a namespace is kept until it is empty.
fn is_held(object: &Value) -> bool {
    let has_any = |part: &str| object[part]["finalizers"].as_array().is_some_and(|it| !it.is_empty());
    has_any("metadata") || has_any("spec")
}

fn remove_unless_held(store: &mut Store, key: &Key) -> Option<Arc<Value>> {
    if is_held(store.get(key)?) { None } else { store.remove(key) }
}

/// After a write: an object that ends goes once its last finalizer went. What its last event shows is the object that
/// still had it.
pub(crate) fn release(store: &mut Store, key: &Key, written: &Value) -> Option<Arc<Value>> {
    let before = store.get(key)?;
    let is_ending = before["metadata"]["deletionGracePeriodSeconds"].as_i64() == Some(0);
    if is_ending && is_held(before) && !is_held(written) { store.remove(key) } else { None }
}

/// Whether this reference names the object with that uid.
pub(crate) fn is_owned_by(object: &Value, uid: &Value) -> bool {
    object["metadata"]["ownerReferences"].as_array().is_some_and(|it| it.iter().any(|it| it["uid"] == *uid))
}

fn abandon_dependents(store: &mut Store, owner: &Value) {
    let uid = &owner["metadata"]["uid"];
    let dependents = store.everything().filter(|(_, object)| is_owned_by(object, uid));
    let dependents: Vec<(Key, Value)> = dependents.map(|(key, it)| (key.clone(), (**it).clone())).collect();
    for (key, mut object) in dependents {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            let references = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut);
            let is_empty = references.is_none_or(|references| {
                references.retain(|reference| reference["uid"] != *uid);
                references.is_empty()
            });
            if is_empty {
                metadata.remove("ownerReferences");
            }
        }
        store.put(key, object);
    }
}

fn hold_for_dependents(object: &mut Value) {
    let finalizers = &mut object["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(finalizers) if finalizers.iter().any(|it| it == FOREGROUND) => {}
        Some(finalizers) => finalizers.push(json!(FOREGROUND)),
        None => *finalizers = json!([FOREGROUND]),
    }
}
