//! The process that holds a backend: how it is started, and how one learns of its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as BlockingStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;

use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// This program, as it is started once more to hold a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub executable: PathBuf,
    /// What comes before the path of the backend's library.
    pub args: Vec<String>,
}

impl Program {
    /// The very program that runs, even if its file was replaced meanwhile: both ends must be of one build.
    pub fn this(args: impl IntoIterator<Item = String>) -> Self {
        Self { executable: "/proc/self/exe".into(), args: args.into_iter().collect() }
    }
}

/// A process that was started.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) socket: UnixStream,
    /// Completes when it has ended.
    pub(super) ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

/// Starts the program with one end of a pair of sockets as its standard input.
pub(super) async fn start(program: &Program, library: &Path) -> io::Result<Process> {
    let (ours, theirs) = BlockingStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(&program.executable);
    command.arg0("hearth").args(&program.args).arg(library).stdin(OwnedFd::from(theirs));
    let (has_started, started) = oneshot::channel();
    let (has_ended, ended) = oneshot::channel();
    // The kernel ends it with the thread that started it (`child::hold` asks for that): this one outlives it.
    thread::Builder::new().name("hearth-isolate".to_owned()).spawn(move || {
        let child = command.spawn();
        // It holds their end, which must be gone here for the end of the process to be seen.
        drop(command);
        // Whoever does not listen any more has dropped our end, and the process ends by that.
        let _unheard = match child {
            Ok(mut child) => has_started.send(Ok(())).is_ok() | has_ended.send(child.wait()).is_ok(),
            Err(error) => has_started.send(Err(error)).is_ok(),
        };
    })?;
    started.await.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it is gone")))?;
    Ok(Process { socket: UnixStream::from_std(ours)?, ended })
}
