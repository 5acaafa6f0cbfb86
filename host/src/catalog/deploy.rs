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
            meta: meta(config, tags),
        };
        Self { id, spec, _packages: packages }
    }
}

/// What the launch specification has no fields for.
fn meta(config: &FunctionConfig, tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let tags = tags.iter().map(|(name, value)| (format!("tag.{name}"), value.clone()));
    let level = match &config.logging.format {
        LogFormat::Json { system_level, .. } => Some(("log.system_level".to_owned(), system_level.clone())),
        LogFormat::Text => None,
    };
    tags.chain(level).collect()
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
            for layer in &zip.layers {
                canon.bytes("layer", &layer.package.sha256.0);
            }
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
        for value in values {
            self.text(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::function::{
        Architecture, FileSystem, ImageCode, LayerRef, Logging, PackageRef, SnapStart, Tracing, ZipCode,
    };

    fn package(content: &[u8]) -> PackageRef {
        PackageRef { sha256: Digest::of(content), size: 1, unpacked_size: 1 }
    }

    prop_compose! {
        /// Settings with few different values in each place, so that two of them are often almost the same.
        fn any_config()(
            is_zip in any::<bool>(),
            code in "[ab]",
            runtime in "[ab]{0,2}",
            handler in "[ab]{0,2}",
            layers in prop::collection::vec("[ab]", 0..3),
            command in prop::collection::vec("[ab]{0,2}", 0..3),
            entry_point in prop::collection::vec("[ab]{0,2}", 0..3),
            working_directory in prop::option::of("[ab]"),
            environment in prop::option::of(prop::collection::btree_map("[AB]{1,2}", "[ab]{0,2}", 0..3)),
            (role, group) in ("[ab]", "[ab]"),
            (timeout_seconds, memory_mb, ephemeral_storage_mb) in (1u32..3, 1u32..3, 1u32..3),
            (is_arm, is_traced, is_json) in any::<(bool, bool, bool)>(),
            file_systems in prop::collection::vec("[ab]", 0..2),
        ) -> FunctionConfig {
            let layer = |name: String| LayerRef { package: package(name.as_bytes()), arn: String::new() };
            let code = if is_zip {
                Code::Zip(ZipCode { package: package(code.as_bytes()), runtime, handler, layers: layers.into_iter().map(layer).collect() })
            } else {
                Code::Image(ImageCode { uri: code, entry_point, command, working_directory })
            };
            let json = LogFormat::Json { application_level: "INFO".into(), system_level: "INFO".into() };
            FunctionConfig {
                code,
                architecture: if is_arm { Architecture::Arm64 } else { Architecture::X86_64 },
                role,
                description: String::new(),
                timeout_seconds,
                memory_mb,
                ephemeral_storage_mb,
                environment,
                kms_key_arn: None,
                tracing: if is_traced { Tracing::Active } else { Tracing::PassThrough },
                logging: Logging { group, format: if is_json { json } else { LogFormat::Text } },
                vpc: None,
                dead_letter_arn: None,
                file_systems: file_systems.into_iter().map(|arn| FileSystem { arn, mount_path: String::new() }).collect(),
                snap_start: SnapStart::None,
            }
        }
    }

    fn id(config: &FunctionConfig) -> DeployId {
        let key = FunctionKey::new("000000000000", "us-east-1", "f");
        let none = BTreeMap::new();
        Deploy::new(&key, VersionName::Latest, config, Vec::new(), &none, &none).id
    }

    proptest! {
        #[test]
        fn an_id_is_43_characters_that_may_stand_in_a_url(config in any_config()) {
            let text = id(&config).to_string();
            prop_assert_eq!(text.len(), 43);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        }

        #[test]
        fn two_deploys_have_one_id_exactly_if_nothing_that_shapes_an_instance_differs(
            one in any_config(),
            other in any_config(),
        ) {
            // No variables and none at all are the same to an instance.
            let shape = |config: &FunctionConfig| FunctionConfig {
                environment: Some(config.environment.clone().unwrap_or_default()),
                ..config.clone()
            };
            prop_assert_eq!(id(&one) == id(&other), shape(&one) == shape(&other));
        }

        #[test]
        fn what_only_the_control_plane_looks_at_changes_no_id(config in any_config(), text in "[ab]") {
            let changed = FunctionConfig {
                description: text.clone(),
                dead_letter_arn: Some(text.clone()),
                kms_key_arn: Some(text),
                ..config.clone()
            };
            prop_assert_eq!(id(&config), id(&changed));
        }
    }

    #[test]
    fn each_setting_that_shapes_an_instance_changes_the_id() {
        let zip = |runtime: &str, handler: &str, code: &[u8], layers: &[&[u8]]| {
            Code::Zip(ZipCode {
                package: package(code),
                runtime: runtime.into(),
                handler: handler.into(),
                layers: layers
                    .iter()
                    .map(|layer| LayerRef { arn: String::new(), package: package(layer) })
                    .collect(),
            })
        };
        let image = |uri: &str, command: &[&str]| {
            let command = command.iter().map(ToString::to_string).collect();
            Code::Image(ImageCode { uri: uri.into(), command, ..ImageCode::default() })
        };
        let base = FunctionConfig {
            code: zip("r", "h", b"1", &[b"a", b"b"]),
            architecture: Architecture::X86_64,
            role: "role".into(),
            description: String::new(),
            timeout_seconds: 3,
            memory_mb: 128,
            ephemeral_storage_mb: 512,
            environment: None,
            kms_key_arn: None,
            tracing: Tracing::PassThrough,
            logging: Logging { group: "g".into(), format: LogFormat::Text },
            vpc: None,
            dead_letter_arn: None,
            file_systems: Vec::new(),
            snap_start: SnapStart::None,
        };
        let json = LogFormat::Json { application_level: "INFO".into(), system_level: "INFO".into() };
        let base = || base.clone();
        let changed = [
            base(),
            FunctionConfig { code: zip("R", "h", b"1", &[b"a", b"b"]), ..base() },
            FunctionConfig { code: zip("r", "H", b"1", &[b"a", b"b"]), ..base() },
            FunctionConfig { code: zip("r", "h", b"2", &[b"a", b"b"]), ..base() },
            FunctionConfig { code: zip("r", "h", b"1", &[b"b", b"a"]), ..base() },
            FunctionConfig { code: zip("r", "h", b"1", &[b"a"]), ..base() },
            FunctionConfig { code: image("i", &["x", "y"]), ..base() },
            FunctionConfig { code: image("i", &["xy"]), ..base() },
            FunctionConfig { architecture: Architecture::Arm64, ..base() },
            FunctionConfig { role: "other".into(), ..base() },
            FunctionConfig { timeout_seconds: 4, ..base() },
            FunctionConfig { memory_mb: 129, ..base() },
            FunctionConfig { ephemeral_storage_mb: 513, ..base() },
            FunctionConfig { environment: Some([("A".into(), "a".into())].into()), ..base() },
            FunctionConfig { tracing: Tracing::Active, ..base() },
            FunctionConfig { logging: Logging { group: "G".into(), format: LogFormat::Text }, ..base() },
            FunctionConfig { logging: Logging { group: "g".into(), format: json }, ..base() },
        ];
        let ids: std::collections::BTreeSet<_> = changed.iter().map(id).collect();
        assert_eq!(ids.len(), changed.len());
    }
}
