//! A batch of messages, as a function is given it, and what the function tells of it.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::aws::sqs::{Message, MessageAttribute};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    records: Vec<Record<'a>>,
}

/// AWS's record of a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: &'a BTreeMap<String, String>,
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<&'a str>,
    md5_of_body: &'a str,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<&'a str>,
    string_list_values: [&'a str; 0],
    binary_list_values: [&'a str; 0],
    data_type: &'a str,
}

/// The event for a function.
pub(super) fn event(source_arn: &str, region: &str, messages: &[Message]) -> Bytes {
    let records = messages.iter().map(|message| record(source_arn, region, message)).collect();
    serde_json::to_vec(&Event { records }).unwrap_or_default().into()
}

/// A message as functions and filters see it.
pub(super) fn record<'a>(source_arn: &'a str, region: &'a str, message: &'a Message) -> Record<'a> {
    let attributes = message.message_attributes.iter();
    Record {
        message_id: &message.message_id,
        receipt_handle: &message.receipt_handle,
        body: &message.body,
        attributes: &message.attributes,
        message_attributes: attributes.map(|(name, it)| (name.as_str(), attribute(it))).collect(),
        md5_of_message_attributes: message.md5_of_attributes.as_deref(),
        md5_of_body: &message.md5_of_body,
        event_source: "aws:sqs",
        event_source_arn: source_arn,
        aws_region: region,
    }
}

fn attribute(attribute: &MessageAttribute) -> Attribute<'_> {
    Attribute {
        string_value: attribute.string_value.as_deref(),
        binary_value: attribute.binary_value.as_deref(),
        string_list_values: [],
        binary_list_values: [],
        data_type: &attribute.data_type,
    }
}

/// Which messages of a batch the function has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Everything,
    Nothing,
    /// All but those with these ids.
    AllBut(HashSet<String>),
}

/// What a function answers that tells of its failures.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Done {
    /// What a function's answer says. One that cannot be understood, or that names a message which is not in the
    /// batch, counts as a failure of the whole batch.
    pub(super) fn reported(answer: &[u8], messages: &[Message]) -> Self {
        let Ok(report) = serde_json::from_slice::<Option<Report>>(answer) else { return Self::Nothing };
        let failures = report.and_then(|report| report.batch_item_failures).unwrap_or_default();
        let failed: HashSet<_> = failures.into_iter().map(|failure| failure.item_identifier).collect();
        let ids: HashSet<_> = messages.iter().map(|message| &message.message_id).collect();
        if failed.is_empty() {
            Self::Everything
        } else if failed.iter().all(|id| ids.contains(id)) {
            Self::AllBut(failed)
        } else {
            Self::Nothing
        }
    }

    /// Whether this message is done.
    pub(super) fn includes(&self, message_id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::AllBut(failed) => !failed.contains(message_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        let text = r#"[
            {"MessageId": "a", "ReceiptHandle": "ra", "Body": "1", "MD5OfBody": "m",
             "Attributes": {"ApproximateReceiveCount": "1"},
             "MessageAttributes": {"Title": {"DataType": "String", "StringValue": "t"}},
             "MD5OfMessageAttributes": "n"},
            {"MessageId": "b", "ReceiptHandle": "rb", "Body": "2"}
        ]"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_batch_is_what_aws_was_recorded_to_send() {
        let event = event("arn", "us-east-1", &messages());
        assert_eq!(
            String::from_utf8_lossy(&event),
            r#"{"Records":[{"messageId":"a","receiptHandle":"ra","body":"1","attributes":{"ApproximateReceiveCount":"1"},"messageAttributes":{"Title":{"stringValue":"t","stringListValues":[],"binaryListValues":[],"dataType":"String"}},"md5OfMessageAttributes":"n","md5OfBody":"m","eventSource":"aws:sqs","eventSourceARN":"arn","awsRegion":"us-east-1"},{"messageId":"b","receiptHandle":"rb","body":"2","attributes":{},"messageAttributes":{},"md5OfBody":"","eventSource":"aws:sqs","eventSourceARN":"arn","awsRegion":"us-east-1"}]}"#
        );
    }

    #[test]
    fn a_report_names_what_is_to_come_again() {
        let only_b = Done::AllBut(HashSet::from(["b".to_owned()]));
        for (answer, expected) in [
            (r#"{"batchItemFailures": [{"itemIdentifier": "b"}]}"#, only_b),
            (r#"{"batchItemFailures": []}"#, Done::Everything),
            (r#"{"batchItemFailures": null}"#, Done::Everything),
            ("{}", Done::Everything),
            ("null", Done::Everything),
            (r#"{"batchItemFailures": [{"itemIdentifier": "c"}]}"#, Done::Nothing),
            (r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#, Done::Nothing),
            (r#"{"batchItemFailures": [{"item": "b"}]}"#, Done::Nothing),
            (r#""done""#, Done::Nothing),
        ] {
            assert_eq!(Done::reported(answer.as_bytes(), &messages()), expected, "{answer}");
        }
    }
}
