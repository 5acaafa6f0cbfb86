//! A plugin and its host in one process: everything but the opening of a file.

#[path = "in_process/probe.rs"]
mod probe;

use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth_core::foreign::{Descriptor, ForeignBackend, ForeignModule, PanicStrategy};
use hearth_core::{
    Backend as _, BackendError, CallContext, Capabilities, ErrorKind, Event, EventKind, HostInfo, HostSink,
    LaunchSpec, Meta, Progress, Result,
};

use self::probe::{Probe, Probed};

static ROOT: hearth_core::abi::RootHeader = hearth_core::export::root::<Probed>();

/// What the host was told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl HostSink for Told {
    fn event(&self, event: Event) {
        assert_ne!(event.handle, "panic", "told to panic in the host");
        self.0.lock().expect("no panic while it was held").push(format!("{:?} {}", event.kind, event.handle));
    }

    fn progress(&self, progress: Progress) {
        self.0
            .lock()
            .expect("no panic while it was held")
            .push(format!("{} {}/{}", progress.step, progress.done, progress.total));
    }
}

fn module() -> ForeignModule {
    // A plugin has a `tracing` of its own; here the two would pass each record back and forth.
    let _known_already = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new());
    let descriptor = Descriptor {
        name: "probed".to_owned(),
        version: String::new(),
        abi_major: 1,
        abi_minor: 0,
        core_version: String::new(),
        rustc_version: String::new(),
        panic_strategy: PanicStrategy::Unwind,
        capabilities: Capabilities::NONE,
    };
    #[expect(unsafe_code, reason = "stands in for a loader")]
    // SAFETY: it is a static of this program.
    let joined = unsafe { ForeignModule::join(ptr::from_ref(&ROOT).cast(), &descriptor, "off") };
    joined.expect("a program fits itself")
}

async fn create(config: &str) -> Result<ForeignBackend> {
    module()
        .create(config, HostInfo { owner: "me".to_owned(), ..HostInfo::default() }, Arc::new(Told::default()))
        .await
}

