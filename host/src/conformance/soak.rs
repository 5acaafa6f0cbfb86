//! Whether anything grows: instances are launched, invoked and ended again and again.

use std::fmt;
use std::fs;
use std::time::Duration;

use hearth_pool::Timestamp;

use super::Verdict;
use super::checks::SOON;
use super::subject::{Subject, until};
use crate::clock::Clock;

/// How much this process may grow from the first half of the soak to the second: an allocator keeps some.
const SLACK_BYTES: u64 = 16 * 1024 * 1024;
const SLACK_FILES: usize = 4;

/// What this process has.
#[derive(Clone, Copy, Debug)]
struct Size {
    resident_bytes: u64,
    open_files: usize,
}

pub(super) async fn a_soak_grows_nothing(subject: &Subject) -> Result<(), Verdict> {
    let half = subject.options.soak / 2;
    if half.is_zero() {
        return Err(Verdict::Skipped("there is no time for it (--soak 0)".to_owned()));
    }
    let rounds = soak(subject, half).await?;
    let before = Size::now()?;
    let more = soak(subject, half).await?;
    // What belonged to the last instance may take a moment to be closed.
    let settled = until(SOON, async || Size::now().is_ok_and(|size| size.is_about(before))).await;
    if settled {
        return Ok(());
    }
    let after = Size::now()?;
    let grown = format!("after {rounds} instances this process has {before}, after {more} more {after}");
    Err(format!("{grown}: something is kept").into())
}

/// Returns how many instances there were.
async fn soak(subject: &Subject, time: Duration) -> Result<u32, Verdict> {
    let clock = Clock::start();
    let mut rounds = 0;
    while rounds == 0 || clock.now() < Timestamp::START + time {
        let launched = subject.launch().await?;
        let answered = launched.answers(u64::from(rounds)).await;
        subject.terminate(&launched).await?;
        answered?;
        rounds += 1;
    }
    Ok(rounds)
}

impl Size {
    fn is_about(self, before: Self) -> bool {
        self.resident_bytes <= before.resident_bytes + SLACK_BYTES
            && self.open_files <= before.open_files + SLACK_FILES
    }

    fn now() -> Result<Self, String> {
        let unknown = |error| format!("the size of this process is not known: {error}");
        let status = fs::read_to_string("/proc/self/status").map_err(unknown)?;
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let kilobytes: u64 = resident.and_then(|figure| figure.parse().ok()).unwrap_or(0);
        let open_files = fs::read_dir("/proc/self/fd").map_err(unknown)?.count();
        Ok(Self { resident_bytes: kilobytes * 1024, open_files })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB and {} open files", self.resident_bytes / (1024 * 1024), self.open_files)
    }
}
