//! What travels between the host and the process that holds its backend: JSON, each piece behind its length.
//!
//! Both ends are the same program, so that nothing here has a version.

use std::marker::PhantomData;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hearth_core::{BackendError, BackendInfo, CallContext, Event, LaunchSpec, Progress};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::plugin::LoadOptions;

/// A list of a hundred thousand instances is shorter.
const LONGEST_FRAME: usize = 256 * 1024 * 1024;

/// From the host.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Order {
    /// Comes first, and once.
    Load(LoadOptions),
    Call {
        id: u64,
        call: Call,
    },
    /// Nobody waits for the answer any more.
    Cancel {
        id: u64,
    },
    /// The answer to a launch has arrived: from here on the instance is the host's.
    Taken {
        id: u64,
    },
    /// Nobody reads this log any more.
    Close {
        log: u64,
    },
}

/// One call of the backend.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Call {
    pub(super) cx: CallContext,
    pub(super) operation: Operation,
}

/// The methods of the backend, with what they are given.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Operation {
    Prepare(Box<LaunchSpec>),
    Launch(Box<LaunchSpec>),
    Terminate {
        handle: String,
        grace_ms: u64,
    },
    Inspect {
        handle: String,
    },
    List,
    Reap,
    /// Opens the log that the host calls `log`.
    Logs {
        log: u64,
        handle: String,
        since_ms: u64,
    },
    /// Lines of an open log, at least one; none once it has ended. The reader sets the pace.
    NextLines {
        log: u64,
    },
    Stats {
        handle: String,
    },
    Pause {
        handle: String,
    },
    Resume {
        handle: String,
    },
    Shutdown,
}

/// From the process that holds the backend.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Report {
    /// The answer to [`Order::Load`].
    Loaded(Result<BackendInfo, Refusal>),
    /// The value is that of the operation; only whoever called knows its type.
    Answer {
        id: u64,
        answer: Answer,
    },
    Event(Event),
    Progress(Progress),
}

pub(super) type Answer = Result<Box<RawValue>, BackendError>;

/// Why there is no backend.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Refusal {
    /// Its constructor failed.
    Create(BackendError),
    /// Its library is unfit; in words.
    Library(String),
}

/// What arrives.
#[derive(Debug)]
pub(super) struct Incoming<T> {
    frames: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Incoming<T> {
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self { frames: FramedRead::new(half, codec()), of: PhantomData }
    }

    /// The next piece; nothing once the other end is gone, or cannot be understood.
    pub(super) async fn next(&mut self) -> Option<T> {
        let frame = self.frames.next().await?.ok()?;
        match serde_json::from_slice(&frame) {
            Ok(piece) => Some(piece),
            Err(error) => {
                tracing::error!(%error, "a backend in a process of its own cannot be understood");
                None
            }
        }
    }
}

/// Sends all pieces, until there are no more or the other end is gone.
pub(super) async fn send<T: Serialize>(mut pieces: mpsc::UnboundedReceiver<T>, half: OwnedWriteHalf) {
    let mut frames = FramedWrite::new(half, codec());
    while let Some(piece) = pieces.recv().await {
        let frame = serde_json::to_vec(&piece).expect("it has no maps but those with names as keys");
        if frames.send(Bytes::from(frame)).await.is_err() {
            return;
        }
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(LONGEST_FRAME).new_codec()
}
