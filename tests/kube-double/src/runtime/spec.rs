//! What the steps of the runtime tell each other: JSON, a line each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container to be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The process that holds the pod's network namespace.
    pub(crate) sandbox: u32,
    pub(crate) root: Root,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) hostname: String,
    pub(crate) address: String,
    pub(crate) command: Command,
    pub(crate) limits: Limits,
}

/// The file system of a container: layers of an image, and a writable one on top that goes with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Root {
    /// Topmost first.
    pub(crate) layers: Vec<PathBuf>,
    /// A folder of this container's own.
    pub(crate) scratch: PathBuf,
    pub(crate) is_read_only: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// A file or a folder of the machine.
    pub(crate) source: PathBuf,
    /// Where the container sees it.
    pub(crate) target: PathBuf,
    pub(crate) is_read_only: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) line: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) folder: PathBuf,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) groups: Vec<u32>,
    /// Whether programs may give it more rights than it has.
    pub(crate) may_gain: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// The control groups that the container lives in, one for each hierarchy; there may be none.
    pub(crate) groups: Vec<PathBuf>,
}

/// What the kubelet wants of a running container.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Terminate,
    Kill,
}

/// What became of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Started {
        /// As the machine numbers it.
        pid: u32,
    },
    /// The command could not be run.
    Failed {
        why: String,
    },
    Exited {
        code: i32,
    },
}
