//! The Runtime API, version 2018-06-01: what the function's runtime talks to.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;

use crate::emulator::{self, Emulator};
use crate::extension_api;
use crate::invocation::ResponseMode;
use crate::outcome::{Fault, MAX_RESPONSE, Outcome, Reported, ReportedIn};
use crate::payload::{Payload, ReadError};
use crate::sandbox::{Next, OutOfOrder};
use crate::server::{self, Reply};
use crate::socket::Hold;
use crate::stream::{ERROR_TYPE, Fate, StreamError};
use crate::telemetry_api;

const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");

/// The calls that there are. Those of `restore` only exist where snapshots are: elsewhere AWS's own emulator
/// (1.170) answers them, as it answers any path that it does not know, with 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Ping,
    Next,
    Response(&'a str),
    Error(&'a str),
    InitError,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix("/2018-06-01/")?;
        if let Some(invocation) = path.strip_prefix("runtime/invocation/") {
            return match invocation.split_once('/') {
                None if invocation == "next" => Some(Self::Next),
                Some((id, "response")) if !id.is_empty() => Some(Self::Response(id)),
                Some((id, "error")) if !id.is_empty() => Some(Self::Error(id)),
                _ => None,
            };
        }
        match path {
            "runtime/init/error" => Some(Self::InitError),
            "ping" => Some(Self::Ping),
            _ => None,
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Ping | Self::Next => Method::GET,
            Self::Response(_) | Self::Error(_) | Self::InitError => Method::POST,
        }
    }
}

/// One connection of the function's process.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) emulator: Arc<Emulator>,
    /// Which of the instance's processes it is of.
    pub(crate) generation: u64,
    pub(crate) hold: Hold,
}

/// Answers one request.
pub(crate) async fn answer(
    caller: Caller,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let (head, body) = request.into_parts();
    if let Some(route) =
        extension_api::Route::of(head.uri.path()).filter(|route| head.method == route.method())
    {
        return Ok(extension_api::answer(&caller.emulator, route, &head.headers, body).await);
    }
    if let Some(api) = telemetry_api::route(head.uri.path()).filter(|_| head.method == telemetry_api::METHOD)
    {
        return Ok(telemetry_api::answer(&caller.emulator, api, &head.headers, body).await);
    }
    Ok(match Route::of(head.uri.path()) {
        Some(route) if head.method == route.method() => match route {
            Route::Ping => Response::new(Reply::Whole("pong".into())),
            Route::Next => caller.next().await,
            Route::Response(id) => caller.response(id, &head.headers, body).await,
            Route::Error(id) => caller.error(id, &head.headers, body).await,
            Route::InitError => caller.init_error(&head.headers, body).await,
        },
        other => {
            discard(body).await;
            let known = other.map_or(StatusCode::NOT_FOUND, |_| StatusCode::METHOD_NOT_ALLOWED);
            server::no_such_route(known)
        }
    })
}

/// Reads a body that nobody wants: the sender could not read the answer otherwise.
async fn discard(body: Incoming) {
    drop(Payload::read(body, 0).await);
}

impl Caller {
    async fn next(&self) -> Response<Reply> {
        let event = match self.emulator.next(self.generation) {
            Ok(Next::Now(event)) => event,
            Ok(Next::Later(receiver)) => match receiver.await {
                Ok(event) => event,
                // The process is being killed.
                Err(_) => return refuse(OutOfOrder::State("Ended"), "Ready"),
            },
            Err(out_of_order) => return refuse(out_of_order, "Ready"),
        };
        self.emulator.announce(&event.id);
        let mut response = Response::new(Reply::Whole(event.payload.clone()));
        response.headers_mut().clone_from(&event.headers);
        response
    }

