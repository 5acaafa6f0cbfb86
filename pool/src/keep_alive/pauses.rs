//! How long the pauses between uses are: counts in bins that grow geometrically.

use std::time::Duration;

/// The first bin holds what is shorter than a second, the last one what is longer than some four hours, or had
/// no end.
pub(super) const BINS: usize = 72;

/// Bins that a doubling takes: each is wider by 15 % than the one before.
const BINS_PER_DOUBLING: f64 = 5.0;

/// Pauses, by length. Weights need not be whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pauses {
    weights: [f32; BINS],
    total: f32,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { weights: [0.0; BINS], total: 0.0 }
    }
}

impl Pauses {
    /// How many there are.
    pub(super) const fn total(&self) -> f32 {
        self.total
    }

    pub(super) fn add(&mut self, pause: Duration) {
        self.add_weight(bin(pause), 1.0);
    }

    /// Some that had no end.
    pub(super) fn add_endless(&mut self, weight: f32) {
        self.add_weight(BINS - 1, weight);
    }

    /// Others, as much as `weight` of one for each of them.
    pub(super) fn add_all(&mut self, others: &Self, weight: f32) {
        for (bin, &of_others) in others.weights.iter().enumerate() {
            self.add_weight(bin, of_others * weight);
        }
    }

    /// Old ones count half.
    pub(super) fn fade(&mut self) {
        self.weights.iter_mut().for_each(|weight| *weight /= 2.0);
        self.total /= 2.0;
    }

    /// Each spread over its neighbours, the further the fewer there are: a few pauses tell what kind they are
    /// of, and not how long exactly the next one will be.
    pub(super) fn smoothed(&self) -> Self {
        let width = WIDTH_OF_ONE / (1.0 + self.total).sqrt();
        let kernel: Vec<f32> = (0..BINS)
            .map(|distance| (-(small(distance) / width).powi(2) / 2.0).exp())
            .take_while(|&part| NEGLIGIBLE < part)
            .collect();
        let whole = 2.0 * kernel.iter().sum::<f32>() - 1.0;
        let mut smoothed = Self::default();
        for (bin, &weight) in self.weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0) {
            for (distance, part) in kernel.iter().enumerate() {
                let part = weight * part / whole;
                smoothed.add_weight((bin + distance).min(BINS - 1), part);
                if distance > 0 {
                    smoothed.add_weight(bin.saturating_sub(distance), part);
                }
            }
        }
        smoothed
    }

    /// For how long it is cheapest to keep an instance, if keeping it costs `rent` a second, and starting it
    /// anew costs `start`.
    pub(super) fn cheapest_time(&self, rent: f64, start: f64) -> Duration {
        let mut missed = f64::from(self.total);
        let mut rent_of_hits = 0.0;
        let mut best = (f64::INFINITY, 0);
        for (bin, &weight) in self.weights[..BINS - 1].iter().enumerate() {
            missed -= f64::from(weight);
            rent_of_hits += f64::from(weight) * rent * middle(bin);
            let cost = rent_of_hits + missed * (rent * end(bin) + start);
            if cost < best.0 {
                best = (cost, bin);
            }
        }
        Duration::from_secs_f64(end(best.1))
    }

    fn add_weight(&mut self, bin: usize, weight: f32) {
        self.weights[bin] += weight;
        self.total += weight;
    }
}

/// How far one single pause is spread, in bins: some one and a half doublings to either side.
const WIDTH_OF_ONE: f32 = 8.0;

/// Of the middle of a kernel; what is further out is left away.
const NEGLIGIBLE: f32 = 0.01;

/// Where a pause is counted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded down on purpose, and positive"
)]
fn bin(pause: Duration) -> usize {
    let seconds = pause.as_secs_f64();
    if seconds < 1.0 { 0 } else { ((seconds.log2() * BINS_PER_DOUBLING) as usize + 1).min(BINS - 1) }
}

/// The end of a bin, in seconds.
fn end(bin: usize) -> f64 {
    (f64::from(small(bin)) / BINS_PER_DOUBLING).exp2()
}

/// The middle of a bin, in seconds.
fn middle(bin: usize) -> f64 {
    if bin == 0 { end(0) / 2.0 } else { f64::midpoint(end(bin - 1), end(bin)) }
}

#[expect(clippy::cast_precision_loss, reason = "there are few bins")]
fn small(bins: usize) -> f32 {
    bins as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seconds: &[u64]) -> Pauses {
        let mut pauses = Pauses::default();
        for &seconds in seconds {
            pauses.add(Duration::from_secs(seconds));
        }
        pauses
    }

    #[test]
    fn an_instance_is_kept_for_the_pauses_that_are_cheaper_than_a_start_and_not_beyond() {
        // A rent of 1 a second and starts of 100: half a minute is worth it, half an hour is not.
        let time = pauses(&[30, 30, 30, 1800]).cheapest_time(1.0, 100.0);
        assert!((Duration::from_secs(30)..Duration::from_secs(40)).contains(&time), "{time:?}");
        assert_eq!(pauses(&[1800, 1800]).cheapest_time(1.0, 100.0), Duration::from_secs(1));
    }

    #[test]
    fn a_dearer_start_or_a_lower_rent_keeps_it_for_longer() {
        let pauses = pauses(&[10, 100, 1000, 10_000]);
        let times = [0.1, 10.0, 1000.0, 1_000_000.0].map(|start| pauses.cheapest_time(1.0, start));
        assert!(times.is_sorted() && times[0] < times[3], "{times:?}");
        assert!(pauses.cheapest_time(0.001, 10.0) > pauses.cheapest_time(1.0, 10.0));
    }

    #[test]
    fn endless_pauses_make_an_instance_cheaper_to_give_up() {
        let mut endless = pauses(&[100, 100]);
        let before = endless.cheapest_time(1.0, 300.0);
        endless.add_endless(10.0);
        assert!(endless.cheapest_time(1.0, 300.0) < before);
    }

    #[test]
    fn smoothing_keeps_the_number_and_spreads_few_further_than_many() {
        let one = pauses(&[300]);
        let smoothed = one.smoothed();
        assert!((smoothed.total() - 1.0).abs() < 0.001);
        let many = pauses(&[300; 100]).smoothed();
        let share = |pauses: &Pauses| pauses.weights[bin(Duration::from_secs(300))] / pauses.total();
        assert!(share(&smoothed) < share(&many) / 3.0, "{} {}", share(&smoothed), share(&many));
    }

    #[test]
    fn every_length_has_a_bin_that_ends_after_it() {
        for millis in [0, 999, 1000, 1001, 59_000, 3_600_000, 14_000_000] {
            let pause = Duration::from_millis(millis);
            assert!(pause.as_secs_f64() < end(bin(pause)), "{pause:?}");
        }
        assert_eq!(bin(Duration::from_secs(1_000_000)), BINS - 1);
    }
}
