//! What a function is: its settings, versions, aliases and limits, as values that do not change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::alias::Alias;
use super::package::{Digest, Package};
use super::provisioned::Provisioned;
use super::qualified::{FunctionSettings, Qualified};
use super::target::{Limits, Target};
use super::url::FunctionUrl;

pub use config::{
    Architecture, Code, FileSystem, FunctionConfig, ImageCode, LayerRef, LogFormat, Logging, PackageRef,
    SnapStart, Tracing, Vpc, ZipCode,
};

mod config;

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
    /// Provisioned concurrency by qualifier: a version's number or an alias.
    pub provisioned: BTreeMap<String, Arc<Provisioned>>,
    /// URLs by alias; `$LATEST` is for the function itself.
    pub urls: BTreeMap<String, Arc<FunctionUrl>>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What was set for `$LATEST`, versions and aliases, by qualifier.
    pub qualified: BTreeMap<String, Arc<Qualified>>,
    /// What was set for all of it.
    pub settings: FunctionSettings,
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

    /// Whether it has this version or alias.
    pub fn has(&self, qualifier: &str) -> bool {
        self.qualified(qualifier).is_some()
    }

    /// Concurrency that is provisioned, over all qualifiers.
    pub fn total_provisioned(&self) -> u32 {
        self.provisioned.values().fold(0, |sum, provisioned| sum.saturating_add(provisioned.requested))
    }

    /// Concurrency that no other function can have: what is reserved, or else what is provisioned.
    pub fn claimed_concurrency(&self) -> u32 {
        self.reserved_concurrency.unwrap_or_else(|| self.total_provisioned())
    }

    /// How many instances a version may have, and must have. What is provisioned for an alias is its main
    /// version's, unless that is `$LATEST`.
    pub fn limits(&self, name: VersionName) -> Limits {
        let leads_here = |qualifier: &String| self.qualified(qualifier).is_some_and(|it| it.name == name);
        let here = self
            .provisioned
            .iter()
            .filter(|(qualifier, _)| name != VersionName::Latest && leads_here(qualifier));
        Limits {
            reserved: self.reserved_concurrency,
            provisioned: here.fold(0, |sum, (_, provisioned)| sum.saturating_add(provisioned.requested)),
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
/// `Creating` → `Active` | `CreationFailed`; `Active` ⇄ `Updating` → `Active` | `UpdateFailed`; an update of what
/// never ran begins again at `Creating`.
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
