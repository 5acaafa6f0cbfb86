//! Sends an event to an instance and reads its answer: the host's side of docs/instance-protocol.md.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hearth_core::{Meta, Protocol};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::connection::{Connection, SendError, TimedOut};
use super::{Answered, FunctionError, Invocation, aws_emulator};
use crate::driver::{InFlight, Instance, Reserved};

const INVOCATION_PATH: &str = "/2015-03-31/functions/function/invocations";

const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const FUNCTION_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TENANT_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-tenant-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
pub(super) const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const TIMEOUT: HeaderName = HeaderName::from_static("hearth-timeout-ms");
const STATE: HeaderName = HeaderName::from_static("hearth-instance");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("hearth-response-mode");

/// How much longer than the function's timeout the host waits: the instance counts the timeout itself and
/// answers for it. Only one that is lost altogether stays silent for longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Response bodies over this are an error of the function (aws-facts: 6 MB and 100 bytes).
const RESPONSE_LIMIT: usize = 6_291_556;

/// How the response is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Whole, at the end.
    Buffered,
    /// As the function writes it.
    Streaming,
}

/// What came of sending an event.
#[derive(Debug)]
pub(super) enum Forwarded {
    /// It was run, or may have been: this is the answer.
    Answered(Answered),
    /// It was certainly not run.
    NotRun(NotRun),
}

/// Why an event was not run.
#[derive(Debug)]
pub(super) enum NotRun {
    /// The instance could not be talked to, or refused it; why. Another one may be tried.
    Unfit(String),
    /// By its place, it was one too many. Another instance would say the same.
    Throttled,
}

/// Sends the event to the instance. The instance is given back as what the outcome makes of it.
pub(super) async fn forward(reserved: Reserved, invocation: &Invocation) -> Forwarded {
    let instance = reserved.instance().clone();
    let mut connection = match open(&instance).await {
        Ok(connection) => connection,
        Err(problem) => {
            reserved.discard();
            return Forwarded::NotRun(NotRun::Unfit(problem));
        }
    };
    let in_flight = reserved.begin();
    let exchanged = tokio::select! {
        biased;
        exchanged = exchange(&mut connection, &instance, invocation) => exchanged,
        cause = instance.death() => return Forwarded::Answered(exited(invocation, cause)),
    };
    match exchanged {
        Ok((head, payload)) if instance.protocol == Protocol::AWS_RIE => {
            match aws_emulator::understand(head.status(), payload.clone(), invocation) {
                Some(answered) => {
                    give_back(in_flight, connection, &head);
                    Forwarded::Answered(answered)
                }
                None => refused_by_instance(&instance, head.status(), &payload),
            }
        }
        Ok((head, _)) if head.status() == StatusCode::TOO_MANY_REQUESTS => {
            give_back(in_flight, connection, &head);
            Forwarded::NotRun(NotRun::Throttled)
        }
        Ok((head, payload)) if head.status() != StatusCode::OK => {
            refused_by_instance(&instance, head.status(), &payload)
        }
        Ok((head, payload)) => Forwarded::Answered(conclude(in_flight, connection, &head, payload)),
        // Dropping `in_flight` ends the instance.
        Err(failed) => failed.outcome(&instance, invocation),
    }
}

/// Why there is no answer.
pub(super) enum Failed {
    NotSent(String),
    /// By the protocol, the event was not given to the function.
    Refused(StatusCode, Bytes),
    /// The same, and the instance has nothing against the next one.
    Throttled(Response<()>),
    Broken(hyper::Error),
    TooLarge,
    TimedOut,
}

impl Failed {
    pub(super) fn outcome(self, instance: &Instance, invocation: &Invocation) -> Forwarded {
        match self {
            Self::NotSent(error) => {
                Forwarded::NotRun(NotRun::Unfit(format!("{}: {error}", instance.address)))
            }
            Self::Throttled(_) => Forwarded::NotRun(NotRun::Throttled),
            Self::Refused(status, body) => refused_by_instance(instance, status, &body),
            Self::TooLarge => Forwarded::Answered(too_large()),
            Self::TimedOut => Forwarded::Answered(timed_out(invocation)),
            Self::Broken(error) => {
                tracing::warn!(instance = %instance.name, %error, "an instance broke off its answer");
                Forwarded::Answered(exited(invocation, None))
            }
        }
    }
}

/// A connection that was used before, or a new one.
pub(super) async fn open(instance: &Instance) -> Result<Connection, String> {
    match instance.take_connection() {
        Some(connection) => Ok(connection),
        None => Connection::open(&instance.address).await,
    }
}

async fn exchange(
    connection: &mut Connection,
    instance: &Instance,
    invocation: &Invocation,
) -> Result<(Response<()>, Bytes), Failed> {
    let (head, body) = send(connection, instance, invocation, Mode::Buffered).await?.into_parts();
    let payload = receive(connection, body).await?;
    Ok((Response::from_parts(head, ()), payload))
}

