//! One launched instance.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hearth_core::{InstanceStats, LogLine, LogStreamKind, Meta, State};
use hearth_rie::{Exit, Line, Observer, Origin};

use crate::guard::Guard;
use crate::logs::Log;
use crate::record::{GroupMark, Record};

/// An instance that was launched by this host process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) record: Record,
    pub(crate) log: Arc<Log>,
    meta: Meta,
    emulator: hearth_rie::Instance,
    state: Mutex<State>,
}

impl Running {
    pub(crate) fn new(record: Record, log: Arc<Log>, emulator: hearth_rie::Instance, meta: Meta) -> Self {
        Self { record, log, meta, emulator, state: Mutex::new(State::RUNNING) }
    }

    /// Where it takes invocations.
    pub(crate) fn endpoint(&self) -> String {
        self.emulator.address().to_string()
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pause(&self) {
        self.turn(State::RUNNING, State::PAUSED, hearth_rie::Instance::pause);
    }

    pub(crate) fn resume(&self) {
        self.turn(State::PAUSED, State::RUNNING, hearth_rie::Instance::resume);
    }

    /// Only from one state into the other: what is ending is not paused any more.
    fn turn(&self, from: State, to: State, act: impl Fn(&hearth_rie::Instance)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == from {
            *state = to;
            act(&self.emulator);
        }
    }

    /// Ends it, politely for as long as `grace` lasts. May be called more than once.
    pub(crate) async fn end(&self, grace: Duration) {
        // A stopped process cannot hear a polite signal.
        self.resume();
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::ENDING;
        self.emulator.shutdown(grace).await;
        self.log.close();
    }

    /// Waits until it is over.
    pub(crate) async fn ended(&self) {
        self.emulator.ended().await;
    }

    pub(crate) fn stats(&self) -> InstanceStats {
        let usage = self.emulator.usage();
        InstanceStats {
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: self.emulator.memory_peak().max(usage.memory_bytes),
            cpu_ns: u64::try_from(usage.cpu.as_nanos()).unwrap_or(u64::MAX),
            meta: self.meta(),
        }
    }

    /// As launched, with the number of the process as it is now.
    pub(crate) fn meta(&self) -> Meta {
        let mut meta = self.meta.clone();
        if let Some(id) = self.emulator.process_id() {
            meta.insert("process.id".to_owned(), id.to_string());
        }
        meta
    }
}

/// Keeps the log, the record on disk and the guard up to date.
pub(crate) struct Chronicle {
    pub(crate) record: Record,
    pub(crate) folder: PathBuf,
    pub(crate) log: Arc<Log>,
    pub(crate) guard: Arc<Guard>,
    /// Those that live.
    pub(crate) groups: Mutex<Vec<GroupMark>>,
}

impl Chronicle {
    fn born(&self, group: i32, runtime_api: SocketAddr) {
        self.guard.born(group);
        let mark = format!("AWS_LAMBDA_RUNTIME_API={runtime_api}");
        self.change(|groups| groups.push(GroupMark { id: group, mark }));
    }

    fn gone(&self, group: i32) {
        self.guard.gone(group);
        self.change(|groups| groups.retain(|other| other.id != group));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<GroupMark>)) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut groups);
        let record = Record { groups: groups.clone(), ..self.record.clone() };
        if let Err(error) = record.write(&self.folder) {
            tracing::warn!(instance = self.record.handle, %error, "cannot write down the numbers of the processes");
        }
    }
}

impl Observer for Chronicle {
    fn line(&self, line: Line<'_>) {
        let stream = match line.origin {
            Origin::Stdout => LogStreamKind::STDOUT,
            Origin::Extension => LogStreamKind::EXTENSION,
            Origin::Stderr => LogStreamKind::STDERR,
            Origin::Platform => LogStreamKind::PLATFORM,
        };
        self.log.push(LogLine { stream, unix_ms: line.unix_ms, line: line.text.to_owned() });
    }

    fn process_started(&self, group: i32, runtime_api: SocketAddr) {
        self.born(group, runtime_api);
    }

    fn extension_started(&self, group: i32, runtime_api: SocketAddr) {
        self.born(group, runtime_api);
    }

    fn extension_ended(&self, group: i32) {
        self.gone(group);
    }

    fn process_ended(&self, group: i32, exit: Exit, out_of_memory: bool) {
        self.gone(group);
        if out_of_memory {
            let text = "the process used more memory than the function has, and was killed".to_owned();
            tracing::info!(instance = self.record.handle, function = self.record.function, "{text}");
        } else {
            tracing::debug!(instance = self.record.handle, %exit, "a process ended");
        }
    }
}
