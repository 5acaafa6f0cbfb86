//! What makes an instance, as plain values: whoever uses the library has read files and environment already.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
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
    /// Largest streamed response, in bytes; [`STREAM_LIMIT`](Self::STREAM_LIMIT) is Lambda's.
    pub stream_limit: u64,
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
    /// Told about every log line and every death.
    pub observer: Arc<dyn Observer>,
}

impl InstanceConfig {
    /// 200 MiB.
    pub const STREAM_LIMIT: u64 = 200 * 1024 * 1024;
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
