//! Watches as a test follows them, and a short form of their events.

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpStream;

use serde_json::Value;

use crate::cluster::{Call, Cluster, path};
use crate::recorded;

/// A watch that is open.
pub(crate) struct Watch(Lines<BufReader<TcpStream>>);

impl Watch {
    /// Opens a watch; answers once it is open.
    pub(crate) fn open(cluster: &Cluster, path: &str) -> Self {
        let stream = cluster.send(&Call { method: "GET", path, ..Call::default() });
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "no answer to {path}");
        }
        Self(reader.lines())
    }

    /// Of one pod of the recordings' namespace, from here on.
    pub(crate) fn of_pod(cluster: &Cluster, name: &str) -> Self {
        let version = cluster.get(&path("pods?labelSelector=none=none")).json();
        let version = version["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let query = format!("pods?watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={version}");
        Self::open(cluster, &path(&query))
    }

    /// The next event; nothing once the stream has ended.
    pub(crate) fn next(&mut self) -> Option<Value> {
        // Between the events are the sizes of chunks.
        let line = self.0.by_ref().map_while(Result::ok).find(|line| line.starts_with('{'))?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// Events up to the first for which this holds.
    #[track_caller]
    pub(crate) fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let Some(event) = self.next() else { panic!("the stream ended after {:#?}", short(&events)) };
            events.push(event);
            if events.last().is_some_and(&holds) {
                return events;
            }
        }
    }

    pub(crate) fn until_deleted(&mut self) -> Vec<Value> {
        self.until(|event| event["type"] == "DELETED")
    }

    /// All that comes until the stream ends.
    pub(crate) fn rest(mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// A line for each event: the phase, what changed of the conditions, the containers, the deletion.
pub(crate) fn short(events: &[Value]) -> Vec<String> {
    let mut conditions: Vec<(String, String)> = Vec::new();
    events.iter().map(|event| line(event, &mut conditions)).collect()
}

/// What was recorded, in short; nothing where there are no recordings.
pub(crate) fn recorded_short(name: &str) -> Option<Vec<String>> {
    let text = recorded::text(name)?;
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Some(short(&events))
}

fn line(event: &Value, known: &mut Vec<(String, String)>) -> String {
    let (object, status) = (&event["object"], &event["object"]["status"]);
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut parts = vec![text(&event["type"]), text(&status["phase"])];
    if let Some(reason) = status["reason"].as_str() {
        parts.push(reason.to_owned());
    }
    let mut changed = Vec::new();
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let kind = text(&condition["type"]);
        let initials: String = kind.chars().filter(char::is_ascii_uppercase).collect();
        let reason = condition["reason"].as_str().map(|it| format!("({it})")).unwrap_or_default();
        let now = format!("{initials}={}{reason}", text(&condition["status"]).get(..1).unwrap_or(""));
        if !known.contains(&(kind.clone(), now.clone())) {
            known.retain(|(it, _)| *it != kind);
            known.push((kind, now.clone()));
            changed.push(now);
        }
    }
    // A condition that moved within the list did not change.
    changed.sort();
    if !changed.is_empty() {
        parts.push(changed.join(" "));
    }
    if status["podIP"].is_string() {
        parts.push("ip".to_owned());
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        parts.extend(status[list].as_array().into_iter().flatten().map(container));
    }
    let metadata = &object["metadata"];
    if !metadata["deletionTimestamp"].is_null() {
        parts.push(format!("grace {}", metadata["deletionGracePeriodSeconds"]));
    }
    parts.join(" ")
}

fn container(status: &Value) -> String {
    let (state, about) = status["state"].as_object().and_then(|it| it.iter().next()).unwrap();
    let reason = about["reason"].as_str().map(|it| format!(" {it}")).unwrap_or_default();
    let code = about["exitCode"].as_i64().map(|it| format!(" {it}")).unwrap_or_default();
    let ready = if status["ready"] == true { " ready" } else { "" };
    let restarts = status["restartCount"].as_i64().filter(|it| *it > 0).map(|it| format!(" x{it}"));
    format!(
        "{}[{state}{reason}{code}{ready}{}]",
        status["name"].as_str().unwrap(),
        restarts.unwrap_or_default()
    )
}
