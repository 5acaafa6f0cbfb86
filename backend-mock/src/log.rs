//! What an instance would have written.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use hearth_core::{LogLine, LogStream, LogStreamKind};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};

use crate::acts::Lines;

/// Entries that are kept of each instance.
const KEPT: usize = 1_000;

/// The log of one instance: entries are rendered only if somebody reads them.
#[derive(Debug)]
pub(crate) struct Log {
    entries: Mutex<Entries>,
    /// Changes with each entry, and when the log has ended.
    grown: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Entries {
    kept: VecDeque<Entry>,
    dropped: u64,
}

/// What is written in one go.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) unix_ms: u64,
    pub(crate) request_id: String,
    pub(crate) part: Part,
}

/// Of an invocation.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Its beginning, and what the function writes.
    Begun(Lines),
    /// Its end, after so long.
    Ended(Duration),
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::default(), grown: watch::Sender::new(false) }
    }

    pub(crate) fn push(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.kept.len() == KEPT {
            entries.kept.pop_front();
            entries.dropped += 1;
        }
        entries.kept.push_back(entry);
        drop(entries);
        self.grown.send_modify(|_ended| {});
    }

    pub(crate) fn end(&self) {
        self.grown.send_replace(true);
    }

    /// Entries from number `from` on, and the number of the one after them.
    fn from(&self, from: u64) -> (Vec<Entry>, u64) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = usize::try_from(from.saturating_sub(entries.dropped)).unwrap_or(usize::MAX);
        let next = entries.dropped + entries.kept.len() as u64;
        (entries.kept.iter().skip(skipped).cloned().collect(), next)
    }
}

impl Entry {
    /// What AWS's platform writes of an invocation, and what the function writes in between.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        let Self { request_id, unix_ms, part } = self;
        let line = |stream, line| LogLine { stream, unix_ms: *unix_ms, line };
        match part {
            Part::Begun(Lines { stdout, stderr }) => {
                let start = line(LogStreamKind::PLATFORM, format!("START RequestId: {request_id}"));
                let stdout = stdout.iter().map(|text| line(LogStreamKind::STDOUT, text.clone()));
                let stderr = stderr.iter().map(|text| line(LogStreamKind::STDERR, text.clone()));
                [start].into_iter().chain(stdout).chain(stderr).collect()
            }
            Part::Ended(took) => {
                let milliseconds = took.as_secs_f64() * 1e3;
                let report = format!("REPORT RequestId: {request_id}\tDuration: {milliseconds:.2} ms");
                [format!("END RequestId: {request_id}"), report]
                    .into_iter()
                    .map(|text| line(LogStreamKind::PLATFORM, text))
                    .collect()
            }
        }
    }
}

/// The lines of `log` that are not older than `since_ms`, and those that follow, until it ends.
pub(crate) fn follow(log: Arc<Log>, since_ms: u64) -> LogStream {
    let (sender, receiver) = mpsc::channel(KEPT);
    tokio::spawn(async move {
        // The only error is that nobody listens any more.
        let _nobody = send_all(&log, since_ms, &sender).await;
    });
    Box::pin(Received(receiver))
}

async fn send_all(log: &Log, since_ms: u64, lines: &mpsc::Sender<LogLine>) -> Result<(), SendError<LogLine>> {
    let mut grown = log.grown.subscribe();
    let mut next = 0;
    loop {
        let is_ended = *grown.borrow_and_update();
        let entries;
        (entries, next) = log.from(next);
        for entry in entries.iter().filter(|entry| entry.unix_ms >= since_ms) {
            for line in entry.lines() {
                lines.send(line).await?;
            }
        }
        if is_ended || next_change(&mut grown, lines).await.is_none() {
            return Ok(());
        }
    }
}

/// Waits until the log has grown or ended; none if nobody reads it any more.
async fn next_change(grown: &mut watch::Receiver<bool>, lines: &mpsc::Sender<LogLine>) -> Option<()> {
    tokio::select! {
        changed = grown.changed() => changed.ok(),
        () = lines.closed() => None,
    }
}

struct Received(mpsc::Receiver<LogLine>);

impl Stream for Received {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        self.0.poll_recv(cx)
    }
}
