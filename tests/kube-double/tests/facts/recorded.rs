//! The recordings of a real cluster, where they are at hand: beside the workspace, or where `HEARTH_SHARED` says.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cluster::Answer;

#[expect(clippy::disallowed_methods, reason = "the one place in here that reads the environment")]
fn folder() -> PathBuf {
    std::env::var_os("HEARTH_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
        .join("reference/k8s")
}

/// The text of a recording; nothing where there are none.
pub(crate) fn text(name: &str) -> Option<String> {
    let folder = folder();
    folder.exists().then(|| std::fs::read_to_string(folder.join(name)).unwrap())
}

fn exchange(name: &str) -> Option<Value> {
    Some(serde_json::from_str(&text(name)?).unwrap())
}

/// The answer is what was recorded, but for what is different each time. Without recordings only the status counts.
#[track_caller]
pub(crate) fn same(name: &str, status: u16, answer: &Answer) {
    assert_eq!(answer.status, status, "{name}: {}", answer.json());
    let Some(recorded) = exchange(name) else { return };
    assert_eq!(recorded["response"]["status"], status, "{name}");
    let (ours, theirs) = (normal(&answer.json(), ""), normal(&recorded["response"]["body"], ""));
    assert_eq!(ours, theirs, "{name}: ours is on the left");
    for header in ["Content-Type", "Retry-After", "X-Content-Type-Options"] {
        let theirs = recorded["response"]["headers"][header].as_str();
        assert_eq!(answer.header(&header.to_lowercase()), theirs, "{header} of {name}");
    }
}

/// Without what is different each time, and without what recordings were cut by.
fn normal(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "managedFields" | "spec"))
            .map(|(name, value)| (name.clone(), normal(value, name)))
            .collect(),
        Value::Array(list) => list.iter().map(|it| normal(it, name)).collect(),
        Value::String(text) if is_volatile(name) || is_long(text) => json!(format!("<{name}>")),
        other => other.clone(),
    }
}

fn is_volatile(name: &str) -> bool {
    let is_time = name.ends_with("Timestamp") || name.ends_with("Time") || name.ends_with("At");
    let is_identity = matches!(
        name,
        "uid"
            | "resourceVersion"
            | "continue"
            | "hostIP"
            | "podIP"
            | "ip"
            | "containerID"
            | "imageID"
            | "token"
    );
    is_time || is_identity
}

/// Differences of objects as Go prints them, and names that are too long, are not worth a comparison.
fn is_long(text: &str) -> bool {
    text.len() > 2000 || text.contains("core.PodSpec{")
}
