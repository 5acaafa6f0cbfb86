//! Quantities as people write them, and the few conversions between whole and real numbers.

use std::time::Duration;

/// Units that a length of time may be written in, longest first, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a length of time such as `10m`, `500ms` or `1.5h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("`{text}` is no length of time; write one as 10m, 90s, 500ms or 1.5h");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(problem)?;
    let (number, unit) = text.split_at(split);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
    if let Ok(whole) = number.parse::<u64>() {
        let nanos = u64::try_from(u128::from(whole) * nanos).map_err(|_| problem())?;
        return Ok(Duration::from_nanos(nanos));
    }
    let number: f64 = number.parse().map_err(|_| problem())?;
    let unit = Duration::from_nanos(u64::try_from(*nanos).map_err(|_| problem())?);
    Duration::try_from_secs_f64(number * unit.as_secs_f64()).map_err(|_| problem())
}

/// Writes a length of time in the longest unit in which it is a whole number.
pub(super) fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let unit = UNITS.iter().find(|(_, unit)| nanos >= *unit && nanos.is_multiple_of(*unit));
    unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", nanos / unit))
}

/// A count as a real number.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which no count here reaches")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// A large sum as a real number, to 15 digits.
#[expect(clippy::cast_precision_loss, reason = "sums are shown with fewer digits than are kept")]
pub(super) fn real_sum(sum: u128) -> f64 {
    sum as f64
}

/// The whole number nearest to a real one; negative ones and what is not a number become zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) fn nearest(number: f64) -> u64 {
    number.round() as u64
}

/// How many in a hundred; zero if there are none at all.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * real(part) / real(whole) }
}

/// The value below or at which so many per thousand of the sorted values lie; `None` if there are none.
pub(super) fn per_mille<T: Copy>(sorted: &[T], mille: usize) -> Option<T> {
    let rank = (sorted.len() * mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let read = ["10m", "90s", "500ms", "1.5h", "0s", "7ns"].map(|text| parse_duration(text).unwrap());
        let expected = [600_000, 90_000, 500, 5_400_000, 0].map(Duration::from_millis);
        assert_eq!(read[..5], expected);
        assert_eq!(read[5], Duration::from_nanos(7));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["", "10", "m", "-1s", "1 fortnight", "nans", "99999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_length_of_time_is_written_so_that_it_reads_the_same() {
        for (nanos, text) in
            [(600_000_000_000, "10m"), (90_000_000_000, "90s"), (1_500_001, "1500001ns"), (0, "0s")]
        {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(duration_text(duration), text);
            assert_eq!(parse_duration(text), Ok(duration));
        }
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!([500, 750, 990, 999].map(|mille| per_mille(&sorted, mille)), [50, 75, 99, 100].map(Some));
        assert_eq!(per_mille(&[7], 0), Some(7));
        assert_eq!(per_mille::<u32>(&[], 500), None);
    }
}
