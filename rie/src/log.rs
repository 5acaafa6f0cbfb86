//! Where log lines go: to the observer, into the tail of the invocations that asked for one, and to those who
//! subscribed to telemetry.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::clock;
use crate::config::LogFormat;
use crate::exit::Exit;
use crate::platform::{Record, Said};
use crate::telemetry::Telemetry;

/// Told about every line, every birth and every death of an instance, in order. The methods must not block.
pub trait Observer: Send + Sync + 'static {
    /// A line was written.
    fn line(&self, line: Line<'_>);

    /// A process was started: it leads a group of this number, and its Runtime API is at this address.
    fn process_started(&self, group: i32, runtime_api: SocketAddr) {
        let _ = (group, runtime_api);
    }

    /// An external extension was started: it leads a group of this number, and finds its API at this address.
    fn extension_started(&self, group: i32, runtime_api: SocketAddr) {
        let _ = (group, runtime_api);
    }

    /// An external extension and its group ended.
    fn extension_ended(&self, group: i32) {
        let _ = group;
    }

    /// The function's process and its group ended; the instance starts a new one when it needs it. `out_of_memory` says
    /// that it was killed for its memory.
    fn process_ended(&self, group: i32, exit: Exit, out_of_memory: bool) {
        let _ = (group, exit, out_of_memory);
    }
}

/// One line of an instance's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Who wrote it.
    pub origin: Origin,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// Without its newline.
    pub text: &'a str,
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The function or its runtime, on standard output.
    Stdout,
    /// The function or its runtime, on standard error.
    Stderr,
    /// An external extension.
    Extension,
    /// The emulator: START, END, REPORT and the like.
    Platform,
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn line(&self, _line: Line<'_>) {}
}

/// All that is said of an instance passes through here, whoever says it.
pub(crate) struct Logs {
    observer: Arc<dyn Observer>,
    format: LogFormat,
    pub(crate) telemetry: Telemetry,
    tails: Mutex<Tails>,
}

/// The tails of the invocations that are under way.
#[derive(Debug, Default)]
struct Tails {
    under_way: usize,
    kept: Vec<(Arc<str>, Tail)>,
    /// What was written since the last invocation: as on AWS, the first one has what the init wrote.
    prelude: Tail,
}

impl Logs {
    pub(crate) fn new(observer: Arc<dyn Observer>, format: LogFormat) -> Self {
        Self { observer, format, telemetry: Telemetry::default(), tails: Mutex::default() }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// An invocation begins; its tail is kept if its caller wants it.
    pub(crate) fn begin(&self, request_id: Arc<str>, wants_tail: bool) {
        let mut tails = self.tails();
        tails.under_way += 1;
        let prelude = std::mem::take(&mut tails.prelude);
        if wants_tail {
            tails.kept.push((request_id, prelude));
        }
    }

    /// It is over; base64 of its last 4 KiB, if they were kept.
    pub(crate) fn end(&self, request_id: &str) -> Option<String> {
        let mut tails = self.tails();
        tails.under_way = tails.under_way.saturating_sub(1);
        let place = tails.kept.iter().position(|(owner, _)| **owner == *request_id)?;
        Some(tails.kept.swap_remove(place).1.encode())
    }

    /// A line that a process of the instance wrote. It belongs to all invocations that are under way: usually
    /// there is one.
    pub(crate) fn written(&self, origin: Origin, line: &str) {
        let unix_ms = clock::unix_ms();
        self.tails().push(None, line);
        let said = match self.format {
            LogFormat::Text => Said::Text(line),
            LogFormat::Json(_) => Said::Json(line),
        };
        let record =
            if origin == Origin::Extension { Record::Extensions(said) } else { Record::Function(said) };
        self.telemetry.publish(&record, unix_ms);
        self.observer.line(Line { origin, unix_ms, text: line });
    }

    /// Something that the platform says of the instance.
    pub(crate) fn say(&self, record: &Record<'_>) {
        self.say_to(None, record);
    }

    /// Something that the platform says of one invocation.
    pub(crate) fn say_of(&self, request_id: &str, record: &Record<'_>) {
        self.say_to(Some(request_id), record);
    }

    fn say_to(&self, owner: Option<&str>, record: &Record<'_>) {
        let unix_ms = clock::unix_ms();
        self.telemetry.publish(record, unix_ms);
        let written = match self.format {
            LogFormat::Text => record.text(),
            LogFormat::Json(least) => {
                record.level().filter(|level| *level >= least).map(|_| record.json(unix_ms))
            }
        };
        for text in written.iter().flat_map(|text| text.lines()) {
            self.tails().push(owner, text);
            self.observer.line(Line { origin: Origin::Platform, unix_ms, text });
        }
    }

    fn tails(&self) -> MutexGuard<'_, Tails> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tails {
    /// A line of this invocation, or of all.
    fn push(&mut self, owner: Option<&str>, line: &str) {
        if self.under_way == 0 {
            self.prelude.push(line);
        }
        let concerned = |candidate: &str| owner.is_none_or(|owner| owner == candidate);
        self.kept
            .iter_mut()
            .filter(|(candidate, _)| concerned(candidate))
            .for_each(|(_, tail)| tail.push(line));
    }
}

/// The last bytes of a log.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    const LIMIT: usize = 4096;

