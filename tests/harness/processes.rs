//! Processes of this machine, as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;

/// A process. Its number may be used again after it has ended; the time it started tells it from its successor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in ticks since boot.
    started: u64,
    /// What it runs.
    pub name: String,
    parent: u32,
}

impl Process {
    /// Whether it runs at this moment. One that has ended and waits for its parent to notice does not.
    pub fn is_alive(&self) -> bool {
        look(self.pid).is_some_and(|process| process.started == self.started)
    }
}

/// The children of a process, theirs, and so on.
pub fn descendants(pid: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| look(entry.file_name().to_str()?.parse().ok()?))
}

/// Reads `/proc/PID/stat`: `pid (name) state ppid …`, with the start time as the 22nd field. A name may hold
/// anything, brackets and blanks included, so that the last bracket ends it.
fn look(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let ended = matches!(*fields.first()?, "Z" | "X");
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    (!ended).then_some(Process { pid, started, name, parent })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_is_found_and_seen_to_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let found =
            descendants(std::process::id()).into_iter().find(|process| process.pid == child.id()).unwrap();
        assert!(found.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!found.is_alive());
    }
}
