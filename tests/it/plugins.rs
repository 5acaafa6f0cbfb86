//! The host's loader and everything that can be wrong with a plugin.

mod compilers;
pub(crate) mod corpus;
mod misdeeds;

use std::fmt::{self, Write as _};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use hearth_core::{
    BackendError, CallContext, ErrorKind, Event, HostInfo, HostSink, Instance, LaunchSpec, Meta, Progress,
    Protocol, State,
};
use hearth_host::plugin::{self, LoadError, LoadOptions, Loaded, Problem};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use self::corpus::{Workshop, library, program};

#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl HostSink for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn progress(&self, _progress: Progress) {}
}

async fn load_with(path: &Path, config: &str, sha256: Option<&str>) -> Result<Loaded, LoadError> {
    let options = LoadOptions {
        config_json: config.to_owned(),
        host_info: HostInfo::default(),
        log_filter: "info".to_owned(),
        sha256: sha256.map(str::to_owned),
        isolate: None,
    };
    plugin::load(path, options, Arc::new(Told::default())).await
}

async fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_with(path, "", None).await
}

/// What is wrong with a file: one line, which must not name a path or a version that is not the test's own.
async fn problem(path: &Path) -> String {
    one_line(&load(path).await.expect_err("it is unfit"))
}

fn one_line(error: &LoadError) -> String {
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    let prefix = format!("cannot load {}: ", error.path.display());
    line.strip_prefix(&prefix).expect("it names the file").to_owned()
}

async fn launch(loaded: &Loaded) -> String {
    let spec = LaunchSpec { instance_id: "i-1".to_owned(), ..LaunchSpec::default() };
    let instance = loaded.backend.launch(&CallContext::default(), &spec).await.expect("launched");
    format!("{} at {}", instance.handle, instance.endpoint)
}

#[tokio::test]
async fn what_is_no_backend_is_refused_before_it_is_opened() {
    let workshop = Workshop::new();
    let not_here = workshop.path("libhearth_backend_x.so");
    assert_eq!(problem(&not_here).await, "there is no such file");
    assert_eq!(problem(Path::new("/")).await, "it is not a regular file");
    assert_eq!(problem(&workshop.file("text.so", b"not a library\n")).await, "it is not a shared library");
    assert_eq!(problem(&system_library()).await, "it is not a Hearth backend (no descriptor in it)");
}

/// Some library that this very program uses.
fn system_library() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.split_whitespace().find(|word| word.starts_with('/') && word.contains("libc.so"));
    PathBuf::from(path.expect("a C library"))
}

#[tokio::test]
async fn a_truncated_file_is_refused_before_it_could_kill_the_process() {
    let workshop = Workshop::new();
    let early = load(&workshop.truncated("early.so", 10_000)).await.expect_err("most of it is missing");
    let Problem::Truncated { expected, found: 10_000 } = early.problem else { panic!("{early}") };
    let late = problem(&workshop.truncated("late.so", expected - 1)).await;
    let has = expected - 1;
    assert_eq!(
        late,
        format!(
            "it is truncated: it should have at least {expected} bytes, but has {has}; build or copy it again"
        )
    );
    // What comes after the segments is for debuggers.
    assert_eq!(
        launch(&load(&workshop.truncated("whole.so", expected)).await.expect("whole")).await,
        "i-1 at "
    );
    let header = workshop.truncated("header.so", 20);
    assert!(problem(&header).await.starts_with("it is truncated: "));
}

#[tokio::test]
async fn a_plugin_for_another_host_is_refused_by_what_its_file_says() {
    let workshop = Workshop::new();
    let line = problem(&workshop.redescribed("major.so", corpus::ABI_MAJOR, 9)).await;
    assert!(line.starts_with("awkward 0.0.0 (interface 9.0, hearth-core 1.0.0, rustc "), "{line}");
    assert!(line.ends_with(") speaks interface 9.0, this host 1.0; build it with hearth-core 1.x"), "{line}");
    assert_eq!(
        problem(&workshop.redescribed("abort.so", corpus::PANIC_STRATEGY, 2)).await,
        "it was built with panic=\"abort\", so that its panics would end the host; build it with panic=\"unwind\""
    );
    // The low byte of an ELF header's machine: 62 is x86_64, 183 is aarch64.
    let (name, machine) = if cfg!(target_arch = "x86_64") { ("aarch64", 183) } else { ("x86_64", 62) };
    assert_eq!(
        problem(&workshop.patched("machine.so", 18, machine)).await,
        format!("it was built for {name}, this host is {}", std::env::consts::ARCH)
    );
}

