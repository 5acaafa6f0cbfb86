//! The endpoint of one instance: `docs/instance-protocol.md`, and what the script makes of it.

use std::fmt;
use std::io::Write as _;
use std::net::TcpStream as RawStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::acts::{InvocationAct, Span};
use crate::backend::{Shared, sleep_unless_zero};
use crate::body::Answer;
use crate::clock;
use crate::instance::{Instance, Phase, reached};
use crate::log::{Entry, Part};
use crate::script::Cue;

const INVOCATIONS: &str = "/2015-03-31/functions/function/invocations";
const READINESS: &str = "/_hearth/instance";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const TIMEOUT_MS: HeaderName = HeaderName::from_static("hearth-timeout-ms");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const INSTANCE: HeaderName = HeaderName::from_static("hearth-instance");

/// How long a connection is kept open for the host to hear first that the instance has ended, and how.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a script may send in place of an answer.
const GARBAGE: &[u8] = b"\x00\xffthis is not HTTP\r\n\r\n";

/// Serves `listener` until the instance is gone, and cuts its connections off then.
pub(crate) async fn serve(listener: TcpListener, instance: Arc<Instance>, shared: Arc<Shared>) {
    let mut phase = instance.watch_phase();
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Gone) => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, Arc::clone(&instance), Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, handle = instance.handle, "a connection could not be accepted");
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, instance: Arc<Instance>, shared: Arc<Shared>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection is gone already");
        return;
    }
    let mut phase = instance.watch_phase();
    let raw = second_handle(&stream);
    let session = Session { instance, shared, raw };
    let service = service_fn(|request| session.handle(request));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        // An error is a client that hung up, or an act that closes the connection.
        _closed = serving => {}
        () = reached(&mut phase, Phase::Gone) => {}
    }
}

/// A way around HTTP, to the same connection.
fn second_handle(stream: &TcpStream) -> Option<RawStream> {
    stream.as_fd().try_clone_to_owned().ok().map(RawStream::from)
}

/// One connection.
struct Session {
    instance: Arc<Instance>,
    shared: Arc<Shared>,
    raw: Option<RawStream>,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Closed;

/// One invocation, as far as its answer depends on it.
struct Invocation {
    request_id: Option<HeaderValue>,
    timeout: Option<Duration>,
    wants_log: bool,
    event: Bytes,
}

impl Session {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Answer>, Closed> {
        if !self.is_authorized(request.headers()) {
            return Ok(refusal(StatusCode::UNAUTHORIZED, "the instance's token is missing or wrong"));
        }
        match (request.method(), request.uri().path()) {
            (&Method::POST, INVOCATIONS) => self.invoke(request).await,
            (&Method::GET, READINESS) => {
                Ok(json(br#"{"protocol":1,"init":{"outcome":"ready","duration_ms":0.0}}"#.as_slice().into()))
            }
            (_, INVOCATIONS | READINESS) => {
                Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "the path has another method"))
            }
            _ => Ok(refusal(StatusCode::NOT_FOUND, "there is no such path")),
        }
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let expected = self.instance.authorization.as_ref();
        expected.is_none_or(|expected| headers.get(AUTHORIZATION).is_some_and(|given| given == expected))
    }

    async fn invoke(&self, request: Request<Incoming>) -> Result<Response<Answer>, Closed> {
        let Some(_seat) = self.instance.seat() else {
            return Ok(refusal(StatusCode::CONFLICT, "the instance is busy"));
        };
        match self.instance.unpaused().await {
            Phase::Running | Phase::Paused => {}
            Phase::Ending => return Ok(refusal(StatusCode::GONE, "the instance is shutting down")),
            Phase::Gone => return Err(Closed),
        }
        let Ok(timeout) = timeout(request.headers()) else {
            return Ok(refusal(StatusCode::BAD_REQUEST, "Hearth-Timeout-Ms is not a number of milliseconds"));
        };
        let invocation = Invocation {
            request_id: request.headers().get(REQUEST_ID).cloned(),
            timeout,
            wants_log: request.headers().get(LOG_TYPE).is_some_and(|kind| kind == "Tail"),
            event: request.into_body().collect().await.map_err(|_hung_up| Closed)?.to_bytes(),
        };
        self.answer(invocation).await
    }

