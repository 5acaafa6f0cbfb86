//! The settings of a function, as requests give them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What `CreateFunction` and `UpdateFunctionConfiguration` have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Settings {
    pub(in crate::api) role: Option<String>,
    pub(in crate::api) runtime: Option<String>,
    pub(in crate::api) handler: Option<String>,
    pub(in crate::api) description: Option<String>,
    pub(in crate::api) timeout: Option<i64>,
    pub(in crate::api) memory_size: Option<i64>,
    pub(in crate::api) environment: Option<Environment>,
    #[serde(rename = "KMSKeyArn")]
    pub(in crate::api) kms_key_arn: Option<String>,
    pub(in crate::api) tracing_config: Option<TracingConfig>,
    pub(in crate::api) logging_config: Option<LoggingConfig>,
    pub(in crate::api) vpc_config: Option<VpcConfig>,
    pub(in crate::api) dead_letter_config: Option<DeadLetterConfig>,
    pub(in crate::api) file_system_configs: Option<Vec<FileSystemConfig>>,
    pub(in crate::api) ephemeral_storage: Option<EphemeralStorage>,
    pub(in crate::api) snap_start: Option<SnapStart>,
    pub(in crate::api) layers: Option<Vec<String>>,
    pub(in crate::api) image_config: Option<ImageConfig>,
    /// The others.
    #[serde(flatten)]
    pub(in crate::api) more: Map<String, Value>,
}

/// Member `Environment`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Environment {
    /// Name and value of each.
    pub(in crate::api) variables: Option<BTreeMap<String, String>>,
}

/// Member `TracingConfig`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct TracingConfig {
    /// `Active` or `PassThrough`.
    pub(in crate::api) mode: Option<String>,
}

/// Member `LoggingConfig`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct LoggingConfig {
    /// `JSON` or `Text`.
    pub(in crate::api) log_format: Option<String>,
    /// Only with `JSON`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) application_log_level: Option<String>,
    /// Only with `JSON`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) system_log_level: Option<String>,
    /// Where the log goes.
    pub(in crate::api) log_group: Option<String>,
}

/// Member `VpcConfig` of a request.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct VpcConfig {
    pub(in crate::api) subnet_ids: Option<Vec<String>>,
    pub(in crate::api) security_group_ids: Option<Vec<String>>,
    pub(in crate::api) ipv6_allowed_for_dual_stack: Option<bool>,
}

/// Member `DeadLetterConfig`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct DeadLetterConfig {
    /// A queue or a topic; empty for none.
    pub(in crate::api) target_arn: Option<String>,
}

/// One of `FileSystemConfigs`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct FileSystemConfig {
    /// Access point.
    pub(in crate::api) arn: Option<String>,
    /// Where it is mounted.
    pub(in crate::api) local_mount_path: Option<String>,
    /// Checked, and not kept.
    #[serde(rename = "S3FilesConfig", skip_serializing_if = "Option::is_none")]
    pub(in crate::api) s3_files_config: Option<Value>,
}

/// Member `EphemeralStorage`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct EphemeralStorage {
    /// Size of /tmp in MiB.
    pub(in crate::api) size: Option<i64>,
}

/// Member `SnapStart` of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct SnapStart {
    /// `PublishedVersions` or `None`.
    pub(in crate::api) apply_on: Option<String>,
}

/// Member `ImageConfig`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ImageConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) entry_point: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) working_directory: Option<String>,
}
