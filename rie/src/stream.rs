//! A response that leaves while the function still writes it: the body of the runtime's request is the body of
//! the answer to the host, frame by frame. Nothing is stored, so that a slow host slows the function.

mod pace;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use crate::emulator::Emulator;
use crate::outcome::{Fault, Outcome};
use crate::payload::Payload;
use pace::Pace;

/// Trailers that say how a stream ended, on the runtime's side and on the host's.
pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
/// Base64 of the error's JSON.
pub(crate) const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

/// The host's end.
pub(crate) struct ResponseStream {
    emulator: Arc<Emulator>,
    id: Arc<str>,
    state: State,
    /// In bytes.
    passed: u64,
    pace: Option<Pace>,
    /// What the invocation came to, once it has ended: here, or because its process or its time did.
    ending: oneshot::Receiver<Ending>,
    fate: Option<oneshot::Sender<Fate>>,
}

enum State {
    Flowing(Incoming),
    /// The connection of the runtime broke. If its process has died, that is about to be known, and says more.
    Broken(Pin<Box<Sleep>>),
    Over,
}

/// What becomes of a stream, for the runtime's handler.
pub(crate) enum Fate {
    /// The invocation has ended.
    Ended,
    /// Nobody listens any more: here is the rest of the body.
    CallerLeft(Incoming),
    /// The invocation has ended, because there was more than may be: here is the rest of it.
    TooLarge(Incoming),
}

/// How an invocation whose response is streamed ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) error: Option<StreamError>,
    pub(crate) log_tail: Option<String>,
}

/// An error after the first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamError {
    pub(crate) error_type: HeaderValue,
    /// Base64 of its JSON.
    pub(crate) body: Option<HeaderValue>,
}

impl StreamError {
    /// What the runtime's own trailers say, if they say that there was an error.
    pub(crate) fn of_trailers(trailers: &HeaderMap) -> Option<Self> {
        let error_type = trailers.get(ERROR_TYPE).filter(|error_type| !error_type.is_empty())?.clone();
        Some(Self { error_type, body: trailers.get(ERROR_BODY).cloned() })
    }

    /// The error's JSON; what can be said of it if the runtime did not give any.
    pub(crate) fn json(&self) -> Payload {
        let given = self.body.as_ref().and_then(|body| BASE64.decode(body.as_bytes()).ok());
        given.map(Bytes::from).map_or_else(
            || {
                let error_type = serde_json::Value::from(String::from_utf8_lossy(self.error_type.as_bytes()));
                format!(r#"{{"errorType":{error_type}}}"#).into()
            },
            Payload::from,
        )
    }

    pub(crate) fn of_fault(fault: &Fault) -> Self {
        let body = HeaderValue::try_from(BASE64.encode(fault.body())).ok();
        Self { error_type: HeaderValue::from_static(fault.kind.error_type()), body }
    }
}

impl ResponseStream {
    pub(crate) fn new(
        emulator: Arc<Emulator>,
        id: Arc<str>,
        body: Incoming,
        ending: oneshot::Receiver<Ending>,
    ) -> (Self, oneshot::Receiver<Fate>) {
        let (fate, receiver) = oneshot::channel();
        let pace = emulator.stream_rules.rate.map(Pace::new);
        let state = State::Flowing(body);
        (Self { emulator, id, state, passed: 0, pace, ending, fate: Some(fate) }, receiver)
    }

    fn end_of_stream(&mut self, error: Option<StreamError>) {
        self.end(Outcome::Streamed { error, bytes: self.passed });
    }

    fn end(&mut self, outcome: Outcome) {
        self.state = State::Over;
        self.emulator.finish(&self.id, outcome);
    }

    /// What the runtime sent next. `None` says that the invocation has ended.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        /// The time between the end of a connection and the news of the end of its process.
        const PATIENCE: Duration = Duration::from_millis(100);
        loop {
            match &mut self.state {
                State::Flowing(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => return Poll::Ready(self.admit(data)),
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            let error = StreamError::of_trailers(&trailers);
                            self.end_of_stream(error);
                        }
                    },
                    Some(Err(_)) => {
                        self.state = State::Broken(Box::pin(sleep(PATIENCE)));
                        self.fate = None;
                    }
                    None => self.end_of_stream(None),
                },
                State::Broken(patience) => {
                    ready!(patience.as_mut().poll(cx));
                    let fault = Fault::truncated_response(&self.id);
                    self.end(Outcome::Fault(fault));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    /// Lets data pass up to the limit.
    fn admit(&mut self, data: Bytes) -> Option<Bytes> {
        let limit = self.emulator.stream_rules.limit;
        self.passed += data.len() as u64;
        if self.passed <= limit {
            return Some(data);
        }
        let state = std::mem::replace(&mut self.state, State::Over);
        if let (State::Flowing(body), Some(fate)) = (state, self.fate.take()) {
            drop(fate.send(Fate::TooLarge(body)));
        }
        self.end(Outcome::Fault(Fault::response_too_large(limit)));
        None
    }
}

impl Ending {
    fn trailers(self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        if let Some(StreamError { error_type, body }) = self.error {
            trailers.insert(ERROR_TYPE, error_type);
            trailers.extend(body.map(|body| (ERROR_BODY, body)));
        }
        let tail = self.log_tail.and_then(|tail| HeaderValue::try_from(tail).ok());
        trailers.extend(tail.map(|tail| (LOG_RESULT, tail)));
        trailers
    }
}

impl Body for ResponseStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ending.is_terminated() {
            return Poll::Ready(None);
        }
        loop {
            // An end that comes from elsewhere, such as a timeout, does not wait for what is still on its way.
            if let Poll::Ready(ending) = Pin::new(&mut self.ending).poll(cx) {
                self.state = State::Over;
                drop(self.fate.take().map(|fate| fate.send(Fate::Ended)));
                // Without an ending the instance was torn down, and the connection ends with it.
                return Poll::Ready(ending.ok().map(|ending| Ok(Frame::trailers(ending.trailers()))));
            }
            let Self { pace, passed, .. } = &mut *self;
            if let Some(pace) = pace {
                ready!(pace.poll(cx, *passed));
            }
            if let Some(data) = ready!(self.poll_data(cx)) {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        if let (State::Flowing(body), Some(fate)) = (state, self.fate.take()) {
            drop(fate.send(Fate::CallerLeft(body)));
        }
    }
}
