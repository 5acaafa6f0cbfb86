//! Functions and versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::blob::Blob;
use super::settings::{
    DeadLetterConfig, Environment, EphemeralStorage, FileSystemConfig, ImageConfig, LoggingConfig, Settings,
    TracingConfig,
};
use crate::catalog::digest::Digest;
use crate::catalog::function::{
    Code, Function, FunctionConfig, ImageCode, LogFormat, SnapStart, Status, Version, VersionName,
};

/// `POST /2015-03-31/functions`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct CreateFunction {
    pub(in crate::api) function_name: Option<String>,
    pub(in crate::api) code: Option<FunctionCode>,
    pub(in crate::api) package_type: Option<String>,
    pub(in crate::api) architectures: Option<Vec<String>>,
    pub(in crate::api) publish: Option<bool>,
    pub(in crate::api) code_signing_config_arn: Option<String>,
    pub(in crate::api) tags: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    pub(in crate::api) settings: Settings,
}

/// Member `Code`: exactly one of zip file, S3 object and image.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct FunctionCode {
    pub(in crate::api) zip_file: Option<Blob>,
    #[serde(flatten)]
    pub(in crate::api) s3: S3Location,
    pub(in crate::api) image_uri: Option<String>,
}

/// Where code is in a bucket, as far as the caller said.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(in crate::api) struct S3Location {
    #[serde(rename = "S3Bucket")]
    pub(in crate::api) bucket: Option<String>,
    #[serde(rename = "S3Key")]
    pub(in crate::api) key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    pub(in crate::api) version: Option<String>,
    /// Checked, and not looked at: code is always copied.
    #[serde(rename = "S3ObjectStorageMode")]
    pub(in crate::api) storage_mode: Option<String>,
    /// Checked, and not looked at: buckets decrypt what they give away.
    #[serde(rename = "SourceKMSKeyArn")]
    pub(in crate::api) key_arn: Option<String>,
}

/// `PUT /2015-03-31/functions/{FunctionName}/code`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct UpdateFunctionCode {
    pub(in crate::api) zip_file: Option<Blob>,
    #[serde(flatten)]
    pub(in crate::api) s3: S3Location,
    pub(in crate::api) image_uri: Option<String>,
    pub(in crate::api) architectures: Option<Vec<String>>,
    pub(in crate::api) publish: Option<bool>,
    pub(in crate::api) dry_run: Option<bool>,
    pub(in crate::api) revision_id: Option<String>,
    /// The others.
    #[serde(flatten)]
    pub(in crate::api) more: Map<String, Value>,
}

/// `PUT /2015-03-31/functions/{FunctionName}/configuration`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct UpdateFunctionConfiguration {
    pub(in crate::api) revision_id: Option<String>,
    #[serde(flatten)]
    pub(in crate::api) settings: Settings,
}

/// `POST /2015-03-31/functions/{FunctionName}/versions`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PublishVersion {
    pub(in crate::api) code_sha256: Option<String>,
    pub(in crate::api) description: Option<String>,
    pub(in crate::api) revision_id: Option<String>,
    /// The others.
    #[serde(flatten)]
    pub(in crate::api) more: Map<String, Value>,
}

/// Answer of `GET /2015-03-31/functions/{FunctionName}`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct GetFunction {
    pub(in crate::api) configuration: FunctionConfiguration,
    pub(in crate::api) code: CodeLocation,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::api) tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) concurrency: Option<Concurrency>,
}

/// Where code can be fetched.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase", untagged)]
pub(in crate::api) enum CodeLocation {
    #[serde(rename_all = "PascalCase")]
    Zip { repository_type: &'static str, location: String },
    #[serde(rename_all = "PascalCase")]
    Image { repository_type: &'static str, image_uri: String, resolved_image_uri: String },
}

/// Member `Concurrency`, and answer of `PUT` and `GET …/concurrency`
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Concurrency {
    /// Missing if none are reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) reserved_concurrent_executions: Option<i64>,
}

/// Answer of `GET /2015-03-31/functions`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListFunctions {
    pub(in crate::api) functions: Vec<FunctionConfiguration>,
    pub(in crate::api) next_marker: Option<String>,
}

/// Answer of `GET /2015-03-31/functions/{FunctionName}/versions`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListVersions {
    pub(in crate::api) versions: Vec<FunctionConfiguration>,
    pub(in crate::api) next_marker: Option<String>,
}

