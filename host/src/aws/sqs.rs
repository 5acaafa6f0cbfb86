//! Queues.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Arn, Aws, Call, CallError, SMALL_ANSWER, Service};

/// What goes along with a message: name, type and value.
pub type Attribute<'a> = (&'a str, &'a str, &'a str);

/// Most messages of one call.
pub const MOST: u32 = 10;
/// Longest that a queue waits for a message, in seconds.
pub const LONGEST_WAIT: u64 = 20;

/// A message that was received. It comes again unless it is deleted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// Unique in its queue.
    pub message_id: String,
    /// What it is deleted by.
    pub receipt_handle: String,
    /// A text.
    pub body: String,
    /// Of the body.
    #[serde(rename = "MD5OfBody", default)]
    pub md5_of_body: String,
    /// Of the sender's attributes, if there are any.
    #[serde(rename = "MD5OfMessageAttributes")]
    pub md5_of_attributes: Option<String>,
    /// The queue's.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The sender's.
    #[serde(default)]
    pub message_attributes: BTreeMap<String, MessageAttribute>,
}

/// What a sender has sent along with a message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttribute {
    /// As in `String` or `Number`.
    pub data_type: String,
    /// A text, or a number in digits.
    pub string_value: Option<String>,
    /// Base64.
    pub binary_value: Option<String>,
}

/// Answer of `ReceiveMessage`; it has no member if there is no message.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    #[serde(default)]
    messages: Option<Vec<Message>>,
}

impl Aws {
    /// `ReceiveMessage`: at most [`MOST`]; waits for the first one up to [`LONGEST_WAIT`].
    pub async fn receive_messages(
        &self,
        queue: Arn<'_>,
        most: u32,
        wait_seconds: u64,
    ) -> Result<Vec<Message>, CallError> {
        let asked = json!({
            "QueueUrl": self.queue_url(queue)?,
            "MaxNumberOfMessages": most,
            "WaitTimeSeconds": wait_seconds,
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let answer = self.sqs(queue, "AmazonSQS.ReceiveMessage", &asked).await?;
        let received: Received = serde_json::from_slice(&answer).map_err(|error| {
            CallError::Request(format!("the queue's answer cannot be understood: {error}"))
        })?;
        Ok(received.messages.unwrap_or_default())
    }

    /// `DeleteMessageBatch` of at most [`MOST`] messages, by their receipt handles.
    pub async fn delete_messages(&self, queue: Arn<'_>, handles: &[&str]) -> Result<(), CallError> {
        let entries: Vec<_> = handles
            .iter()
            .enumerate()
            .map(|(place, handle)| json!({"Id": place.to_string(), "ReceiptHandle": handle}))
            .collect();
        let asked = json!({"QueueUrl": self.queue_url(queue)?, "Entries": entries});
        self.sqs(queue, "AmazonSQS.DeleteMessageBatch", &asked).await.map(drop)
    }

    /// `SendMessage`
    pub async fn send_message(
        &self,
        queue: Arn<'_>,
        body: &str,
        attributes: &[Attribute<'_>],
    ) -> Result<(), CallError> {
        let attributes: Map<_, _> = attributes
            .iter()
            .map(|(name, kind, value)| ((*name).to_owned(), json!({"DataType": kind, "StringValue": value})))
            .collect();
        let mut message = json!({"QueueUrl": self.queue_url(queue)?, "MessageBody": body});
        if !attributes.is_empty() {
            message["MessageAttributes"] = Value::Object(attributes);
        }
        self.sqs(queue, "AmazonSQS.SendMessage", &message).await.map(drop)
    }

    fn queue_url(&self, queue: Arn<'_>) -> Result<String, CallError> {
        Ok(format!("{}/{}/{}", self.endpoint(Service::Sqs)?, queue.account, queue.resource))
    }

    async fn sqs(&self, queue: Arn<'_>, target: &'static str, body: &Value) -> Result<Bytes, CallError> {
        self.call(Call {
            service: Service::Sqs,
            account: queue.account,
            region: queue.region,
            method: Method::POST,
            path: "/",
            headers: &[("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)],
            body: body.to_string().into(),
            answer_limit: SMALL_ANSWER,
        })
        .await
    }
}