    async fn answer(&self, invocation: Invocation) -> Result<Response<Answer>, Closed> {
        let began = clock::now();
        let script = self.shared.script();
        let function = &self.instance.function;
        let Cue { act, mut chance } = script.invocations.next(function);
        let written = script.logs.next(function).act.cloned().unwrap_or_default();
        let mut tail = self.write(&invocation, Part::Begun(written));
        let more = match act {
            Some(InvocationAct::Delay { ms }) => *ms,
            Some(InvocationAct::Exit(end)) => end.after_ms,
            _ => Span::ZERO,
        };
        let delay = script.config.answer_delay_ms.choose(&mut chance) + more.choose(&mut chance);
        let mut answer = match wait(&invocation, delay).await {
            Ok(()) => self.act(&invocation, act).await?,
            Err(timeout) => timed_out(&invocation, timeout),
        };
        tail += &self.write(&invocation, Part::Ended(began.elapsed()));
        let headers = answer.headers_mut();
        if invocation.wants_log {
            let tail = HeaderValue::try_from(BASE64.encode(tail)).map_err(|_never| Closed)?;
            headers.insert(LOG_RESULT, tail);
        }
        headers.insert(INSTANCE, HeaderValue::from_static("reusable"));
        if let Some(request_id) = invocation.request_id {
            headers.insert(REQUEST_ID, request_id);
        }
        Ok(answer)
    }

    /// Adds to the instance's log. Answers what, if the invocation wants to know.
    fn write(&self, invocation: &Invocation, part: Part) -> String {
        let entry = Entry { unix_ms: clock::unix_ms(), request_id: invocation.request_id_text(), part };
        let lines = if invocation.wants_log { entry.lines() } else { Vec::new() };
        self.instance.log.push(entry);
        lines.into_iter().map(|line| line.line + "\n").collect()
    }

    async fn act(
        &self,
        invocation: &Invocation,
        act: Option<&InvocationAct>,
    ) -> Result<Response<Answer>, Closed> {
        match act {
            None | Some(InvocationAct::Delay { .. }) => Ok(json(invocation.event.clone())),
            Some(InvocationAct::Answer { body }) => Ok(json(body.clone().into())),
            Some(InvocationAct::Throttle) => {
                Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "throttled, as the script says"))
            }
            Some(InvocationAct::FunctionError { r#type, message }) => Ok(function_error(r#type, message)),
            Some(InvocationAct::Status { code, body }) => {
                let mut answer = json(body.clone().into());
                *answer.status_mut() =
                    StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Ok(answer)
            }
            Some(InvocationAct::CutOff) => Ok(Response::new(Answer::cut_off(&invocation.event))),
            Some(InvocationAct::Hang) => std::future::pending().await,
            Some(InvocationAct::Garbage) => {
                if let Some(mut raw) = self.raw.as_ref() {
                    // A client that has gone misses nothing.
                    let _written = raw.write_all(GARBAGE);
                }
                Err(Closed)
            }
            Some(InvocationAct::Crash) => {
                self.shared.exited(&self.instance.handle, "crashed, as the script says");
                Err(Closed)
            }
            Some(InvocationAct::Exit(end)) => {
                self.shared.tell(&self.instance.handle, end);
                // The host hangs up as soon as it has heard.
                sleep(FAREWELL).await;
                self.shared.remove(&self.instance.handle);
                Err(Closed)
            }
        }
    }
}

/// Takes the time that the invocation is to take, or fails at the function's timeout.
async fn wait(invocation: &Invocation, delay: Duration) -> Result<(), Duration> {
    let limit = invocation.timeout.filter(|limit| *limit < delay);
    sleep_unless_zero(limit.unwrap_or(delay)).await;
    limit.map_or(Ok(()), Err)
}

impl Invocation {
    fn request_id_text(&self) -> String {
        self.request_id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// A header is not what it should be.
struct Malformed;

/// The function's timeout, if one was sent.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let Some(value) = headers.get(TIMEOUT_MS) else { return Ok(None) };
    let milliseconds = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Malformed)?;
    Ok(Some(Duration::from_millis(milliseconds)))
}

fn timed_out(invocation: &Invocation, timeout: Duration) -> Response<Answer> {
    let request_id = invocation.request_id_text();
    let seconds = timeout.as_secs_f64();
    function_error(
        "Sandbox.Timedout",
        &format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds"),
    )
}

fn function_error(kind: &str, message: &str) -> Response<Answer> {
    let body = serde_json::json!({ "errorMessage": message, "errorType": kind });
    let mut answer = json(body.to_string().into());
    answer.headers_mut().insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
    answer
}

fn refusal(status: StatusCode, message: &str) -> Response<Answer> {
    let mut answer = json(serde_json::json!({ "message": message }).to_string().into());
    *answer.status_mut() = status;
    answer
}

fn json(body: Bytes) -> Response<Answer> {
    let mut answer = Response::new(Answer::Whole(body));
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl std::error::Error for Closed {}
