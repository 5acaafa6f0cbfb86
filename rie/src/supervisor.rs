//! The one task that owns the process: it starts it, watches it, ends it and starts it again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tokio::time::{sleep_until, timeout};

use crate::clock::Instant;
use crate::config::Program;
use crate::emulator::{Emulator, Probe};
use crate::exit::Exit;
use crate::invocation::ProcessEnd;
use crate::log::Origin;
use crate::memory::{KernelKills, MemoryWatch};
use crate::process::companions::{self, Companions};
use crate::process::usage::Meter;
use crate::process::{Group, Process};
use crate::sandbox::Step;
use crate::server::Connections;

/// Runs processes, one after the other.
pub(crate) struct Supervisor {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) program: Program,
    pub(crate) memory_limit: Option<u64>,
    /// The folder of the external extensions.
    pub(crate) extensions: Option<PathBuf>,
    /// Those of the Runtime API.
    pub(crate) connections: Connections,
}

/// How long the connections of a dead process may take to be read to their end. Only a process that left the
/// group can hold one open.
const LAST_BYTES: Duration = Duration::from_millis(100);

/// How long the extensions are given to take the last records before they are told to end.
const LAST_RECORDS: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Ends when the instance ends.
    pub(crate) async fn run(self) {
        loop {
            match self.emulator.step() {
                Step::Start => self.run_process().await,
                Step::End => break,
                Step::Wait(until) => self.rest(until).await,
                // There is no process to ask or to kill: the next step is another one.
                Step::Terminate(_) | Step::Kill => {}
            }
        }
    }

    async fn run_process(&self) {
        let extensions = self.extensions.as_deref().map(companions::find).unwrap_or_default();
        let names: Vec<_> = extensions.iter().map(|(name, _)| name.clone()).collect();
        self.emulator.started(&names);
        let mut companions = Companions::default();
        let end = self.run_beside(&mut companions, extensions).await;
        let reason = self.emulator.shutdown_reason();
        self.emulator.gone(&end);
        self.emulator.logs.telemetry.flush(LAST_RECORDS).await;
        let (told, deadline) = self.emulator.shut_extensions_down(reason);
        companions.end(&told, deadline, |group, _| self.emulator.companion_ended(group)).await;
    }

    /// Starts the extensions, then the function's process, and returns how that ended.
    async fn run_beside(
        &self,
        companions: &mut Companions,
        extensions: Vec<(Arc<str>, PathBuf)>,
    ) -> ProcessEnd {
        for (name, path) in extensions {
            let (logs, address) = (self.emulator.logs.clone(), self.emulator.runtime_api);
            match companions.start(name.clone(), path.clone(), &self.program, address, logs).await {
                Ok(group) => self.emulator.companion_started(group),
                Err(error) => self.emulator.extension_not_started(&name, cannot_start(&path, &error)),
            }
        }
        if !self.registered(companions).await {
            return ProcessEnd::NotStarted("the extensions did not get so far as to register".to_owned());
        }
        match self.start().await {
            Ok((process, probe)) => self.watch(process, &probe, companions).await,
            Err(error) => ProcessEnd::NotStarted(self.not_started(&error)),
        }
    }

    /// Waits for the external extensions to register. Returns whether they did.
    async fn registered(&self, companions: &mut Companions) -> bool {
        while !self.emulator.extensions_are_registered() {
            let Step::Wait(until) = self.emulator.step() else { return false };
            tokio::select! {
                (name, group, exit) = companions.exited() => self.crashed(&name, group, exit),
                () = self.rest(until) => {}
            }
        }
        true
    }

    fn crashed(&self, name: &str, group: Group, exit: Exit) {
        self.emulator.companion_ended(group);
        self.emulator.extension_crashed(name, exit);
    }

    async fn start(&self) -> io::Result<(Process, Probe)> {
        let logs = self.emulator.logs.clone();
        let origins = [Origin::Stdout, Origin::Stderr];
        let (process, output) =
            Process::start(&self.program, self.emulator.runtime_api, origins, logs).await?;
        let meter = Arc::new(Meter::new(process.group())?);
        let probe = Probe { group: process.group(), output, meter };
        self.emulator.attach(probe.clone());
        self.emulator.logs.observer().process_started(process.group().id(), self.emulator.runtime_api);
        Ok((process, probe))
    }

    fn not_started(&self, error: &io::Error) -> String {
        let path = &self.program.path;
        if error.kind() == io::ErrorKind::NotFound && !path.exists() {
            return format!("Couldn't find valid bootstrap(s): [{}]", path.display());
        }
        cannot_start(path, error)
    }

    /// Until the process is gone, and what it sent before has arrived.
    async fn watch(&self, mut process: Process, probe: &Probe, companions: &mut Companions) -> ProcessEnd {
        let mut asked = Asked::Nothing;
        let mut memory = MemoryWatch::new(self.memory_limit, probe.meter.clone());
        let mut kernel = KernelKills::watch();
        let exit = loop {
            let until = match self.emulator.step() {
                Step::Wait(until) => until,
                Step::Terminate(until) => {
                    asked.end(&process);
                    Some(until)
                }
                Step::Kill | Step::Start | Step::End => {
                    process.group().signal(Signal::SIGKILL);
                    None
                }
            };
            tokio::select! {
                exit = process.wait() => break exit,
                (name, group, exit) = companions.exited() => self.crashed(&name, group, exit),
                () = self.rest(until) => {}
                () = memory.exceeded(&self.emulator) => {
                    process.group().signal(Signal::SIGKILL);
                    asked = Asked::ToFree;
                }
            }
        };
        // A response that was sent with the last breath counts.
        drop(timeout(LAST_BYTES, self.connections.all_closed()).await);
        let out_of_memory = asked == Asked::ToFree || exit == Exit::KILLED && kernel.again();
        self.emulator.logs.observer().process_ended(process.group().id(), exit, out_of_memory);
        if out_of_memory { ProcessEnd::OutOfMemory } else { ProcessEnd::Exited(exit) }
    }

    async fn rest(&self, until: Option<Instant>) {
        let alarm = async {
            match until {
                Some(time) => sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.emulator.changed() => {}
            () = alarm => {}
        }
    }
}

/// In the words of AWS, whose supervisor is a Go program.
fn cannot_start(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("fork/exec {path}: no such file or directory"),
        io::ErrorKind::PermissionDenied => format!("fork/exec {path}: permission denied"),
        _ if error.raw_os_error() == Some(Errno::ENOEXEC as i32) => {
            format!("fork/exec {path}: exec format error")
        }
        _ => format!("fork/exec {path}: {error}"),
    }
}

/// What the process was told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    ToEnd,
    /// Killed for its memory.
    ToFree,
}

impl Asked {
    /// Once is enough: a second signal would interrupt whatever the function does on the first.
    fn end(&mut self, process: &Process) {
        if *self == Self::Nothing {
            *self = Self::ToEnd;
            process.group().signal(Signal::SIGTERM);
        }
    }
}
