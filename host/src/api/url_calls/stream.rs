//! A response that leaves while the function writes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use memchr::memmem;

use super::Refused;
use super::answer::Head;
use crate::invoke::Streamed;

/// A response of this type begins with its own head: JSON, and [`END_OF_HEAD`].
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
const END_OF_HEAD: [u8; 8] = [0; 8];
/// Most that is read in search of the end of a head.
const MAX_HEAD: usize = 1024 * 1024;
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The response, as soon as it is known what it begins with. A function that fails before has none.
pub(super) async fn respond(mut streamed: Streamed) -> Result<Response, Refused> {
    let has_head = streamed.content_type.as_ref().is_some_and(|given| given == WITH_HEAD);
    if has_head {
        let (head, first) = read_head(&mut streamed).await?;
        return head.respond(Rest::body(first, streamed));
    }
    let first = streamed.chunks.recv().await;
    let Some(first) = first else {
        return match (&mut streamed.ending).await {
            Ok(ending) if ending.error.is_none() => Ok(typed(streamed.content_type, Body::empty())),
            _ => Err(Refused::Function),
        };
    };
    let content_type = streamed.content_type.clone();
    Ok(typed(content_type, Rest::body(first, streamed)))
}

fn typed(content_type: Option<HeaderValue>, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.unwrap_or(UNKNOWN));
    response
}

/// Reads a response's own head, and what came with it of the body.
async fn read_head(streamed: &mut Streamed) -> Result<(Head, Bytes), Refused> {
    let mut read = BytesMut::new();
    let length = loop {
        if let Some(length) = memmem::find(&read, &END_OF_HEAD) {
            break length;
        }
        match streamed.chunks.recv().await {
            Some(chunk) if read.len() < MAX_HEAD => read.extend_from_slice(&chunk),
            Some(_) | None => return Err(Refused::Function),
        }
    };
    let head = serde_json::from_slice(&read[..length]).map_err(|_| Refused::Function)?;
    read.advance(length + END_OF_HEAD.len());
    Ok((head, read.freeze()))
}

/// The body, of which the first piece is known.
struct Rest {
    first: Bytes,
    state: State,
}

enum State {
    Flowing(Streamed),
    BrokenOff(&'static str),
    Over,
}

impl Rest {
    fn body(first: Bytes, streamed: Streamed) -> Body {
        Body::new(Self { first, state: State::Flowing(streamed) })
    }
}

impl http_body::Body for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let (next, polled) = match &mut self.state {
            State::Flowing(streamed) => {
                if let Some(chunk) = ready!(streamed.chunks.poll_recv(cx)) {
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                match ready!(Pin::new(&mut streamed.ending).poll(cx)) {
                    Ok(ending) if ending.error.is_none() => (State::Over, Poll::Ready(None)),
                    // What was written so far is to leave before the connection is cut.
                    broken => {
                        cx.waker().wake_by_ref();
                        let problem = broken
                            .map_or("the host is going down", |_| "the function failed in its response");
                        (State::BrokenOff(problem), Poll::Pending)
                    }
                }
            }
            // It must not look like a whole response.
            State::BrokenOff(problem) => (State::Over, Poll::Ready(Some(Err(io::Error::other(*problem))))),
            State::Over => return Poll::Ready(None),
        };
        self.state = next;
        polled
    }
}
