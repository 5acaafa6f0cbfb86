//! From a request's settings to a function's: checked for form, then for sense.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::runtimes;
use super::shape::{self, Member};
use super::validate::Violations;
use super::wire::settings as wire;
use crate::catalog::environment::RESERVED;
use crate::catalog::function::{
    Code, FileSystem, FunctionConfig, LayerRef, LogFormat, SnapStart, Tracing, Vpc,
};

pub(super) use forms::architecture;
use forms::{LoggingChange, check_forms, check_layers, environment, file_systems, logging};
pub(super) use members::{PUBLISH_TO, REFUSED, REFUSED_AT_CREATION};

mod forms;
mod members;

/// Most that the variables of a function may measure, as JSON, in bytes.
const MAX_ENVIRONMENT_BYTES: usize = 4096;
const MAX_TIMEOUT_SECONDS: u32 = 900;
/// What the model allows; instances of this host are limited to [`MAX_MEMORY_MB`].
const MODEL_MAX_MEMORY_MB: u32 = 32_768;
const MAX_MEMORY_MB: u32 = 10_240;
const MAX_LAYERS: usize = 5;

/// What a request changes, each part well formed. What is `None` stays as it is.
#[derive(Debug, Default)]
pub(super) struct Changes {
    role: Option<String>,
    runtime: Option<String>,
    handler: Option<String>,
    description: Option<String>,
    timeout_seconds: Option<u32>,
    memory_mb: Option<u32>,
    environment: Option<BTreeMap<String, String>>,
    kms_key_arn: Option<String>,
    tracing: Option<Tracing>,
    logging: Option<LoggingChange>,
    vpc: Option<Vpc>,
    dead_letter_arn: Option<String>,
    file_systems: Option<Vec<FileSystem>>,
    ephemeral_storage_mb: Option<u32>,
    snap_start: Option<SnapStart>,
    image: Option<wire::ImageConfig>,
    /// ARNs of layer versions, for the catalog to look up.
    pub(super) layers: Option<Vec<String>>,
    /// Something else was asked for, which this host does not do.
    refused: Option<ApiError>,
}

impl Changes {
    /// Checks the form of every member; `refused` are those that may be given and are refused.
    pub(super) fn parse(
        given: wire::Settings,
        refused: &[&[Member]],
        violations: &mut Violations,
    ) -> Result<Self, ApiError> {
        check_forms(&given, violations);
        if let Some(description) = &given.description {
            violations.length(description, "description", 0, 256);
        }
        let timeout = given.timeout.and_then(|it| violations.range(it, "timeout", 1, MAX_TIMEOUT_SECONDS));
        let memory =
            given.memory_size.and_then(|it| violations.range(it, "memorySize", 128, MODEL_MAX_MEMORY_MB));
        let storage =
            given.ephemeral_storage.and_then(|it| violations.required(it.size, "ephemeralStorage.size"));
        check_layers(given.layers.as_deref().unwrap_or_default(), violations);
        Ok(Self {
            refused: shape::refuse(refused, given.more, violations)?,
            role: given.role,
            runtime: given.runtime,
            handler: given.handler,
            description: given.description,
            timeout_seconds: timeout,
            memory_mb: memory,
            environment: given.environment.map(|it| environment(it, violations)),
            kms_key_arn: given.kms_key_arn,
            tracing: given.tracing_config.and_then(|it| it.mode).and_then(|mode| {
                violations.word(&mode, "tracingConfig.mode", &["Active", "PassThrough"], Tracing::parse)
            }),
            logging: given.logging_config.map(|it| logging(it, violations)),
            vpc: given.vpc_config.map(|it| Vpc {
                subnets: it.subnet_ids.unwrap_or_default(),
                security_groups: it.security_group_ids.unwrap_or_default(),
                ipv6_allowed: it.ipv6_allowed_for_dual_stack.unwrap_or(false),
            }),
            dead_letter_arn: given.dead_letter_config.map(|it| it.target_arn.unwrap_or_default()),
            file_systems: given.file_system_configs.map(|list| file_systems(list, violations)),
            ephemeral_storage_mb: storage
                .and_then(|size| violations.range(size, "ephemeralStorage.size", 512, 10_240)),
            snap_start: given.snap_start.and_then(|it| it.apply_on).and_then(|word| {
                violations.word(&word, "snapStart.applyOn", &["PublishedVersions", "None"], SnapStart::parse)
            }),
            image: given.image_config,
            layers: given.layers,
        })
    }

