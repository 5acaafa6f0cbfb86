//! How long the pauses between uses are, remembered as counts in bins that grow geometrically.

use std::time::Duration;

/// The first bin holds what is shorter than a second, the last one what is longer than some four hours.
pub(super) const BINS: usize = 72;

/// Bins that a doubling takes: each is wider by 15 %.
const BINS_PER_DOUBLING: f64 = 5.0;

/// Counts of pauses, by length.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    counts: [f32; BINS],
    total: f32,
}

impl Default for Gaps {
    fn default() -> Self {
        Self { counts: [0.0; BINS], total: 0.0 }
    }
}

/// Pauses of a function and of others like it, weighted, ready to be asked.
#[derive(Debug)]
pub(super) struct Distribution {
    /// Weights by bin; they add up to anything.
    weights: [f64; BINS],
}

impl Gaps {
    /// When there are so many, the older ones fade: they count half.
    const MEMORY: f32 = 1024.0;

    pub(super) fn add(&mut self, gap: Duration) {
        self.counts[bin(gap)] += 1.0;
        self.total += 1.0;
        if Self::MEMORY <= self.total {
            self.counts.iter_mut().for_each(|count| *count /= 2.0);
            self.total /= 2.0;
        }
    }

    pub(super) fn total(&self) -> f32 {
        self.total
    }

    /// These, and others that count as much as `weight` of these.
    pub(super) fn with_prior(&self, prior: &Self, weight: f64) -> Distribution {
        let scale = if prior.total > 0.0 { weight / f64::from(prior.total) } else { 0.0 };
        let weights = std::array::from_fn(|bin| {
            f64::from(self.counts[bin]) + f64::from(prior.counts[bin]) * scale
        });
        Distribution { weights }
    }
}

impl Distribution {
    /// For how long it is cheapest to keep an instance, if keeping it costs `rent` a second, and starting it
    /// anew costs `start`.
    pub(super) fn cheapest_time(&self, rent: f64, start: f64) -> Duration {
        let mut missed: f64 = self.weights.iter().sum();
        let mut paid_for_hits = 0.0;
        let mut best = (f64::INFINITY, 0);
        for bin in 0..BINS - 1 {
            missed -= self.weights[bin];
            paid_for_hits += self.weights[bin] * rent * middle(bin);
            let cost = paid_for_hits + missed * (rent * end(bin) + start);
            if cost < best.0 {
                best = (cost, bin);
            }
        }
        Duration::from_secs_f64(end(best.1))
    }
}

/// Where a pause is counted.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded down on purpose, and not negative")]
fn bin(gap: Duration) -> usize {
    let seconds = gap.as_secs_f64();
    if seconds < 1.0 { 0 } else { ((seconds.log2() * BINS_PER_DOUBLING) as usize + 1).min(BINS - 1) }
}

/// The end of a bin, in seconds.
#[expect(clippy::cast_precision_loss, reason = "there are few bins")]
fn end(bin: usize) -> f64 {
    (bin as f64 / BINS_PER_DOUBLING).exp2()
}

/// The middle of a bin, in seconds.
fn middle(bin: usize) -> f64 {
    if bin == 0 { end(0) / 2.0 } else { f64::midpoint(end(bin - 1), end(bin)) }
}
