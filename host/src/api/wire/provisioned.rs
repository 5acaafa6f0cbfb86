//! Provisioned concurrency.

use serde::{Deserialize, Serialize};

use crate::catalog::provisioned::Provisioned;
use crate::driver::{Provisioning, ProvisioningFailure};

/// `PUT /2019-09-30/functions/{FunctionName}/provisioned-concurrency`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PutProvisionedConcurrency {
    pub(in crate::api) provisioned_concurrent_executions: Option<i64>,
}

/// Answer of `PUT` and `GET …/provisioned-concurrency`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ProvisionedConcurrency {
    /// With the qualifier; in lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    function_arn: Option<String>,
    requested_provisioned_concurrent_executions: u32,
    available_provisioned_concurrent_executions: u32,
    allocated_provisioned_concurrent_executions: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    last_modified: String,
}

/// Answer of `GET …/provisioned-concurrency?List=ALL`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListProvisionedConcurrency {
    pub(in crate::api) provisioned_concurrency_configs: Vec<ProvisionedConcurrency>,
    pub(in crate::api) next_marker: Option<String>,
}

impl ProvisionedConcurrency {
    /// What has just been asked for.
    pub(in crate::api) fn begun(provisioned: &Provisioned) -> Self {
        Self {
            function_arn: None,
            requested_provisioned_concurrent_executions: provisioned.requested,
            available_provisioned_concurrent_executions: 0,
            allocated_provisioned_concurrent_executions: 0,
            status: "IN_PROGRESS",
            status_reason: None,
            last_modified: provisioned.last_modified.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string(),
        }
    }

    /// How far it is, where `wanted` instances are to be ready for all that leads to the version.
    pub(in crate::api) fn seen(provisioned: &Provisioned, wanted: u32, seen: &Provisioning) -> Self {
        let ready = seen.ready.min(provisioned.requested);
        let (status, status_reason) = match &seen.failure {
            _ if wanted <= seen.ready => ("READY", None),
            None => ("IN_PROGRESS", None),
            Some(ProvisioningFailure::Init) => ("FAILED", Some("FUNCTION_ERROR_INIT_FAILURE".to_owned())),
            Some(ProvisioningFailure::Launch(error)) => ("FAILED", Some(error.to_string())),
        };
        Self {
            available_provisioned_concurrent_executions: ready,
            allocated_provisioned_concurrent_executions: ready,
            status,
            status_reason,
            ..Self::begun(provisioned)
        }
    }

    /// The same as an item of a list; the ARN has the qualifier.
    pub(in crate::api) fn listed(self, arn: String) -> Self {
        Self { function_arn: Some(arn), ..self }
    }
}