    /// Checks what makes no sense whatever the function is, on a host whose instances may have so much memory.
    pub(super) fn check(&mut self, memory_budget_mb: Option<u64>) -> Result<(), ApiError> {
        self.refused.take().map_or(Ok(()), Err)?;
        if self.memory_mb.is_some_and(|memory| memory > MAX_MEMORY_MB) {
            return Err(ApiError::invalid(format!(
                "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to \
                 {MAX_MEMORY_MB}"
            )));
        }
        if let Some(budget) = memory_budget_mb.filter(|it| self.memory_mb.is_some_and(|mb| *it < mb.into())) {
            return Err(ApiError::invalid(format!(
                "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to \
                 {budget}, which is all the memory that this host gives its instances (pool.memory_budget_mb)"
            )));
        }
        if let Some(variables) = &self.environment {
            check_environment(variables)?;
        }
        if self.layers.as_ref().is_some_and(|layers| layers.len() > MAX_LAYERS) {
            return Err(ApiError::invalid(format!("Cannot reference more than {MAX_LAYERS} layers.")));
        }
        match &self.runtime {
            Some(runtime) => runtimes::check(runtime),
            None => Ok(()),
        }
    }

    /// Runtime and handler, which a new function with a zip file must have.
    pub(super) fn take_runtime_and_handler(&mut self) -> Option<(String, String)> {
        Some((self.runtime.take()?, self.handler.take()?))
    }

    /// Makes the changes; `layers` are those that were asked for, looked up.
    pub(super) fn apply(
        self,
        config: &mut FunctionConfig,
        layers: Option<Vec<LayerRef>>,
    ) -> Result<(), ApiError> {
        set(&mut config.role, self.role);
        set(&mut config.description, self.description);
        set(&mut config.timeout_seconds, self.timeout_seconds);
        set(&mut config.memory_mb, self.memory_mb);
        set(&mut config.ephemeral_storage_mb, self.ephemeral_storage_mb);
        set(&mut config.tracing, self.tracing);
        set(&mut config.file_systems, self.file_systems);
        set(&mut config.snap_start, self.snap_start);
        if self.environment.is_some() {
            config.environment = self.environment;
        }
        // An empty value takes a setting away.
        if let Some(arn) = self.kms_key_arn {
            config.kms_key_arn = Some(arn).filter(|arn| !arn.is_empty());
        }
        if let Some(arn) = self.dead_letter_arn {
            config.dead_letter_arn = Some(arn).filter(|arn| !arn.is_empty());
        }
        if let Some(vpc) = self.vpc {
            config.vpc = Some(vpc).filter(|vpc| !vpc.subnets.is_empty() || !vpc.security_groups.is_empty());
        }
        if let Some(logging) = self.logging {
            logging.apply(config);
        }
        match &mut config.code {
            Code::Zip(zip) => {
                set(&mut zip.runtime, self.runtime);
                set(&mut zip.handler, self.handler);
                set(&mut zip.layers, layers);
                if config.snap_start == SnapStart::PublishedVersions {
                    runtimes::check_snap_start(&zip.runtime)?;
                }
            }
            Code::Image(image) => {
                if layers.is_some_and(|layers| !layers.is_empty()) {
                    return Err(ApiError::invalid(
                        "Layers are not supported for functions with package type Image.",
                    ));
                }
                if let Some(given) = self.image {
                    image.entry_point = given.entry_point.unwrap_or_default();
                    image.command = given.command.unwrap_or_default();
                    image.working_directory = given.working_directory.filter(|folder| !folder.is_empty());
                }
            }
        }
        Ok(())
    }
}

