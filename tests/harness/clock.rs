//! The harness's only reader of time.

use std::time::{Duration, Instant};

use crate::{Problem, Result};

/// How often a condition that nobody announces is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to measure.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since then.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// What is left of `limit`, down to nothing.
    pub fn left_of(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.elapsed())
    }
}

/// Does nothing for a while. Only for what cannot be waited for: a condition in another process.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads time")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Waits until `holds` answers something; after `limit` the problem says what was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut holds: impl FnMut() -> Option<T>) -> Result<T> {
    let waiting = Stopwatch::start();
    loop {
        if let Some(answer) = holds() {
            return Ok(answer);
        }
        if waiting.elapsed() > limit {
            return Err(Problem::new(format!("waited {} s in vain: {what}", limit.as_secs_f32())));
        }
        pause(LOOK_EVERY);
    }
}
