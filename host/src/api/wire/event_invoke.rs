//! How asynchronous invocations are treated.

use serde::{Deserialize, Serialize};

use super::epoch_seconds;
use crate::catalog::qualified::EventInvokeConfig;

/// `PUT` and `POST /2019-09-25/functions/{FunctionName}/event-invoke-config`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PutEventInvokeConfig {
    pub(in crate::api) maximum_retry_attempts: Option<i64>,
    pub(in crate::api) maximum_event_age_in_seconds: Option<i64>,
    pub(in crate::api) destination_config: Option<DestinationConfig>,
}

/// Member `DestinationConfig`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct DestinationConfig {
    pub(in crate::api) on_success: Option<Destination>,
    pub(in crate::api) on_failure: Option<Destination>,
}

/// Members `OnSuccess` and `OnFailure`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Destination {
    /// ARN; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) destination: Option<String>,
}

/// Answer of every operation on such a config.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct FunctionEventInvokeConfig {
    pub(in crate::api) last_modified: f64,
    pub(in crate::api) function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) maximum_retry_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) maximum_event_age_in_seconds: Option<u32>,
    pub(in crate::api) destination_config: DestinationConfig,
}

/// Answer of `GET /2019-09-25/functions/{FunctionName}/event-invoke-config/list`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListEventInvokeConfigs {
    pub(in crate::api) function_event_invoke_configs: Vec<FunctionEventInvokeConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next_marker: Option<String>,
}

impl FunctionEventInvokeConfig {
    /// The config under this qualified ARN.
    pub(in crate::api) fn new(function_arn: String, config: &EventInvokeConfig) -> Self {
        let shown = |arn: &Option<String>| Some(Destination { destination: arn.clone() });
        Self {
            last_modified: epoch_seconds(config.last_modified),
            function_arn,
            maximum_retry_attempts: config.max_retries,
            maximum_event_age_in_seconds: config.max_age_seconds,
            destination_config: DestinationConfig {
                on_success: shown(&config.on_success),
                on_failure: shown(&config.on_failure),
            },
        }
    }
}
