//! `exec PID COMMAND…`: runs a command inside a container that runs, as probes and hooks do.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

const NAMESPACES: [(&str, CloneFlags); 5] = [
    ("net", CloneFlags::CLONE_NEWNET),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("pid", CloneFlags::CLONE_NEWPID),
    // Last: with it the machine's files are gone.
    ("mnt", CloneFlags::CLONE_NEWNS),
];

pub(super) fn run(arguments: &[String]) -> io::Result<i32> {
    let [pid, program, rest @ ..] = arguments else {
        return Err(io::Error::other("a process and a command"));
    };
    let environment = fs::read(format!("/proc/{pid}/environ"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let (user, group) = (identity(&status, "Uid:"), identity(&status, "Gid:"));
    let namespaces = NAMESPACES.map(|(name, kind)| (File::open(format!("/proc/{pid}/ns/{name}")), kind));
    for (namespace, kind) in namespaces {
        setns(namespace?, kind)?;
    }
    let mut command = Command::new(program);
    command.args(rest).env_clear().uid(user).gid(group);
    for variable in environment.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(variable);
        if let Some((name, value)) = text.split_once('=') {
            command.env(name, value);
        }
    }
    Ok(command.status()?.code().unwrap_or(137))
}

fn identity(status: &str, which: &str) -> u32 {
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    line.and_then(|ids| ids.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
