//! The form of each setting, as the model has it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::members::{FILE_SYSTEMS, HANDLER, IMAGE, LOG_GROUP, ROLE, VPC};
use crate::api::shape::{KEY, Shape};
use crate::api::validate::Violations;
use crate::api::wire::settings as wire;
use crate::catalog::environment::RESERVED;
use crate::catalog::function::{Architecture, FileSystem};

const APPLICATION_LEVELS: &[&str] = &["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const SYSTEM_LEVELS: &[&str] = &["DEBUG", "INFO", "WARN"];

pub(super) const LAYER_CONSTRAINT: &str = r"Member must satisfy constraint: [Member must have length less than or equal to 140, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: (arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), Member must not be null]";
const VARIABLE_CONSTRAINT: &str = "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]";

/// What a request changes of the log; what is `None` stays as it is.
#[derive(Debug, Default)]
pub(super) struct LoggingChange {
    pub(super) json: Option<bool>,
    pub(super) application_level: Option<String>,
    pub(super) system_level: Option<String>,
    pub(super) group: Option<String>,
}

/// Settings that are kept as they are given.
pub(super) fn check_forms(given: &wire::Settings, violations: &mut Violations) {
    let target = given.dead_letter_config.as_ref().and_then(|it| it.target_arn.as_ref());
    for (value, member, form) in [
        (given.role.as_ref(), "role", &ROLE),
        (given.handler.as_ref(), "handler", &HANDLER),
        (given.kms_key_arn.as_ref(), "kMSKeyArn", &KEY),
        (target, "deadLetterConfig.targetArn", &KEY),
    ] {
        if let Some(value) = value {
            violations.form(value.as_str(), member, form);
        }
    }
    if let Some(vpc) = &given.vpc_config {
        check(vpc, "vpcConfig", &VPC, violations);
    }
    if let Some(image) = &given.image_config {
        check(image, "imageConfig", &IMAGE, violations);
    }
}

fn check(value: &impl Serialize, member: &str, form: &Shape, violations: &mut Violations) {
    // What was read from JSON can be written as such.
    violations.form(serde_json::to_value(value).unwrap_or_default(), member, form);
}

/// The one architecture of a request, if it names one.
pub(in crate::api) fn architecture(
    given: Option<&[String]>,
    violations: &mut Violations,
) -> Option<Architecture> {
    let given = given?;
    let shown = format!("[{}]", given.join(", "));
    match given {
        [] => {
            let constraint = "Member must have length greater than or equal to 1";
            violations.add(shown, "architectures", constraint);
            None
        }
        [one] => {
            let architecture = Architecture::parse(one);
            if architecture.is_none() {
                let constraint = "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], \
                                  Member must not be null]";
                violations.add(shown, "architectures", constraint);
            }
            architecture
        }
        [_, _, ..] => {
            violations.add(shown, "architectures", "Member must have length less than or equal to 1");
            None
        }
    }
}

pub(super) fn environment(given: wire::Environment, violations: &mut Violations) -> BTreeMap<String, String> {
    let variables = given.variables.unwrap_or_default();
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
        first && name.len() > 1 && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    // Reserved names may begin with an underscore; they are refused for what they are.
    if variables.keys().any(|name| !is_name(name) && !RESERVED.contains(&name.as_str())) {
        let names: Vec<_> = variables.keys().map(|name| format!("{name}=***")).collect();
        violations.add(format!("{{{}}}", names.join(", ")), "environment.variables", VARIABLE_CONSTRAINT);
    }
    variables
}

pub(super) fn logging(given: wire::LoggingConfig, violations: &mut Violations) -> LoggingChange {
    let wire::LoggingConfig { log_format, application_log_level, system_log_level, log_group } = given;
    let known = |words: &'static [&'static str]| move |word: &str| words.contains(&word).then_some(());
    if let Some(level) = &application_log_level {
        violations.word(
            level,
            "loggingConfig.applicationLogLevel",
            APPLICATION_LEVELS,
            known(APPLICATION_LEVELS),
        );
    }
    if let Some(level) = &system_log_level {
        violations.word(level, "loggingConfig.systemLogLevel", SYSTEM_LEVELS, known(SYSTEM_LEVELS));
    }
    if let Some(group) = &log_group {
        violations.form(group.as_str(), "loggingConfig.logGroup", &LOG_GROUP);
    }
    let json = log_format.and_then(|format| {
        violations.word(&format, "loggingConfig.logFormat", &["JSON", "Text"], |word| match word {
            "JSON" => Some(true),
            "Text" => Some(false),
            _ => None,
        })
    });
    LoggingChange {
        json,
        application_level: application_log_level,
        system_level: system_log_level,
        group: log_group,
    }
}

pub(super) fn file_systems(
    given: Vec<wire::FileSystemConfig>,
    violations: &mut Violations,
) -> Vec<FileSystem> {
    check(&given, "fileSystemConfigs", &FILE_SYSTEMS, violations);
    let file_system = |it: wire::FileSystemConfig| FileSystem {
        arn: it.arn.unwrap_or_default(),
        mount_path: it.local_mount_path.unwrap_or_default(),
    };
    given.into_iter().map(file_system).collect()
}

pub(super) fn check_layers(arns: &[String], violations: &mut Violations) {
    if arns.iter().any(|arn| crate::api::layers::parse_version_arn(arn).is_none()) {
        violations.add(format!("[{}]", arns.join(", ")), "layers", LAYER_CONSTRAINT);
    }
}
