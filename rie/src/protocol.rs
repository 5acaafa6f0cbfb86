//! The instance protocol: what the host talks to (docs/instance-protocol.md).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::clock;
use crate::config::Admission;
use crate::emulator::{Emulator, Order};
use crate::init::Init;
use crate::invocation::{Answer, Event, Health, ResponseMode};
use crate::outcome::Outcome;
use crate::payload::{Payload, ReadError};
use crate::sandbox::Refusal;
use crate::server::{self, Reply};

/// Largest event, in bytes: AWS's limit, and as much again as its emulator allows on top.
const MAX_EVENT: u64 = 6 * 1024 * 1024 + 100;

const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const INVOKED_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
const COGNITO_IDENTITY: HeaderName = HeaderName::from_static("lambda-runtime-cognito-identity");
const TENANT_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-tenant-id");

const AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const AMZ_CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const AMZ_LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const AMZ_LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const AMZ_FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const TIMEOUT: HeaderName = HeaderName::from_static("hearth-timeout-ms");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("hearth-response-mode");
const INSTANCE: HeaderName = HeaderName::from_static("hearth-instance");

/// Those of [`ResponseStream`](crate::stream::ResponseStream).
const TRAILERS: HeaderValue = HeaderValue::from_static(
    "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body, X-Amz-Log-Result",
);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers one request of the host.
pub(crate) async fn answer(
    emulator: Arc<Emulator>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let (head, body) = request.into_parts();
    let routed = match head.uri.path() {
        "/2015-03-31/functions/function/invocations" => Ok(Method::POST),
        "/_hearth/instance" => Ok(Method::GET),
        _ => Err(StatusCode::NOT_FOUND),
    };
    Ok(match routed {
        Err(status) => server::no_such_route(status),
        Ok(method) if method != head.method => server::no_such_route(StatusCode::METHOD_NOT_ALLOWED),
        Ok(_) if !admits(&emulator.admission, &head.headers) => {
            let message = "the bearer token of this instance is missing or wrong";
            server::error(StatusCode::UNAUTHORIZED, "Unauthorized", message)
        }
        Ok(Method::GET) => readiness(&emulator.init().await),
        Ok(_) => invoke(&emulator, &head.headers, body).await.unwrap_or_else(Refused::answer),
    })
}

