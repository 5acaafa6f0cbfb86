//! Watches how much memory an instance uses, while it is busy, and whether it was too much for the kernel.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use crate::clock::{self, Instant};
use crate::emulator::Emulator;
use crate::process::usage::Meter;

/// Looks at the leader often, since that costs next to nothing, and at the whole group when there was time for
/// it to change.
pub(crate) struct MemoryWatch {
    limit: Option<u64>,
    meter: Arc<Meter>,
    next_look: Instant,
    next_survey: Instant,
}

impl MemoryWatch {
    /// Between two looks, and the age from which on an invocation is worth a survey at each.
    const INTERVAL: Duration = Duration::from_millis(100);
    /// Between two surveys of a function whose invocations are short.
    const SURVEY_INTERVAL: Duration = Duration::from_secs(1);

    pub(crate) fn new(limit: Option<u64>, meter: Arc<Meter>) -> Self {
        let now = clock::now();
        Self { limit, meter, next_look: now, next_survey: now + Self::SURVEY_INTERVAL }
    }

    /// Returns when the limit is exceeded. May be dropped and called again at any time.
    pub(crate) async fn exceeded(&mut self, emulator: &Emulator) {
        while let Some(since) = emulator.busy_since() {
            sleep_until(self.next_look).await;
            let now = clock::now();
            self.next_look = now + Self::INTERVAL;
            let mut used = self.meter.glance();
            if now >= since + Self::INTERVAL || now >= self.next_survey {
                self.next_survey = now + Self::SURVEY_INTERVAL;
                used = used.max(self.meter.survey(emulator.companions()).await.memory_bytes);
            }
            if self.limit.is_some_and(|limit| used > limit) {
                return;
            }
        }
        // Until the next change, which begins this anew.
        std::future::pending::<()>().await;
    }
}

/// How often the kernel has killed a process of our control group for its memory. In a container that is the
/// limit of the function; anywhere else it is that of whoever set one.
#[derive(Debug)]
pub(crate) struct KernelKills {
    files: Vec<PathBuf>,
    seen: u64,
}

impl KernelKills {
    /// Counts from now on.
    pub(crate) fn watch() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut kills = Self { files: files(&own), seen: 0 };
        kills.seen = kills.count();
        kills
    }

    /// Whether there were more since the last look.
    pub(crate) fn again(&mut self) -> bool {
        let count = self.count();
        std::mem::replace(&mut self.seen, count) < count
    }

    fn count(&self) -> u64 {
        self.files.iter().find_map(|file| oom_kills(&fs::read_to_string(file).ok()?)).unwrap_or(0)
    }
}

/// Where the kernel counts, by `/proc/self/cgroup`: a line of version 2 or one of version 1. Inside a container the
/// control group may be mounted as if it were the root, whatever it is called outside.
fn files(own: &str) -> Vec<PathBuf> {
    let places = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            ("", path) => Some(("/sys/fs/cgroup", path, "memory.events")),
            ("memory", path) => Some(("/sys/fs/cgroup/memory", path, "memory.oom_control")),
            _ => None,
        }
    });
    places
        .flat_map(|(root, path, file)| {
            [format!("{root}{path}/{file}"), format!("{root}/{file}")].map(PathBuf::from)
        })
        .collect()
}

/// Both versions have a line `oom_kill N`.
fn oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_in_one_file_or_the_other() {
        assert_eq!(
            files("0::/docker/a\n"),
            ["/sys/fs/cgroup/docker/a/memory.events", "/sys/fs/cgroup/memory.events"].map(PathBuf::from)
        );
        assert_eq!(
            files("9:memory:/\n8:cpu,cpuacct:/x\n"),
            ["/sys/fs/cgroup/memory//memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control"]
                .map(PathBuf::from)
        );
        assert_eq!(oom_kills("low 0\nmax 3\noom 2\noom_kill 1\n"), Some(1));
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(oom_kills("oom_kill_disable 0\n"), None);
    }
}
