//! Queues.

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};

use super::{Arn, Aws, Call, CallError, Service};

/// What goes along with a message: name, type and value.
pub type Attribute<'a> = (&'a str, &'a str, &'a str);

impl Aws {
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
        })
        .await
    }
}
