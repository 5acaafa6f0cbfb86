//! Events about pods, as the scheduler and the kubelet leave them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock;
use crate::cluster::new_object;
use crate::resource::EVENTS;
use crate::store::{Key, Store};

#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// `Normal` or `Warning`.
    pub(crate) kind: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// Which container it is about: `spec.containers{fn}`.
    pub(crate) field: Option<&'a str>,
    pub(crate) component: &'a str,
}

/// Notes an event; the same once more only counts.
pub(crate) fn record(store: &mut Store, pod: &Value, event: &Event<'_>, now: Timestamp) {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("");
    let pod_name = pod["metadata"]["name"].as_str().unwrap_or("");
    let about = event.field.map_or(Value::Null, |field| json!(field));
    let is_same = |it: &Value| {
        it["involvedObject"]["uid"] == pod["metadata"]["uid"]
            && it["reason"] == event.reason
            && it["message"] == event.message
            && it["involvedObject"]["fieldPath"] == about
    };
    let known = store.list(&EVENTS, Some(namespace)).find(|(_, it)| is_same(it));
    if let Some((key, known)) = known.map(|(key, it)| (key.clone(), (**it).clone())) {
        let mut again = known;
        again["count"] = json!(again["count"].as_i64().unwrap_or(1) + 1);
        again["lastTimestamp"] = clock::seconds(now);
        store.put(key, again);
        return;
    }
    let name = format!("{pod_name}.{:x}", now.as_nanosecond() ^ i128::from(store.revision()));
    let mut involved = json!({
        "kind": "Pod", "apiVersion": "v1", "namespace": namespace, "name": pod_name,
        "uid": pod["metadata"]["uid"], "resourceVersion": pod["metadata"]["resourceVersion"],
    });
    if let Some(field) = event.field {
        involved["fieldPath"] = json!(field);
    }
    let object = json!({
        "kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace},
        "involvedObject": involved, "reason": event.reason, "message": event.message,
        "source": {"component": event.component}, "firstTimestamp": clock::seconds(now),
        "lastTimestamp": clock::seconds(now), "count": 1, "type": event.kind, "eventTime": null,
        "reportingComponent": event.component, "reportingInstance": "",
    });
    store.put(Key::new(&EVENTS, namespace, &name), new_object(object, now));
}
