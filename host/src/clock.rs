//! The only reader of time in the host. Everything else is told.

use std::time::Duration;

use hearth_pool::Timestamp;
use tokio::time::Instant;

/// Tells the time since the host started, on tokio's clock: a test that pauses that clock pauses this one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at zero, now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the host started.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(self) -> Timestamp {
        let elapsed = Instant::now().saturating_duration_since(self.start);
        Timestamp::START + elapsed
    }

    /// Waits until a moment; returns at once if it has passed, and never for [`Timestamp::NEVER`].
    pub async fn sleep_until(self, moment: Timestamp) {
        match self.start.checked_add(moment.since_start()) {
            Some(instant) if moment != Timestamp::NEVER => tokio::time::sleep_until(instant).await,
            _ => std::future::pending().await,
        }
    }

    /// The moment so long from now, for a timer of the runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn after(duration: Duration) -> Instant {
        Instant::now() + duration
    }

    /// The date and time of the world, for what is shown and stored.
    pub fn wall() -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}
