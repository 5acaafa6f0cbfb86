//! The backend by itself, over a real engine: what the host does not ask for yet. `cargo xtask test docker` provides
//! the engine and the images.
#![expect(clippy::unwrap_used, reason = "in tests, helpers included, a failure is a panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use hearth_backend_docker::{Config, DockerBackend};
use hearth_core::{
    Artifact, Backend, CallContext, Event, Host, HostInfo, HostSink, Instance, LaunchSpec, LogStreamKind,
    Plugin, Progress, State,
};
use tempfile::TempDir;

/// How long anything that must happen may take until a test gives up.
const LIMIT: Duration = Duration::from_secs(30);

/// Says what it is on both streams, and waits for an event that never comes.
const BOOTSTRAP: &str = "#!/bin/sh
echo to stdout
echo to stderr >&2
exec wget -q -O /dev/null http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next
";

/// A backend with one function, in folders that go with it.
struct World {
    backend: DockerBackend,
    events: Events,
    spec: LaunchSpec,
    info: HostInfo,
    _folders: [TempDir; 2],
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl HostSink for Events {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn progress(&self, _progress: Progress) {}
}

/// Where `cargo xtask test docker` has put the emulator.
#[expect(clippy::disallowed_methods, reason = "the one place in here that reads the environment")]
fn emulator() -> PathBuf {
    let folder = std::env::var_os("HEARTH_PLUGIN_PATH").expect("run this with: cargo xtask test docker");
    PathBuf::from(folder).join("rie-x86_64")
}

async fn create(info: &HostInfo, events: &Events) -> DockerBackend {
    let config = Config { rie: Some(emulator()), ..Config::default() };
    DockerBackend::create(config, Host::new(info.clone(), events.clone())).await.unwrap()
}

impl World {
    async fn new(name: &str) -> Self {
        let (state, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::set_permissions(code.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let bootstrap = code.path().join("bootstrap");
        fs::write(&bootstrap, BOOTSTRAP).unwrap();
        fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755)).unwrap();
        let text = |text: &str| text.to_owned();
        let id = format!("{name}-{}", std::process::id());
        let info = HostInfo {
            owner: id.clone(),
            epoch: id.clone(),
            state_dir: state.path().display().to_string(),
            ..HostInfo::default()
        };
        let artifact = Artifact {
            sha256: text(name),
            dir_path: code.path().display().to_string(),
            ..Artifact::default()
        };
        let spec = LaunchSpec {
            instance_id: id,
            function: text(name),
            version: text("$LATEST"),
            deploy_id: text(name),
            runtime: text("provided.al2023"),
            handler: text("any"),
            architecture: text("x86_64"),
            memory_mb: 128,
            ephemeral_storage_mb: 512,
            timeout_ms: 3_000,
            init_timeout_ms: 10_000,
            slots: 1,
            code: Some(artifact),
            token: text("token"),
            ..LaunchSpec::default()
        };
        let events = Events::default();
        let backend = create(&info, &events).await;
        Self { backend, events, spec, info, _folders: [state, code] }
    }

    async fn launch(&self) -> Instance {
        self.backend.launch(&CallContext::default(), &self.spec).await.unwrap()
    }

    async fn state(&self, handle: &str) -> State {
        self.backend.inspect(&CallContext::default(), handle).await.unwrap().state
    }

    async fn listed(&self) -> Vec<String> {
        let listed = self.backend.list(&CallContext::default()).await.unwrap();
        listed.into_iter().map(|status| status.handle).collect()
    }

    async fn end(&self, handle: &str) {
        self.backend.terminate(&CallContext::default(), handle, 500).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask test docker"]
async fn an_instance_is_looked_at_measured_paused_and_resumed() {
    let world = World::new("paused").await;
    let cx = CallContext::default();
    let handle = world.launch().await.handle;
    assert_eq!(world.state(&handle).await, State::RUNNING);
    assert_eq!(world.listed().await, std::slice::from_ref(&handle));
    let stats = world.backend.stats(&cx, &handle).await.unwrap();
    assert!(stats.memory_bytes > 0 && stats.cpu_ns > 0, "{stats:?}");
    for _ in 0..2 {
        world.backend.pause(&cx, &handle).await.unwrap();
        assert_eq!(world.state(&handle).await, State::PAUSED);
    }
    for _ in 0..2 {
        world.backend.resume(&cx, &handle).await.unwrap();
        assert_eq!(world.state(&handle).await, State::RUNNING);
    }
    world.backend.pause(&cx, &handle).await.unwrap();
    world.end(&handle).await;
    assert!(world.listed().await.is_empty());
    world.end(&handle).await;
    assert!(world.events.0.lock().unwrap().is_empty(), "what the host did itself is no news to it");
    world.backend.shutdown(&cx).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask test docker"]
async fn a_log_is_followed_with_origins_until_the_instance_ends() {
    let world = World::new("followed").await;
    let cx = CallContext::default();
    let handle = world.launch().await.handle;
    let log = world.backend.logs(&cx, &handle, 0).await.unwrap();
    let follow = async {
        let mut log = log;
        let mut lines = Vec::new();
        while lines.len() < 2 {
            let line = log.next().await.unwrap();
            lines.push((line.stream, line.line));
        }
        world.end(&handle).await;
        while log.next().await.is_some() {}
        lines.sort();
        lines
    };
    let lines = tokio::time::timeout(LIMIT, follow).await.unwrap();
    let expected = [(LogStreamKind::STDOUT, "to stdout"), (LogStreamKind::STDERR, "to stderr")];
    assert_eq!(lines, expected.map(|(stream, line)| (stream, line.to_owned())));
    world.backend.shutdown(&cx).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask test docker"]
async fn a_launch_that_fails_leaves_nothing_and_says_what_the_container_wrote() {
    let mut world = World::new("broken").await;
    world.spec.runtime = "python3.99".to_owned();
    let cx = CallContext::default();
    let error = world.backend.launch(&cx, &world.spec).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no image for the runtime python3.99: "), "{error}");
    world.spec.runtime = "provided.al2023".to_owned();
    // The emulator refuses to start with what is no number.
    world.spec.env.insert("AWS_LAMBDA_FUNCTION_TIMEOUT".to_owned(), "soon".to_owned());
    let error = world.backend.launch(&cx, &world.spec).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the container did not come up: its container ended; it wrote: rie: "),
        "{error}"
    );
    assert!(error.contains("AWS_LAMBDA_FUNCTION_TIMEOUT is soon, which is not a number"), "{error}");
    assert!(world.listed().await.is_empty());
    world.backend.shutdown(&cx).await.unwrap();
}

/// A backend in a process of its own may be started again while its host goes on.
#[tokio::test]
#[ignore = "needs a container engine: cargo xtask test docker"]
async fn a_second_backend_of_the_same_host_takes_over_what_the_first_has_launched() {
    let mut world = World::new("adopted").await;
    let handle = world.launch().await.handle;
    world.backend = create(&world.info, &world.events).await;
    let cx = CallContext::default();
    // It begins with a sweep.
    let report = world.backend.reap(&cx).await.unwrap();
    assert_eq!((report.removed, report.failed), (vec![], vec![]));
    assert_eq!(world.state(&handle).await, State::RUNNING);
    assert!(world.backend.stats(&cx, &handle).await.unwrap().memory_bytes > 0);
    world.end(&handle).await;
    assert!(world.listed().await.is_empty());
    world.backend.shutdown(&cx).await.unwrap();
}