/// A backend and the strings it hangs on.
async fn backend(test: &str) -> (ForeignBackend, Arc<Probe>) {
    let probe = Probe::register(test);
    (create(&format!(r#"{{"probe":"{test}"}}"#)).await.expect("created"), probe)
}

fn within(budget_ms: u64) -> CallContext {
    CallContext { request_id: "r-1".to_owned(), budget_ms, meta: Meta::new() }
}

fn spec(instance_id: &str) -> LaunchSpec {
    LaunchSpec { instance_id: instance_id.to_owned(), ..LaunchSpec::default() }
}

/// Polls a call until it waits, and then gives it up.
async fn abandon<T>(call: impl Future<Output = T>, probe: &Probe, until: &str) {
    tokio::select! {
        biased;
        _answer = call => panic!("it should wait"),
        said = probe.next() => assert_eq!(said, until),
    }
}

#[tokio::test]
async fn a_launch_runs_on_the_plugins_threads_and_answers_what_it_was_given() {
    let (backend, probe) = backend("launch").await;
    probe.open();
    let instance = backend.launch(&within(0), &spec("i-1")).await.unwrap();
    assert_eq!((instance.handle.as_str(), instance.endpoint.as_str()), ("i-1", "hearth-backend"));
    assert_eq!(probe.next().await, "launch i-1 for r-1");
}

#[tokio::test]
async fn a_panic_becomes_the_error_of_its_call_and_of_no_other() {
    let (backend, _probe) = backend("panic").await;
    let error = backend.inspect(&within(0), "panic").await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::PANICKED, "the backend panicked: told to panic")
    );
    assert_eq!(backend.inspect(&within(0), "i-1").await.unwrap().owner, "me");
}

#[tokio::test]
async fn an_abandoned_launch_runs_to_its_end_and_its_instance_is_terminated() {
    let (backend, probe) = backend("abandoned").await;
    abandon(backend.launch(&within(0), &spec("i-1")), &probe, "launch i-1 for r-1").await;
    probe.open();
    assert_eq!(probe.next().await, "terminate i-1 after 0");
}

#[tokio::test]
async fn a_launch_that_takes_too_long_is_answered_in_time_and_terminated_later() {
    let (backend, probe) = backend("too-long").await;
    let error = backend.launch(&within(20), &spec("i-1")).await.unwrap_err();
    assert_eq!((error.kind, error.retryable), (ErrorKind::TIMEOUT, true));
    assert_eq!(error.message, "launch took longer than 20 ms");
    assert_eq!(probe.next().await, "launch i-1 for r-1");
    probe.open();
    assert_eq!(probe.next().await, "terminate i-1 after 0");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_dropped_over_there() {
    let (backend, probe) = backend("cancelled").await;
    abandon(backend.list(&within(0)), &probe, "list").await;
    assert_eq!(probe.next().await, "list was dropped");
    assert_eq!(backend.list(&within(20)).await.unwrap_err().kind, ErrorKind::TIMEOUT);
    assert_eq!([probe.next().await, probe.next().await], ["list", "list was dropped"]);
}

#[tokio::test]
async fn a_termination_is_never_given_up() {
    let (backend, probe) = backend("terminate").await;
    abandon(backend.terminate(&within(0), "gated", 7), &probe, "terminate gated after 7").await;
    probe.open();
    assert_eq!(probe.next().await, "terminated gated");
}

#[tokio::test]
async fn lines_arrive_in_order_and_end() {
    let (backend, _probe) = backend("logs").await;
    let mut lines = backend.logs(&within(0), "10000", 0).await.unwrap();
    for number in 0..10_000 {
        assert_eq!(probe::next(&mut lines).await.unwrap().line, number.to_string());
    }
    assert_eq!(probe::next(&mut lines).await, None);
    assert_eq!(backend.logs(&within(0), "none", 0).await.err().unwrap().kind, ErrorKind::NOT_FOUND);
}

#[tokio::test]
async fn a_log_that_comes_line_by_line_is_not_held_up() {
    let (backend, _probe) = backend("hesitant-logs").await;
    let mut lines = backend.logs(&within(0), "hesitant-10000", 0).await.unwrap();
    let all = async { while probe::next(&mut lines).await.is_some() {} };
    // It takes a moment, and took minutes when each line waited for others.
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("it is held up");
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_is_dropped_over_there() {
    let (backend, probe) = backend("log-dropped").await;
    let mut lines = backend.logs(&within(0), "endless", 0).await.unwrap();
    assert_eq!(probe::next(&mut lines).await.unwrap().line, "0");
    drop(lines);
    assert_eq!(probe.next().await, "the log was dropped on hearth-backend");
}

#[tokio::test]
async fn a_backend_is_dropped_on_its_own_threads() {
    let (backend, probe) = backend("dropped").await;
    drop(backend);
    assert_eq!(probe.next().await, "the backend was dropped on hearth-backend");
}

#[tokio::test]
async fn what_is_not_implemented_says_so() {
    let (backend, _probe) = backend("unsupported").await;
    let error = backend.pause(&within(0), "i-1").await.unwrap_err();
    assert_eq!(error, BackendError::unsupported("pause"));
    assert_eq!(backend.info().name, "probed");
}

#[tokio::test]
async fn a_mistyped_option_is_refused_with_those_that_exist() {
    let error = create(r#"{"prob":"x"}"#).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::CONFIG);
    assert_eq!(error.message, "configuration: unknown field `prob`, expected `probe`");
    assert_eq!(create("{").await.unwrap_err().kind, ErrorKind::CONFIG);
    assert_eq!(module().default_config().await.unwrap(), "{\n  \"probe\": \"\"\n}");
}

#[tokio::test]
async fn a_constructor_may_fail_or_panic() {
    assert_eq!(create("").await.unwrap_err(), BackendError::config("set `probe`"));
    let error = create(r#"{"probe":"panic in create"}"#).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::PANICKED, "the backend panicked: no such probe")
    );
}

#[tokio::test]
async fn what_a_backend_tells_the_host_arrives_even_after_the_host_panicked_over_it() {
    let told = Arc::new(Told::default());
    let probe = Probe::register("told");
    let backend =
        module().create(r#"{"probe":"told"}"#, HostInfo::default(), Arc::clone(&told) as _).await.unwrap();
    probe.host().emit(EventKind::EXITED, "panic", Meta::new());
    probe.host().emit(EventKind::OOM, "i-1", Meta::new());
    backend.prepare(&within(0), &LaunchSpec::default()).await.unwrap();
    assert_eq!(*told.0.lock().unwrap(), ["OOM i-1", "pulling 1/2"]);
}
