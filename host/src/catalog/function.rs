//! What a function is: its settings, versions, aliases and limits, as values that do not change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::alias::Alias;
use super::package::{Digest, Package};
use super::target::Target;

/// Names a function: unique in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionKey {
    /// Twelve digits.
    pub account: Arc<str>,
    /// As in `us-east-1`.
    pub region: Arc<str>,
    /// The bare name, 1 to 64 characters.
    pub name: Arc<str>,
}

impl FunctionKey {
    /// Makes a key from borrowed parts.
    pub fn new(account: &str, region: &str, name: &str) -> Self {
        Self { account: account.into(), region: region.into(), name: name.into() }
    }

    /// The ARN without a qualifier.
    pub fn arn(&self) -> String {
        let Self { account, region, name } = self;
        format!("arn:{}:lambda:{region}:{account}:function:{name}", partition(region))
    }
}

/// The ARN partition that a region lies in.
pub fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// A function with all that belongs to it. Immutable: a change puts another one in its place.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub key: FunctionKey,
    /// What `$LATEST` is.
    pub latest: Arc<Version>,
    /// What was published, by number.
    pub versions: BTreeMap<u32, Arc<Version>>,
    /// By name.
    pub aliases: BTreeMap<String, Arc<Alias>>,
    /// Number of the last version that was ever published; numbers are not used twice.
    pub last_published: u32,
    /// Reserved concurrency, shared by all versions.
    pub reserved_concurrency: Option<u32>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl Function {
    /// A version by its name, `$LATEST` or a number.
    pub fn version(&self, name: VersionName) -> Option<&Arc<Version>> {
        match name {
            VersionName::Latest => Some(&self.latest),
            VersionName::Number(number) => self.versions.get(&number),
        }
    }

    /// `$LATEST` and then every published version, oldest first.
    pub fn all_versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        std::iter::once(&self.latest).chain(self.versions.values())
    }

    /// The version that a qualifier means: a version's name, or an alias (its main version).
    pub fn qualified(&self, qualifier: &str) -> Option<&Arc<Version>> {
        match qualifier.parse() {
            Ok(name) => self.version(name),
            Err(NotAVersion) => self.version(self.aliases.get(qualifier)?.version),
        }
    }

    /// Puts another version in the place of the one with its name.
    pub fn put_version(&mut self, version: Arc<Version>) {
        match version.name {
            VersionName::Latest => self.latest = version,
            VersionName::Number(number) => {
                self.last_published = self.last_published.max(number);
                self.versions.insert(number, version);
            }
        }
    }
}

/// `$LATEST` or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionName {
    /// The one that updates change.
    Latest,
    /// A published one, from 1.
    Number(u32),
}

/// A qualifier that names no version; it may be an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAVersion;

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl std::str::FromStr for VersionName {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        if text == "$LATEST" {
            return Ok(Self::Latest);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large for u32 was never published; 0 is none either.
        if digits { Ok(Self::Number(text.parse().unwrap_or(0))) } else { Err(NotAVersion) }
    }
}

/// `$LATEST` or a published version: settings, how far they are deployed, and what runs.
#[derive(Clone, Debug)]
pub struct Version {
    /// Which one of the function's versions.
    pub name: VersionName,
    /// The settings as last given.
    pub config: Arc<FunctionConfig>,
    /// Changes with every change of the version: a random UUID.
    pub revision_id: String,
    /// When the settings were last changed.
    pub last_modified: Timestamp,
    /// How far the settings are deployed.
    pub status: Status,
    /// For a published version: digest of what `$LATEST` was, to tell whether publishing again would change
    /// anything.
    pub published_from: Option<Digest>,
    /// What invocations are given to; nothing as long as nothing was ever ready.
    pub target: Option<Arc<Target>>,
    /// Keeps the code of `config` on disk.
    pub packages: Vec<Arc<Package>>,
}

/// How far a version's settings are deployed.
///
/// Creating → Active | CreationFailed; Active ⇄ Updating → Active | UpdateFailed; an update of what never ran
/// begins again at Creating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Never ran so far; its first deploy is being prepared.
    Creating,
    /// Its first deploy could not be prepared.
    CreationFailed {
        /// Why, for people.
        reason: String,
    },
    /// Runs as configured.
    Active,
    /// New settings are being prepared.
    Updating {
        /// The settings that run meanwhile.
        serving: Arc<FunctionConfig>,
    },
    /// New settings could not be prepared.
    UpdateFailed {
        /// The settings that go on running.
        serving: Arc<FunctionConfig>,
        /// Why, for people.
        reason: String,
    },
}

impl Status {
    /// Whether a deploy is under way, so that another change must wait.
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::Creating | Self::Updating { .. })
    }

    /// What state an invocation finds the version in.
    pub fn state(&self) -> State {
        match self {
            Self::Creating => State::Pending,
            Self::CreationFailed { .. } => State::Failed,
            Self::Active | Self::Updating { .. } | Self::UpdateFailed { .. } => State::Active,
        }
    }

    /// The settings that run, given the settings as last given.
    pub fn serving<'a>(&'a self, config: &'a Arc<FunctionConfig>) -> Option<&'a Arc<FunctionConfig>> {
        match self {
            Self::Creating | Self::CreationFailed { .. } => None,
            Self::Active => Some(config),
            Self::Updating { serving } | Self::UpdateFailed { serving, .. } => Some(serving),
        }
    }
}

/// Whether a version can be invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet.
    Pending,
    /// Yes.
    Active,
    /// No, until it is updated.
    Failed,
}

impl State {
    /// AWS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Active => "Active",
            Self::Failed => "Failed",
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qualifier_of_digits_is_a_version_and_any_other_may_be_an_alias() {
        for (text, name) in [
            ("$LATEST", Ok(VersionName::Latest)),
            ("12", Ok(VersionName::Number(12))),
            ("99999999999999999999999", Ok(VersionName::Number(0))),
            ("$latest", Err(NotAVersion)),
            ("live", Err(NotAVersion)),
            ("", Err(NotAVersion)),
        ] {
            assert_eq!(text.parse::<VersionName>(), name, "{text}");
        }
    }

    #[test]
    fn the_partition_follows_from_the_region() {
        for (region, arn) in [
            ("us-east-1", "arn:aws:lambda:us-east-1:000000000000:function:f"),
            ("cn-north-1", "arn:aws-cn:lambda:cn-north-1:000000000000:function:f"),
            ("us-gov-west-1", "arn:aws-us-gov:lambda:us-gov-west-1:000000000000:function:f"),
        ] {
            assert_eq!(FunctionKey::new("000000000000", region, "f").arn(), arn);
        }
    }
}
