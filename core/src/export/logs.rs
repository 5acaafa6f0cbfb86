//! The lines of one instance, pulled by the host.

use std::future::poll_fn;
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

/// Lines that wait for the host before the backend has to; also the most that are handed over at once.
const BUFFERED_LINES: usize = 256;

/// How long lines are gathered after one has come: too short for a reader to notice.
const GATHERED_FOR: Duration = Duration::from_millis(20);

/// A log on its way to the host. Dropping it drops the author's stream, over there.
pub(super) struct Lines {
    received: Arc<Mutex<mpsc::Receiver<LogLine>>>,
    _pump: CancelOnDrop<()>,
}

impl Lines {
    /// Must be called on the runtime.
    pub(super) fn of(stream: LogStream) -> Self {
        let (sender, receiver) = mpsc::channel(BUFFERED_LINES);
        let pump = tokio::spawn(pump(stream, sender));
        Self { received: Arc::new(Mutex::new(receiver)), _pump: CancelOnDrop::new(pump) }
    }
}

/// Lines come in flocks, and waking the host for each of them costs more than the lines do.
async fn pump(mut stream: LogStream, lines: mpsc::Sender<LogLine>) {
    while let Some(line) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        if lines.send(line).await.is_err() {
            return;
        }
        while let Poll::Ready(line) = poll_fn(|cx| Poll::Ready(stream.as_mut().poll_next(cx))).await {
            let Some(line) = line else { return };
            if lines.send(line).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(GATHERED_FOR).await;
    }
}

impl LogSource for Lines {
    fn next_lines(&mut self) -> FfiFuture<ROption<RVec<AbiLogLine>>> {
        let received = Arc::clone(&self.received);
        async move {
            let mut lines = Vec::new();
            match received.lock().await.recv_many(&mut lines, BUFFERED_LINES).await {
                0 => ROption::RNone,
                _ => ROption::RSome(lines.into_abi()),
            }
        }
        .into_ffi()
    }
}

impl Answer for Lines {
    type Abi = LogObject;

    fn hand_over(self) -> LogObject {
        LogSource_TO::from_value(self, TD_Opaque)
    }
}
