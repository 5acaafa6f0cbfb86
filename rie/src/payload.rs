//! Event and response bodies: the frames as they came from the socket, never copied together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// A whole body, in the pieces in which it was read. Cloning it copies no bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    first: Bytes,
    /// Empty, and without allocation, for the bodies that fit into one read.
    rest: VecDeque<Bytes>,
    length: usize,
}

/// Why a body could not be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It is longer than the limit. It was read to its end nevertheless, so that the sender can read the answer.
    TooLarge,
    /// The connection broke before the end of the body.
    Truncated,
}

impl Payload {
    /// Reads a body to its end, and keeps it if it has at most `limit` bytes.
    pub(crate) async fn read<B>(mut body: B, limit: usize) -> Result<Self, ReadError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut payload = Self::default();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(ReadError::Truncated) };
            let Ok(data) = frame.into_data() else { continue };
            payload.push(data, limit);
        }
        if payload.length > limit { Err(ReadError::TooLarge) } else { Ok(payload) }
    }

    /// Past the limit only the length is kept up to date.
    fn push(&mut self, data: Bytes, limit: usize) {
        self.length = self.length.saturating_add(data.len());
        if self.length > limit {
            self.first.clear();
            self.rest.clear();
        } else if self.first.is_empty() {
            self.first = data;
        } else if !data.is_empty() {
            self.rest.push_back(data);
        }
    }

    /// One copy of the whole, for the few who have to look into it.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        std::iter::once(&self.first).chain(&self.rest).flatten().copied().collect()
    }
}

impl From<Bytes> for Payload {
    fn from(first: Bytes) -> Self {
        Self { length: first.len(), first, rest: VecDeque::new() }
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.first.is_empty() {
            return Poll::Ready(None);
        }
        let next = self.rest.pop_front().unwrap_or_default();
        let data = std::mem::replace(&mut self.first, next);
        self.length -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(frames: &[&'static str], limit: usize) -> Result<String, ReadError> {
        let mut body = Payload::default();
        for frame in frames {
            body.push(Bytes::from_static(frame.as_bytes()), usize::MAX);
        }
        let payload = Payload::read(body, limit).await?;
        Ok(String::from_utf8(payload.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_body_keeps_its_bytes_up_to_the_limit_and_not_beyond() {
        assert_eq!(read(&[], 0).await, Ok(String::new()));
        assert_eq!(read(&["abc"], 3).await, Ok("abc".into()));
        assert_eq!(read(&["abc", "", "de", "f"], 6).await, Ok("abcdef".into()));
        assert_eq!(read(&["abc", "de", "f"], 5).await, Err(ReadError::TooLarge));
        assert_eq!(read(&["abcdef"], 5).await, Err(ReadError::TooLarge));
    }
}
