//! Layers: code that functions share, in numbered versions that do not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::function::{PackageRef, partition};
use super::package::Package;
use super::policy::LayerPolicy;

/// A layer with its versions.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// By number; deleted ones are gone.
    pub versions: BTreeMap<u32, Arc<LayerVersion>>,
    /// Number of the last version that was ever published; numbers are not used twice.
    pub last_published: u32,
}

/// One version of a layer.
#[derive(Clone, Debug)]
pub struct LayerVersion {
    /// From 1.
    pub number: u32,
    /// Its code.
    pub package: PackageRef,
    /// For people.
    pub description: String,
    /// For people.
    pub license: Option<String>,
    /// Runtimes that it says it is for; not enforced.
    pub runtimes: Vec<String>,
    /// Architectures that it says it is for; not enforced.
    pub architectures: Vec<String>,
    /// When it was published.
    pub created: Timestamp,
    /// Who may use it besides its owner.
    pub policy: Option<LayerPolicy>,
    /// Keeps the code on disk.
    pub hold: Option<Arc<Package>>,
}

/// Names a layer: unique in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerKey {
    /// Twelve digits.
    pub account: String,
    /// As in `us-east-1`.
    pub region: String,
    /// The bare name.
    pub name: String,
}

impl LayerKey {
    /// The ARN without a version.
    pub fn arn(&self) -> String {
        let Self { account, region, name } = self;
        format!("arn:{}:lambda:{region}:{account}:layer:{name}", partition(region))
    }
}