impl LoggingChange {
    /// A level that is not given is the default one, unless the format was JSON before.
    fn apply(self, config: &mut FunctionConfig) {
        set(&mut config.logging.group, self.group);
        let (was_application, was_system) = match &config.logging.format {
            LogFormat::Json { application_level, system_level } => {
                (application_level.clone(), system_level.clone())
            }
            LogFormat::Text => ("INFO".to_owned(), "INFO".to_owned()),
        };
        let was_json = matches!(config.logging.format, LogFormat::Json { .. });
        config.logging.format = if self.json.unwrap_or(was_json) {
            LogFormat::Json {
                application_level: self.application_level.unwrap_or(was_application),
                system_level: self.system_level.unwrap_or(was_system),
            }
        } else {
            LogFormat::Text
        };
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn check_environment(variables: &BTreeMap<String, String>) -> Result<(), ApiError> {
    const UNABLE: &str = "Lambda was unable to configure your environment variables because the environment variables \
                          you have provided";
    let reserved: Vec<_> =
        variables.keys().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    if !reserved.is_empty() {
        return Err(ApiError::invalid(format!(
            "{UNABLE} contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    let measured = serde_json::Value::from_iter(variables.clone()).to_string();
    if measured.len() > MAX_ENVIRONMENT_BYTES {
        return Err(ApiError::invalid(format!(
            "{UNABLE} exceeded the 4KB limit. String measured: {measured}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::forms::LAYER_CONSTRAINT;
    use super::*;

    fn told(settings: &str) -> String {
        let settings = serde_json::from_str(settings).unwrap();
        let mut violations = Violations::default();
        let changes = Changes::parse(settings, &[REFUSED], &mut violations);
        match changes.and_then(|mut changes| violations.check().and_then(|()| changes.check(None))) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn settings_are_checked_in_awss_words() {
        for (settings, expected) in [
            (
                r#"{"Role": "arn:aws:iam::000000000000:role/r", "Timeout": 900, "MemorySize": 10240, "Unknown": 1}"#,
                "fine",
            ),
            (
                r#"{"Role": "r1"}"#,
                r"ValidationException: 1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
            ),
            (
                r#"{"Timeout": 901}"#,
                "ValidationException: 1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
            ),
            (
                r#"{"MemorySize": 64}"#,
                "ValidationException: 1 validation error detected: Value '64' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
            ),
            (
                r#"{"MemorySize": 20000}"#,
                "InvalidParameterValueException: 'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240",
            ),
            (
                r#"{"Environment": {"Variables": {"AWS_REGION": "x", "_HANDLER": "y"}}}"#,
                "InvalidParameterValueException: Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION, _HANDLER",
            ),
            (
                r#"{"Layers": ["a", "b", "c", "d", "e", "f"]}"#,
                &format!(
                    "ValidationException: 1 validation error detected: Value '[a, b, c, d, e, f]' at 'layers' failed to satisfy constraint: {LAYER_CONSTRAINT}"
                ),
            ),
            (
                r#"{"LoggingConfig": {"LogFormat": "XML"}}"#,
                "ValidationException: 1 validation error detected: Value 'XML' at 'loggingConfig.logFormat' failed to satisfy constraint: Member must satisfy enum value set: [JSON, Text]",
            ),
            (
                r#"{"DeadLetterConfig": {"TargetArn": "queue"}}"#,
                "ValidationException: 1 validation error detected: Value 'queue' at 'deadLetterConfig.targetArn' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
            ),
            (r#"{"DeadLetterConfig": {"TargetArn": ""}}"#, "fine"),
            (
                r#"{"SnapStart": {"ApplyOn": "Always"}}"#,
                "ValidationException: 1 validation error detected: Value 'Always' at 'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: [PublishedVersions, None]",
            ),
        ] {
            assert_eq!(told(settings), expected);
        }
        let large = "x".repeat(4096);
        assert_eq!(
            told(&format!(r#"{{"Environment": {{"Variables": {{"BIG": "{large}"}}}}}}"#)),
            format!(
                "InvalidParameterValueException: Lambda was unable to configure your environment variables because the \
                 environment variables you have provided exceeded the 4KB limit. String measured: {{\"BIG\":\"{large}\"}}"
            )
        );
    }

    #[test]
    fn architectures_are_checked_in_awss_words() {
        for (given, expected) in [
            (&["x86_64"][..], "fine"),
            (
                &["x86_64", "arm64"],
                "ValidationException: 1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1",
            ),
            (
                &["mips"],
                "ValidationException: 1 validation error detected: Value '[mips]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            ),
        ] {
            let mut violations = Violations::default();
            let given: Vec<_> = given.iter().map(ToString::to_string).collect();
            architecture(Some(&given), &mut violations);
            let told = violations.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn what_this_host_does_not_do_is_refused_once_it_is_well_formed() {
        let refused = "InvalidParameterValueException: DurableConfig is not supported by this host.";
        let malformed = "ValidationException: 1 validation error detected: Value '0' at 'durableConfig.executionTimeout' failed to satisfy constraint: Member must have value greater than or equal to 1";
        for (settings, expected) in [
            (r#"{"DurableConfig": {"ExecutionTimeout": 60}}"#, refused),
            (r#"{"DurableConfig": {"ExecutionTimeout": 0}}"#, malformed),
            (r#"{"DurableConfig": null}"#, "fine"),
        ] {
            assert_eq!(told(settings), expected, "{settings}");
        }
    }
}
