//! Watches how much memory a process group uses, while it is busy.

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
                used = used.max(self.meter.clone().survey().await.memory_bytes);
            }
            if self.limit.is_some_and(|limit| used > limit) {
                return;
            }
        }
        // Until the next change, which begins this anew.
        std::future::pending::<()>().await;
    }
}
