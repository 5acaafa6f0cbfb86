//! What containers wrote: lines with their times, from two streams.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use crate::clock;

/// What is kept of one run of a container.
const MOST_BYTES: usize = 16 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) time: Timestamp,
    /// With its line feed, if it had one.
    pub(crate) text: Vec<u8>,
}

/// The output of one run of a container.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Mutex<Lines>,
    /// How many lines there have been, and whether more may come.
    progress: watch::Sender<(usize, bool)>,
}

#[derive(Debug, Default)]
struct Lines {
    all: VecDeque<Line>,
    bytes: usize,
    /// How many were thrown away.
    dropped: usize,
    open_streams: usize,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner { lines: Mutex::default(), progress: watch::Sender::new((0, true)) }))
    }

    /// Keeps what comes over a stream until it ends.
    pub(super) fn read(&self, stream: impl AsyncRead + Send + Unpin + 'static) {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).open_streams += 1;
        let journal = self.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::with_capacity(64 << 10, stream);
            loop {
                let mut text = Vec::new();
                match stream.read_until(b'\n', &mut text).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => journal.add(text),
                }
            }
            journal.end_stream();
        });
    }

    fn add(&self, text: Vec<u8>) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.bytes += text.len();
        lines.all.push_back(Line { time: clock::now(), text });
        while lines.bytes > MOST_BYTES
            && let Some(first) = lines.all.pop_front()
        {
            lines.bytes -= first.text.len();
            lines.dropped += 1;
        }
        let count = lines.dropped + lines.all.len();
        drop(lines);
        self.0.progress.send_modify(|progress| progress.0 = count);
    }

    fn end_stream(&self) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.open_streams -= 1;
        let is_open = lines.open_streams > 0;
        drop(lines);
        self.0.progress.send_modify(|progress| progress.1 = is_open);
    }

    /// Lines from this one on, and the number of the next.
    pub(crate) fn from(&self, number: usize) -> (Vec<Line>, usize) {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = number.saturating_sub(lines.dropped);
        (lines.all.iter().skip(skip).cloned().collect(), lines.dropped + lines.all.len())
    }

    /// Waits for a line with this number; false if there will be none.
    pub(crate) async fn wait_for(&self, number: usize) -> bool {
        let mut progress = self.0.progress.subscribe();
        let reached = progress.wait_for(|(count, is_open)| *count > number || !is_open).await;
        reached.is_ok_and(|progress| progress.0 > number)
    }
}
