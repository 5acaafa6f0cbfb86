//! An invocation whose response is passed on while the function writes it.
//!
//! A task of the host owns it from its beginning: unlike a buffered one, it goes on after the request's future
//! has returned the head of the answer. What arrives goes through a short channel to whoever listens, so that a
//! slow client slows the function and nothing piles up here. When nobody listens any more, the rest is read
//! and thrown away: only its end tells what became of the instance.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};

use super::connection::{Connection, TimedOut};
use super::forward::{self, Failed, Forwarded, Mode, NotRun};
use super::{Answered, Invocation};
use crate::driver::{Instance, Reserved};
use crate::metrics::Metrics;

/// Pieces that wait for a client. hyper bounds each of them, at about 400 KiB.
const PIECES: usize = 2;

const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");

/// A response that is being written.
#[derive(Debug)]
pub struct Streamed {
    /// What the function says that it writes; nothing is known of a response that failed before its first byte.
    pub content_type: Option<HeaderValue>,
    /// What the function wrote, as it comes.
    pub chunks: mpsc::Receiver<Bytes>,
    /// How it ended: there when the chunks are over, unless the host is going down.
    pub ending: oneshot::Receiver<Ending>,
}

/// How a streamed response ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Set if the function failed, before its first byte or after.
    pub error: Option<StreamError>,
    /// The last 4 KiB of the log in base64, if they were wanted and the instance can tell.
    pub log_result: Option<String>,
}

/// An error of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// Its type, if there is one.
    pub error_type: Option<String>,
    /// Its description: JSON.
    pub details: String,
}

/// Told once: the response begins, or why the event was not run.
pub(super) type Opening = oneshot::Sender<Result<Streamed, NotRun>>;

/// Sends the event to the instance and passes its response on, to its end.
pub(super) async fn run(
    reserved: Reserved,
    invocation: Arc<Invocation>,
    opening: Opening,
    metrics: Arc<Metrics>,
) {
    let mut listener = Listener::Waiting(opening);
    let ended = forward(reserved, &invocation, &mut listener).await;
    match ended {
        Ok(ending) => {
            metrics.streamed(&invocation.target.function.name, ending.error.is_some());
            listener.end(ending);
        }
        Err(why) => listener.refuse(why),
    }
}

async fn forward(
    reserved: Reserved,
    invocation: &Invocation,
    listener: &mut Listener,
) -> Result<Ending, NotRun> {
    let instance = Arc::clone(reserved.instance());
    let mut connection = match forward::open(&instance).await {
        Ok(connection) => connection,
        Err(problem) => {
            reserved.discard();
            return Err(NotRun::Unfit(problem));
        }
    };
    let in_flight = reserved.begin();
    let exchanged = tokio::select! {
        biased;
        exchanged = exchange(&mut connection, &instance, invocation, listener) => exchanged,
        cause = instance.death() => return Ok(forward::exited(invocation, cause).into()),
    };
    match exchanged {
        Ok((head, ending)) => {
            // Before the client hears of the end: its next request is to find the instance free.
            forward::give_back(in_flight, connection, &head);
            Ok(ending)
        }
        Err(Failed::Throttled(head)) => {
            forward::give_back(in_flight, connection, &head);
            Err(NotRun::Throttled)
        }
        // Dropping `in_flight` ends the instance.
        Err(failed) => match failed.outcome(&instance, invocation) {
            Forwarded::Answered(answered) => Ok(answered.into()),
            Forwarded::NotRun(why) => Err(why),
        },
    }
}

async fn exchange(
    connection: &mut Connection,
    instance: &Instance,
    invocation: &Invocation,
    listener: &mut Listener,
) -> Result<(Response<()>, Ending), Failed> {
    let response = forward::send(connection, instance, invocation, Mode::Streaming).await?;
    let (parts, body) = response.into_parts();
    let head = Response::from_parts(parts, ());
    let is_failure = head.headers().contains_key(&forward::FUNCTION_ERROR);
    if head.status() != StatusCode::OK || is_failure {
        let payload = forward::receive(connection, body).await?;
        if head.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failed::Throttled(head));
        }
        if head.status() != StatusCode::OK {
            return Err(Failed::Refused(head.status(), payload));
        }
        let log_result = forward::log_result(head.headers());
        return Ok((head, Ending { error: Some(StreamError::described(&payload)), log_result }));
    }
    listener.begin(head.headers().get(CONTENT_TYPE).cloned());
    let trailers = relay(connection, body, invocation, listener).await?;
    let log_result = forward::log_result(&trailers).or_else(|| forward::log_result(head.headers()));
    Ok((head, Ending { error: StreamError::of_trailers(&trailers), log_result }))
}

