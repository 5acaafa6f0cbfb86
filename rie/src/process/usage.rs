//! What a process group uses, as /proc tells it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use tokio::task::spawn_blocking;

use super::Group;
use crate::clock::{self, Instant};

/// What a process group uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes, of all its processes.
    pub memory_bytes: u64,
    /// Processor time since its processes began.
    pub cpu: Duration,
}

impl Usage {
    /// Of the groups' processes, at most [`Census::MAX_AGE`] ago.
    pub(crate) fn of(groups: &[Group]) -> Self {
        let mut usage = Self::default();
        let counted = |row: &&Row| groups.iter().any(|group| group.id() == row.group);
        for row in Census::current().iter().filter(counted) {
            usage.memory_bytes += row.memory_bytes;
            usage.cpu += row.cpu;
        }
        usage
    }
}

/// Measures the memory of a group's leader for next to nothing: its files stay open. A number that was given
/// to another process cannot be mistaken for it either.
#[derive(Debug)]
pub(crate) struct Meter {
    group: Group,
    statm: File,
    status: File,
    peak: AtomicU64,
}

impl Meter {
    pub(crate) fn new(group: Group) -> io::Result<Self> {
        let open = |name| File::open(format!("/proc/{}/{name}", group.id()));
        Ok(Self { group, statm: open("statm")?, status: open("status")?, peak: AtomicU64::new(0) })
    }

    /// Looks at the whole group and at these others, and returns what they use now. Takes milliseconds, on
    /// another thread.
    pub(crate) async fn survey(&self, mut others: Vec<Group>) -> Usage {
        others.push(self.group);
        let usage = spawn_blocking(move || Usage::of(&others)).await.unwrap_or_default();
        self.raise(usage.memory_bytes);
        usage
    }

    /// Asks for the most that the leader ever used: 13 µs.
    pub(crate) fn look_back(&self) {
        self.raise(read(&self.status).and_then(|text| high_water_mark(&text)).unwrap_or(0));
    }

    /// Looks at what the leader uses at this moment, in bytes: 2 µs.
    pub(crate) fn glance(&self) -> u64 {
        let pages = read(&self.statm).and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        let memory_bytes = pages.unwrap_or(0) * page_size();
        self.raise(memory_bytes);
        memory_bytes
    }

    /// The most that was ever seen, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    fn raise(&self, memory_bytes: u64) {
        self.peak.fetch_max(memory_bytes, Ordering::Relaxed);
    }
}

/// One look at all processes. All instances share it: to look costs time for every process of the machine.
struct Census {
    taken: Instant,
    rows: Arc<[Row]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    group: i32,
    memory_bytes: u64,
    cpu: Duration,
}

impl Census {
    const MAX_AGE: Duration = Duration::from_millis(50);

    fn current() -> Arc<[Row]> {
        static CENSUS: Mutex<Option<Census>> = Mutex::new(None);
        let now = clock::now();
        let mut census = CENSUS.lock().unwrap_or_else(PoisonError::into_inner);
        match &*census {
            Some(Self { taken, rows }) if now.saturating_duration_since(*taken) < Self::MAX_AGE => {
                rows.clone()
            }
            _ => {
                let rows = Self::take();
                *census = Some(Self { taken: now, rows: rows.clone() });
                rows
            }
        }
    }

    fn take() -> Arc<[Row]> {
        let Ok(entries) = fs::read_dir("/proc") else { return Arc::default() };
        let processes = entries.flatten().map(|entry| entry.path()).filter(|path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
        });
        processes.filter_map(|path| Row::parse(&fs::read_to_string(path.join("stat")).ok()?)).collect()
    }
}

impl Row {
    /// The fields are counted from behind the name, which may itself hold blanks and brackets.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            memory_bytes: number(21)? * page_size(),
            cpu: Duration::from_secs(1) * u32::try_from(ticks).ok()? / ticks_per_second(),
        })
    }
}

fn read(file: &File) -> Option<String> {
    let mut buffer = [0; 4096];
    let length = file.read_at(&mut buffer, 0).ok()?;
    Some(std::str::from_utf8(&buffer[..length]).ok()?.to_owned())
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn page_size() -> u64 {
    setting(SysconfVar::PAGE_SIZE).unwrap_or(4096)
}

fn ticks_per_second() -> u32 {
    setting(SysconfVar::CLK_TCK).and_then(|ticks| u32::try_from(ticks).ok()).unwrap_or(100)
}

fn setting(name: SysconfVar) -> Option<u64> {
    sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_a_name_with_blanks_and_brackets() {
        let line = "77 (a) b (c) S 1 70 70 0 -1 4194304 98 0 0 0 5 6 7 8 20 0 1 0 170665 3133440 357 18 1 2";
        let row = Row { group: 70, memory_bytes: 357 * page_size(), cpu: Duration::from_millis(260) };
        assert_eq!(Row::parse(line), Some(row));
        assert_eq!(Row::parse("garbage"), None);
    }

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(high_water_mark("Name:\tx\nVmHWM:\t    2040 kB\nVmRSS:\t 1 kB\n"), Some(2040 * 1024));
    }
}
