//! What a handler leaves of its request.
//!
//! A connection can only be used again once the request on it was read to its end. A handler that refuses early,
//! or that wants no body, need not wait for that: what it leaves is read beside the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Most that is read of a body that nobody wants, in bytes: whoever sends more loses the connection.
const MOST: u64 = 64 * 1024 * 1024;

/// The body of a request whose handler has not given it back yet.
#[derive(Debug)]
pub(super) struct Leftover(Arc<Mutex<Option<Body>>>);

impl Leftover {
    /// Gives the body of a request to a handler, for as long as it wants it.
    pub(super) fn of(request: Request) -> (Request, Self) {
        let place = Arc::new(Mutex::new(None));
        let lend = |body| Body::new(Lent { body: Some(body), place: Arc::clone(&place) });
        (request.map(lend), Self(place))
    }

    /// Reads what was given back.
    pub(super) fn read(self) {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = body {
            read(body);
        }
    }
}

/// Reads a body to its end, as a task of its own.
pub(super) fn read(body: Body) {
    tokio::spawn(discard(body, MOST));
}

/// Reads up to so many bytes of a body.
pub(super) async fn discard(mut body: Body, most: u64) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, |data| data.len() as u64);
        if seen > most {
            return;
        }
    }
}

/// A body that goes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    place: Arc<Mutex<Option<Body>>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(http_body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !http_body::Body::is_end_stream(body)) {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
