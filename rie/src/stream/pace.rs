//! Holds a stream back to a rate, behind a beginning that goes as fast as it can
//! (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>).

use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::clock::{self, Instant};
use crate::config::StreamRules;

/// How fast one stream may go.
#[derive(Debug)]
pub(crate) struct Pace {
    /// In bytes per second.
    rate: NonZeroU64,
    /// When the beginning was over.
    since: Option<Instant>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(crate) fn new(rate: NonZeroU64) -> Self {
        Self { rate, since: None, wait: None }
    }

    /// Ready when the next bytes may go, so many having gone before.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, passed: u64) -> Poll<()> {
        let Some(excess) = passed.checked_sub(StreamRules::BURST).filter(|excess| *excess > 0) else {
            return Poll::Ready(());
        };
        let now = clock::now();
        let due = *self.since.get_or_insert(now) + self.time_for(excess);
        if now >= due {
            return Poll::Ready(());
        }
        let wait = self.wait.get_or_insert_with(|| Box::pin(sleep_until(due)));
        wait.as_mut().reset(due);
        wait.as_mut().poll(cx)
    }

    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_nanos(
            u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.get()))
                .unwrap_or(u64::MAX),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_time_that_the_rate_says() {
        let pace = Pace::new(NonZeroU64::new(2 * 1024 * 1024).unwrap());
        assert_eq!(pace.time_for(0), Duration::ZERO);
        assert_eq!(pace.time_for(1024 * 1024), Duration::from_millis(500));
        assert_eq!(pace.time_for(200 * 1024 * 1024), Duration::from_secs(100));
    }
}
