//! Between the kubelet and a container. Standard input is a socket: a specification comes in and reports go out; when it
//! ends the kubelet is gone, and the container goes as well.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, pipe2};

use super::{INIT, Order, Report, Spec};

/// The container, as the thread that waits for it and the one that listens to the kubelet share it.
enum Stage {
    Starting,
    Running(Child),
    /// It has ended, or nobody wants it any more.
    Over,
}

pub(super) fn run() -> io::Result<i32> {
    let kubelet = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut orders = BufReader::new(kubelet.try_clone()?);
    let mut line = String::new();
    orders.read_line(&mut line)?;
    let spec: Spec = serde_json::from_str(&line)?;
    let stage = Arc::new(Mutex::new(Stage::Starting));
    let listener = Arc::clone(&stage);
    // Before there are namespaces: a process between two of process numbers cannot have new threads.
    thread::spawn(move || obey(orders, &listener));
    match start(&spec) {
        Ok(child) => {
            let pid = child.id();
            if !take_up(&stage, child)? {
                return Ok(1);
            }
            tell(&kubelet, &Report::Started { pid })?;
            let code = wait(pid, &stage)?;
            tell(&kubelet, &Report::Exited { code })?;
        }
        Err(error) => tell(&kubelet, &Report::Failed { why: error.to_string() })?,
    }
    Ok(0)
}

/// False, and the end of it, if it is not wanted any more.
fn take_up(stage: &Mutex<Stage>, mut child: Child) -> io::Result<bool> {
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*stage, Stage::Over) {
        child.kill()?;
        child.wait()?;
        return Ok(false);
    }
    *stage = Stage::Running(child);
    Ok(true)
}

fn tell(mut kubelet: &UnixStream, report: &Report) -> io::Result<()> {
    kubelet.write_all(format!("{}\n", serde_json::to_string(report)?).as_bytes())
}

/// Answers once the container's own command runs.
fn start(spec: &Spec) -> io::Result<Child> {
    let network = File::open(format!("/proc/{}/ns/net", spec.sandbox))?;
    setns(network, CloneFlags::CLONE_NEWNET)?;
    let apart = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    unshare(apart | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)?;
    // It closes when init turns into the command; until then init may write why it cannot.
    let (problem, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut init = Command::new("/proc/self/exe");
    init.arg(INIT).arg(writer.as_raw_fd().to_string()).stdin(Stdio::piped());
    let mut child = init.spawn()?;
    drop(writer);
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&serde_json::to_vec(spec)?)?;
    }
    let mut why = String::new();
    File::from(problem).read_to_string(&mut why)?;
    if why.is_empty() {
        return Ok(child);
    }
    child.wait()?;
    Err(io::Error::other(why))
}

/// Passes signals on, for as long as the process is there to take them.
fn obey(orders: BufReader<UnixStream>, stage: &Mutex<Stage>) {
    let mut lines = orders.lines();
    loop {
        let order = lines.next().and_then(Result::ok).and_then(|line| serde_json::from_str(&line).ok());
        let signal = match order {
            Some(Order::Terminate) => Signal::SIGTERM,
            Some(Order::Kill) | None => Signal::SIGKILL,
        };
        let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
        match &*stage {
            // The kubelet asks for nothing before it knows of a process: it has gone.
            Stage::Starting => *stage = Stage::Over,
            Stage::Running(child) => send(child, signal),
            Stage::Over => return,
        }
        if order.is_none() {
            return;
        }
    }
}

fn send(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // One that has ended is still there to be waited for, and does not mind.
        let _: nix::Result<()> = kill(Pid::from_raw(pid), signal);
    }
}

fn wait(pid: u32, stage: &Mutex<Stage>) -> io::Result<i32> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    // Its number stays its own until it is waited for below, under the lock.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::Error::EINTR) {}
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    let Stage::Running(mut child) = std::mem::replace(&mut *stage, Stage::Over) else {
        return Err(io::Error::other("nothing runs"));
    };
    let status = child.wait()?;
    Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1))
}
