//! The environment that a function gets from Lambda.
//!
//! What depends on the place (paths, the Runtime API's address) is added by the backend; what differs between
//! instances (log stream, initialization type, credentials) by the driver.

use std::collections::BTreeMap;

use super::function::{Code, FunctionConfig, FunctionKey, LogFormat, VersionName};

/// Names that a user's environment must not have: the function would see something that is not true.
pub const RESERVED: [&str; 18] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// Where AWS's own X-Ray daemon listens, as functions see it there.
const XRAY_DAEMON: (&str, &str) = ("169.254.100.1", "2000");

/// Everything that the host knows of a version's environment. From weakest to strongest: what Lambda sets and a
/// user may replace, the host's own additions for every function, the user's variables, what is reserved.
pub fn environment_of(
    key: &FunctionKey,
    version: VersionName,
    config: &FunctionConfig,
    host: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut environment = replaceable();
    environment.extend(host.clone());
    environment.extend(config.environment.clone().unwrap_or_default());
    environment.extend(reserved(key, version, config));
    environment
}

fn replaceable() -> BTreeMap<String, String> {
    let (address, port) = XRAY_DAEMON;
    [
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
        ("AWS_XRAY_DAEMON_ADDRESS", format!("{address}:{port}")),
        ("TZ", ":UTC".to_owned()),
        ("_AWS_XRAY_DAEMON_ADDRESS", address.to_owned()),
        ("_AWS_XRAY_DAEMON_PORT", port.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn reserved(key: &FunctionKey, version: VersionName, config: &FunctionConfig) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        ("AWS_DEFAULT_REGION", key.region.to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", key.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", version.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", config.logging.group.clone()),
        ("AWS_REGION", key.region.to_string()),
    ]);
    if let Code::Zip(zip) = &config.code {
        environment.insert("_HANDLER", zip.handler.clone());
        if !zip.runtime.starts_with("provided") {
            environment.insert("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", zip.runtime));
        }
    }
    if let LogFormat::Json { application_level, .. } = &config.logging.format {
        environment.insert("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned());
        environment.insert("AWS_LAMBDA_LOG_LEVEL", application_level.clone());
    }
    environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