/// A version's settings and state: the answer of many operations.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct FunctionConfiguration {
    pub(in crate::api) function_name: String,
    pub(in crate::api) function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) runtime: Option<String>,
    pub(in crate::api) role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) handler: Option<String>,
    pub(in crate::api) code_size: u64,
    pub(in crate::api) description: String,
    pub(in crate::api) timeout: u32,
    pub(in crate::api) memory_size: u32,
    pub(in crate::api) last_modified: String,
    pub(in crate::api) code_sha256: String,
    pub(in crate::api) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) vpc_config: Option<VpcConfigResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) environment: Option<Environment>,
    #[serde(rename = "KMSKeyArn", skip_serializing_if = "Option::is_none")]
    pub(in crate::api) kms_key_arn: Option<String>,
    pub(in crate::api) tracing_config: TracingConfig,
    pub(in crate::api) revision_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) layers: Vec<LayerUse>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::api) file_system_configs: Vec<FileSystemConfig>,
    pub(in crate::api) package_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) image_config_response: Option<ImageConfigResponse>,
    pub(in crate::api) architectures: [&'static str; 1],
    pub(in crate::api) ephemeral_storage: EphemeralStorage,
    pub(in crate::api) snap_start: SnapStartResponse,
    pub(in crate::api) logging_config: LoggingConfig,
    /// What lists leave out.
    #[serde(flatten)]
    pub(in crate::api) progress: Option<Progress>,
}

/// How far a version is deployed, and what runs it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Progress {
    pub(in crate::api) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) state_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) state_reason_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) last_update_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) last_update_status_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) last_update_status_reason_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) runtime_version_config: Option<RuntimeVersionConfig>,
}

/// Member `RuntimeVersionConfig`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct RuntimeVersionConfig {
    pub(in crate::api) runtime_version_arn: String,
}

/// Member `VpcConfig` of an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct VpcConfigResponse {
    pub(in crate::api) subnet_ids: Vec<String>,
    pub(in crate::api) security_group_ids: Vec<String>,
    pub(in crate::api) vpc_id: String,
    pub(in crate::api) ipv6_allowed_for_dual_stack: bool,
}

/// One of `Layers`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct LayerUse {
    pub(in crate::api) arn: String,
    pub(in crate::api) code_size: u64,
}

/// Member `ImageConfigResponse`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ImageConfigResponse {
    pub(in crate::api) image_config: ImageConfig,
}

/// Member `SnapStart` of an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct SnapStartResponse {
    pub(in crate::api) apply_on: &'static str,
    pub(in crate::api) optimization_status: &'static str,
}

/// What AWS says of everything that is under way.
const CREATING: &str = "The function is being created.";

impl FunctionConfiguration {
    /// A version in full. `arn` is qualified if the caller qualified the function.
    pub(in crate::api) fn new(function: &Function, version: &Version, arn: String) -> Self {
        let runtime_version_config = runtime_version(function, &version.config);
        let progress = Progress { runtime_version_config, ..Progress::from(&version.status) };
        Self { progress: Some(progress), ..Self::listed(function, version, arn) }
    }

    /// A version as lists show it.
    pub(in crate::api) fn listed(function: &Function, version: &Version, arn: String) -> Self {
        let config = &version.config;
        let (runtime, handler, package_type) = match &config.code {
            Code::Zip(zip) => (Some(zip.runtime.clone()), Some(zip.handler.clone()), "Zip"),
            Code::Image(_) => (None, None, "Image"),
        };
        Self {
            function_name: function.key.name.to_string(),
            function_arn: arn,
            runtime,
            role: config.role.clone(),
            handler,
            code_size: config.packages().first().map_or(0, |package| package.size),
            description: config.description.clone(),
            timeout: config.timeout_seconds,
            memory_size: config.memory_mb,
            last_modified: date(version.last_modified),
            code_sha256: code_sha256(&config.code),
            version: version.name.to_string(),
            vpc_config: config.vpc.as_ref().map(|vpc| VpcConfigResponse {
                subnet_ids: vpc.subnets.clone(),
                security_group_ids: vpc.security_groups.clone(),
                vpc_id: String::new(),
                ipv6_allowed_for_dual_stack: vpc.ipv6_allowed,
            }),
            dead_letter_config: config
                .dead_letter_arn
                .clone()
                .map(|target_arn| DeadLetterConfig { target_arn: Some(target_arn) }),
            environment: config
                .environment
                .clone()
                .map(|variables| Environment { variables: Some(variables) }),
            kms_key_arn: config.kms_key_arn.clone(),
            tracing_config: TracingConfig { mode: Some(config.tracing.as_str().to_owned()) },
            revision_id: version.revision_id.clone(),
            layers: layers(&config.code),
            file_system_configs: config
                .file_systems
                .iter()
                .map(|file_system| FileSystemConfig {
                    arn: Some(file_system.arn.clone()),
                    local_mount_path: Some(file_system.mount_path.clone()),
                    s3_files_config: None,
                })
                .collect(),
            package_type,
            image_config_response: image_config(&config.code),
            architectures: [config.architecture.as_str()],
            ephemeral_storage: EphemeralStorage { size: Some(config.ephemeral_storage_mb.into()) },
            snap_start: snap_start(version),
            logging_config: logging(config),
            progress: None,
        }
    }
}

