//! What makes an instance, as plain values: whoever uses the library has read files and environment already.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::log::Observer;

/// Everything that [`Instance::start`](crate::Instance::start) needs to know.
pub struct InstanceConfig {
    /// The function's process.
    pub program: Program,
    /// What the function is called, for its log lines.
    pub function: Function,
    /// Invocations that the function serves at once; at least one.
    pub slots: usize,
    /// Limit of the init phase. After it the process is killed, and its init is repeated inside the first
    /// invocation, as AWS does.
    pub init_limit: Duration,
    /// The process group is killed when it uses more resident memory than this, in bytes.
    pub memory_limit: Option<u64>,
    /// What a streamed response may be.
    pub stream: StreamRules,
    /// Where invocations are taken; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the function's process finds the Runtime API; port 0 takes a free one.
    pub runtime_api: SocketAddr,
    /// The folder with the external extensions: every executable in it is started before the function's
    /// process, as those in `/opt/extensions` are on Lambda.
    pub extensions: Option<PathBuf>,
    /// Who may invoke.
    pub admission: Admission,
    /// What an invocation is given that does not say it itself. Without it such an invocation is refused.
    pub defaults: Option<Defaults>,
    /// Whether the processes are stopped while there is nothing for them to do, as on Lambda. Not where several
    /// invocations run at once.
    pub freeze: bool,
    /// How the platform's own lines are written.
    pub log_format: LogFormat,
    /// Told about every log line and every death.
    pub observer: Arc<dyn Observer>,
}

/// What a streamed response may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRules {
    /// How long, in bytes. Lambda's limit is 200 MiB; until July 2025 it was 20.
    pub limit: u64,
    /// How fast behind the first [`BURST`](Self::BURST), in bytes per second; without it as fast as it is written.
    /// Lambda's is 2 MiB.
    pub rate: Option<NonZeroU64>,
}

impl StreamRules {
    /// Goes as fast as it is written in any case: 6 MiB.
    pub const BURST: u64 = 6 * 1024 * 1024;
}

impl Default for StreamRules {
    fn default() -> Self {
        Self { limit: 200 * 1024 * 1024, rate: None }
    }
}

/// A process to be started, as often as the function needs a new one.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable, absolute.
    pub path: PathBuf,
    /// Its arguments, without the name of the executable.
    pub arguments: Vec<OsString>,
    /// Its whole environment: nothing is inherited. `AWS_LAMBDA_RUNTIME_API` is added.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// What it is kept from.
    pub confinement: Confinement,
}

/// What a process is kept from. All of it works without privileges, except where it says so.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// Limit of open files, soft and hard.
    pub open_files: Option<u64>,
    /// A crash leaves no core file: it would land in the code, which is shared and never changes.
    pub no_core_files: bool,
    /// The process sees this directory as `/tmp`. It needs the right to make a mount namespace, as root or
    /// through user namespaces; the start fails where that is missing.
    pub private_tmp: Option<PathBuf>,
    /// The process sees this file as `/etc/hosts`, under the same conditions.
    pub hosts: Option<PathBuf>,
}

/// What the function is called.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Memory in MiB that it was promised: what REPORT says, not what is enforced.
    pub memory_mb: u32,
    /// The account that it belongs to, for extensions that ask.
    pub account_id: Option<String>,
}

/// How the platform's own lines are written: START and REPORT, or records in JSON. What the function writes is
/// passed on as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// As Lambda does unless it is told otherwise.
    #[default]
    Text,
    /// Records of this level and above.
    Json(SystemLogLevel),
}

/// What a record of the platform is worth, least first
/// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemLogLevel {
    /// Everything.
    Debug,
    /// What is known from logs in text.
    #[default]
    Info,
    /// What did not go well.
    Warn,
}

impl LogFormat {
    /// As the function's settings name them: `JSON` and anything else, `DEBUG`, `WARN` and anything else.
    pub fn of(format: Option<&str>, level: Option<&str>) -> Self {
        match (format, level) {
            (Some("JSON"), Some("DEBUG")) => Self::Json(SystemLogLevel::Debug),
            (Some("JSON"), Some("WARN")) => Self::Json(SystemLogLevel::Warn),
            (Some("JSON"), _) => Self::Json(SystemLogLevel::Info),
            _ => Self::Text,
        }
    }
}

/// Who may invoke.
#[derive(Clone)]
pub enum Admission {
    /// Whoever presents this token.
    Bearer(String),
    /// Whoever reaches the port, as with AWS's own emulator.
    Anyone,
}

/// What an invocation is given that does not say it itself.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The ARN that the function sees.
    pub invoked_function_arn: String,
    /// The function's timeout.
    pub timeout: Duration,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Anyone => "Anyone",
        })
    }
}

impl fmt::Debug for InstanceConfig {
    /// The environment may hold secrets, so that only what names the instance is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceConfig")
            .field("program", &self.program.path)
            .field("function", &self.function)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
