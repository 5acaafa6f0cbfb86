//! How long starting an instance takes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::quantity::{duration_text, parse_duration};
use super::random::Random;

/// What is drawn, as part of its generator's key.
const COLD_START: u64 = 2;

/// The cold-start model: how long each function's instances take to start. All starts of a function take the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ColdStart {
    /// The same for all functions.
    Constant(Duration),
    /// Drawn for each function: the logarithm is normal around the median's, and nothing is longer than the cap.
    LogNormal { median: Duration, sigma: f64, cap: Duration },
}

impl ColdStart {
    /// How long the function's instances take to start.
    pub(super) fn of(self, seed: u64, function: u32) -> Duration {
        match self {
            Self::Constant(duration) => duration,
            Self::LogNormal { median, sigma, cap } => {
                let factor = (sigma * Random::of([seed, COLD_START, u64::from(function)]).normal()).exp();
                Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(cap).min(cap)
            }
        }
    }
}

impl FromStr for ColdStart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = text.split_once(':').unwrap_or((text, ""));
        let values: Vec<_> = values.split(',').collect();
        match (name, values.as_slice()) {
            ("constant", [duration]) => Ok(Self::Constant(parse_duration(duration)?)),
            ("lognormal", [median, sigma, cap]) => {
                let sigma = sigma.parse::<f64>().ok().filter(|sigma| (0.0..=10.0).contains(sigma));
                let sigma = sigma.ok_or_else(|| format!("`{text}`: sigma must be a number from 0 to 10"))?;
                Ok(Self::LogNormal { median: parse_duration(median)?, sigma, cap: parse_duration(cap)? })
            }
            _ => Err(format!(
                "`{text}` is no cold-start model; write constant:500ms or lognormal:500ms,0.8,10s"
            )),
        }
    }
}

impl fmt::Display for ColdStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(duration) => write!(f, "constant:{}", duration_text(*duration)),
            Self::LogNormal { median, sigma, cap } => {
                write!(f, "lognormal:{},{sigma},{}", duration_text(*median), duration_text(*cap))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_read_and_written_the_same_way() {
        for text in ["constant:500ms", "lognormal:500ms,0.8,10s"] {
            assert_eq!(text.parse::<ColdStart>().unwrap().to_string(), text);
        }
        for text in
            ["constant", "constant:", "constant:-1s", "lognormal:1s", "lognormal:1s,-1,2s", "weibull:1s"]
        {
            assert!(text.parse::<ColdStart>().is_err(), "{text}");
        }
    }

    #[test]
    fn half_of_the_functions_start_faster_than_the_median_and_none_slower_than_the_cap() {
        let [median, cap] = [500, 10_000].map(Duration::from_millis);
        let model = ColdStart::LogNormal { median, sigma: 0.8, cap };
        let drawn: Vec<_> = (0..10_000).map(|function| model.of(1, function)).collect();
        let faster = drawn.iter().filter(|took| **took < median).count();
        assert_eq!(faster / 100, 50);
        assert!(drawn.iter().all(|took| *took <= cap));
        let (same, other) = (model.of(1, 7), model.of(2, 7));
        assert_eq!(same, drawn[7]);
        assert_ne!(other, drawn[7]);
    }
}
