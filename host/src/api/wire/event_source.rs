//! Event source mappings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::epoch_seconds;
use crate::catalog::function::{FunctionKey, partition};
use crate::catalog::resource::{EventSourceMapping, Place};

/// `POST /2015-03-31/event-source-mappings`, and `PUT …/{UUID}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PutEventSourceMapping {
    pub(in crate::api) event_source_arn: Option<String>,
    pub(in crate::api) function_name: Option<String>,
    pub(in crate::api) enabled: Option<bool>,
    pub(in crate::api) batch_size: Option<i64>,
    pub(in crate::api) maximum_batching_window_in_seconds: Option<i64>,
    pub(in crate::api) function_response_types: Option<Vec<String>>,
    /// Only when it is made.
    pub(in crate::api) tags: Option<BTreeMap<String, String>>,
    /// The others.
    #[serde(flatten)]
    pub(in crate::api) more: Map<String, Value>,
}

/// Answer of every operation on one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct EventSourceMappingConfiguration {
    #[serde(rename = "UUID")]
    uuid: String,
    event_source_mapping_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source_arn: Option<String>,
    function_arn: String,
    batch_size: u32,
    maximum_batching_window_in_seconds: u32,
    function_response_types: &'static [&'static str],
    last_modified: f64,
    state: &'static str,
    state_transition_reason: &'static str,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Answer of `GET /2015-03-31/event-source-mappings`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListEventSourceMappings {
    pub(in crate::api) event_source_mappings: Vec<EventSourceMappingConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next_marker: Option<String>,
}

impl EventSourceMappingConfiguration {
    /// A mapping of this account and region, as it is or in the state that its change is answered with.
    pub(in crate::api) fn new(
        place: &Place,
        mapping: &EventSourceMapping,
        changing: Option<&'static str>,
    ) -> Self {
        let Place { account, region } = place;
        let partition = partition(region);
        let id = &mapping.id;
        // AWS has a word for this of each of its teams.
        let service = mapping.source_arn.as_deref().and_then(|arn| arn.split(':').nth(2));
        let is_stream = matches!(service, Some("kinesis" | "dynamodb"));
        let settled = if mapping.enabled { "Enabled" } else { "Disabled" };
        Self {
            uuid: id.clone(),
            event_source_mapping_arn: format!(
                "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{id}"
            ),
            event_source_arn: mapping.source_arn.clone(),
            function_arn: function_arn(place, mapping),
            batch_size: mapping.batch_size,
            maximum_batching_window_in_seconds: mapping.window_seconds,
            function_response_types: if mapping.reports_failures {
                &["ReportBatchItemFailures"]
            } else {
                &[]
            },
            last_modified: epoch_seconds(mapping.last_modified),
            state: changing.unwrap_or(settled),
            state_transition_reason: if is_stream { "User action" } else { "USER_INITIATED" },
            more: mapping.more.clone(),
        }
    }
}

/// The ARN of a mapping's function, qualified if a qualifier was given.
pub(in crate::api) fn function_arn(place: &Place, mapping: &EventSourceMapping) -> String {
    let arn = FunctionKey::new(&place.account, &place.region, &mapping.function).arn();
    match &mapping.qualifier {
        Some(qualifier) => format!("{arn}:{qualifier}"),
        None => arn,
    }
}
