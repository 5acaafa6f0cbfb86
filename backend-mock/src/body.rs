//! Bodies of answers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body that is sent whole, or that ends too early.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole(Bytes),
    /// Promises more bytes than it holds.
    CutOff {
        held: Option<Bytes>,
        promised: u64,
    },
    Sent,
}

impl Answer {
    /// Half of `whole`, although all of it is promised.
    pub(crate) fn cut_off(whole: &Bytes) -> Self {
        // One more byte than there are, so that even an empty body is too short.
        Self::CutOff { held: Some(whole.slice(..whole.len() / 2)), promised: whole.len() as u64 + 1 }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = match &mut *self {
            Self::Sent => return Poll::Ready(None),
            Self::CutOff { held, .. } => match held.take() {
                Some(part) => return Poll::Ready(Some(Ok(Frame::data(part)))),
                None => Err(io::Error::other("cut off, as the script says")),
            },
            Self::Whole(bytes) => Ok(Frame::data(std::mem::take(bytes))),
        };
        *self = Self::Sent;
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::CutOff { .. } => false,
            Self::Sent => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::CutOff { promised, .. } => *promised,
            Self::Sent => 0,
        })
    }
}
