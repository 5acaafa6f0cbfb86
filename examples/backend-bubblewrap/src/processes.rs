//! The processes of a sandbox, seen from outside.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use hearth_core::InstanceStats;

/// Linux counts processor time for /proc in hundredths of a second, on every architecture that Lambda has.
const TICK_NS: u64 = 10_000_000;

/// A process and everything that it has started, parents before their children.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

/// Sends a signal. That a process has gone meanwhile is no error.
pub(crate) fn signal(name: &str, processes: &[u32]) -> io::Result<()> {
    let ids = processes.iter().map(u32::to_string);
    Command::new("kill").arg(format!("-{name}")).args(ids).stderr(Stdio::null()).status().map(drop)
}

/// What a process and those that it has started use.
pub(crate) fn stats(root: u32) -> InstanceStats {
    let mut stats = InstanceStats::default();
    for process in tree(root) {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let kilobytes = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        stats.memory_bytes += kilobytes("VmRSS:") * 1024;
        stats.memory_peak_bytes += kilobytes("VmHWM:") * 1024;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name of the program comes first, in parentheses, and may have spaces; user and system time are the
        // twelfth and thirteenth field behind it.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        stats.cpu_ns += ticks.sum::<u64>() * TICK_NS;
    }
    stats
}
