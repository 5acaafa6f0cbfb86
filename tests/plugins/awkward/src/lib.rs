//! Built as it should be, and misbehaves as it is told.

#![forbid(unsafe_code)]

use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll};

use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, EventKind, Host, Instance, InstanceStatus,
    LaunchSpec, LogLine, LogStream, Meta, Plugin, Protocol, Result, Stream, async_trait,
};
use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    name: String,
    create: Create,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Create {
    #[default]
    Succeeds,
    Fails,
    Panics,
}

struct Awkward {
    name: String,
    host: Host,
}

impl Plugin for Awkward {
    type Config = Config;

    const CAPABILITIES: Capabilities =
        Capabilities::INSPECT.with(Capabilities::LOGS).with(Capabilities::EVENTS);

    async fn create(config: Config, host: Host) -> Result<Self> {
        match config.create {
            Create::Succeeds => Ok(Self { name: config.name, host }),
            Create::Fails => {
                Err(BackendError::config("no engine at /run/engine.sock; start it, or set `socket`"))
            }
            Create::Panics => panic!("told to panic in create"),
        }
    }
}

#[async_trait]
impl Backend for Awkward {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("awkward", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES)
    }

    async fn launch(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        if spec.function == "aborts" {
            std::process::abort();
        }
        let span = tracing::info_span!("launch", request = cx.request_id);
        span.in_scope(|| tracing::info!(instance = spec.instance_id, "starting"));
        tracing::debug!("not asked for");
        let (handle, endpoint) = (spec.instance_id.clone(), self.name.clone());
        Ok(Instance { handle, endpoint, protocol: Protocol::HEARTH_1, meta: Meta::new() })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, _grace_ms: u64) -> Result<()> {
        self.host.emit(EventKind::EXITED, handle, Meta::new());
        Ok(())
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        match handle {
            "thrown" => panic_any(PanicsWhenDropped),
            "thread" => drop(std::thread::spawn(|| panic!("told to panic in a thread")).join()),
            "cancelled" => {
                let _dropped = PanicsWhenDropped;
                std::future::pending::<()>().await;
            }
            "blocked" => loop {
                std::thread::park();
            },
            "events" => {
                let host = self.host.clone();
                let storm =
                    move || (0..100_000).for_each(|_| host.emit(EventKind::EXITED, "nobody", Meta::new()));
                drop(std::thread::spawn(storm).join());
            }
            "large" => {
                let function = "x".repeat(64 << 20);
                return Ok(InstanceStatus { function, ..InstanceStatus::default() });
            }
            _ => panic!("told to panic about {handle}"),
        }
        Ok(InstanceStatus { handle: handle.to_owned(), ..InstanceStatus::default() })
    }

    async fn logs(&self, _cx: &CallContext, _handle: &str, _since_ms: u64) -> Result<LogStream> {
        Ok(Box::pin(PanicsAfterALine(false)))
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("told to panic when dropped");
    }
}

struct PanicsAfterALine(bool);

impl Stream for PanicsAfterALine {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        assert!(!self.0, "told to panic in a log");
        self.0 = true;
        Poll::Ready(Some(LogLine { line: "the only line".to_owned(), ..LogLine::default() }))
    }
}

hearth_core::export_backend!(Awkward, "awkward");
