//! The form in which versions, aliases and layers are stored. It changes only by adding optional fields, or with
//! a migration.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::alias::{Alias, Route};
use crate::catalog::digest::Digest;
use crate::catalog::function::{
    Architecture, Code, FileSystem, FunctionConfig, ImageCode, LayerRef, LogFormat, Logging, PackageRef,
    SnapStart, Status, Tracing, Version, VersionName, Vpc, ZipCode,
};
use crate::catalog::layer::LayerVersion;
use crate::catalog::policy::LayerPolicy;
use crate::catalog::provisioned::Provisioned;
use crate::catalog::url::{FunctionUrl, UrlSettings};

/// Why a record cannot be understood: the field that has no meaning.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, or not of the record's form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A field has a value that means nothing.
    #[error("its {0} has no meaning")]
    Field(&'static str),
}

#[derive(Serialize, Deserialize)]
struct VersionRecord {
    revision_id: String,
    last_modified_ms: i64,
    status: StatusRecord,
    config: ConfigRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published_from: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum StatusRecord {
    Creating,
    CreationFailed { reason: String },
    Active,
    Updating { serving: Box<ConfigRecord> },
    UpdateFailed { serving: Box<ConfigRecord>, reason: String },
}

#[derive(Serialize, Deserialize)]
struct ConfigRecord {
    code: CodeRecord,
    architecture: String,
    role: String,
    description: String,
    timeout_seconds: u32,
    memory_mb: u32,
    ephemeral_storage_mb: u32,
    environment: Option<BTreeMap<String, String>>,
    kms_key_arn: Option<String>,
    tracing: String,
    log_group: String,
    /// Application level and system level; missing for plain text.
    json_log_levels: Option<(String, String)>,
    vpc: Option<VpcRecord>,
    dead_letter_arn: Option<String>,
    /// ARN and mount path of each.
    file_systems: Vec<(String, String)>,
    snap_start: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum CodeRecord {
    Zip { package: PackageRecord, runtime: String, handler: String, layers: Vec<LayerRefRecord> },
    Image { uri: String, entry_point: Vec<String>, command: Vec<String>, working_directory: Option<String> },
}

#[derive(Serialize, Deserialize)]
struct PackageRecord {
    sha256: String,
    size: u64,
    unpacked_size: u64,
}

#[derive(Serialize, Deserialize)]
struct LayerRefRecord {
    arn: String,
    package: PackageRecord,
}

#[derive(Serialize, Deserialize)]
struct VpcRecord {
    subnets: Vec<String>,
    security_groups: Vec<String>,
    ipv6_allowed: bool,
}

#[derive(Serialize, Deserialize)]
struct AliasRecord {
    version: String,
    /// Version and weight.
    routing: Option<(String, f64)>,
    description: String,
    revision_id: String,
}

#[derive(Serialize, Deserialize)]
struct ProvisionedRecord {
    requested: u32,
    last_modified_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct UrlRecord {
    id: String,
    settings: UrlSettings,
    created_ms: i64,
    last_modified_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct LayerVersionRecord {
    package: PackageRecord,
    description: String,
    license: Option<String>,
    runtimes: Vec<String>,
    architectures: Vec<String>,
    created_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<LayerPolicy>,
}

/// Writes a version.
pub fn write_version(version: &Version) -> Result<String, RecordError> {
    let record = VersionRecord {
        revision_id: version.revision_id.clone(),
        last_modified_ms: version.last_modified.as_millisecond(),
        status: StatusRecord::from(&version.status),
        config: ConfigRecord::from(&*version.config),
        published_from: version.published_from.map(|digest| digest.to_string()),
    };
    Ok(serde_json::to_string(&record)?)
}

/// Reads a version; it has no target and holds no packages yet.
pub fn read_version(name: VersionName, text: &str) -> Result<Version, RecordError> {
    let record: VersionRecord = serde_json::from_str(text)?;
    Ok(Version {
        name,
        config: Arc::new(record.config.read()?),
        revision_id: record.revision_id,
        last_modified: read_time(record.last_modified_ms)?,
        status: record.status.read()?,
        published_from: match record.published_from {
            Some(text) => Some(read_digest(&text)?),
            None => None,
        },
        target: None,
        packages: Vec::new(),
    })
}

/// Writes an alias.
pub fn write_alias(alias: &Alias) -> Result<String, RecordError> {
    let record = AliasRecord {
        version: alias.version.to_string(),
        routing: alias.routing.map(|route| (route.version.to_string(), route.weight)),
        description: alias.description.clone(),
        revision_id: alias.revision_id.clone(),
    };
    Ok(serde_json::to_string(&record)?)
}

/// Reads an alias.
pub fn read_alias(name: String, text: &str) -> Result<Alias, RecordError> {
    let record: AliasRecord = serde_json::from_str(text)?;
    let version = |text: &str| text.parse().map_err(|_| RecordError::Field("version"));
    let routing = match record.routing {
        Some((other, weight)) => Some(Route { version: version(&other)?, weight }),
        None => None,
    };
    Ok(Alias {
        name,
        version: version(&record.version)?,
        routing,
        description: record.description,
        revision_id: record.revision_id,
    })
}

/// Writes what is provisioned.
pub fn write_provisioned(provisioned: &Provisioned) -> Result<String, RecordError> {
    let record = ProvisionedRecord {
        requested: provisioned.requested,
        last_modified_ms: provisioned.last_modified.as_millisecond(),
    };
    Ok(serde_json::to_string(&record)?)
}

/// Reads what is provisioned.
pub fn read_provisioned(text: &str) -> Result<Provisioned, RecordError> {
    let record: ProvisionedRecord = serde_json::from_str(text)?;
    Ok(Provisioned { requested: record.requested, last_modified: read_time(record.last_modified_ms)? })
}

/// Writes a URL.
pub fn write_url(url: &FunctionUrl) -> Result<String, RecordError> {
    let record = UrlRecord {
        id: url.id.clone(),
        settings: url.settings.clone(),
        created_ms: url.created.as_millisecond(),
        last_modified_ms: url.last_modified.as_millisecond(),
    };
    Ok(serde_json::to_string(&record)?)
}

/// Reads a URL.
pub fn read_url(text: &str) -> Result<FunctionUrl, RecordError> {
    let record: UrlRecord = serde_json::from_str(text)?;
    Ok(FunctionUrl {
        id: record.id,
        settings: record.settings,
        created: read_time(record.created_ms)?,
        last_modified: read_time(record.last_modified_ms)?,
    })
}

/// Writes a layer's version.
pub fn write_layer_version(version: &LayerVersion) -> Result<String, RecordError> {
    let record = LayerVersionRecord {
        package: PackageRecord::from(version.package),
        description: version.description.clone(),
        license: version.license.clone(),
        runtimes: version.runtimes.clone(),
        architectures: version.architectures.clone(),
        created_ms: version.created.as_millisecond(),
        policy: version.policy.clone(),
    };
    Ok(serde_json::to_string(&record)?)
}

/// Reads a layer's version; it does not hold its package yet.
pub fn read_layer_version(number: u32, text: &str) -> Result<LayerVersion, RecordError> {
    let record: LayerVersionRecord = serde_json::from_str(text)?;
    Ok(LayerVersion {
        number,
        package: record.package.read()?,
        description: record.description,
        license: record.license,
        runtimes: record.runtimes,
        architectures: record.architectures,
        created: read_time(record.created_ms)?,
        policy: record.policy,
        hold: None,
    })
}

/// A digest of a version's settings: equal settings, equal digests.
pub fn digest_of(config: &FunctionConfig) -> Result<Digest, RecordError> {
    Ok(Digest::of(&serde_json::to_vec(&ConfigRecord::from(config))?))
}

impl From<&Status> for StatusRecord {
    fn from(status: &Status) -> Self {
        let record = |config: &FunctionConfig| Box::new(ConfigRecord::from(config));
        match status {
            Status::Creating => Self::Creating,
            Status::CreationFailed { reason } => Self::CreationFailed { reason: reason.clone() },
            Status::Active => Self::Active,
            Status::Updating { serving } => Self::Updating { serving: record(serving) },
            Status::UpdateFailed { serving, reason } => {
                Self::UpdateFailed { serving: record(serving), reason: reason.clone() }
            }
        }
    }
}

impl StatusRecord {
    fn read(self) -> Result<Status, RecordError> {
        Ok(match self {
            Self::Creating => Status::Creating,
            Self::CreationFailed { reason } => Status::CreationFailed { reason },
            Self::Active => Status::Active,
            Self::Updating { serving } => Status::Updating { serving: Arc::new(serving.read()?) },
            Self::UpdateFailed { serving, reason } => {
                Status::UpdateFailed { serving: Arc::new(serving.read()?), reason }
            }
        })
    }
}

impl From<&FunctionConfig> for ConfigRecord {
    fn from(config: &FunctionConfig) -> Self {
        Self {
            code: CodeRecord::from(&config.code),
            architecture: config.architecture.as_str().to_owned(),
            role: config.role.clone(),
            description: config.description.clone(),
            timeout_seconds: config.timeout_seconds,
            memory_mb: config.memory_mb,
            ephemeral_storage_mb: config.ephemeral_storage_mb,
            environment: config.environment.clone(),
            kms_key_arn: config.kms_key_arn.clone(),
            tracing: config.tracing.as_str().to_owned(),
            log_group: config.logging.group.clone(),
            json_log_levels: match &config.logging.format {
                LogFormat::Text => None,
                LogFormat::Json { application_level, system_level } => {
                    Some((application_level.clone(), system_level.clone()))
                }
            },
            vpc: config.vpc.as_ref().map(|vpc| VpcRecord {
                subnets: vpc.subnets.clone(),
                security_groups: vpc.security_groups.clone(),
                ipv6_allowed: vpc.ipv6_allowed,
            }),
            dead_letter_arn: config.dead_letter_arn.clone(),
            file_systems: config
                .file_systems
                .iter()
                .map(|file_system| (file_system.arn.clone(), file_system.mount_path.clone()))
                .collect(),
            snap_start: config.snap_start.as_str().to_owned(),
        }
    }
}

impl ConfigRecord {
    fn read(self) -> Result<FunctionConfig, RecordError> {
        let format = match self.json_log_levels {
            None => LogFormat::Text,
            Some((application_level, system_level)) => LogFormat::Json { application_level, system_level },
        };
        Ok(FunctionConfig {
            code: self.code.read()?,
            architecture: Architecture::parse(&self.architecture)
                .ok_or(RecordError::Field("architecture"))?,
            role: self.role,
            description: self.description,
            timeout_seconds: self.timeout_seconds,
            memory_mb: self.memory_mb,
            ephemeral_storage_mb: self.ephemeral_storage_mb,
            environment: self.environment,
            kms_key_arn: self.kms_key_arn,
            tracing: Tracing::parse(&self.tracing).ok_or(RecordError::Field("tracing"))?,
            logging: Logging { group: self.log_group, format },
            vpc: self.vpc.map(|vpc| Vpc {
                subnets: vpc.subnets,
                security_groups: vpc.security_groups,
                ipv6_allowed: vpc.ipv6_allowed,
            }),
            dead_letter_arn: self.dead_letter_arn,
            file_systems: self
                .file_systems
                .into_iter()
                .map(|(arn, mount_path)| FileSystem { arn, mount_path })
                .collect(),
            snap_start: SnapStart::parse(&self.snap_start).ok_or(RecordError::Field("snap_start"))?,
        })
    }
}

impl From<&Code> for CodeRecord {
    fn from(code: &Code) -> Self {
        match code {
            Code::Zip(zip) => Self::Zip {
                package: PackageRecord::from(zip.package),
                runtime: zip.runtime.clone(),
                handler: zip.handler.clone(),
                layers: zip
                    .layers
                    .iter()
                    .map(|layer| LayerRefRecord {
                        arn: layer.arn.clone(),
                        package: PackageRecord::from(layer.package),
                    })
                    .collect(),
            },
            Code::Image(image) => Self::Image {
                uri: image.uri.clone(),
                entry_point: image.entry_point.clone(),
                command: image.command.clone(),
                working_directory: image.working_directory.clone(),
            },
        }
    }
}

impl CodeRecord {
    fn read(self) -> Result<Code, RecordError> {
        Ok(match self {
            Self::Zip { package, runtime, handler, layers } => Code::Zip(ZipCode {
                package: package.read()?,
                runtime,
                handler,
                layers: layers
                    .into_iter()
                    .map(|layer| Ok(LayerRef { arn: layer.arn, package: layer.package.read()? }))
                    .collect::<Result<_, RecordError>>()?,
            }),
            Self::Image { uri, entry_point, command, working_directory } => {
                Code::Image(ImageCode { uri, entry_point, command, working_directory })
            }
        })
    }
}

impl From<PackageRef> for PackageRecord {
    fn from(package: PackageRef) -> Self {
        let PackageRef { sha256, size, unpacked_size } = package;
        Self { sha256: sha256.to_string(), size, unpacked_size }
    }
}

impl PackageRecord {
    fn read(&self) -> Result<PackageRef, RecordError> {
        let sha256 = read_digest(&self.sha256)?;
        Ok(PackageRef { sha256, size: self.size, unpacked_size: self.unpacked_size })
    }
}

fn read_time(unix_ms: i64) -> Result<Timestamp, RecordError> {
    Timestamp::from_millisecond(unix_ms).map_err(|_| RecordError::Field("time"))
}

fn read_digest(text: &str) -> Result<Digest, RecordError> {
    Digest::parse_hex(text).ok_or(RecordError::Field("sha256"))
}
