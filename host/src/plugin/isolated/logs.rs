//! The log of an instance, across ends of the process that holds its backend.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use hearth_core::{BackendError, CallContext, LogLine, LogStream};
use tokio::sync::watch;

use super::connection::Connection;
use super::keeper::Life;
use super::wire::{Operation, Order};

/// A log that is read.
pub(super) struct Following {
    cx: CallContext,
    handle: String,
    life: watch::Receiver<Life>,
    log: OpenLog,
    read: Read,
}

/// How much of a log's end is read again, in milliseconds: lines of several streams come in any order.
const OVERLAP_MS: u64 = 100;

/// What was read last.
#[derive(Debug, Default)]
struct Read {
    /// From where on it is wanted at all.
    from_ms: u64,
    newest_ms: u64,
    /// The lines of the overlap.
    recent: Vec<LogLine>,
}

/// A log that is open over there. Dropping it closes it.
struct OpenLog {
    connection: Arc<Connection>,
    log: u64,
}

impl Following {
    pub(super) async fn open(
        connection: Arc<Connection>,
        life: watch::Receiver<Life>,
        cx: &CallContext,
        handle: &str,
        since_ms: u64,
    ) -> Result<LogStream, BackendError> {
        let log = OpenLog::open(connection, cx, handle, since_ms).await?;
        let read = Read { from_ms: since_ms, ..Read::default() };
        let following = Self { cx: cx.clone(), handle: handle.to_owned(), life, log, read };
        Ok(Box::pin(stream::unfold(following, Self::next).map(stream::iter).flatten()))
    }

    /// The next lines. An instance that lives on when the process ends is followed again from where it was.
    async fn next(mut self) -> Option<(Vec<LogLine>, Self)> {
        let mut known = Vec::new();
        loop {
            match self.log.next_lines().await {
                Ok(lines) if lines.is_empty() => return None,
                Ok(mut lines) => {
                    drop_known(&mut lines, &mut known);
                    self.read.note(&lines);
                    return Some((lines, self));
                }
                Err(_lost) => {
                    let connection = self.life.wait_for(Life::is_settled).await.ok()?.connection()?;
                    let log = OpenLog::open(connection, &self.cx, &self.handle, self.read.since_ms()).await;
                    self.log = log.ok()?;
                    known.clone_from(&self.read.recent);
                }
            }
        }
    }
}

impl Read {
    fn note(&mut self, lines: &[LogLine]) {
        self.newest_ms = lines.iter().map(|line| line.unix_ms).fold(self.newest_ms, u64::max);
        let since_ms = self.since_ms();
        self.recent.extend_from_slice(lines);
        self.recent.retain(|line| line.unix_ms >= since_ms);
    }

    /// From where on it is read again.
    fn since_ms(&self) -> u64 {
        self.newest_ms.saturating_sub(OVERLAP_MS).max(self.from_ms)
    }
}

/// Takes out what is known, each line as often as it is.
fn drop_known(lines: &mut Vec<LogLine>, known: &mut Vec<LogLine>) {
    lines.retain(|line| match known.iter().position(|known| known == line) {
        Some(at) => {
            known.swap_remove(at);
            false
        }
        None => true,
    });
}

impl OpenLog {
    async fn open(
        connection: Arc<Connection>,
        cx: &CallContext,
        handle: &str,
        since_ms: u64,
    ) -> Result<Self, BackendError> {
        let log = Self { log: connection.name(), connection };
        let operation = Operation::Logs { log: log.log, handle: handle.to_owned(), since_ms };
        log.connection.call::<()>(cx, operation).await?;
        Ok(log)
    }

    async fn next_lines(&self) -> Result<Vec<LogLine>, BackendError> {
        self.connection.call(&CallContext::default(), Operation::NextLines { log: self.log }).await
    }
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.connection.order(Order::Close { log: self.log });
    }
}

#[cfg(test)]
mod tests {
    use hearth_core::LogStreamKind;

    use super::*;

    fn lines(lines: &[(u64, &str)]) -> Vec<LogLine> {
        let line = |&(unix_ms, line): &(u64, &str)| LogLine {
            stream: LogStreamKind::STDOUT,
            unix_ms,
            line: line.to_owned(),
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn what_was_read_before_the_end_of_the_process_is_not_read_again_in_whatever_order_it_comes() {
        let mut read = Read::default();
        read.note(&lines(&[(50, "old"), (200, "a"), (201, "b"), (200, "c"), (201, "b")]));
        assert_eq!((read.since_ms(), read.recent.len()), (101, 4));
        let mut known = read.recent.clone();
        let mut again = lines(&[(200, "c"), (200, "a"), (201, "b"), (201, "d")]);
        drop_known(&mut again, &mut known);
        assert_eq!(again, lines(&[(201, "d")]));
        let mut again = lines(&[(201, "b"), (201, "b"), (202, "a")]);
        drop_known(&mut again, &mut known);
        assert_eq!((again, known), (lines(&[(201, "b"), (202, "a")]), vec![]));
    }
}
