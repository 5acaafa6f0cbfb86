//! The lines of one instance, pulled by the host.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{ROption, RVec};
use async_ffi::{FfiFuture, FutureExt as _};
use tokio::sync::{Mutex, mpsc};

use super::task::{Answer, CancelOnDrop};
use crate::abi::{LogObject, LogSource, LogSource_TO, Wire};
use crate::types::AbiLogLine;
use crate::{LogLine, LogStream};

/// Most lines that are handed over at once. As many wait for the host before the backend has to.
const MOST_LINES: usize = 256;

/// How long lines are gathered from when one has come: too short for a reader to notice.
const GATHERED_FOR: Duration = Duration::from_millis(20);

/// A log on its way to the host. Dropping it drops the author's stream, over there.
pub(super) struct Lines {
    received: Arc<Mutex<mpsc::Receiver<Vec<LogLine>>>>,
    _pump: CancelOnDrop<()>,
}

impl Lines {
    /// Must be called on the runtime.
    pub(super) fn of(stream: LogStream) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        let pump = tokio::spawn(pump(stream, sender));
        Self { received: Arc::new(Mutex::new(receiver)), _pump: CancelOnDrop::new(pump) }
    }
}

/// Lines come in flocks, and waking the host for each of them costs more than the lines do.
async fn pump(mut stream: LogStream, flocks: mpsc::Sender<Vec<LogLine>>) {
    while let Some(first) = next(&mut stream).await {
        let mut flock = vec![first];
        let mut gathered = pin!(tokio::time::sleep(GATHERED_FOR));
        let mut has_ended = false;
        while flock.len() < MOST_LINES && !has_ended {
            tokio::select! {
                line = next(&mut stream) => match line {
                    Some(line) => flock.push(line),
                    None => has_ended = true,
                },
                () = &mut gathered => break,
            }
        }
        if flocks.send(flock).await.is_err() || has_ended {
            return;
        }
    }
}

/// A stream that panics has ended: the lines before that are handed over. The hook has told of the panic.
async fn next(stream: &mut LogStream) -> Option<LogLine> {
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(cx))).unwrap_or_else(|thrown| {
            // It may panic when it is dropped.
            std::mem::forget(thrown);
            Poll::Ready(None)
        })
    })
    .await
}

impl LogSource for Lines {
    fn next_lines(&mut self) -> FfiFuture<ROption<RVec<AbiLogLine>>> {
        let received = Arc::clone(&self.received);
        async move { received.lock().await.recv().await.into_abi() }.into_ffi()
    }
}

impl Answer for Lines {
    type Abi = LogObject;

    fn hand_over(self) -> LogObject {
        LogSource_TO::from_value(self, TD_Opaque)
    }
}
