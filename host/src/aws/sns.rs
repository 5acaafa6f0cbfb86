//! Topics.

use std::fmt::Write as _;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::sqs::Attribute;
use super::{Arn, Aws, Call, CallError, SMALL_ANSWER, Service};

impl Aws {
    /// `Publish`; `arn` is the whole of what `topic` is made of.
    pub async fn publish(
        &self,
        arn: &str,
        topic: Arn<'_>,
        message: &str,
        attributes: &[Attribute<'_>],
    ) -> Result<(), CallError> {
        let mut form = "Action=Publish&Version=2010-03-31".to_owned();
        let mut add = |name: &str, value: &str| {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            let _never_fails = write!(form, "&{name}={value}");
        };
        add("TopicArn", arn);
        add("Message", message);
        for (place, (name, kind, value)) in (1..).zip(attributes) {
            let entry = format!("MessageAttributes.entry.{place}");
            add(&format!("{entry}.Name"), name);
            add(&format!("{entry}.Value.DataType"), kind);
            add(&format!("{entry}.Value.StringValue"), value);
        }
        self.call(Call {
            service: Service::Sns,
            account: topic.account,
            region: topic.region,
            method: Method::POST,
            path: "/",
            headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            body: form.into(),
            answer_limit: SMALL_ANSWER,
        })
        .await
        .map(drop)
    }
}
