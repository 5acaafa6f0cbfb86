//! A running `hearth`.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{Binaries, Client, Explain, Problem, Result, wait_until};

/// How long hearth may take until it serves.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long hearth may take to end once it was told to.
const END_LIMIT: Duration = Duration::from_secs(30);

/// How a `hearth` is to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    binaries: Binaries,
    args: Vec<String>,
    env: Vec<(String, String)>,
    log: Log,
    group: Group,
    place: Place,
}

/// Who says where the host listens and where it keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The harness: any free port, and a folder that goes with the host.
    Fresh,
    /// The harness, with this folder for the data.
    DataDir(PathBuf),
    /// The arguments and the environment alone.
    AsGiven,
}

/// Whom a Ctrl-C on the terminal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// This process and the host.
    Shared,
    /// This process alone, which then ends the host.
    Own,
}

/// Where the host's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    /// It is kept, and told when something goes wrong.
    Kept,
    /// To this process's standard error.
    Shown,
}

impl Launch {
    /// A host with its defaults on any free port, with a data directory that goes with it.
    pub fn new(binaries: Binaries) -> Self {
        Self {
            binaries,
            args: Vec::new(),
            env: Vec::new(),
            log: Log::Kept,
            group: Group::Shared,
            place: Place::Fresh,
        }
    }

    /// Chooses the backend.
    #[must_use]
    pub fn backend(self, name: &str) -> Self {
        self.args(["--backend", name])
    }

    /// Adds arguments. A later `--listen` wins over the free port.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the host's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Uses a data directory that outlives the host.
    #[must_use]
    pub fn data_dir(mut self, path: &Path) -> Self {
        self.place = Place::DataDir(path.to_owned());
        self
    }

    /// Adds no arguments of the harness's own, which choose a free port and a data directory.
    #[must_use]
    pub fn as_given(mut self) -> Self {
        self.place = Place::AsGiven;
        self
    }

    /// Shows the host's log as it is written.
    #[must_use]
    pub fn show_log(mut self) -> Self {
        self.log = Log::Shown;
        self
    }

    /// Keeps the terminal's signals from it: this process ends it, in its own time.
    #[must_use]
    pub fn shielded(mut self) -> Self {
        self.group = Group::Own;
        self
    }

    /// The command line that this stands for. Nothing of the caller's own settings reaches it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binaries.hearth);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HEARTH_") {
                command.env_remove(name);
            }
        }
        command.env("HEARTH_PLUGIN_PATH", &self.binaries.plugins).envs(self.env.iter().cloned());
        command.args(&self.args).stdin(Stdio::null());
        if self.group == Group::Own {
            command.process_group(0);
        }
        command
    }

    /// Runs the command line to its end, for those that are not expected to serve.
    pub fn run_to_end(&self) -> Result<Ended> {
        let mut child =
            self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().explain("cannot run")?;
        let output = Output::default();
        let readers = [output.follow(child.stdout.take(), None), output.follow(child.stderr.take(), None)];
        let status = wait_for_end(&mut child)?;
        for reader in readers.into_iter().flatten() {
            // A reader that panicked has told so itself.
            let _told = reader.join();
        }
        Ok(Ended { status, output: output.text() })
    }

    /// Starts it and waits until it serves.
    pub fn start(&self) -> Result<Host> {
        let mut command = self.command();
        let own_dir = match &self.place {
            Place::Fresh => {
                let folder = tempfile::tempdir().explain("cannot make a folder")?;
                command.arg("--data-dir").arg(folder.path());
                Some(folder)
            }
            Place::DataDir(path) => {
                command.arg("--data-dir").arg(path);
                None
            }
            Place::AsGiven => None,
        };
        if self.place != Place::AsGiven && !self.args.iter().any(|arg| arg == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.stdout(Stdio::piped());
        command.stderr(if self.log == Log::Shown { Stdio::inherit() } else { Stdio::piped() });
        let mut child =
            command.spawn().explain(format_args!("cannot start {}", self.binaries.hearth.display()))?;
        let output = Output::default();
        let (announce, announced) = mpsc::channel();
        let readers =
            [output.follow(child.stdout.take(), Some(announce)), output.follow(child.stderr.take(), None)];
        let mut host =
            Host { child, address: String::new(), banner: String::new(), output, readers, _own_dir: own_dir };
        host.wait_until_serving(&announced)?;
        Ok(host)
    }
}

/// A `hearth` that serves. Dropping it kills it.
#[derive(Debug)]
pub struct Host {
    child: Child,
    address: String,
    banner: String,
    output: Output,
    readers: [Option<thread::JoinHandle<()>>; 2],
    _own_dir: Option<TempDir>,
}

/// How a `hearth` ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output and standard error.
    pub output: String,
}

impl Host {
    /// `HOST:PORT` of the Lambda API.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The line with which it announced that it serves.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// A client of its API.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).explain("a process number beyond the system's own type")?;
        kill(Pid::from_raw(pid), signal).explain(format_args!("cannot send {signal} to hearth"))
    }

    /// Asks it to end with SIGTERM and waits until it has.
    pub fn stop(self) -> Result<Ended> {
        self.signal(Signal::SIGTERM)?;
        self.wait()
    }

    /// Kills it on the spot, as the system does when it runs out of memory.
    pub fn kill(self) -> Result<Ended> {
        self.signal(Signal::SIGKILL)?;
        self.wait()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Result<Ended> {
        let status = wait_for_end(&mut self.child)?;
        for reader in &mut self.readers {
            // A reader that panicked has told so itself.
            let _told = reader.take().map(thread::JoinHandle::join);
        }
        Ok(Ended { status, output: self.output.text() })
    }

    fn wait_until_serving(&mut self, announced: &Receiver<String>) -> Result<()> {
        match announced.recv_timeout(START_LIMIT) {
            Ok(banner) => {
                let address = banner.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
                self.address = address.explain(format_args!("no address in `{banner}`"))?.to_owned();
                self.banner = banner;
                Ok(())
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(Problem::new(format!("hearth does not serve after {START_LIMIT:?}:\n{}", self.output())))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = wait_for_end(&mut self.child)?;
                self.readers.iter_mut().filter_map(Option::take).for_each(|reader| drop(reader.join()));
                Err(Problem::new(format!("hearth ended before it served ({status}):\n{}", self.output())))
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if thread::panicking() {
            let output = self.output();
            let mut stderr = std::io::stderr();
            let _nobody =
                std::io::Write::write_all(&mut stderr, format!("--- hearth wrote\n{output}").as_bytes());
        }
    }
}

/// Lines of a process, collected as they come.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<String>>);

impl Output {
    /// Collects a stream until it ends. The line that announces the address goes to `announce` as well, which
    /// is dropped at the end of the stream.
    fn follow(
        &self,
        stream: Option<impl Read + Send + 'static>,
        announce: Option<Sender<String>>,
    ) -> Option<thread::JoinHandle<()>> {
        let (output, stream) = (self.clone(), stream?);
        Some(thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(std::io::Result::ok) {
                output.push(&line);
                if let Some(announce) = announce.as_ref().filter(|_| line.contains(" listening on http://")) {
                    // Whoever waited for it may have given up.
                    let _nobody = announce.send(line);
                }
            }
        }))
    }

    fn push(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn wait_for_end(child: &mut Child) -> Result<ExitStatus> {
    let ended = wait_until("hearth to end", END_LIMIT, || child.try_wait().transpose())?;
    ended.explain("cannot wait for hearth")
}
