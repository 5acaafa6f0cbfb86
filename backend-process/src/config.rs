//! What the user can say about this backend, and what it is told by the environment of the host.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::path::PathBuf;

use hearth_rie::StreamRules;
use serde::{Deserialize, Serialize};

/// Section `[backends.process]` of the host's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Interpreters by runtime: `"python3.13" = "/usr/bin/python3.13"`. They go before those that are found.
    pub interpreters: BTreeMap<String, PathBuf>,
    /// Kill a function that uses more memory than it was configured with.
    pub enforce_memory: bool,
    /// Give each instance a `/tmp` of its own where the machine allows it. Elsewhere, and for a function whose
    /// code lies in `/tmp`, `TMPDIR` names a directory of its own.
    pub private_tmp: bool,
    /// Stop the processes of an instance while it has nothing to do, as Lambda does: what a function leaves running
    /// behind its answer goes on with the next invocation.
    pub freeze: bool,
    /// Largest streamed response, in MiB.
    pub stream_limit_mb: u64,
    /// What a streamed response does in a second behind its first 6 MiB, in MiB; 0 is as much as it can. Lambda's is 2.
    pub stream_rate_mb: u64,
    /// Limit of open files of a function, as on Lambda.
    pub open_files: u64,
    /// Environment variables that every function gets, unless it sets them itself.
    pub environment: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interpreters: BTreeMap::new(),
            enforce_memory: true,
            private_tmp: true,
            freeze: true,
            stream_limit_mb: 200,
            stream_rate_mb: 0,
            open_files: 1024,
            environment: BTreeMap::new(),
        }
    }
}

impl Config {
    pub(crate) fn stream_rules(&self) -> StreamRules {
        const MIB: u64 = 1024 * 1024;
        StreamRules {
            limit: self.stream_limit_mb.saturating_mul(MIB),
            rate: NonZeroU64::new(self.stream_rate_mb.saturating_mul(MIB)),
        }
    }
}

/// Where interpreters may be, from the environment of the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// The directories of `PATH`.
    pub(crate) path: Vec<PathBuf>,
    /// The user's home directory, in which version managers keep what they installed.
    pub(crate) home: Option<PathBuf>,
}

impl Places {
    /// Reads the environment, once.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
    pub(crate) fn of_host() -> Self {
        let path = std::env::var_os("PATH");
        Self {
            path: std::env::split_paths(
                path.as_deref().unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")),
            )
            .collect(),
            home: std::env::var_os("HOME").map(PathBuf::from),
        }
    }
}
