//! What a plugin may call in this host. A panic stays on this side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::Tuple2;

use crate::abi::{HostApi, HostApi_TO, HostObject, LogSink, LogSink_TO, LogSinkObject, TraceRecord, Wire};
use crate::types::{AbiEvent, AbiProgress};
use crate::{Event, HostSink, Progress};

/// A table of functions around `sink`.
pub(super) fn remote_host(sink: Arc<dyn HostSink>) -> HostObject {
    HostApi_TO::from_value(Callbacks { sink }, TD_Opaque)
}

/// A table of functions around this program's `tracing` subscriber.
pub(super) fn log_sink() -> LogSinkObject {
    LogSink_TO::from_value(TracingSink, TD_Opaque)
}

struct Callbacks {
    sink: Arc<dyn HostSink>,
}

impl HostApi for Callbacks {
    fn event(&self, event: AbiEvent) {
        guard("event", || self.sink.event(Event::from_abi(event)));
    }

    fn progress(&self, progress: AbiProgress) {
        guard("progress", || self.sink.progress(Progress::from_abi(progress)));
    }
}

struct TracingSink;

impl LogSink for TracingSink {
    fn record(&self, record: TraceRecord) {
        guard("log record", || emit(&record));
    }
}

fn guard(what: &str, callback: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(callback)).is_err() {
        tracing::error!(what, "the host panicked in a callback of its backend");
    }
}

/// Writes a plugin's record into the host's log. `tracing` wants a place in the source for each level.
fn emit(record: &TraceRecord) {
    let (message, origin) = (record.message.as_str(), record.target.as_str());
    let details = details(record).map(tracing::field::display);
    match record.level {
        1 => tracing::error!(target: "backend", origin, details, "{message}"),
        2 => tracing::warn!(target: "backend", origin, details, "{message}"),
        3 => tracing::info!(target: "backend", origin, details, "{message}"),
        4 => tracing::debug!(target: "backend", origin, details, "{message}"),
        _ => tracing::trace!(target: "backend", origin, details, "{message}"),
    }
}

/// Spans and fields of a record, if it has any: `launch{function=f}: image=python`.
fn details(record: &TraceRecord) -> Option<String> {
    let spans = record.spans.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
    let fields = record.fields.iter().map(|Tuple2(name, value)| format!("{name}={value}"));
    let fields = fields.collect::<Vec<_>>().join(" ");
    let parts: Vec<String> = [spans, fields].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}
