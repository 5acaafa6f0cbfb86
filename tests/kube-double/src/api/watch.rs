//! Watches: a line for each event, until the time is over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Sleep;

use super::{Api, Call, Reply, reply};
use crate::clock;
use crate::cluster::{Cluster, State};
use crate::failure::{Cause, Failure};
use crate::resource::Resource;
use crate::selector::Selector;
use crate::store::{Change, Key};

/// How long a watch lasts that asks for nothing; the server's choice is 30 to 60 minutes.
const USUAL_LENGTH: Duration = Duration::from_secs(30 * 60);
const BETWEEN_BOOKMARKS: Duration = Duration::from_secs(60);
/// A last bookmark comes so long before the end.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// Events that come within this time may be merged, if a fault asks for it.
const MERGE_WINDOW: Duration = Duration::from_millis(20);

struct Watcher {
    cluster: Arc<Cluster>,
    resource: &'static Resource,
    namespace: Option<String>,
    selector: Selector,
    headers: HeaderMap,
    /// The last version that was told, or looked at.
    seen: u64,
    lines: VecDeque<Bytes>,
    is_over: bool,
    changes: watch::Receiver<u64>,
    opened: Instant,
    length: Duration,
    /// When the next bookmark is due, counted from the opening.
    bookmark: Option<Duration>,
}

struct Event {
    kind: &'static str,
    key: Key,
    object: Arc<Value>,
    revision: u64,
}

pub(super) fn serve(api: &Api, call: &Call) -> Result<Reply, Failure> {
    refuse_initial_events(call)?;
    let mut selector = call.selector()?;
    if call.target.is_watch && !call.target.name.is_empty() {
        selector = Selector::parse(call.resource, "", &format!("metadata.name={}", call.target.name))?;
    }
    let from = match call.query.get("resourceVersion") {
        None | Some("0") => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| not_a_version(text))?),
    };
    let seconds = call.query.get("timeoutSeconds").and_then(|it| it.parse().ok());
    let length = seconds.map_or(USUAL_LENGTH, Duration::from_secs);
    let wants_bookmarks = call.query.is_true("allowWatchBookmarks");
    let mut watcher = Watcher {
        // Before the state is read: no change is missed.
        changes: api.cluster.changes(),
        cluster: Arc::clone(&api.cluster),
        resource: call.resource,
        namespace: call.namespace().map(str::to_owned),
        selector,
        headers: call.headers.clone(),
        seen: 0,
        lines: VecDeque::new(),
        is_over: false,
        opened: clock::instant(),
        length,
        bookmark: wants_bookmarks.then(|| BETWEEN_BOOKMARKS.min(length.saturating_sub(BOOKMARK_BEFORE_END))),
    };
    watcher.begin(from);
    let lines = stream::unfold(watcher, async |mut watcher| {
        let line = watcher.next().await?;
        Some((Ok(Frame::data(line)), watcher))
    });
    let mut reply = Response::new(StreamBody::new(lines).boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}

fn not_a_version(text: &str) -> Failure {
    Failure::internal(format!(
        "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
    ))
}

/// Streaming lists are off in 1.33.
fn refuse_initial_events(call: &Call) -> Result<(), Failure> {
    if call.query.get("sendInitialEvents").is_none() {
        return Ok(());
    }
    let mut causes = Vec::new();
    if call.query.get("resourceVersionMatch") != Some("NotOlderThan") {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(Cause::forbidden("resourceVersionMatch", why));
    }
    let why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
    causes.push(Cause::forbidden("sendInitialEvents", why));
    Err(Failure::invalid_options("ListOptions", &causes))
}

impl Watcher {
    /// From a version on; without one, with what is there first.
    fn begin(&mut self, from: Option<u64>) {
        let Some(version) = from else {
            let cluster = Arc::clone(&self.cluster);
            cluster.with(|state, _| {
                self.seen = state.store.revision();
                let all = state.store.list(self.resource, self.namespace.as_deref());
                let matching = all.filter(|(_, object)| self.selector.matches(object));
                let objects: Vec<Arc<Value>> = matching.map(|(_, object)| Arc::clone(object)).collect();
                for object in objects {
                    self.tell("ADDED", &object);
                }
            });
            return;
        };
        self.seen = version;
    }