#[tokio::test]
async fn a_plugin_that_lacks_something_is_refused_when_it_is_opened() {
    assert_eq!(
        problem(&library("descriptor-only")).await,
        "it does not export HEARTH_BACKEND_ROOT_1: was it made with export_backend! of another version?"
    );
    let line = problem(&library("undefined-symbol")).await;
    assert!(line.starts_with("the system cannot open it: "), "{line}");
    assert!(line.ends_with("undefined symbol: hearth_test_nobody_has_this"), "{line}");
}

#[tokio::test]
async fn a_plugin_with_other_types_is_refused_before_its_code_runs() {
    assert_eq!(
        problem(&library("other-layout")).await,
        "it does not fit this host: its types do not match this host's: AbiLaunchSpec: size (host 704, plugin 712); \
         AbiLaunchSpec: number of fields (host 20, plugin 21); AbiLaunchSpec: UnexpectedField; build it with the \
         hearth-core of this host"
    );
    let line = problem(&library("other-core")).await;
    assert!(line.contains("Module: version of its package (host 1.0.0, plugin 2.0.0)"), "{line}");
    assert!(line.len() < 400, "{line}");
}

#[tokio::test]
async fn a_file_that_others_may_write_is_refused() {
    let workshop = Workshop::new();
    let path = workshop.copy("writable.so");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let path_shown = path.display();
    assert_eq!(
        problem(&path).await,
        format!(
            "other users may write to it (mode 666), and it would run as you; fix: chmod go-w {path_shown}"
        )
    );
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(load(&path).await.is_ok());
}

#[tokio::test]
async fn a_pinned_digest_must_be_that_of_the_file() {
    let workshop = Workshop::new();
    let path = workshop.copy("pinned.so");
    let error = load_with(&path, "", Some("00ff")).await.expect_err("not its digest");
    let Problem::Digest { found, .. } = &error.problem else { panic!("{error}") };
    assert_eq!(one_line(&error), format!("its SHA-256 is {found}, but 00ff is configured"));
    assert!(load_with(&path, "", Some(found)).await.is_ok());
}

