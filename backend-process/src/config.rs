//! What the user can say about this backend, and what it is told by the environment of the host.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

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
            open_files: 1024,
            environment: BTreeMap::new(),
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