/// Passes the body on, piece by piece; its trailers say how it ended.
async fn relay(
    connection: &mut Connection,
    mut body: Incoming,
    invocation: &Invocation,
    listener: &mut Listener,
) -> Result<HeaderMap, Failed> {
    while let Some(frame) = connection.drive(body.frame()).await.map_err(|TimedOut| Failed::TimedOut)? {
        match frame.map_err(Failed::Broken)?.into_data() {
            Ok(data) => {
                if connection.drive(listener.pass(data)).await.is_err() {
                    // The time is over because the client has not read. The instance has counted it, too, and
                    // is left a moment to say how it ended; the client has not had the whole, and is told so.
                    listener.cut_off(forward::timed_out(invocation).into());
                    connection.limit(forward::PATIENCE);
                }
            }
            Err(frame) => return Ok(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(HeaderMap::new())
}

/// Whoever the response is for.
enum Listener {
    /// For the first word.
    Waiting(Opening),
    /// To what comes.
    Listening(mpsc::Sender<Bytes>, oneshot::Sender<Ending>),
    /// No more.
    Gone,
}

impl Listener {
    fn begin(&mut self, content_type: Option<HeaderValue>) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Waiting(opening) => {
                let (chunks, chunks_out) = mpsc::channel(PIECES);
                let (ending, ending_out) = oneshot::channel();
                let streamed = Streamed { content_type, chunks: chunks_out, ending: ending_out };
                match opening.send(Ok(streamed)) {
                    Ok(()) => Self::Listening(chunks, ending),
                    Err(_) => Self::Gone,
                }
            }
            begun @ (Self::Listening(..) | Self::Gone) => begun,
        };
    }

    /// Waits for room. An empty piece is none.
    async fn pass(&mut self, data: Bytes) {
        if let Self::Listening(chunks, _) = self
            && !data.is_empty()
            && chunks.send(data).await.is_err()
        {
            *self = Self::Gone;
        }
    }

    fn cut_off(&mut self, ending: Ending) {
        std::mem::replace(self, Self::Gone).end(ending);
    }

    fn end(mut self, ending: Ending) {
        self.begin(None);
        if let Self::Listening(_, told) = self {
            // Nobody may be there to hear it.
            let _left = told.send(ending);
        }
    }

    fn refuse(self, why: NotRun) {
        if let Self::Waiting(opening) = self {
            let _left = opening.send(Err(why));
        }
    }
}

impl StreamError {
    /// An error that is the whole answer: its type is in it.
    fn described(payload: &[u8]) -> Self {
        let description: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
        let error_type = description.as_ref().and_then(|it| it.get("errorType")?.as_str()).map(str::to_owned);
        Self { error_type, details: String::from_utf8_lossy(payload).into_owned() }
    }

    /// An error after the first byte. Its type is there even if the runtime gave no description.
    fn of_trailers(trailers: &HeaderMap) -> Option<Self> {
        let error_type = String::from_utf8_lossy(trailers.get(&ERROR_TYPE)?.as_bytes()).into_owned();
        let body = trailers.get(&ERROR_BODY).and_then(|body| STANDARD.decode(body.as_bytes()).ok());
        let details = match body {
            Some(body) => String::from_utf8_lossy(&body).into_owned(),
            None => serde_json::json!({ "errorType": error_type }).to_string(),
        };
        Some(Self { error_type: Some(error_type), details })
    }
}

impl From<Answered> for Ending {
    /// Of a failure that the host describes itself.
    fn from(answered: Answered) -> Self {
        Self { error: Some(StreamError::described(&answered.payload)), log_result: answered.log_result }
    }
}