impl From<&Status> for Progress {
    fn from(status: &Status) -> Self {
        let creating = Some(CREATING.to_owned());
        let (state, active) = (status.state().as_str(), Self { state: "Active", ..Self::default() });
        match status {
            Status::Creating => {
                Self { state, state_reason: creating, state_reason_code: Some("Creating"), ..Self::default() }
            }
            Status::CreationFailed { reason } => Self {
                state,
                state_reason: Some(reason.clone()),
                state_reason_code: Some("InternalError"),
                last_update_status: Some("Failed"),
                last_update_status_reason: Some(reason.clone()),
                last_update_status_reason_code: Some("InternalError"),
                runtime_version_config: None,
            },
            Status::Active => Self { last_update_status: Some("Successful"), ..active },
            Status::Updating { .. } => Self {
                last_update_status: Some("InProgress"),
                last_update_status_reason: creating,
                last_update_status_reason_code: Some("Creating"),
                ..active
            },
            Status::UpdateFailed { reason, .. } => Self {
                last_update_status: Some("Failed"),
                last_update_status_reason: Some(reason.clone()),
                last_update_status_reason_code: Some("InternalError"),
                ..active
            },
        }
    }
}

/// As AWS writes dates: `2026-01-31T12:00:00.000+0000`.
pub(in crate::api) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

/// `CodeSha256` of a zip file is base64; that of an image is the hexadecimal digest of the image, for which the
/// host takes the one in its name, or one of its name.
fn code_sha256(code: &Code) -> String {
    match code {
        Code::Zip(zip) => zip.package.sha256.base64(),
        Code::Image(ImageCode { uri, .. }) => match uri.rsplit_once("@sha256:") {
            Some((_, digest)) => digest.to_owned(),
            None => Digest::of(uri.as_bytes()).to_string(),
        },
    }
}

/// AWS names the patch level of a runtime by a digest. The host has none, and takes one of the runtime's name.
fn runtime_version(function: &Function, config: &FunctionConfig) -> Option<RuntimeVersionConfig> {
    let Code::Zip(zip) = &config.code else { return None };
    let region = &function.key.region;
    let digest = Digest::of(zip.runtime.as_bytes());
    Some(RuntimeVersionConfig { runtime_version_arn: format!("arn:aws:lambda:{region}::runtime:{digest}") })
}

fn layers(code: &Code) -> Vec<LayerUse> {
    match code {
        Code::Zip(zip) => {
            let shown = zip.layers.iter();
            shown.map(|layer| LayerUse { arn: layer.arn.clone(), code_size: layer.package.size }).collect()
        }
        Code::Image(_) => Vec::new(),
    }
}

fn image_config(code: &Code) -> Option<ImageConfigResponse> {
    let Code::Image(image) = code else { return None };
    let or_none = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    let config = ImageConfig {
        entry_point: or_none(&image.entry_point),
        command: or_none(&image.command),
        working_directory: image.working_directory.clone(),
    };
    let is_empty =
        config.entry_point.is_none() && config.command.is_none() && config.working_directory.is_none();
    (!is_empty).then_some(ImageConfigResponse { image_config: config })
}

fn snap_start(version: &Version) -> SnapStartResponse {
    let setting = version.config.snap_start;
    let optimization_status = match (setting, version.name) {
        (SnapStart::PublishedVersions, VersionName::Number(_)) => "On",
        (SnapStart::PublishedVersions, VersionName::Latest) | (SnapStart::None, _) => "Off",
    };
    SnapStartResponse { apply_on: setting.as_str(), optimization_status }
}

fn logging(config: &FunctionConfig) -> LoggingConfig {
    let log_group = Some(config.logging.group.clone());
    match &config.logging.format {
        LogFormat::Text => {
            LoggingConfig { log_format: Some("Text".to_owned()), log_group, ..LoggingConfig::default() }
        }
        LogFormat::Json { application_level, system_level } => LoggingConfig {
            log_format: Some("JSON".to_owned()),
            application_log_level: Some(application_level.clone()),
            system_log_level: Some(system_level.clone()),
            log_group,
        },
    }
}
