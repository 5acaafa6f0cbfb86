//! CloudWatch Logs.

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use super::{Aws, Call, CallError, SMALL_ANSWER, Service};

/// A log stream.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// As in `us-east-1`.
    pub region: &'a str,
    /// As in `/aws/lambda/hello`.
    pub group: &'a str,
    /// Unique in its group.
    pub name: &'a str,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputLogEvent {
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// Not empty.
    pub message: String,
}

#[derive(Serialize)]
struct Asked<'a> {
    #[serde(rename = "logGroupName")]
    group: &'a str,
    #[serde(rename = "logStreamName", skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(rename = "logEvents", skip_serializing_if = "Option::is_none")]
    events: Option<&'a [InputLogEvent]>,
}

impl Aws {
    /// `CreateLogGroup` and `CreateLogStream`; what is there already is as good.
    pub async fn create_log_stream(&self, stream: Stream<'_>) -> Result<(), CallError> {
        let group = Asked { group: stream.group, stream: None, events: None };
        unless_it_exists(self.logs(stream, "Logs_20140328.CreateLogGroup", &group).await)?;
        let whole = Asked { stream: Some(stream.name), ..group };
        unless_it_exists(self.logs(stream, "Logs_20140328.CreateLogStream", &whole).await)
    }

    /// `PutLogEvents`: in order of their times, not more than AWS takes at once.
    pub async fn put_log_events(
        &self,
        stream: Stream<'_>,
        events: &[InputLogEvent],
    ) -> Result<(), CallError> {
        let asked = Asked { group: stream.group, stream: Some(stream.name), events: Some(events) };
        self.logs(stream, "Logs_20140328.PutLogEvents", &asked).await.map(drop)
    }

    async fn logs(
        &self,
        stream: Stream<'_>,
        target: &'static str,
        asked: &Asked<'_>,
    ) -> Result<Bytes, CallError> {
        self.call(Call {
            service: Service::Logs,
            account: stream.account,
            region: stream.region,
            method: Method::POST,
            path: "/",
            headers: &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)],
            body: serde_json::to_vec(asked).map_err(|error| CallError::Request(error.to_string()))?.into(),
            answer_limit: SMALL_ANSWER,
        })
        .await
    }
}

fn unless_it_exists(answer: Result<Bytes, CallError>) -> Result<(), CallError> {
    match answer {
        Err(CallError::Refused { text, .. }) if text.contains("ResourceAlreadyExistsException") => Ok(()),
        other => other.map(drop),
    }
}
