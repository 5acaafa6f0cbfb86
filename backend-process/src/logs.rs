//! The log of one instance: its last lines, and whoever follows it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use hearth_core::{LogLine, LogStream, LogStreamKind};
use tokio::sync::mpsc;

/// The last lines of an instance. Nobody has to read them.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<LogLine>,
    bytes: usize,
    followers: Vec<Follower>,
}

#[derive(Debug)]
struct Follower {
    sender: mpsc::Sender<LogLine>,
    /// Lines that it was too slow for, and has not been told of.
    missed: u64,
}

impl Log {
    /// How much of the past is kept, in bytes of text.
    const KEPT: usize = 1024 * 1024;
    /// How many lines a follower may be behind.
    const AHEAD: usize = 4096;

    pub(crate) fn push(&self, line: LogLine) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.followers.retain_mut(|follower| follower.pass_on(&line));
        state.bytes += line.line.len();
        state.lines.push_back(line);
        while state.bytes > Self::KEPT {
            let Some(oldest) = state.lines.pop_front() else { break };
            state.bytes -= oldest.line.len();
        }
    }

    /// The lines since a point in time, and then those that come, until the log is closed.
    pub(crate) fn follow(&self, since_ms: u64) -> LogStream {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let past = state.lines.iter().filter(|line| line.unix_ms >= since_ms).cloned().collect();
        let (sender, receiver) = mpsc::channel(Self::AHEAD);
        state.followers.push(Follower { sender, missed: 0 });
        Box::pin(Lines { past, receiver })
    }

    /// Ends the streams of those who follow.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).followers.clear();
    }
}

impl Follower {
    /// Whether it still listens. One that is too slow loses lines rather than stopping the function.
    fn pass_on(&mut self, line: &LogLine) -> bool {
        if self.missed > 0 {
            let text = format!("{} lines were left out: the reader is too slow", self.missed);
            let note = LogLine { stream: LogStreamKind::PLATFORM, unix_ms: line.unix_ms, line: text };
            if self.sender.try_send(note).is_ok() {
                self.missed = 0;
            }
        }
        match self.sender.try_send(line.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

struct Lines {
    past: VecDeque<LogLine>,
    receiver: mpsc::Receiver<LogLine>,
}

impl Stream for Lines {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        match self.past.pop_front() {
            Some(line) => Poll::Ready(Some(line)),
            None => self.receiver.poll_recv(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn line(unix_ms: u64) -> LogLine {
        LogLine { stream: LogStreamKind::STDOUT, unix_ms, line: unix_ms.to_string() }
    }

    async fn rest(mut stream: LogStream) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            lines.push(line.line);
        }
        lines
    }

    #[tokio::test]
    async fn a_follower_gets_the_past_it_asks_for_and_what_comes() {
        let log = Log::default();
        (1..=3).for_each(|time| log.push(line(time)));
        let stream = log.follow(2);
        log.push(line(4));
        log.close();
        assert_eq!(rest(stream).await, ["2", "3", "4"]);
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_how_much_it_missed_and_the_past_is_bounded() {
        let log = Log::default();
        let mut stream = log.follow(0);
        let count = u64::try_from(Log::AHEAD).unwrap() + 5;
        (0..count).for_each(|time| log.push(line(time)));
        for _ in 0..2 {
            poll_fn(|cx| stream.as_mut().poll_next(cx)).await.unwrap();
        }
        log.push(line(count));
        log.close();
        let lines = rest(stream).await;
        assert_eq!(lines[lines.len() - 2], "5 lines were left out: the reader is too slow");
        assert_eq!(lines[lines.len() - 1], count.to_string());
        let big = LogLine { line: "x".repeat(Log::KEPT), ..line(0) };
        log.push(big.clone());
        log.push(line(9));
        let stream = log.follow(0);
        log.close();
        assert_eq!(rest(stream).await, ["9"]);
    }
}