    async fn response(&self, id: &str, headers: &HeaderMap, body: Incoming) -> Response<Reply> {
        let holding = self.hold.begin();
        let response = match self.emulator.begin_response(self.generation, id) {
            Ok(response) => response,
            Err(out_of_order) => {
                discard(body).await;
                return refuse(out_of_order, "InvocationResponse");
            }
        };
        let content_type = headers.get(CONTENT_TYPE).cloned();
        match headers.get(RESPONSE_MODE) {
            Some(mode) if mode == "streaming" => match response.mode() {
                Some(ResponseMode::Streaming) => {
                    // A stream that breaks off is to be noticed at once.
                    drop(holding);
                    stream(response, content_type, body).await
                }
                Some(ResponseMode::Buffered) | None => whole(response, content_type, body).await,
            },
            None => whole(response, content_type, body).await,
            Some(_) => {
                discard(body).await;
                response.finish(Outcome::Fault(Fault::invalid_response_mode(id)));
                let message = "Invalid function response mode";
                server::error(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", message)
            }
        }
    }

    async fn error(&self, id: &str, headers: &HeaderMap, body: Incoming) -> Response<Reply> {
        let _holding = self.hold.begin();
        let response = match self.emulator.begin_response(self.generation, id) {
            Ok(response) => response,
            Err(out_of_order) => {
                discard(body).await;
                return refuse(out_of_order, "InvocationErrorResponse");
            }
        };
        // An error that is too large is answered like a response that is.
        match Payload::read(body, MAX_RESPONSE).await {
            Ok(payload) => {
                let content_type = headers.get(CONTENT_TYPE).cloned();
                let error = ReportedError::of(headers, &payload).named(ReportedIn::Invocation);
                response.finish(Outcome::Reported { error, content_type, payload });
                accepted()
            }
            Err(ReadError::TooLarge) => {
                response.finish(Outcome::Fault(Fault::response_too_large(MAX_RESPONSE)));
                accepted()
            }
            Err(ReadError::Truncated) => truncated(),
        }
    }

    async fn init_error(&self, headers: &HeaderMap, body: Incoming) -> Response<Reply> {
        let _holding = self.hold.begin();
        let payload = match Payload::read(body, MAX_RESPONSE).await {
            Ok(payload) => payload,
            Err(ReadError::TooLarge) => "{}".into(),
            Err(ReadError::Truncated) => return truncated(),
        };
        let reported_error = ReportedError::of(headers, &payload);
        let reason = reported_error.reason();
        let error = reported_error.named(ReportedIn::Init);
        let reported = || Outcome::Reported {
            error: error.clone(),
            content_type: headers.get(CONTENT_TYPE).cloned(),
            payload: payload.clone(),
        };
        match self.emulator.init_failed(self.generation, reported, &reason, error.error_type.clone()) {
            Ok(()) => accepted(),
            Err(out_of_order) => refuse(out_of_order, "InitError"),
        }
    }
}

/// Answers with the whole of a body.
async fn whole(
    response: emulator::Response<'_>,
    content_type: Option<HeaderValue>,
    body: Incoming,
) -> Response<Reply> {
    match Payload::read_with_trailers(body, MAX_RESPONSE).await {
        Ok((payload, trailers)) => {
            response.finish(match StreamError::of_trailers(&trailers) {
                None => Outcome::Returned { content_type, payload },
                Some(error) => Outcome::Reported {
                    error: Reported::new(error.error_type.to_str().ok(), ReportedIn::Invocation),
                    content_type: None,
                    payload: error.json(),
                },
            });
            accepted()
        }
        Err(ReadError::TooLarge) => {
            response.finish(Outcome::Fault(Fault::response_too_large(MAX_RESPONSE)));
            too_large(MAX_RESPONSE)
        }
        Err(ReadError::Truncated) => truncated(),
    }
}

/// Answers with a body while it is written.
async fn stream(
    mut response: emulator::Response<'_>,
    content_type: Option<HeaderValue>,
    body: Incoming,
) -> Response<Reply> {
    match response.stream(content_type, body).await {
        Ok(Fate::Ended) => accepted(),
        // The function does not notice that nobody listens.
        Ok(Fate::CallerLeft(rest)) => {
            response.caller_left();
            let read = Payload::read_with_trailers(rest, 0).await;
            let error = read.ok().and_then(|(_, trailers)| StreamError::of_trailers(&trailers));
            response.finish(Outcome::Streamed { error, bytes: 0 });
            accepted()
        }
        Ok(Fate::TooLarge(rest)) => {
            discard(rest).await;
            too_large(response.stream_limit())
        }
        Err(_) => truncated(),
    }
}

/// What a runtime reports, as far as people want to read it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportedError {
    #[serde(skip)]
    header: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
}

impl ReportedError {
    fn of(headers: &HeaderMap, payload: &Payload) -> Self {
        let header = headers.get(ERROR_TYPE).and_then(|name| name.to_str().ok()).map(str::to_owned);
        let body = serde_json::from_slice(&payload.to_vec()).unwrap_or_default();
        Self { header, ..body }
    }

    fn reason(&self) -> String {
        match (self.error_type.as_ref().or(self.header.as_ref()), &self.error_message) {
            (Some(error_type), Some(message)) => format!("{error_type}: {message}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => "the runtime reported an error and did not say which".to_owned(),
        }
    }

    /// As records name it: by the header first, which is meant for them.
    fn named(&self, stage: ReportedIn) -> Reported {
        Reported::new(self.header.as_deref().or(self.error_type.as_deref()), stage)
    }
}

fn accepted() -> Response<Reply> {
    server::json(StatusCode::ACCEPTED, "{\"status\":\"OK\"}\n")
}

fn too_large(limit: u64) -> Response<Reply> {
    let message = format!("Exceeded maximum allowed payload size ({limit} bytes).");
    server::error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn truncated() -> Response<Reply> {
    let message = "HTTP request detected as truncated";
    server::error(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", message)
}

fn refuse(out_of_order: OutOfOrder, wanted: &str) -> Response<Reply> {
    match out_of_order {
        OutOfOrder::UnknownId => {
            server::error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
        }
        OutOfOrder::State(state) => {
            let message = format!(
                "State transition from {state} to {wanted} failed for runtime. \
                 Error: State transition is not allowed"
            );
            server::error(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_those_of_the_runtime_api() {
        for (path, route) in [
            ("/2018-06-01/runtime/invocation/next", Some(Route::Next)),
            ("/2018-06-01/runtime/invocation/a-b/response", Some(Route::Response("a-b"))),
            ("/2018-06-01/runtime/invocation/a-b/error", Some(Route::Error("a-b"))),
            ("/2018-06-01/runtime/init/error", Some(Route::InitError)),
            ("/2018-06-01/ping", Some(Route::Ping)),
            ("/2018-06-01/runtime/invocation//error", None),
            ("/2018-06-01/runtime/invocation/a/b/error", None),
            ("/2018-06-01/runtime/restore/next", None),
            ("/runtime/invocation/next", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn the_reason_of_a_failed_init_is_readable() {
        let none = HeaderMap::new();
        let typed = HeaderMap::from_iter([(ERROR_TYPE, "Runtime.Unknown".parse().unwrap())]);
        for (headers, body, expected) in [
            (&none, r#"{"errorType":"E","errorMessage":"m","x":1}"#, "E: m"),
            (&none, r#"{"errorMessage":"m"}"#, "m"),
            (&typed, "not json", "Runtime.Unknown"),
            (&none, "", "the runtime reported an error and did not say which"),
        ] {
            assert_eq!(ReportedError::of(headers, &body.into()).reason(), expected);
        }
    }
}
