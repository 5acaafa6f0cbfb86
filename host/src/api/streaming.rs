//! Invocations whose response leaves while the function writes it.
//!
//! What fails before the function is run is refused as by `Invoke`. From then on the status is 200, whatever
//! comes: an error of the function, its timeout and the end of its process are told by the last event.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use serde::Serialize;
use uuid::Uuid;

use super::ApiState;
use super::event_stream;
use super::invocations::{Request, identified, respond_with};
use super::path::Path;
use crate::catalog::Target;
use crate::invoke::{Ending, Streamed};

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
/// The code of an error that names no type of its own.
const UNHANDLED: &str = "Unhandled";

/// `InvokeWithResponseStream`
pub(super) async fn invoke(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let id = Uuid::new_v4();
    let request = Request { api: &api, id, headers: &headers };
    identified(id, request.stream(&name, query.as_deref(), body).await)
}

pub(super) fn respond(target: &Target, streamed: Streamed, trace_id: &str) -> Response {
    let mut response = respond_with(Body::new(Events::Flowing(streamed)), target, trace_id);
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// The last event: only those members that apply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InvokeComplete {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_result: Option<String>,
}

impl From<Ending> for InvokeComplete {
    fn from(ending: Ending) -> Self {
        let (error_code, error_details) = match ending.error {
            Some(error) => {
                (Some(error.error_type.unwrap_or_else(|| UNHANDLED.to_owned())), Some(error.details))
            }
            None => (None, None),
        };
        Self { error_code, error_details, log_result: ending.log_result }
    }
}

/// The body of the answer: one event for each piece that the function wrote, and one for the end.
enum Events {
    Flowing(Streamed),
    Over,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self::Flowing(streamed) = &mut *self else { return Poll::Ready(None) };
        if let Some(chunk) = ready!(streamed.chunks.poll_recv(cx)) {
            let frame = event("PayloadChunk", "application/octet-stream", &chunk);
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        let ending = ready!(Pin::new(&mut streamed.ending).poll(cx));
        *self = Self::Over;
        // Without an ending the response must not look like a whole one: the connection is cut.
        let complete = ending
            .map_err(io::Error::other)
            .and_then(|ending| Ok(serde_json::to_vec(&InvokeComplete::from(ending))?))
            .map(|json| Frame::data(event("InvokeComplete", "application/json", &json)));
        Poll::Ready(Some(complete))
    }
}

fn event(event_type: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let headers = [(":message-type", "event"), (":event-type", event_type), (":content-type", content_type)];
    event_stream::frame(&headers, payload)
}
