//! The container engine that tests and benches use: the one that is there, or one of their own.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hearth_tests::{Explain, Problem, Result, wait_until};

use crate::cargo;
use crate::screen;

/// Where an engine usually is.
const USUAL_SOCKET: &str = "/var/run/docker.sock";
/// How long an engine may take until it answers, and until it has ended.
const START_LIMIT: Duration = Duration::from_secs(60);
const END_LIMIT: Duration = Duration::from_secs(30);

/// An engine that answers. One that was started here ends when this is dropped.
#[derive(Debug)]
pub(crate) enum Engine {
    /// Somebody else's.
    Found,
    /// Started here.
    Own(Own),
}

/// An engine of ours: its images are kept in the target folder, from one run to the next.
#[derive(Debug)]
pub(crate) struct Own {
    /// Short-lived files. A socket's path must be short, so that they are not in the target folder.
    folder: PathBuf,
    data: PathBuf,
}

impl Engine {
    /// The engine that `DOCKER_HOST` names or that is in its usual place; otherwise one is started, and installed if
    /// there is none. Fails, with what could be done about it, where that is not allowed.
    pub(crate) fn find_or_start() -> Result<Self> {
        if let Some(host) = docker_host() {
            let answers = host.strip_prefix("unix://").is_none_or(|socket| answers(Path::new(socket)));
            return if answers {
                Ok(Self::Found)
            } else {
                Err(Problem::new(format!("no engine answers at DOCKER_HOST, {host}")))
            };
        }
        if answers(Path::new(USUAL_SOCKET)) {
            return Ok(Self::Found);
        }
        if !is_root() {
            return Err(Problem::new(format!(
                "no container engine answers at {USUAL_SOCKET}, and only root can start one"
            )));
        }
        if !runs("dockerd", "--version") {
            install()?;
        }
        let own = Own {
            folder: std::env::temp_dir().join("hearth-engine"),
            data: cargo::target_dir()?.join("engine"),
        };
        own.start()?;
        Ok(Self::Own(own))
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> Result<PathBuf> {
        match self {
            Self::Own(own) => Ok(own.socket()),
            Self::Found => {
                let host = docker_host().unwrap_or_else(|| format!("unix://{USUAL_SOCKET}"));
                let socket = host.strip_prefix("unix://").map(PathBuf::from);
                socket.explain(format_args!("the engine at {host} is not on this machine"))
            }
        }
    }

    /// Lets a command use this engine. A test may stop an engine of ours, and start it again with the command that it
    /// is told, one word on each line.
    pub(crate) fn offer(&self, command: &mut Command) {
        if let Self::Own(own) = self {
            command.env("DOCKER_HOST", format!("unix://{}", own.socket().display()));
            command.env("HEARTH_TEST_ENGINE", own.command_line().join("\n"));
        }
    }
}

impl Own {
    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("docker.pid")
    }

    fn command_line(&self) -> Vec<String> {
        vec![
            "dockerd".to_owned(),
            format!("--host=unix://{}", self.socket().display()),
            format!("--pidfile={}", self.pid_file().display()),
            format!("--exec-root={}", self.folder.join("exec").display()),
            format!("--data-root={}", self.data.display()),
        ]
    }

    fn start(&self) -> Result<()> {
        if answers(&self.socket()) {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).explain(format_args!("cannot make {}", self.folder.display()))?;
        let log_file = self.folder.join("dockerd.log");
        let log = || fs::File::create(&log_file).explain(format_args!("cannot write {}", log_file.display()));
        let line = self.command_line();
        screen::note(format_args!("starting a container engine: {}", line.join(" ")));
        let mut engine = Command::new(&line[0]);
        engine.args(&line[1..]).stdin(Stdio::null()).stdout(log()?).stderr(log()?);
        let mut engine = engine.spawn().explain("cannot run dockerd")?;
        let mut ended = None;
        let started = wait_until("the engine to answer", START_LIMIT, || {
            ended = engine.try_wait().ok().flatten();
            (ended.is_some() || answers(&self.socket())).then_some(())
        });
        if started.is_ok() && ended.is_none() {
            return Ok(());
        }
        let log = fs::read_to_string(&log_file).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it wrote nothing");
        Err(Problem::new(format!("dockerd does not run here: {last}")))
    }

    /// A test may have started it anew, so that the file with its number is asked, not the process that was started.
    fn end(&self) -> Result<()> {
        let Ok(pid) = fs::read_to_string(self.pid_file()) else { return Ok(()) };
        cargo::run(Command::new("kill").arg(pid.trim()))?;
        wait_until("the engine to end", END_LIMIT, || (!self.pid_file().exists()).then_some(()))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Err(problem) = self.end() {
            screen::problem(&problem);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place in here that reads the environment")]
fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty())
}

/// Asks over the API, so that no client has to be installed.
fn answers(socket: &Path) -> bool {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.contains(" 200 "))
    };
    ask().unwrap_or(false)
}

fn install() -> Result<()> {
    if !runs("apt-get", "--version") {
        return Err(Problem::new("there is no dockerd, and no apt-get to install it with"));
    }
    screen::note("installing a container engine");
    let mut apt = Command::new("sh");
    let install = "apt-get install --yes --quiet --no-install-recommends docker.io iptables";
    apt.args(["-c", &format!("{install} || {{ apt-get update --quiet && {install}; }}")]);
    cargo::run(apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr()))
}

fn runs(program: &str, argument: &str) -> bool {
    let status = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}
