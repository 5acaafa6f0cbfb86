//! What an invocation is given to, and how it is found.

use std::sync::Arc;
use std::time::Duration;

use super::deploy::Deploy;
use super::function::{FunctionConfig, FunctionKey, State, VersionName};
use crate::trace;

/// One version that can be invoked, with everything that the invoke path needs, made once a deploy.
#[derive(Debug)]
pub struct Target {
    /// The function.
    pub function: FunctionKey,
    /// `$LATEST` or a number.
    pub version: Arc<str>,
    /// Dense from 0. The same account, region, name and version have the same number for the life of the host,
    /// also if they are deleted and made again.
    pub function_id: u32,
    /// The same for all versions of a function, and for no other function.
    pub reserve_group: u32,
    /// ARN of the function, unqualified.
    pub arn: Arc<str>,
    /// What stands for the function in the lineage of a request.
    pub lineage_name: Arc<str>,
    /// Limit for one invocation.
    pub timeout: Duration,
    /// What an instance is counted with.
    pub memory_mb: u32,
    /// Name of the log group.
    pub log_group: Arc<str>,
    /// What instances are launched from.
    pub deploy: Arc<Deploy>,
}

impl Target {
    /// The target for a version's settings.
    pub fn new(
        key: &FunctionKey,
        version: VersionName,
        config: &FunctionConfig,
        numbers: Numbers,
        deploy: Arc<Deploy>,
    ) -> Self {
        Self {
            function: key.clone(),
            version: version.to_string().into(),
            function_id: numbers.function_id,
            reserve_group: numbers.reserve_group,
            arn: key.arn().into(),
            lineage_name: trace::lineage_name(&key.arn()).into(),
            timeout: Duration::from_secs(u64::from(config.timeout_seconds)),
            memory_mb: config.memory_mb,
            log_group: config.logging.group.as_str().into(),
            deploy,
        }
    }
}

/// The numbers that stand for a version and its function in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// See [`Target::function_id`].
    pub function_id: u32,
    /// See [`Target::reserve_group`].
    pub reserve_group: u32,
}

/// How many instances a version may have, or must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Reserved concurrency: instances of all versions together at most.
    pub reserved: Option<u32>,
    /// Instances that are kept ready.
    pub provisioned: u32,
}

/// Whom an invocation is for, as far as the catalog is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionRef<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// As in `us-east-1`.
    pub region: &'a str,
    /// The bare name.
    pub name: &'a str,
    /// A version or an alias; `$LATEST` if it is missing.
    pub qualifier: Option<&'a str>,
}

/// Why there is nothing to invoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No such function, or no such version or alias.
    #[error("no such function, version or alias")]
    NotFound,
    /// It cannot be invoked in this state.
    #[error("the function is {}", .0.as_str())]
    NotActive(State),
}
