//! Event and response bodies: the frames as they came from the socket, never copied together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// A whole body, in the pieces in which it was read. Cloning it copies no bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    first: Bytes,
    /// Empty, and without allocation, for the bodies that fit into one read.
    rest: VecDeque<Bytes>,
    length: u64,
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
    pub(crate) async fn read<B>(body: B, limit: u64) -> Result<Self, ReadError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        Self::read_with_trailers(body, limit).await.map(|(payload, _)| payload)
    }

    /// The same, with what came after the body.
    pub(crate) async fn read_with_trailers<B>(mut body: B, limit: u64) -> Result<(Self, HeaderMap), ReadError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (mut payload, mut trailers) = (Self::default(), HeaderMap::new());
        while let Some(frame) = body.frame().await {
            match frame.map_err(|_| ReadError::Truncated)?.into_data() {
                Ok(data) => payload.push(data, limit),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        if payload.length > limit { Err(ReadError::TooLarge) } else { Ok((payload, trailers)) }
    }

    /// Past the limit only the length is kept up to date.
    fn push(&mut self, data: Bytes, limit: u64) {
        self.length += data.len() as u64;
        if self.length > limit {
            self.first.clear();
            self.rest.clear();
        } else if self.first.is_empty() {
            self.first = data;
        } else if !data.is_empty() {
            self.rest.push_back(data);
        }
    }

    /// In bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// One copy of the whole, for the few who have to look into it.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        std::iter::once(&self.first).chain(&self.rest).flatten().copied().collect()
    }
}

impl From<Bytes> for Payload {
    fn from(first: Bytes) -> Self {
        Self { length: first.len() as u64, first, rest: VecDeque::new() }
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
        self.length -= data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(frames: &[&'static str], limit: u64) -> Result<String, ReadError> {
        let mut body = Payload::default();
        for frame in frames {
            body.push(Bytes::from_static(frame.as_bytes()), u64::MAX);
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
