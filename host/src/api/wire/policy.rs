//! Permissions, and the policies that are made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST /2015-03-31/functions/{FunctionName}/policy`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct AddPermission {
    pub(in crate::api) statement_id: Option<String>,
    pub(in crate::api) action: Option<String>,
    pub(in crate::api) principal: Option<String>,
    pub(in crate::api) source_arn: Option<String>,
    pub(in crate::api) source_account: Option<String>,
    pub(in crate::api) event_source_token: Option<String>,
    pub(in crate::api) function_url_auth_type: Option<String>,
    pub(in crate::api) invoked_via_function_url: Option<bool>,
    #[serde(rename = "PrincipalOrgID")]
    pub(in crate::api) principal_org_id: Option<String>,
    pub(in crate::api) revision_id: Option<String>,
}

/// `POST /2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct AddLayerVersionPermission {
    pub(in crate::api) statement_id: Option<String>,
    pub(in crate::api) action: Option<String>,
    pub(in crate::api) principal: Option<String>,
    pub(in crate::api) organization_id: Option<String>,
}

/// Answer to a permission that was added.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Added {
    /// JSON in a text.
    pub(in crate::api) statement: String,
    /// Of a layer's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) revision_id: Option<String>,
}

/// Answer of `GetPolicy` and `GetLayerVersionPolicy`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct GetPolicy {
    /// JSON in a text.
    pub(in crate::api) policy: String,
    pub(in crate::api) revision_id: String,
}

/// A statement, in the order in which AWS writes its members.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct StatementDocument {
    pub(in crate::api) sid: String,
    pub(in crate::api) effect: &'static str,
    pub(in crate::api) principal: Principal,
    pub(in crate::api) action: String,
    pub(in crate::api) resource: String,
    #[serde(skip_serializing_if = "Condition::is_empty")]
    pub(in crate::api) condition: Condition,
}

/// Whom a statement is about.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::api) enum Principal {
    /// An ARN.
    #[serde(rename = "AWS")]
    Aws(String),
    /// As in `s3.amazonaws.com`.
    Service(String),
    /// `*`
    #[serde(untagged)]
    Everybody(&'static str),
}

/// When a statement holds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Condition {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::api) string_equals: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::api) bool: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::api) arn_like: BTreeMap<&'static str, String>,
}

impl Condition {
    fn is_empty(&self) -> bool {
        self.string_equals.is_empty() && self.bool.is_empty() && self.arn_like.is_empty()
    }
}
