//! Tells what came of an asynchronous invocation: the record that AWS makes of it, and where it goes.
//!
//! A destination is told of every outcome of its kind; a dead-letter queue gets the events that are given up, as
//! they were. A function that is a destination is invoked by the event queue itself.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::aws::events::Event;
use crate::aws::s3::Object;
use crate::aws::sqs::Attribute;
use crate::aws::{Arn, Aws, CallError};

#[cfg(test)]
mod tests;

/// Pauses before another try to reach a service; so many tries and one.
const RETRY_DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// Most of an error message that a dead letter carries, in bytes.
const MAX_ERROR_MESSAGE: usize = 1024;

/// What came of an event, after its last try.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// As in `us-east-1`.
    pub region: &'a str,
    /// Bare name of the function.
    pub function: &'a str,
    /// ARN with a qualifier.
    pub arn: String,
    /// The same on each try.
    pub request_id: &'a str,
    /// The event: JSON.
    pub payload: &'a Bytes,
    /// AWS's word for why there are no more tries.
    pub condition: Condition,
    /// Tries in which the function ran.
    pub invoke_count: u32,
    /// What it answered at last, if the last try ran at all.
    pub response: Option<Response>,
}

/// Why an event is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Condition {
    /// It has succeeded.
    Success,
    /// The function failed as often as it may.
    RetriesExhausted,
    /// It would be too old by the next try.
    EventAgeExceeded,
    /// The function may have no instance.
    ZeroReservedConcurrency,
    /// The function is gone.
    FunctionDeleted,
    /// The function has called itself, through others, too often. AWS's word for it is not known.
    RecursiveInvocation,
}

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// `$LATEST` or a number.
    pub version: String,
    /// JSON.
    pub payload: Bytes,
    /// Whether it describes an error.
    pub is_error: bool,
}

/// AWS's record of an outcome.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Payload<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: &'a str,
    condition: Condition,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// JSON as it came, to the last digit; what is none is a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Text(String),
}

impl<'a> Payload<'a> {
    fn new(bytes: &'a Bytes) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

impl Outcome<'_> {
    /// AWS's record of it, made at this moment.
    pub fn record(&self, now: Timestamp) -> String {
        let record = Record {
            version: "1.0",
            timestamp: now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            request_context: RequestContext {
                request_id: self.request_id,
                function_arn: &self.arn,
                condition: self.condition,
                approximate_invoke_count: self.invoke_count,
            },
            request_payload: Payload::new(self.payload),
            response_context: self.response.as_ref().map(|response| ResponseContext {
                status_code: 200,
                executed_version: &response.version,
                function_error: response.is_error.then_some("Unhandled"),
            }),
            response_payload: self.response.as_ref().map(|response| Payload::new(&response.payload)),
        };
        serde_json::to_string(&record).unwrap_or_default()
    }

    /// The status code and the text that a dead letter has for its cause.
    fn error(&self) -> (&'static str, String) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Described {
            error_message: String,
        }
        if self.condition == Condition::RecursiveInvocation {
            return ("400", "The function was invoked in a recursive loop.".to_owned());
        }
        let Some(response) = &self.response else { return ("429", "Rate Exceeded.".to_owned()) };
        let described = serde_json::from_slice::<Described>(&response.payload);
        let mut text = described.map(|described| described.error_message).unwrap_or_default();
        text.truncate(text.floor_char_boundary(MAX_ERROR_MESSAGE));
        ("200", text)
    }
}

/// Reaches destinations and dead-letter queues in other services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Destinations {
    aws: Aws,
}

impl Destinations {
    /// Destinations that are reached over this.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Tells a destination. What cannot be delivered after some tries is lost, and logged.
    pub async fn tell(&self, destination: &str, outcome: &Outcome<'_>, now: Timestamp) {
        let message = Message {
            text: outcome.record(now).into(),
            attributes: Vec::new(),
            key: s3_key(outcome.function, now),
        };
        self.insist(destination, outcome, &message).await;
    }

    /// Puts the event that was given up into a queue or a topic, with the cause. What cannot be delivered after
    /// some tries is lost, and logged.
    pub async fn bury(&self, dead_letters: &str, outcome: &Outcome<'_>) {
        let (code, cause) = outcome.error();
        let mut attributes = vec![("RequestID", "String", outcome.request_id), ("ErrorCode", "Number", code)];
        // No service takes an attribute without a value.
        if !cause.is_empty() {
            attributes.push(("ErrorMessage", "String", &cause));
        }
        let text = String::from_utf8_lossy(outcome.payload);
        self.insist(dead_letters, outcome, &Message { text, attributes, key: String::new() }).await;
    }

    async fn insist(&self, arn: &str, outcome: &Outcome<'_>, message: &Message<'_>) {
        let mut delays = RETRY_DELAYS.into_iter();
        while let Err(error) = self.send(arn, outcome, message).await {
            let Some(delay) = delays.next().filter(|_| error.may_pass()) else {
                let (function, request_id) = (outcome.function, outcome.request_id);
                tracing::error!(function, request_id, arn, %error, "nobody can be told of the end of an event");
                return;
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn send(&self, to: &str, outcome: &Outcome<'_>, message: &Message<'_>) -> Result<(), CallError> {
        let unfit = || CallError::Request(format!("nothing can be sent to {to}"));
        let arn = Arn::parse(to).ok_or_else(unfit)?;
        let Message { text, attributes, key } = message;
        match arn.service {
            "sqs" => self.aws.send_message(arn, text, attributes).await,
            "sns" => self.aws.publish(to, arn, text, attributes).await,
            "events" => {
                let detail_type = match outcome.condition {
                    Condition::Success => "Lambda Function Invocation Result - Success",
                    _ => "Lambda Function Invocation Result - Failure",
                };
                let resources = [outcome.arn.as_str(), to];
                self.aws.put_event(arn, &Event { detail_type, detail: text, resources: &resources }).await
            }
            "s3" => {
                let Outcome { account, region, .. } = *outcome;
                let object = Object { account, region, bucket: arn.resource, key };
                self.aws.put_object(object, Bytes::copy_from_slice(text.as_bytes())).await
            }
            _ => Err(unfit()),
        }
    }
}

/// What is sent.
struct Message<'a> {
    text: Cow<'a, str>,
    attributes: Vec<Attribute<'a>>,
    /// Its name in a bucket.
    key: String,
}

/// Where AWS puts the record of an outcome in a bucket.
fn s3_key(function: &str, now: Timestamp) -> String {
    let id = Uuid::new_v4();
    format!("aws/lambda/async/{function}/{}-{id}", now.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S"))
}
