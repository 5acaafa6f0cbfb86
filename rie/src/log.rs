//! Where log lines go: to the observer, and into the tail of the invocations that asked for one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::clock;
use crate::exit::Exit;

/// Told about every line, every birth and every death of an instance, in order. The methods must not block.
pub trait Observer: Send + Sync + 'static {
    /// A line was written.
    fn line(&self, line: Line<'_>);

    /// A process was started: it leads a group of this number, and its Runtime API is at this address.
    fn process_started(&self, group: i32, runtime_api: SocketAddr) {
        let _ = (group, runtime_api);
    }

    /// An external extension was started: it leads a group of this number.
    fn extension_started(&self, group: i32) {
        let _ = group;
    }

    /// An external extension and its group ended.
    fn extension_ended(&self, group: i32) {
        let _ = group;
    }

    /// The function's process and its group ended; the instance starts a new one when it needs it. `out_of_memory` says
    /// that it was killed for its memory.
    fn process_ended(&self, exit: Exit, out_of_memory: bool) {
        let _ = (exit, out_of_memory);
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

/// All that an instance writes passes through here.
pub(crate) struct Logs {
    observer: Arc<dyn Observer>,
    tails: Mutex<Vec<(Arc<str>, Tail)>>,
}

impl Logs {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, tails: Mutex::new(Vec::new()) }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Begins to keep the tail of an invocation.
    pub(crate) fn keep_tail(&self, request_id: Arc<str>) {
        self.tails().push((request_id, Tail::default()));
    }

    /// Ends it; base64 of its last 4 KiB. `None` if it was not kept.
    pub(crate) fn take_tail(&self, request_id: &str) -> Option<String> {
        let mut tails = self.tails();
        let place = tails.iter().position(|(owner, _)| **owner == *request_id)?;
        Some(tails.swap_remove(place).1.encode())
    }

    /// A line of the function. It belongs to all invocations that are under way: usually there is one.
    pub(crate) fn function(&self, origin: Origin, text: &str) {
        self.tails().iter_mut().for_each(|(_, tail)| tail.push(text));
        self.observe(origin, text);
    }

    /// A line of the emulator's about one invocation.
    pub(crate) fn invocation(&self, request_id: &str, text: &str) {
        self.tails()
            .iter_mut()
            .filter(|(owner, _)| **owner == *request_id)
            .for_each(|(_, tail)| tail.push(text));
        self.observe(Origin::Platform, text);
    }

    /// A line of the emulator's about the instance.
    pub(crate) fn platform(&self, text: &str) {
        self.observe(Origin::Platform, text);
    }

    fn observe(&self, origin: Origin, text: &str) {
        self.observer.line(Line { origin, unix_ms: clock::unix_ms(), text });
    }

    fn tails(&self) -> std::sync::MutexGuard<'_, Vec<(Arc<str>, Tail)>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_line_of_the_function_reaches_every_tail_and_one_of_the_emulator_only_its_own() {
        let logs = Logs::new(Arc::new(NoObserver));
        logs.keep_tail("a".into());
        logs.keep_tail("b".into());
        logs.invocation("a", "START a");
        logs.function(Origin::Stdout, "hello");
        let text = |id| String::from_utf8(BASE64.decode(logs.take_tail(id).unwrap()).unwrap()).unwrap();
        assert_eq!((text("a").as_str(), text("b").as_str()), ("START a\nhello\n", "hello\n"));
        assert_eq!(logs.take_tail("a"), None);
    }
}
