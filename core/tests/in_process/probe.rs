//! A backend that a test holds by strings: it says what it does, and waits to be let go on.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, Host, Instance, InstanceStatus,
    LaunchSpec, LogLine, LogStream, Meta, Plugin, Progress, Protocol, Result, async_trait,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

static PROBES: LazyLock<Mutex<HashMap<String, Arc<Probe>>>> = LazyLock::new(Mutex::default);

fn probes() -> MutexGuard<'static, HashMap<String, Arc<Probe>>> {
    PROBES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The strings.
pub(crate) struct Probe {
    saying: UnboundedSender<String>,
    said: AsyncMutex<UnboundedReceiver<String>>,
    gate: Semaphore,
    host: OnceLock<Host>,
}

impl Probe {
    /// The probe that a backend with this name in its configuration will find.
    pub(crate) fn register(name: &str) -> Arc<Self> {
        let (saying, said) = unbounded_channel();
        let probe =
            Self { saying, said: AsyncMutex::new(said), gate: Semaphore::new(0), host: OnceLock::new() };
        let probe = Arc::new(probe);
        probes().insert(name.to_owned(), Arc::clone(&probe));
        probe
    }

    /// Lets everything that waits go on, now and later.
    pub(crate) fn open(&self) {
        self.gate.add_permits(1_000);
    }

    /// What the backend says next.
    pub(crate) async fn next(&self) -> String {
        self.said.lock().await.recv().await.expect("the probe holds the other end")
    }

    pub(crate) fn host(&self) -> &Host {
        self.host.get().expect("the backend was created")
    }

    fn say(&self, what: String) {
        self.saying.send(what).expect("the probe holds the other end");
    }
}

/// The backend on the strings of its probe.
pub(crate) struct Probed(Arc<Probe>);

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    probe: String,
}

impl Plugin for Probed {
    type Config = Config;

    async fn create(config: Config, host: Host) -> Result<Self> {
        if config.probe.is_empty() {
            return Err(BackendError::config("set `probe`"));
        }
        let probe = probes().get(&config.probe).cloned();
        let probe = probe.expect("no such probe");
        assert!(probe.host.set(host).is_ok(), "a probe is for one backend");
        Ok(Self(probe))
    }
}

#[async_trait]
impl Backend for Probed {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("probed", "0.0.0", Capabilities::NONE)
    }

    async fn prepare(&self, _cx: &CallContext, _spec: &LaunchSpec) -> Result<()> {
        self.0.host().progress(Progress {
            step: "pulling".to_owned(),
            done: 1,
            total: 2,
            ..Progress::default()
        });
        Ok(())
    }

    async fn launch(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        self.0.say(format!("launch {} for {}", spec.instance_id, cx.request_id));
        self.0.gate.acquire().await.expect("it is never closed").forget();
        let handle = spec.instance_id.clone();
        Ok(Instance { handle, endpoint: thread_name(), protocol: Protocol::HEARTH_1, meta: Meta::new() })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        self.0.say(format!("terminate {handle} after {grace_ms}"));
        if handle == "gated" {
            self.0.gate.acquire().await.expect("it is never closed").forget();
            self.0.say(format!("terminated {handle}"));
        }
        Ok(())
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        assert!(handle != "panic", "told to panic");
        let owner = self.0.host().info().owner.clone();
        Ok(InstanceStatus { handle: handle.to_owned(), owner, ..InstanceStatus::default() })
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        let _said_when_dropped = SayWhenDropped(Arc::clone(&self.0), |_| "list was dropped".to_owned());
        self.0.say("list".to_owned());
        std::future::pending().await
    }

    async fn logs(&self, _cx: &CallContext, handle: &str, _since_ms: u64) -> Result<LogStream> {
        let last = match handle {
            "none" => return Err(BackendError::not_found(handle)),
            "endless" => None,
            number => number.trim_start_matches("hesitant-").parse().ok(),
        };
        let hesitates = handle.starts_with("hesitant-");
        let dropped =
            SayWhenDropped(Arc::clone(&self.0), |thread| format!("the log was dropped on {thread}"));
        Ok(Box::pin(Numbers {
            next: 0,
            end: last.unwrap_or(u64::MAX),
            hesitates,
            is_ready: true,
            _dropped: dropped,
        }))
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.0.say(format!("the backend was dropped on {}", thread_name()));
    }
}

/// The next line of a log.
pub(crate) async fn next(lines: &mut LogStream) -> Option<LogLine> {
    poll_fn(|cx| lines.as_mut().poll_next(cx)).await
}

struct SayWhenDropped(Arc<Probe>, fn(String) -> String);

impl Drop for SayWhenDropped {
    fn drop(&mut self) {
        self.0.say(self.1(thread_name()));
    }
}

/// A log of numbers.
struct Numbers {
    next: u64,
    end: u64,
    /// Whether it has to be asked twice for each, as what comes from a network may have to be.
    hesitates: bool,
    is_ready: bool,
    _dropped: SayWhenDropped,
}

impl Stream for Numbers {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        self.is_ready = !self.is_ready || !self.hesitates;
        if !self.is_ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let number = self.next;
        self.next += 1;
        Poll::Ready((number < self.end).then(|| LogLine { line: number.to_string(), ..LogLine::default() }))
    }
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}
