//! Aliases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::alias::Alias;

/// `POST /2015-03-31/functions/{FunctionName}/aliases`, and `PUT …/aliases/{Name}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PutAlias {
    pub(in crate::api) name: Option<String>,
    pub(in crate::api) function_version: Option<String>,
    pub(in crate::api) description: Option<String>,
    pub(in crate::api) routing_config: Option<RoutingConfig>,
    pub(in crate::api) revision_id: Option<String>,
}

/// Member `RoutingConfig`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct RoutingConfig {
    /// Version and weight; one at most.
    pub(in crate::api) additional_version_weights: Option<BTreeMap<String, f64>>,
}

/// Answer of every operation on an alias.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct AliasConfiguration {
    pub(in crate::api) alias_arn: String,
    pub(in crate::api) name: String,
    pub(in crate::api) function_version: String,
    pub(in crate::api) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) routing_config: Option<RoutingConfig>,
    pub(in crate::api) revision_id: String,
}

/// Answer of `GET /2015-03-31/functions/{FunctionName}/aliases`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListAliases {
    pub(in crate::api) aliases: Vec<AliasConfiguration>,
    pub(in crate::api) next_marker: Option<String>,
}

impl AliasConfiguration {
    /// The alias of the function with this ARN.
    pub(in crate::api) fn new(function_arn: &str, alias: &Alias) -> Self {
        Self {
            alias_arn: format!("{function_arn}:{}", alias.name),
            name: alias.name.clone(),
            function_version: alias.version.to_string(),
            description: alias.description.clone(),
            routing_config: alias.routing.map(|route| RoutingConfig {
                additional_version_weights: Some(BTreeMap::from([(route.version.to_string(), route.weight)])),
            }),
            revision_id: alias.revision_id.clone(),
        }
    }
}
