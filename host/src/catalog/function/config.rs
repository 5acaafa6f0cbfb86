//! The settings of a version.

use std::collections::BTreeMap;

use crate::catalog::digest::Digest;

/// Every setting that a user can give to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionConfig {
    /// What is run.
    pub code: Code,
    /// For which processor.
    pub architecture: Architecture,
    /// ARN of the execution role.
    pub role: String,
    /// For people.
    pub description: String,
    /// Limit for one invocation.
    pub timeout_seconds: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Size of /tmp in MiB.
    pub ephemeral_storage_mb: u32,
    /// The user's variables; `None` and an empty map are told apart because AWS tells them apart.
    pub environment: Option<BTreeMap<String, String>>,
    /// Key that the environment is to be encrypted with; stored only.
    pub kms_key_arn: Option<String>,
    /// Whether X-Ray samples.
    pub tracing: Tracing,
    /// Form and place of the log.
    pub logging: Logging,
    /// Network; stored only.
    pub vpc: Option<Vpc>,
    /// Where events go whose retries are used up.
    pub dead_letter_arn: Option<String>,
    /// Network file systems; stored only.
    pub file_systems: Vec<FileSystem>,
    /// Snapshots; stored only.
    pub snap_start: SnapStart,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A zip file for a runtime.
    Zip(ZipCode),
    /// A container image.
    Image(ImageCode),
}

/// A zip file and what runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipCode {
    /// The file.
    pub package: PackageRef,
    /// Name of the runtime, as in `python3.13`.
    pub runtime: String,
    /// As the user gave it.
    pub handler: String,
    /// In the order in which they are merged.
    pub layers: Vec<LayerRef>,
}

/// A container image and what to run in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageCode {
    /// With tag or digest.
    pub uri: String,
    /// Replaces the image's entry point unless empty.
    pub entry_point: Vec<String>,
    /// Replaces the image's command unless empty.
    pub command: Vec<String>,
    /// Replaces the image's working directory.
    pub working_directory: Option<String>,
}

/// A zip file in the code store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageRef {
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// Size of its content in bytes.
    pub unpacked_size: u64,
}

/// A layer's version, as a function uses it. It goes on when that version is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRef {
    /// ARN with version.
    pub arn: String,
    /// Its code.
    pub package: PackageRef,
}

/// Processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// AWS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture by AWS's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::X86_64, Self::Arm64].into_iter().find(|architecture| architecture.as_str() == word)
    }
}

/// Whether the function's requests are traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracing {
    /// Only if the caller says so.
    #[default]
    PassThrough,
    /// Sampled.
    Active,
}

impl Tracing {
    /// AWS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PassThrough => "PassThrough",
            Self::Active => "Active",
        }
    }

    /// The mode by AWS's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::PassThrough, Self::Active].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// Form and place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Name of the log group.
    pub group: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As they come.
    Text,
    /// As JSON, filtered by level.
    Json {
        /// Least level of the function's own lines.
        application_level: String,
        /// Least level of the platform's lines.
        system_level: String,
    },
}

/// Network settings, stored only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    /// Subnet ids.
    pub subnets: Vec<String>,
    /// Security group ids.
    pub security_groups: Vec<String>,
    /// Whether IPv6 is allowed.
    pub ipv6_allowed: bool,
}

/// A network file system, stored only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Access point.
    pub arn: String,
    /// Where it is mounted.
    pub mount_path: String,
}

/// When snapshots are made; stored only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapStart {
    /// Never.
    #[default]
    None,
    /// For published versions.
    PublishedVersions,
}

impl SnapStart {
    /// AWS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::PublishedVersions => "PublishedVersions",
        }
    }

    /// The setting by AWS's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::PublishedVersions].into_iter().find(|setting| setting.as_str() == word)
    }
}

impl FunctionConfig {
    /// Every zip file that the function needs: its code first, then its layers in order.
    pub fn packages(&self) -> Vec<PackageRef> {
        match &self.code {
            Code::Zip(zip) => {
                std::iter::once(zip.package).chain(zip.layers.iter().map(|layer| layer.package)).collect()
            }
            Code::Image(_) => Vec::new(),
        }
    }

    /// The name of the runtime; empty for an image.
    pub fn runtime(&self) -> &str {
        match &self.code {
            Code::Zip(zip) => &zip.runtime,
            Code::Image(_) => "",
        }
    }
}