    fn push(&mut self, line: &str) {
        self.0.extend(line.as_bytes());
        self.0.push_back(b'\n');
        let excess = self.0.len().saturating_sub(Self::LIMIT);
        self.0.drain(..excess);
    }

    fn encode(mut self) -> String {
        BASE64.encode(self.0.make_contiguous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SystemLogLevel;

    #[test]
    fn a_tail_is_the_last_four_kibibytes() {
        let mut tail = Tail::default();
        tail.push("first");
        for _ in 0..100 {
            tail.push(&"x".repeat(99));
        }
        let bytes = BASE64.decode(tail.encode()).unwrap();
        assert_eq!(bytes.len(), 4096);
        assert!(bytes.ends_with(b"xxx\n"));
        assert!(!bytes.starts_with(b"first"));
    }

    const END: Record<'_> = Record::End { request_id: "a" };

    fn text(logs: &Logs, id: &str) -> String {
        String::from_utf8(BASE64.decode(logs.end(id).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_line_of_the_function_reaches_every_tail_and_one_of_an_invocation_only_its_own() {
        let logs = Logs::new(Arc::new(NoObserver), LogFormat::Text);
        logs.begin("a".into(), true);
        logs.begin("b".into(), true);
        logs.say_of("a", &END);
        logs.written(Origin::Stdout, "hello");
        assert_eq!(
            (text(&logs, "a").as_str(), text(&logs, "b").as_str()),
            ("END RequestId: a\nhello\n", "hello\n")
        );
        assert_eq!(logs.end("a"), None);
    }

    #[test]
    fn the_first_tail_begins_with_what_the_init_wrote() {
        let logs = Logs::new(Arc::new(NoObserver), LogFormat::Text);
        logs.written(Origin::Stdout, "loading");
        logs.begin("a".into(), true);
        logs.say(&Record::Fault("for all"));
        assert_eq!(text(&logs, "a"), "loading\nfor all\n");
        logs.begin("b".into(), true);
        assert_eq!(text(&logs, "b"), "");
    }

    #[test]
    fn a_log_in_json_has_what_its_level_says() {
        let logs = Logs::new(Arc::new(NoObserver), LogFormat::Json(SystemLogLevel::Info));
        logs.begin("a".into(), true);
        logs.say_of("a", &END);
        logs.say_of(
            "a",
            &Record::Start { request_id: "a", function_arn: "arn", version: "1", tracing: None },
        );
        let record: serde_json::Value = serde_json::from_str(&text(&logs, "a")).unwrap();
        assert_eq!(record["type"], "platform.start");
    }
}