fn admits(admission: &Admission, headers: &HeaderMap) -> bool {
    let Admission::Bearer(token) = admission else { return true };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    given.is_some_and(|given| {
        let difference = given.iter().zip(token.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        given.len() == token.len() && difference == 0
    })
}

fn readiness(init: &Init) -> Response<Reply> {
    let (outcome, duration) = (init.outcome.name(), init.duration.as_secs_f64() * 1000.0);
    let body = format!(r#"{{"protocol":1,"init":{{"outcome":"{outcome}","duration_ms":{duration:.3}}}}}"#);
    server::json(StatusCode::OK, body)
}

async fn invoke(
    emulator: &Emulator,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Response<Reply>, Refused> {
    let payload = Payload::read(body, MAX_EVENT).await.map_err(|error| match error {
        ReadError::TooLarge => Refused::TooLarge,
        ReadError::Truncated => Refused::Malformed("the event ends before its end"),
    })?;
    let request_id = request_id(emulator, headers)?;
    let order = order(emulator, headers, &request_id, payload)?;
    let receiver = emulator.accept(order).map_err(Refused::Sandbox)?;
    // The sender lives until the invocation is answered, or the instance is torn down without being shut down.
    let answer = receiver.await.map_err(|_| Refused::Sandbox(Refusal::ShuttingDown))?;
    Ok(respond(request_id, answer))
}

fn order(
    emulator: &Emulator,
    headers: &HeaderMap,
    request_id: &HeaderValue,
    payload: Payload,
) -> Result<Order, Refused> {
    let timeout = timeout(emulator, headers)?;
    let mut event = HeaderMap::with_capacity(8);
    event.insert(CONTENT_TYPE, JSON);
    event.insert(REQUEST_ID, request_id.clone());
    let deadline = clock::unix_ms().saturating_add(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    event.insert(DEADLINE, deadline.into());
    event.insert(INVOKED_ARN, invoked_arn(emulator, headers)?);
    for (from, to) in
        [(AMZN_TRACE_ID, TRACE_ID), (COGNITO_IDENTITY, COGNITO_IDENTITY), (TENANT_ID, TENANT_ID)]
    {
        if let Some(value) = headers.get(from) {
            event.insert(to, value.clone());
        }
    }
    if let Some(encoded) = headers.get(AMZ_CLIENT_CONTEXT) {
        let context = client_context(encoded);
        event.insert(
            CLIENT_CONTEXT,
            context.ok_or(Refused::Malformed("X-Amz-Client-Context is not base64 of JSON"))?,
        );
    }
    let id =
        request_id.to_str().map_err(|_| Refused::Malformed("Lambda-Runtime-Aws-Request-Id is not text"))?;
    Ok(Order {
        event: Arc::new(Event { id: id.into(), headers: event, payload }),
        timeout,
        response_mode: response_mode(headers)?,
        wants_tail: headers.get(AMZ_LOG_TYPE).is_some_and(|log_type| log_type == "Tail"),
    })
}

fn request_id(emulator: &Emulator, headers: &HeaderMap) -> Result<HeaderValue, Refused> {
    match (headers.get(REQUEST_ID), &emulator.defaults) {
        (Some(id), _) if !id.is_empty() => Ok(id.clone()),
        (_, Some(_)) => HeaderValue::try_from(uuid::Uuid::new_v4().to_string())
            .map_err(|_| Refused::Malformed("Lambda-Runtime-Aws-Request-Id is missing")),
        (_, None) => Err(Refused::Malformed("Lambda-Runtime-Aws-Request-Id is missing")),
    }
}

fn timeout(emulator: &Emulator, headers: &HeaderMap) -> Result<Duration, Refused> {
    let not_positive = Refused::Malformed("Hearth-Timeout-Ms is not a positive number of milliseconds");
    match (headers.get(TIMEOUT), &emulator.defaults) {
        (Some(value), _) => {
            let number = value.to_str().ok().and_then(|text| text.parse::<u32>().ok());
            let number = number.filter(|number| *number > 0).ok_or(not_positive)?;
            Ok(Duration::from_millis(number.into()))
        }
        (None, Some(defaults)) => Ok(defaults.timeout),
        (None, None) => Err(Refused::Malformed("Hearth-Timeout-Ms is missing")),
    }
}

fn response_mode(headers: &HeaderMap) -> Result<ResponseMode, Refused> {
    match headers.get(RESPONSE_MODE).map(HeaderValue::as_bytes) {
        None | Some(b"buffered") => Ok(ResponseMode::Buffered),
        // How a stream ended is told in its trailers: who does not read them could not tell a broken one.
        Some(b"streaming") if headers.get(TE).is_some_and(|te| te == "trailers") => {
            Ok(ResponseMode::Streaming)
        }
        Some(b"streaming") => Err(Refused::Malformed("a streamed response needs `TE: trailers`")),
        Some(_) => Err(Refused::Malformed("Hearth-Response-Mode is neither buffered nor streaming")),
    }
}

fn invoked_arn(emulator: &Emulator, headers: &HeaderMap) -> Result<HeaderValue, Refused> {
    let given = headers.get(INVOKED_ARN).cloned();
    let default = || HeaderValue::from_str(&emulator.defaults.as_ref()?.invoked_function_arn).ok();
    given.or_else(default).ok_or(Refused::Malformed("Lambda-Runtime-Invoked-Function-Arn is missing"))
}

/// The runtime gets it decoded. JSON over several lines is brought onto one, since a header has only one.
fn client_context(encoded: &HeaderValue) -> Option<HeaderValue> {
    let decoded = BASE64.decode(encoded.as_bytes()).ok()?;
    HeaderValue::from_bytes(&decoded).ok().or_else(|| {
        let json: serde_json::Value = serde_json::from_slice(&decoded).ok()?;
        HeaderValue::try_from(json.to_string()).ok()
    })
}

fn respond(request_id: HeaderValue, answer: Answer) -> Response<Reply> {
    let mut response = match answer {
        Answer::Whole { outcome, log_tail, health } => whole(outcome, log_tail, health),
        Answer::Stream { content_type, body } => {
            let mut response = Response::new(Reply::Stream(body));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, content_type.unwrap_or(JSON));
            headers.insert(INSTANCE, HeaderValue::from_static("reusable"));
            headers.insert(TRAILER, TRAILERS);
            response
        }
    };
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

fn whole(outcome: Outcome, log_tail: Option<String>, health: Health) -> Response<Reply> {
    let (content_type, payload, failed) = match outcome {
        Outcome::Returned { content_type, payload } => (content_type, payload, None),
        Outcome::Reported { content_type, payload, .. } => (content_type, payload, Some("Unhandled")),
        Outcome::Fault(fault) => (None, fault.body().into(), Some("Unhandled")),
        Outcome::Streamed { .. } => (None, Payload::default(), None),
    };
    let mut response = Response::new(Reply::Whole(payload));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.unwrap_or(JSON));
    headers.insert(
        INSTANCE,
        HeaderValue::from_static(match health {
            Health::Reusable => "reusable",
            Health::Broken => "broken",
        }),
    );
    if let Some(kind) = failed {
        headers.insert(AMZ_FUNCTION_ERROR, HeaderValue::from_static(kind));
    }
    if let Some(tail) = log_tail.and_then(|tail| HeaderValue::try_from(tail).ok()) {
        headers.insert(AMZ_LOG_RESULT, tail);
    }
    response
}

/// Why the function was not run.
enum Refused {
    /// What is wrong with a header, or with the body as such.
    Malformed(&'static str),
    TooLarge,
    Sandbox(Refusal),
}

impl Refused {
    fn answer(self) -> Response<Reply> {
        match self {
            Self::Malformed(message) => server::error(StatusCode::BAD_REQUEST, "MalformedRequest", message),
            Self::TooLarge => {
                let message = format!("an event has at most {MAX_EVENT} bytes");
                server::error(StatusCode::PAYLOAD_TOO_LARGE, "EventTooLarge", &message)
            }
            Self::Sandbox(Refusal::Busy) => {
                let message = "the instance is busy; it was not given the event";
                server::error(StatusCode::CONFLICT, "InstanceBusy", message)
            }
            Self::Sandbox(Refusal::ShuttingDown) => {
                let message = "the instance is shutting down; it was not given the event";
                server::error(StatusCode::GONE, "InstanceShuttingDown", message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_token_is_admitted() {
        let admission = Admission::Bearer("secret".into());
        let given = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        assert!(admits(&admission, &given("Bearer secret")));
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer Secret", "secret", "Basic secret"] {
            assert!(!admits(&admission, &given(wrong)), "{wrong}");
        }
        assert!(!admits(&admission, &HeaderMap::new()));
        assert!(admits(&Admission::Anyone, &HeaderMap::new()));
    }

    #[test]
    fn a_client_context_reaches_the_runtime_decoded_and_on_one_line() {
        let context = |text: &str| client_context(&BASE64.encode(text).parse().unwrap());
        assert_eq!(context(r#"{"custom":{"a":"b"}}"#).unwrap(), r#"{"custom":{"a":"b"}}"#);
        assert_eq!(context("{\n  \"a\": 1\n}").unwrap(), r#"{"a":1}"#);
        assert_eq!(context("not\njson"), None);
        assert_eq!(client_context(&HeaderValue::from_static("%%%")), None);
    }
}
