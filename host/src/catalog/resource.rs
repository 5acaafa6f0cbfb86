//! What an account has in a region besides functions and layers. Each is one value, stored as it is: a field that
//! is added later must be optional.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A kind of such values, each under an id of its own.
pub trait Resource: Clone + Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The table that they are in.
    const TABLE: &'static str;

    /// Its name among its kind.
    fn id(&self) -> &str;

    /// All of this kind, by id.
    fn all(resources: &Resources) -> &BTreeMap<String, Arc<Self>>;

    /// All of this kind, by id, to change.
    fn all_mut(resources: &mut Resources) -> &mut BTreeMap<String, Arc<Self>>;

    /// Its tags.
    fn tags(&self) -> &BTreeMap<String, String>;

    /// Its tags, to change.
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String>;
}

/// Whose they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Twelve digits.
    pub account: String,
    /// As in `us-east-1`.
    pub region: String,
}

/// All that one account has in one region.
#[derive(Debug, Default)]
pub struct Resources {
    code_signing_configs: BTreeMap<String, Arc<CodeSigningConfig>>,
    event_source_mappings: BTreeMap<String, Arc<EventSourceMapping>>,
}

/// Who must have signed code. Stored and shown: no signature is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSigningConfig {
    /// `csc-` and 17 letters and digits.
    pub id: String,
    /// For people.
    pub description: Option<String>,
    /// ARNs of signing profiles.
    pub publishers: Vec<String>,
    /// `Warn` or `Enforce`.
    pub untrusted_artifact: String,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// For people and for bills.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Resource for CodeSigningConfig {
    const TABLE: &'static str = "code_signing_configs";

    fn id(&self) -> &str {
        &self.id
    }

    fn all(resources: &Resources) -> &BTreeMap<String, Arc<Self>> {
        &resources.code_signing_configs
    }

    fn all_mut(resources: &mut Resources) -> &mut BTreeMap<String, Arc<Self>> {
        &mut resources.code_signing_configs
    }

    fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.tags
    }
}

/// A source whose records are given to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSourceMapping {
    /// A random UUID.
    pub id: String,
    /// Bare name of the function, which is in the same account and region.
    pub function: String,
    /// Version or alias, if one was named.
    pub qualifier: Option<String>,
    /// ARN of the source; a cluster outside AWS has none.
    pub source_arn: Option<String>,
    /// Whether the source is to be read.
    pub enabled: bool,
    /// Most records that one invocation is given.
    pub batch_size: u32,
    /// How long records are gathered for one invocation.
    pub window_seconds: u32,
    /// Whether the function tells which records of a batch it has failed on.
    pub reports_failures: bool,
    /// Other settings, as they are shown.
    pub more: Map<String, Value>,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// For people and for bills.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Resource for EventSourceMapping {
    const TABLE: &'static str = "event_source_mappings";

    fn id(&self) -> &str {
        &self.id
    }

    fn all(resources: &Resources) -> &BTreeMap<String, Arc<Self>> {
        &resources.event_source_mappings
    }

    fn all_mut(resources: &mut Resources) -> &mut BTreeMap<String, Arc<Self>> {
        &mut resources.event_source_mappings
    }

    fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.tags
    }
}
