//! Layers.

use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::function::{S3Location, date};
use crate::catalog::layer::{LayerKey, LayerVersion};

/// `POST /2018-10-31/layers/{LayerName}/versions`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PublishLayerVersion {
    pub(in crate::api) content: Option<LayerContent>,
    pub(in crate::api) description: Option<String>,
    pub(in crate::api) license_info: Option<String>,
    pub(in crate::api) compatible_runtimes: Option<Vec<String>>,
    pub(in crate::api) compatible_architectures: Option<Vec<String>>,
}

/// Member `Content`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct LayerContent {
    pub(in crate::api) zip_file: Option<Blob>,
    #[serde(flatten)]
    pub(in crate::api) s3: S3Location,
}

/// A version of a layer: with `Content` the answer of publishing and getting it, without in lists.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct LayerVersionConfiguration {
    #[serde(flatten)]
    pub(in crate::api) content: Option<Content>,
    pub(in crate::api) layer_version_arn: String,
    pub(in crate::api) version: u32,
    pub(in crate::api) description: String,
    pub(in crate::api) created_date: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) compatible_runtimes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) license_info: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) compatible_architectures: Vec<String>,
}

/// What lists leave out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Content {
    pub(in crate::api) content: ContentLocation,
    pub(in crate::api) layer_arn: String,
}

/// Member `Content` of an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ContentLocation {
    pub(in crate::api) location: String,
    pub(in crate::api) code_sha256: String,
    pub(in crate::api) code_size: u64,
}

/// Answer of `GET /2018-10-31/layers`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListLayers {
    pub(in crate::api) layers: Vec<LayerSummary>,
    pub(in crate::api) next_marker: Option<String>,
}

/// One of `Layers`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct LayerSummary {
    pub(in crate::api) layer_name: String,
    pub(in crate::api) layer_arn: String,
    pub(in crate::api) latest_matching_version: LayerVersionConfiguration,
}

/// Answer of `GET /2018-10-31/layers/{LayerName}/versions`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListLayerVersions {
    pub(in crate::api) layer_versions: Vec<LayerVersionConfiguration>,
    pub(in crate::api) next_marker: Option<String>,
}

impl LayerVersionConfiguration {
    /// As lists show it.
    pub(in crate::api) fn listed(key: &LayerKey, version: &LayerVersion) -> Self {
        Self {
            content: None,
            layer_version_arn: format!("{}:{}", key.arn(), version.number),
            version: version.number,
            description: version.description.clone(),
            created_date: date(version.created),
            compatible_runtimes: version.runtimes.clone(),
            license_info: version.license.clone(),
            compatible_architectures: version.architectures.clone(),
        }
    }

    /// In full; `location` is where the code can be fetched.
    pub(in crate::api) fn new(key: &LayerKey, version: &LayerVersion, location: String) -> Self {
        let content = ContentLocation {
            location,
            code_sha256: version.package.sha256.base64(),
            code_size: version.package.size,
        };
        Self { content: Some(Content { content, layer_arn: key.arn() }), ..Self::listed(key, version) }
    }
}
