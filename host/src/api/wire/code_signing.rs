//! Code signing configs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::function::date;
use crate::catalog::function::partition;
use crate::catalog::resource::{CodeSigningConfig, Place};

/// `POST /2020-04-22/code-signing-configs`, and `PUT …/{CodeSigningConfigArn}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PutCodeSigningConfig {
    pub(in crate::api) description: Option<String>,
    pub(in crate::api) allowed_publishers: Option<AllowedPublishers>,
    pub(in crate::api) code_signing_policies: Option<CodeSigningPolicies>,
    /// Only when it is made.
    pub(in crate::api) tags: Option<BTreeMap<String, String>>,
}

/// Member `AllowedPublishers`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct AllowedPublishers {
    pub(in crate::api) signing_profile_version_arns: Option<Vec<String>>,
}

/// Member `CodeSigningPolicies`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct CodeSigningPolicies {
    pub(in crate::api) untrusted_artifact_on_deployment: Option<String>,
}

/// Answer of every operation on one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Described {
    pub(in crate::api) code_signing_config: Shown,
}

/// Answer of `GET /2020-04-22/code-signing-configs`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListCodeSigningConfigs {
    pub(in crate::api) code_signing_configs: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next_marker: Option<String>,
}

/// Answer of `GET /2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListFunctionArns {
    pub(in crate::api) function_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next_marker: Option<String>,
}

/// `PUT /2020-06-30/functions/{FunctionName}/code-signing-config`, and the answers of it and of `GET`: empty if a
/// function has none.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct FunctionCodeSigning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) code_signing_config_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) function_name: Option<String>,
}

/// One config.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Shown {
    code_signing_config_id: String,
    code_signing_config_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    allowed_publishers: AllowedPublishers,
    code_signing_policies: CodeSigningPolicies,
    last_modified: String,
}

impl Shown {
    /// A config of this account and region.
    pub(in crate::api) fn new(place: &Place, config: &CodeSigningConfig) -> Self {
        Self {
            code_signing_config_id: config.id.clone(),
            code_signing_config_arn: arn(place, &config.id),
            description: config.description.clone(),
            allowed_publishers: AllowedPublishers {
                signing_profile_version_arns: Some(config.publishers.clone()),
            },
            code_signing_policies: CodeSigningPolicies {
                untrusted_artifact_on_deployment: Some(config.untrusted_artifact.clone()),
            },
            last_modified: date(config.last_modified),
        }
    }
}

/// The ARN of a config.
pub(in crate::api) fn arn(place: &Place, id: &str) -> String {
    let Place { account, region } = place;
    format!("arn:{}:lambda:{region}:{account}:code-signing-config:{id}", partition(region))
}
