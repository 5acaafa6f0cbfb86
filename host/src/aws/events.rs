//! Event buses.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Arn, Aws, Call, CallError, SMALL_ANSWER, Service};

/// An event for a bus.
#[derive(Debug)]
pub struct Event<'a> {
    /// What kind of event it is.
    pub detail_type: &'a str,
    /// JSON.
    pub detail: &'a str,
    /// ARNs of what it is about.
    pub resources: &'a [&'a str],
}

/// What is answered although an event was not taken.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEventsAnswer {
    #[serde(default)]
    failed_entry_count: u32,
}

impl Aws {
    /// `PutEvents` of one event, with Lambda as its source.
    pub async fn put_event(&self, bus: Arn<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let name = bus.resource.strip_prefix("event-bus/").unwrap_or(bus.resource);
        let entries = json!({"Entries": [{
            "Source": "lambda",
            "DetailType": event.detail_type,
            "Detail": event.detail,
            "Resources": event.resources,
            "EventBusName": name,
        }]});
        let answer = self
            .call(Call {
                service: Service::Events,
                account: bus.account,
                region: bus.region,
                method: Method::POST,
                path: "/",
                headers: &[
                    ("content-type", "application/x-amz-json-1.1"),
                    ("x-amz-target", "AWSEvents.PutEvents"),
                ],
                body: entries.to_string().into(),
                answer_limit: SMALL_ANSWER,
            })
            .await?;
        match serde_json::from_slice::<PutEventsAnswer>(&answer) {
            Ok(PutEventsAnswer { failed_entry_count: 1.. }) => Err(CallError::Refused {
                endpoint: self.endpoint(Service::Events)?.to_owned(),
                status: 200,
                text: String::from_utf8_lossy(&answer).into_owned(),
            }),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
