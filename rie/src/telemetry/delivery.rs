//! Brings the batches of one subscriber to it, one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};

use crate::clock::{self, Instant};
use crate::platform::Record;
use crate::telemetry::buffer::{Batch, Buffer, Dropped, Limits};
use crate::telemetry::subscription::Destination;

/// From those who have something to say to the task that delivers it.
#[derive(Debug)]
pub(crate) struct Channel {
    state: Mutex<State>,
    /// There may be a batch that was not there before.
    filled: Notify,
    /// There may be nothing left to deliver.
    emptied: Notify,
}

#[derive(Debug)]
struct State {
    buffer: Buffer,
    destination: Destination,
    /// Whether a batch is on its way.
    delivering: bool,
}

impl Channel {
    pub(crate) fn new(destination: Destination, limits: Limits) -> Self {
        let state = State { buffer: Buffer::new(limits), destination, delivering: false };
        Self { state: Mutex::new(state), filled: Notify::new(), emptied: Notify::new() }
    }

    pub(crate) fn redirect(&self, destination: Destination, limits: Limits) {
        let mut state = self.state();
        state.destination = destination;
        state.buffer.set_limits(limits);
    }

    pub(crate) fn push(&self, now: Instant, record: &Arc<str>) {
        self.state().buffer.push(now, record.clone());
        self.filled.notify_one();
    }

    pub(crate) fn flush(&self) {
        self.state().buffer.flush();
        self.filled.notify_one();
    }

    /// Waits until nothing is left to deliver.
    pub(crate) async fn flushed(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Whether nothing is left to deliver.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        state.buffer.is_empty() && !state.delivering
    }

    async fn next_batch(&self) -> Batch {
        loop {
            let due = {
                let mut state = self.state();
                let now = clock::now();
                match state.buffer.due(now) {
                    Some(due) if due <= now => {
                        state.delivering = true;
                        return state.buffer.take(now);
                    }
                    due => due,
                }
            };
            let alarm = async {
                match due {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.filled.notified() => {}
                () = alarm => {}
            }
        }
    }

    fn ended(&self, lost: Option<Batch>) {
        let mut state = self.state();
        state.delivering = false;
        state.buffer.lose(lost.into_iter().flat_map(|batch| batch.records));
        drop(state);
        self.emptied.notify_waiters();
    }

    fn destination(&self) -> Destination {
        self.state().destination.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a batch is tried: as long as an extension that is being restarted has for its init.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Delivers until it is aborted.
pub(crate) async fn run(channel: Arc<Channel>) {
    let mut line = None;
    loop {
        let batch = channel.next_batch().await;
        let records = with_notice(&batch);
        let tries = async {
            while let Err(error) = send(&channel.destination(), &mut line, &records).await {
                tracing::debug!(%error, "telemetry could not be delivered");
                sleep(PAUSE).await;
            }
        };
        let lost = timeout(PATIENCE, tries).await.is_err();
        channel.ended(lost.then_some(batch));
    }
}

/// The records of a batch, and in front of them what was lost before.
fn with_notice(batch: &Batch) -> Vec<Arc<str>> {
    let Dropped { records, bytes } = batch.dropped;
    let notice = (records > 0).then(|| {
        let reason = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";
        let record = Record::LogsDropped { reason, dropped_records: records, dropped_bytes: bytes };
        Arc::from(record.json(clock::unix_ms()))
    });
    notice.into_iter().chain(batch.records.iter().cloned()).collect()
}

async fn send(
    destination: &Destination,
    line: &mut Option<(SocketAddr, TcpStream)>,
    records: &[Arc<str>],
) -> io::Result<()> {
    match destination {
        Destination::Http { address, path } => post(*address, path, records).await,
        Destination::Tcp(address) => {
            let mut stream = match line.take() {
                Some((known, stream)) if known == *address => stream,
                _ => TcpStream::connect(address).await?,
            };
            for record in records {
                stream.write_all(record.as_bytes()).await?;
                stream.write_all(b"\n").await?;
            }
            *line = Some((*address, stream));
            Ok(())
        }
    }
}

async fn post(address: SocketAddr, path: &str, records: &[Arc<str>]) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::post(path)
        .header(HOST, format!("sandbox.localdomain:{}", address.port()))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(format!("[{}]", records.join(","))))
        .map_err(io::Error::other)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        // The answer is over when its body is.
        drop(response.into_body().collect().await);
        if status.is_success() { Ok(()) } else { Err(refused(status)) }
    };
    // The connection ends when the sender is dropped, or by itself.
    tokio::join!(exchange, connection).0
}

fn refused(status: StatusCode) -> io::Error {
    io::Error::other(format!("the subscriber answered {status}"))
}
