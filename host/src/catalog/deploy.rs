//! A deploy: what an instance is made from, and the digest that tells two of them apart.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hearth_core::{Image, LaunchSpec};
use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::environment::environment_of;
use super::function::{Code, FunctionConfig, FunctionKey, LogFormat, VersionName};
use super::package::Package;

/// Digest of everything that shapes an instance. Shown as 43 characters of URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeployId(pub [u8; 32]);

impl fmt::Display for DeployId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest(self.0).base64_url())
    }
}

impl fmt::Debug for DeployId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What instances of a version are launched from. Whoever runs an instance keeps this for as long as it runs:
/// the code stays on disk for it.
#[derive(Debug)]
pub struct Deploy {
    /// Two deploys with the same id make the same instances.
    pub id: DeployId,
    /// The launch specification without what differs between instances: `instance_id`, `token` and
    /// `secret_env` are empty; `env` lacks `AWS_LAMBDA_INITIALIZATION_TYPE` and `AWS_LAMBDA_LOG_STREAM_NAME`.
    pub spec: LaunchSpec,
    /// Never read: their being here is what keeps them.
    _packages: Vec<Arc<Package>>,
}

/// Limit of the init phase, as in AWS.
const INIT_TIMEOUT_MS: u64 = 10_000;

impl Deploy {
    /// Makes the deploy of a version's settings. `packages` are those of [`FunctionConfig::packages`], in that
    /// order.
    pub fn new(
        key: &FunctionKey,
        version: VersionName,
        config: &FunctionConfig,
        packages: Vec<Arc<Package>>,
        tags: &BTreeMap<String, String>,
        host_environment: &BTreeMap<String, String>,
    ) -> Self {
        let env = environment_of(key, version, config, host_environment);
        let id = deploy_id(key, version, config, &env);
        let (image, handler) = match &config.code {
            Code::Zip(zip) => (None, zip.handler.clone()),
            Code::Image(image) => (
                Some(Image {
                    uri: image.uri.clone(),
                    entry_point: image.entry_point.clone(),
                    command: image.command.clone(),
                    working_directory: image.working_directory.clone(),
                }),
                String::new(),
            ),
        };
        let mut artifacts = packages.iter().map(|package| package.artifact());
        let spec = LaunchSpec {
            instance_id: String::new(),
            function: key.name.to_string(),
            version: version.to_string(),
            function_arn: key.arn(),
            deploy_id: id.to_string(),
            runtime: config.runtime().to_owned(),
            handler,
            architecture: config.architecture.as_str().to_owned(),
            memory_mb: config.memory_mb,
            ephemeral_storage_mb: config.ephemeral_storage_mb,
            timeout_ms: u64::from(config.timeout_seconds) * 1000,
            init_timeout_ms: INIT_TIMEOUT_MS,
            slots: 1,
            env,
            secret_env: BTreeMap::new(),
            image,
            code: artifacts.next(),
            layers: artifacts.collect(),
            token: String::new(),
            meta: tags.iter().map(|(name, value)| (format!("tag.{name}"), value.clone())).collect(),
        };
        Self { id, spec, _packages: packages }
    }
}

/// Digest of what shapes an instance. Tags are not part of it, nor is anything that only Lambda's control plane
/// looks at: changing those must not restart instances.
fn deploy_id(
    key: &FunctionKey,
    version: VersionName,
    config: &FunctionConfig,
    env: &BTreeMap<String, String>,
) -> DeployId {
    let mut canon = Canon(Sha256::new_with_prefix("hearth deploy 1"));
    canon.text("arn", &key.arn());
    canon.text("version", &version.to_string());
    canon.text("architecture", config.architecture.as_str());
    canon.text("role", &config.role);
    canon.number("memory", config.memory_mb);
    canon.number("storage", config.ephemeral_storage_mb);
    canon.number("timeout", config.timeout_seconds);
    canon.text("tracing", config.tracing.as_str());
    canon.text("log group", &config.logging.group);
    match &config.logging.format {
        LogFormat::Text => canon.text("log format", "text"),
        LogFormat::Json { application_level, system_level } => {
            canon.list("log format", [application_level, system_level]);
        }
    }
    canon.list("environment", env.iter().flat_map(|(name, value)| [name, value]));
    match &config.code {
        Code::Zip(zip) => {
            canon.text("runtime", &zip.runtime);
            canon.text("handler", &zip.handler);
            canon.bytes("code", &zip.package.sha256.0);
            canon.count("layers", zip.layers.len());
            zip.layers.iter().for_each(|layer| canon.bytes("layer", &layer.package.sha256.0));
        }
        Code::Image(image) => {
            canon.text("image", &image.uri);
            canon.list("entry point", &image.entry_point);
            canon.list("command", &image.command);
            canon.list("working directory", image.working_directory.as_ref());
        }
    }
    for file_system in &config.file_systems {
        canon.list("file system", [&file_system.arn, &file_system.mount_path]);
    }
    DeployId(canon.0.finalize().into())
}

/// Feeds a hash so that no two lists of fields look the same to it: each value is named and has its length
/// before it.
struct Canon(Sha256);

impl Canon {
    fn bytes(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.bytes(name, value.as_bytes());
    }

    fn number(&mut self, name: &str, value: u32) {
        self.bytes(name, &value.to_be_bytes());
    }

    fn count(&mut self, name: &str, value: usize) {
        self.bytes(name, &(value as u64).to_be_bytes());
    }

    fn list<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a String>) {
        let values: Vec<_> = values.into_iter().collect();
        self.count(name, values.len());
        values.iter().for_each(|value| self.text(name, value));
    }
}