#[tokio::test]
async fn a_constructor_that_fails_or_panics_leaves_the_host_alive() {
    let path = library("awkward");
    for (config, line) in [
        (r#"{"create":"fails"}"#, "no engine at /run/engine.sock; start it, or set `socket`"),
        (r#"{"create":"panics"}"#, "the backend panicked: told to panic in create"),
        (r#"{"nam":"x"}"#, "configuration: unknown field `nam`, expected `name` or `create`"),
    ] {
        let error = load_with(&path, config, None).await.expect_err(config);
        assert_eq!(one_line(&error), format!("the backend cannot start: {line}"));
    }
    let defaults = plugin::default_config(&path).await.unwrap();
    assert_eq!(defaults, "{\n  \"name\": \"\",\n  \"create\": \"succeeds\"\n}");
}

#[tokio::test]
async fn a_panic_in_a_plugin_becomes_an_error() {
    let loaded = load(&library("awkward")).await.unwrap();
    let error = loaded.backend.inspect(&CallContext::default(), "i-1").await.expect_err("it panics");
    let expected = BackendError::new(ErrorKind::PANICKED, "the backend panicked: told to panic about i-1");
    assert_eq!(error, expected);
    assert_eq!(launch(&loaded).await, "i-1 at ");
}

#[tokio::test]
async fn a_newer_plugin_runs_in_this_host() {
    let loaded = load(&library("newer")).await.unwrap();
    assert_eq!((loaded.descriptor.abi_major, loaded.descriptor.abi_minor), (1, 1));
    assert_eq!(launch(&loaded).await, "i-1 at ");
}

#[tokio::test]
async fn a_plugin_that_was_built_against_the_first_version_runs_in_todays_host() {
    let told = Arc::new(Told::default());
    let sink = Arc::clone(&told);
    let host_info = HostInfo { owner: "me".to_owned(), ..HostInfo::default() };
    let options = LoadOptions { host_info, ..LoadOptions::default() };
    let loaded = plugin::load(&library("first"), options, sink).await.unwrap();
    assert_eq!((loaded.descriptor.core_version.as_str(), loaded.descriptor.abi_minor), ("1.0.0", 0));
    let (backend, cx) = (loaded.backend, CallContext::default());
    let env = Meta::from([("NAME".to_owned(), "value".to_owned())]);
    let spec = LaunchSpec {
        instance_id: "i-1".to_owned(),
        function: "f".to_owned(),
        env: env.clone(),
        ..LaunchSpec::default()
    };
    let instance = backend.launch(&cx, &spec).await.unwrap();
    let expected = Instance {
        handle: "i-1".to_owned(),
        endpoint: "f:1".to_owned(),
        protocol: Protocol::HEARTH_1,
        meta: env,
    };
    assert_eq!(instance, expected);
    let status = backend.inspect(&cx, "i-1").await.unwrap();
    assert_eq!((status.owner.as_str(), status.state), ("me", State::RUNNING));
    assert_eq!(backend.pause(&cx, "i-1").await.unwrap_err().kind, ErrorKind::UNSUPPORTED);
    backend.terminate(&cx, "i-1", 0).await.unwrap();
    let told: Vec<String> = told.0.lock().unwrap().iter().map(|event| event.handle.clone()).collect();
    assert_eq!(told, ["i-1"]);
}

#[test]
fn a_plugin_of_today_runs_in_a_newer_host_and_does_not_know_what_came_later() {
    let host = |plugin: &str| {
        let output = Command::new(program("newer-host")).arg(library(plugin)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        host("awkward"),
        "plugin 1.0\nlaunched i-1\nping: UNSUPPORTED this backend does not implement ping\n"
    );
    assert_eq!(host("newer"), "plugin 1.1\nlaunched i-1\nping: here\n");
}

#[tokio::test]
async fn one_file_loaded_twice_copied_or_linked_gives_backends_of_their_own() {
    let workshop = Workshop::new();
    let original = workshop.copy("original.so");
    let link = workshop.path("link.so");
    symlink(&original, &link).unwrap();
    let mut loaded = Vec::new();
    for (name, path) in [("a", &original), ("b", &original), ("c", &workshop.copy("copy.so")), ("d", &link)] {
        loaded.push(load_with(path, &format!(r#"{{"name":"{name}"}}"#), None).await.unwrap());
    }
    let other = load(&library("newer")).await.unwrap();
    let mut answers = Vec::new();
    for backend in &loaded {
        answers.push(launch(backend).await);
    }
    assert_eq!(answers, ["i-1 at a", "i-1 at b", "i-1 at c", "i-1 at d"]);
    assert_eq!((loaded[0].info.name.as_str(), other.info.name.as_str()), ("awkward", "newer"));
}

#[tokio::test]
async fn what_a_file_says_of_itself_is_read_without_opening_it() {
    let workshop = Workshop::new();
    let descriptor = plugin::describe(&workshop.copy("plugin.so")).unwrap();
    assert_eq!((descriptor.name.as_str(), descriptor.version.as_str()), ("awkward", "0.0.0"));
    assert_eq!(descriptor.capabilities.names().collect::<Vec<_>>(), ["inspect", "logs", "events"]);
    assert!(descriptor.rustc_version.starts_with("1."), "{descriptor}");
}

#[tokio::test]
async fn a_plugins_events_reach_the_host() {
    let told = Arc::new(Told::default());
    let sink = Arc::clone(&told);
    let loaded = plugin::load(&library("awkward"), LoadOptions::default(), sink).await.unwrap();
    loaded.backend.terminate(&CallContext::default(), "i-1", 0).await.unwrap();
    let handles: Vec<String> = told.0.lock().unwrap().iter().map(|event| event.handle.clone()).collect();
    assert_eq!(handles, ["i-1"]);
}

#[tokio::test]
async fn a_plugins_log_reaches_the_hosts_log_as_far_as_it_was_asked_for() {
    static RECORDS: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();
    let records = RECORDS.get_or_init(Arc::default);
    tracing::subscriber::set_global_default(Recorder(Arc::clone(records))).expect("no other test sets one");
    let loaded = load(&Workshop::new().copy("logging.so")).await.unwrap();
    let cx = CallContext { request_id: "r-log".to_owned(), ..CallContext::default() };
    loaded
        .backend
        .launch(&cx, &LaunchSpec { instance_id: "i-log".to_owned(), ..LaunchSpec::default() })
        .await
        .unwrap();
    let seen: Vec<String> =
        records.lock().unwrap().iter().filter(|line| line.contains("-log")).cloned().collect();
    assert_eq!(
        seen,
        ["INFO backend: starting origin=plugin_awkward details=launch{request=r-log}: instance=i-log"]
    );
    assert!(!records.lock().unwrap().iter().any(|line| line.contains("not asked for")));
}

/// Keeps the plugins' records as lines.
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "backend"
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new(), String::new());
        event.record(&mut line);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        self.0.lock().unwrap().push(format!("{level} {target}: {}{}", line.0, line.1));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Message and fields.
struct Line(String, String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.1, " {name}={value:?}"),
        };
        written.expect("a string takes everything");
    }
}
