//! Get and list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Api, Call, Reply, reply};
use crate::cluster::State;
use crate::failure::{Cause, Failure};
use crate::selector::Selector;
use crate::store::Key;

/// How long the server waits for a version that it has not reached.
const FUTURE_LIMIT: Duration = Duration::from_secs(3);
const OLD_TOKEN: &str = "The provided continue parameter is too old to display a consistent list result. You can start a \
     new list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
     the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
     modified, or deleted between the time the first chunk was returned and now may show up in the list.";

pub(super) fn get(api: &Api, call: &Call) -> Result<Reply, Failure> {
    let key = call.key();
    let object = api.cluster.with(|state, _| state.store.get(&key).cloned());
    let object = object.ok_or_else(|| Failure::not_found(call.resource, &call.target.name))?;
    Ok(reply::json(200, &reply::shape(&object, &call.headers)))
}

impl Call {
    pub(super) fn key(&self) -> Key {
        Key::new(self.resource, &self.target.namespace, &self.target.name)
    }

    /// The namespace; nothing for all of them.
    pub(super) fn namespace(&self) -> Option<&str> {
        Some(self.target.namespace.as_str()).filter(|it| !it.is_empty())
    }

    pub(super) fn selector(&self) -> Result<Selector, Failure> {
        let text = |name| self.query.get(name).unwrap_or("");
        Selector::parse(self.resource, text("labelSelector"), text("fieldSelector"))
    }
}

/// Which version of the list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Current,
    Exactly(u64),
    /// The rest of a list that began at this version, after this object. At the current version if it is none.
    After(Option<u64>, String),
}

pub(super) async fn list(api: &Api, call: &Call) -> Result<Reply, Failure> {
    let selector = call.selector()?;
    let limit = match call.query.get("limit") {
        None | Some("0") => None,
        Some(text) => Some(text.parse::<usize>().map_err(|_| {
            Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })?),
    };
    let version = wanted_version(api, call, limit.is_some()).await?;
    api.cluster.with(|state, _| answer(state, call, &selector, limit, version))
}

async fn wanted_version(api: &Api, call: &Call, is_limited: bool) -> Result<Version, Failure> {
    let exactly = call.query.get("resourceVersionMatch") == Some("Exact");
    if let Some(token) = call.query.get("continue") {
        return parse_token(token);
    }
    let Some(text) = call.query.get("resourceVersion") else {
        if call.query.get("resourceVersionMatch").is_some() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            let cause = Cause::forbidden("resourceVersionMatch", why);
            return Err(Failure::invalid_options("ListOptions", &[cause]));
        }
        return Ok(Version::Current);
    };
    let version: u64 = text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: \
             invalid syntax"
        ))
    })?;
    wait_for(api, version).await?;
    Ok(if exactly || (is_limited && version > 0) { Version::Exactly(version) } else { Version::Current })
}

/// A version that does not exist yet may come.
async fn wait_for(api: &Api, version: u64) -> Result<(), Failure> {
    let mut changes = api.cluster.changes();
    let reached = async {
        while api.cluster.with(|state, _| state.store.revision()) < version {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    if tokio::time::timeout(FUTURE_LIMIT, reached).await.is_ok() {
        return Ok(());
    }
    let current = api.cluster.with(|state, _| state.store.revision());
    let message = format!("Timeout: Too large resource version: {version}, current: {current}");
    let details = json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    Err(Failure::status(504, "Timeout", message, Some(details)).retry_after(1))
}

fn answer(
    state: &State,
    call: &Call,
    selector: &Selector,
    limit: Option<usize>,
    version: Version,
) -> Result<Reply, Failure> {
    let (revision, objects, after) = snapshot(state, call, version)?;
    let all = objects.into_iter().filter(|(key, object)| place(key) > after && selector.matches(object));
    let mut items: Vec<(Key, Arc<Value>)> = all.collect();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if let Some(limit) = limit.filter(|limit| *limit < items.len()) {
        let left = items.len() - limit;
        items.truncate(limit);
        let last = items.last().map(|(key, _)| place(key)).unwrap_or_default();
        metadata["continue"] = json!(token(Some(revision), &last));
        if selector.is_empty() {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    Ok(reply::json(200, &list_object(call, &metadata, items.iter().map(|(_, object)| &**object))))
}

type Snapshot = (u64, BTreeMap<Key, Arc<Value>>, String);

fn snapshot(state: &State, call: &Call, version: Version) -> Result<Snapshot, Failure> {
    let at = |revision| state.store.list_at(call.resource, call.namespace(), revision);
    let current = state.store.revision();
    let found = match version {
        Version::Current => (current, at(current), String::new()),
        Version::Exactly(revision) => (revision, at(revision), String::new()),
        Version::After(revision, name) => {
            (revision.unwrap_or(current), at(revision.unwrap_or(current)), name)
        }
    };
    let (revision, objects, after) = found;
    let objects = objects.map_err(|_| {
        if after.is_empty() {
            return Failure::expired("The resourceVersion for the provided list is too old.");
        }
        let mut failure = Failure::expired(OLD_TOKEN);
        if let crate::failure::Body::Status(status) = &mut failure.body {
            status["metadata"]["continue"] = json!(token(None, &after));
        }
        failure
    })?;
    Ok((revision, objects, after))
}

/// Lists are in this order.
fn place(key: &Key) -> String {
    format!("{}/{}", key.namespace, key.name)
}

/// Items of a list do not say what they are; the list does.
pub(super) fn list_object<'a>(
    call: &Call,
    metadata: &Value,
    objects: impl Iterator<Item = &'a Value>,
) -> Value {
    let is_metadata_only = reply::wants_metadata_only(&call.headers);
    let items: Vec<Value> = objects
        .map(|object| {
            let mut item = reply::shape(object, &call.headers);
            if let Some(item) = item.as_object_mut().filter(|_| !is_metadata_only) {
                item.remove("kind");
                item.remove("apiVersion");
            }
            item
        })
        .collect();
    let (kind, api_version) = if is_metadata_only {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (format!("{}List", call.resource.kind), call.resource.api_version())
    };
    json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items})
}

fn token(revision: Option<u64>, after: &str) -> String {
    let revision = revision.map_or(json!(-1), |it| json!(it));
    let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{after}\0")});
    BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
}

fn parse_token(token: &str) -> Result<Version, Failure> {
    let refuse =
        |why: &str| Failure::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|error| refuse(&error.to_string()))?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))?;
    let start = token["start"].as_str().ok_or_else(|| refuse("it names no object"))?;
    Ok(Version::After(token["rv"].as_u64(), start.trim_end_matches('\0').to_owned()))
}