    /// The next line; nothing once the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let (cut, merges) =
                self.cluster.with(|state, _| (state.faults.cut_watches, state.faults.merge_events.is_some()));
            let length = cut.map_or(self.length, |cut| cut.min(self.length));
            if self.is_over || self.opened.elapsed() >= length {
                return None;
            }
            self.changes.mark_unchanged();
            if merges {
                tokio::time::sleep(MERGE_WINDOW).await;
            }
            let cluster = Arc::clone(&self.cluster);
            cluster.with(|state, _| self.look(state));
            if self.lines.is_empty() && !self.is_over {
                self.wait(length).await;
            }
        }
    }

    async fn wait(&mut self, length: Duration) {
        let end = self.pause_until(length);
        let bookmark = self.bookmark.map(|due| self.pause_until(due));
        let bookmark = async {
            match bookmark {
                Some(pause) => pause.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.changes.changed() => {}
            () = end => self.is_over = true,
            () = bookmark => self.tell_bookmark(),
        }
    }

    fn pause_until(&self, since_opening: Duration) -> Pin<Box<Sleep>> {
        Box::pin(tokio::time::sleep(since_opening.saturating_sub(self.opened.elapsed())))
    }

    fn look(&mut self, state: &mut State) {
        let changes = match state.store.since(self.seen) {
            Ok(changes) => changes,
            Err(forgotten) => {
                let message = format!("too old resource version: {} ({})", self.seen, forgotten.oldest);
                self.tell("ERROR", &Failure::expired(message).object());
                self.is_over = true;
                return;
            }
        };
        let mut events: Vec<Event> = changes.filter_map(|change| self.event(change)).collect();
        self.seen = self.seen.max(state.store.revision());
        if let Some(dice) = &mut state.faults.merge_events {
            merge(&mut events, || dice.falls());
        }
        for event in events {
            debug_assert!(event.revision <= self.seen);
            self.tell(event.kind, &event.object);
        }
    }

    /// What a change is to this watch: an object that stops matching goes, as it was before.
    fn event(&self, change: &Change) -> Option<Event> {
        let is_elsewhere = self.namespace.as_ref().is_some_and(|it| *it != change.key.namespace);
        if change.key.resource != self.resource || is_elsewhere {
            return None;
        }
        let did_match = change.before.as_ref().is_some_and(|it| self.selector.matches(it));
        let matches = !change.is_removal && self.selector.matches(&change.object);
        let (kind, object) = match (did_match, matches) {
            (false, false) => return None,
            (false, true) => ("ADDED", Arc::clone(&change.object)),
            (true, true) => ("MODIFIED", Arc::clone(&change.object)),
            (true, false) if change.is_removal => ("DELETED", Arc::clone(&change.object)),
            (true, false) => ("DELETED", with_version(change.before.as_ref()?, change.revision)),
        };
        Some(Event { kind, key: change.key.clone(), object, revision: change.revision })
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        let object = if kind == "ERROR" { object.clone() } else { reply::shape(object, &self.headers) };
        self.lines.push_back(Bytes::from(format!("{}\n", json!({"type": kind, "object": object}))));
    }

    fn tell_bookmark(&mut self) {
        let elapsed = self.opened.elapsed();
        let last = self.length.saturating_sub(BOOKMARK_BEFORE_END);
        self.bookmark = (elapsed < last).then(|| (elapsed + BETWEEN_BOOKMARKS).min(last));
        let mut object = json!({
            "kind": self.resource.kind, "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": self.seen.to_string(), "creationTimestamp": null},
        });
        if self.resource.kind == "Pod" {
            object["spec"] = json!({"containers": null});
            object["status"] = json!({});
        }
        self.lines.push_back(Bytes::from(format!("{}\n", json!({"type": "BOOKMARK", "object": object}))));
    }
}

fn with_version(object: &Value, revision: u64) -> Arc<Value> {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = json!(revision.to_string());
    Arc::new(object)
}

/// Leaves out, at random, modifications that a later one of the same object follows.
fn merge(events: &mut Vec<Event>, mut falls: impl FnMut() -> bool) {
    let mut at = 0;
    while at < events.len() {
        let event = &events[at];
        let next = events[at + 1..].iter().find(|it| it.key == event.key);
        let is_superseded = event.kind == "MODIFIED" && next.is_some_and(|it| it.kind == "MODIFIED");
        if is_superseded && falls() {
            events.remove(at);
        } else {
            at += 1;
        }
    }
}
