//! What a plugin can do to its host: nothing, except that it aborts.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::{CallContext, ErrorKind, LaunchSpec};
use hearth_host::plugin::{self, LoadOptions, Loaded};
use hearth_tests::{NewFunction, wait_until, zip_of};

use super::corpus::library;
use super::{Told, launch, load};
use crate::support::{LIMIT, launch as host};

/// A call, and after it another one that must work.
async fn inspect(loaded: &Loaded, handle: &str) -> Result<String, (ErrorKind, String)> {
    let answer = loaded.backend.inspect(&CallContext::default(), handle).await;
    assert_eq!(launch(loaded).await, "i-1 at ", "after {handle}");
    answer.map(|status| status.function).map_err(|error| (error.kind, error.message))
}

#[tokio::test]
async fn whatever_panics_costs_one_call() {
    let loaded = load(&library("awkward")).await.unwrap();
    let panicked = |what: &str| Err((ErrorKind::PANICKED, format!("the backend panicked: {what}")));
    assert_eq!(inspect(&loaded, "i-1").await, panicked("told to panic about i-1"));
    assert_eq!(inspect(&loaded, "thrown").await, panicked("without a message"));
    assert_eq!(inspect(&loaded, "thread").await, Ok(String::new()));
}

#[tokio::test]
async fn a_call_that_panics_while_it_is_given_up_costs_nothing() {
    let loaded = load(&library("awkward")).await.unwrap();
    for handle in ["cancelled", "blocked"] {
        let cx = CallContext::default();
        let call = loaded.backend.inspect(&cx, handle);
        assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "{handle}");
        assert_eq!(launch(&loaded).await, "i-1 at ", "after {handle}");
    }
}

#[tokio::test]
async fn a_log_that_panics_ends() {
    let loaded = load(&library("awkward")).await.unwrap();
    let mut log = loaded.backend.logs(&CallContext::default(), "i-1", 0).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = std::future::poll_fn(|cx| log.as_mut().poll_next(cx)).await {
        lines.push(line.line);
    }
    assert_eq!(lines, ["the only line"]);
    assert_eq!(launch(&loaded).await, "i-1 at ");
}

#[tokio::test]
async fn large_answers_and_many_events_arrive() {
    let told = Arc::new(Told::default());
    let sink = Arc::clone(&told);
    let loaded = plugin::load(&library("awkward"), LoadOptions::default(), sink).await.unwrap();
    assert_eq!(inspect(&loaded, "large").await.map(|function| function.len()), Ok(64 << 20));
    assert_eq!(inspect(&loaded, "events").await, Ok(String::new()));
    assert_eq!(told.0.lock().unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_launch_that_nobody_can_use_is_an_error_and_no_more() {
    let loaded = load(&library("awkward")).await.unwrap();
    let spec = LaunchSpec { instance_id: "\0".repeat(1 << 20), ..LaunchSpec::default() };
    let instance = loaded.backend.launch(&CallContext::default(), &spec).await.unwrap();
    assert_eq!(instance.handle.len(), 1 << 20);
}

#[test]
fn an_abort_ends_the_host_with_one_line() {
    let file = library("awkward");
    let mut host = host().backend(file.to_str().unwrap()).start().unwrap();
    let client = host.client();
    let zip = zip_of(&[("bootstrap", "")]).unwrap();
    let (name, runtime, handler) = ("aborts", "provided.al2023", "any");
    client.create(NewFunction { name, runtime, handler, zip: &zip, timeout_seconds: 3 }).unwrap();
    let before = host.output();
    client.invoke(name, b"{}").expect_err("nobody is there to answer");
    wait_until("the host to end", LIMIT, || host.has_ended().then_some(())).unwrap();
    let ended = host.wait().unwrap();
    assert_eq!(ended.status.signal(), Some(6), "{}", ended.output);
    let expected = format!(
        "hearth: something called abort, most likely the backend {} or a library of its: that ends whatever process it \
         runs in; --isolate-backend gives it one of its own\n",
        file.display()
    );
    assert_eq!(ended.output[before.len()..], expected);
}
