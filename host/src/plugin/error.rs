//! Why a file is not loaded.

use std::env::consts::ARCH;
use std::io;
use std::path::{Path, PathBuf};

use hearth_core::BackendError;
use hearth_core::foreign::{ABI_MAJOR, ABI_MINOR, Descriptor, LinkError};

/// Why the backend in a file cannot be used: one line.
#[derive(Debug, thiserror::Error)]
#[error("cannot load {}: {problem}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a backend's file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is nothing under that name.
    #[error("there is no such file")]
    Missing,
    /// It is a folder, a device, ….
    #[error("it is not a regular file")]
    NotAFile,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Somebody else could have put anything into it.
    #[error("other users may write to it (mode {mode:o}), and it would run as you; fix: chmod go-w {}", path.display())]
    WritableByOthers {
        /// Its permission bits.
        mode: u32,
        /// The file, for the command.
        path: PathBuf,
    },
    /// It is not the file that was pinned.
    #[error("its SHA-256 is {found}, but {expected} is configured")]
    Digest {
        /// As configured.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// It is something else altogether.
    #[error("it is not a shared library")]
    NotALibrary,
    /// It was built for another machine.
    #[error("it was built for {found}, this host is {ARCH}")]
    OtherMachine {
        /// What it was built for.
        found: String,
    },
    /// A part of it is missing: opening it would kill the process.
    #[error(
        "it is truncated: it should have at least {expected} bytes, but has {found}; build or copy it again"
    )]
    Truncated {
        /// End of its last segment.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// It is a library, but not a backend.
    #[error("it is not a Hearth backend (no descriptor in it)")]
    NotABackend,
    /// It speaks another major version of the interface.
    #[error(
        "{plugin} speaks interface {}.{}, this host {ABI_MAJOR}.{ABI_MINOR}; build it with hearth-core {ABI_MAJOR}.x",
        plugin.abi_major, plugin.abi_minor
    )]
    OtherInterface {
        /// What it says of itself.
        plugin: Box<Descriptor>,
    },
    /// Its panics would end the host.
    #[error(
        "it was built with panic=\"abort\", so that its panics would end the host; build it with panic=\"unwind\""
    )]
    PanicAbort,
    /// The system's loader refuses it.
    #[error("the system cannot open it: {0}")]
    Open(String),
    /// It has a descriptor, but no interface.
    #[error("it does not export {0}: was it made with export_backend! of another version?")]
    NoRoot(&'static str),
    /// It means something else by the interface's types.
    #[error("it does not fit this host: {0}; build it with the hearth-core of this host")]
    Link(#[from] LinkError),
    /// The process that was to hold it has no backend; why.
    #[error("{0}")]
    Isolated(String),
    /// It was loaded, but its constructor failed.
    #[error("the backend cannot start: {0}")]
    Create(BackendError),
}

impl LoadError {
    pub(super) fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}
