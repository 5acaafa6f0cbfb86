//! Serves HTTP/1.1 connections of a listener.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::payload::Payload;
use crate::socket::{Hold, Socket};
use crate::stream::ResponseStream;

/// The connections of one listener, counted.
#[derive(Clone, Debug)]
pub(crate) struct Connections(watch::Sender<usize>);

impl Connections {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) async fn all_closed(&self) {
        // Waiting fails if the sender is gone, and it lives in self.
        drop(self.0.subscribe().wait_for(|open| *open == 0).await);
    }

    fn opened(&self) -> OpenConnection {
        self.0.send_modify(|open| *open += 1);
        OpenConnection(self.clone())
    }
}

struct OpenConnection(Connections);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}

/// Header names as they are spelled on the wire: the Runtime API's clients include shell scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    LowerCase,
    TitleCase,
}

/// Serves connections until `closed` says so; then those that are open may end what they are doing.
/// `make_service` is called for each, with the means to hold back the news of its end.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    connections: Connections,
    spelling: Spelling,
    mut closed: watch::Receiver<Door>,
    make_service: impl Fn(Hold) -> S,
) where
    S: Service<Request<Incoming>, Response = Response<Reply>, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it every answer would wait for the acknowledgement of the one before.
                    drop(stream.set_nodelay(true));
                    let hold = Hold::default();
                    let service = make_service(hold.clone());
                    let socket = Socket::new(stream, hold);
                    open.spawn(converse(socket, connections.opened(), spelling, closed.clone(), service));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors, most likely: some may be free in a while.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = open.join_next() => {}
            () = is_closed(&mut closed) => break,
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Whether a listener goes on serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    Closed,
}

/// A door whose keeper has gone counts as closed.
async fn is_closed(door: &mut watch::Receiver<Door>) {
    drop(door.wait_for(|door| *door == Door::Closed).await);
}

async fn converse<S>(
    socket: Socket,
    _open: OpenConnection,
    spelling: Spelling,
    mut closed: watch::Receiver<Door>,
    service: S,
) where
    S: Service<Request<Incoming>, Response = Response<Reply>, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .title_case_headers(spelling == Spelling::TitleCase)
        .header_read_timeout(None)
        .serve_connection(socket, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = is_closed(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// The body of every answer.
pub(crate) enum Reply {
    Whole(Payload),
    Stream(ResponseStream),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(payload) => Pin::new(payload).poll_frame(cx),
            Self::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(payload) => payload.is_end_stream(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(payload) => payload.size_hint(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Payload>) -> Response<Reply> {
    with_type(status, "application/json", body)
}

/// An answer that says what went wrong, as AWS says it.
pub(crate) fn error(status: StatusCode, error_type: &str, message: &str) -> Response<Reply> {
    let message = serde_json::Value::from(message);
    json(status, format!(r#"{{"errorMessage":{message},"errorType":"{error_type}"}}"#))
}

/// The answer to a path that does not exist, or not with this method.
pub(crate) fn no_such_route(status: StatusCode) -> Response<Reply> {
    with_type(
        status,
        "text/plain; charset=utf-8",
        if status == StatusCode::NOT_FOUND { "404 page not found\n" } else { "" },
    )
}

fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Payload>) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
