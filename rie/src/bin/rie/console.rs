//! The log on the program's own standard output and error.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_rie::{Line, Observer, Origin};
use tokio::sync::Notify;

/// How long a line may wait for others. Each write wakes whoever reads, an engine's whole chain of processes that keep
/// logs, and would do so three times while a short invocation is waited for.
const GATHERED_FOR: Duration = Duration::from_millis(1);
/// What is so much does not wait.
const ENOUGH: usize = 64 * 1024;

/// Passes lines on to where they would have gone without the emulator, in their order.
#[derive(Debug, Default)]
pub(crate) struct Console {
    pending: Mutex<Pending>,
    /// There is something to write.
    written: Notify,
}

/// Lines for one of the two outputs. One for the other sends them off, so that none overtakes another.
#[derive(Debug, Default)]
struct Pending {
    is_error: bool,
    text: Vec<u8>,
}

impl Console {
    /// Writes what was gathered, again and again, until it is dropped.
    pub(crate) async fn run(&self) {
        loop {
            self.written.notified().await;
            tokio::time::sleep(GATHERED_FOR).await;
            self.flush();
        }
    }

    /// Writes what was gathered.
    pub(crate) fn flush(&self) {
        self.pending().flush();
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Console {
    fn line(&self, line: Line<'_>) {
        let mut pending = self.pending();
        pending.add(line.origin == Origin::Stderr, line.text);
        let is_first = pending.text.len() == line.text.len() + 1;
        drop(pending);
        if is_first {
            self.written.notify_one();
        }
    }
}

impl Pending {
    fn add(&mut self, is_error: bool, line: &str) {
        if is_error != self.is_error || self.text.len() > ENOUGH {
            self.flush();
        }
        self.is_error = is_error;
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
    }

    fn flush(&mut self) {
        // If nobody reads the log, the function runs on without one.
        drop(if self.is_error { write(io::stderr(), &self.text) } else { write(io::stdout(), &self.text) });
        self.text.clear();
    }
}

fn write(mut output: impl Write, text: &[u8]) -> io::Result<()> {
    output.write_all(text)?;
    output.flush()
}