/// Sends the event and waits for the head of the answer.
pub(super) async fn send(
    connection: &mut Connection,
    instance: &Instance,
    invocation: &Invocation,
    mode: Mode,
) -> Result<Response<Incoming>, Failed> {
    let limit = invocation.target.timeout + PATIENCE;
    match connection.send(request(instance, invocation, mode), limit).await {
        // What was kept has been closed meanwhile; that says nothing about the instance itself.
        Err(SendError::NotSent(_)) => {
            *connection = Connection::open(&instance.address).await.map_err(Failed::NotSent)?;
            Ok(connection.send(request(instance, invocation, mode), limit).await?)
        }
        sent => Ok(sent?),
    }
}

/// The whole body.
pub(super) async fn receive(connection: &mut Connection, body: Incoming) -> Result<Bytes, Failed> {
    connection.drive(collect(body)).await.map_err(|TimedOut| Failed::TimedOut)?
}

impl From<SendError> for Failed {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotSent(error) => Self::NotSent(error.to_string()),
            SendError::Broken(error) => Self::Broken(error),
            SendError::TimedOut => Self::TimedOut,
        }
    }
}

/// The whole body, without a copy where it comes in one piece.
async fn collect(mut body: Incoming) -> Result<Bytes, Failed> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Failed::Broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > RESPONSE_LIMIT {
            return Err(Failed::TooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([first, rest.freeze()].concat().into())
}

fn request(instance: &Instance, invocation: &Invocation, mode: Mode) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(invocation.payload.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static(INVOCATION_PATH);
    let headers = request.headers_mut();
    headers.reserve(10);
    headers.insert(AUTHORIZATION, instance.authorization.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        TIMEOUT,
        HeaderValue::from(u64::try_from(invocation.target.timeout.as_millis()).unwrap_or(u64::MAX)),
    );
    put(headers, HOST, instance.address.host());
    put(headers, REQUEST_ID, &invocation.request_id);
    put(headers, FUNCTION_ARN, &invocation.arn);
    for (name, value) in [
        (TRACE_ID, &invocation.trace_id),
        (CLIENT_CONTEXT, &invocation.client_context),
        (TENANT_ID, &invocation.tenant_id),
    ] {
        if let Some(value) = value {
            put(headers, name, value);
        }
    }
    if invocation.log_tail {
        headers.insert(LOG_TYPE, HeaderValue::from_static("Tail"));
    }
    if mode == Mode::Streaming {
        headers.insert(RESPONSE_MODE, HeaderValue::from_static("streaming"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    request
}

/// A value that cannot be a header came in as one, so there is none; it is left out rather than fail the call.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn conclude(in_flight: InFlight, connection: Connection, head: &Response<()>, payload: Bytes) -> Answered {
    give_back(in_flight, connection, head);
    let headers = head.headers();
    Answered {
        payload,
        function_error: headers.contains_key(&FUNCTION_ERROR).then_some(FunctionError::Unhandled),
        log_result: log_result(headers),
    }
}

/// The instance has answered in full: what it says of itself decides whether it serves again.
pub(super) fn give_back(in_flight: InFlight, connection: Connection, head: &Response<()>) {
    let is_broken = head.headers().get(&STATE).is_some_and(|state| state == "broken");
    if !is_broken {
        if connection.is_reusable() {
            in_flight.instance().keep_connection(connection);
        }
        in_flight.finish();
    }
}

pub(super) fn log_result(headers: &HeaderMap) -> Option<String> {
    headers.get(&LOG_RESULT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// By the protocol, the event was not given to the function: the instance is ended, and another one tried.
fn refused_by_instance(instance: &Instance, status: StatusCode, body: &[u8]) -> Forwarded {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    tracing::warn!(instance = %instance.name, %status, answer = %text, "the instance refused an invocation");
    Forwarded::NotRun(NotRun::Unfit(format!("{} answered {status}: {text}", instance.address)))
}

pub(super) fn timed_out(invocation: &Invocation) -> Answered {
    let seconds = invocation.target.timeout.as_secs_f64();
    failure(
        "Sandbox.Timedout",
        &format!("RequestId: {} Error: Task timed out after {seconds:.2} seconds", invocation.request_id),
    )
}

pub(super) fn exited(invocation: &Invocation, cause: Option<&Meta>) -> Answered {
    let of = |key: &str| cause.and_then(|cause| cause.get(key));
    let how = match (of("exit.signal"), of("exit.status").map(String::as_str)) {
        (Some(signal), _) => format!("Runtime exited with error: signal: {signal}"),
        (None, None | Some("0")) => "Runtime exited without providing a reason".to_owned(),
        (None, Some(status)) => format!("Runtime exited with error: exit status {status}"),
    };
    failure("Runtime.ExitError", &format!("RequestId: {} Error: {how}", invocation.request_id))
}

fn too_large() -> Answered {
    failure(
        "Function.ResponseSizeTooLarge",
        &format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."),
    )
}

fn failure(error_type: &str, message: &str) -> Answered {
    let body = serde_json::json!({ "errorType": error_type, "errorMessage": message });
    Answered {
        payload: body.to_string().into(),
        function_error: Some(FunctionError::Unhandled),
        log_result: None,
    }
}
