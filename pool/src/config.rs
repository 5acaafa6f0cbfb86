//! What a pool can be told once, at its making.

use std::fmt;
use std::time::Duration;

use crate::MemoryMib;

/// Settings of a pool. Plain fields; [`Pool::new`](crate::Pool::new) checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Instances at most, over all functions, launching and draining ones included: AWS's account
    /// concurrency.
    pub account_concurrency: u32,
    /// Memory that all instances together may be counted with; `None` for no limit.
    pub memory_budget: Option<MemoryMib>,
    /// What becomes of a request for which there is no room.
    pub queue: QueuePolicy,
    /// When another instance is started for those that wait.
    pub scale_out: ScaleOut,
    /// How long an idle instance stays.
    pub keep_alive: KeepAlive,
    /// Launches under way at once, over all functions; what exceeds it waits its turn, fairly.
    pub launches_at_once: u32,
    /// The first pause after a failed launch; it doubles up to `backoff_max`, with jitter.
    pub backoff_min: Duration,
    /// The longest pause after failed launches.
    pub backoff_max: Duration,
    /// Seed of the jitter: same seed and same events, same effects.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account_concurrency: 1000,
            memory_budget: None,
            queue: QueuePolicy::Wait { max_waiters: 10_000 },
            scale_out: ScaleOut::Eager,
            keep_alive: KeepAlive::Ttl(Duration::from_secs(600)),
            launches_at_once: 10,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            seed: 0,
        }
    }
}

impl Config {
    /// Says which setting cannot hold, if one cannot.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let must = |holds: bool, setting: &'static str, problem: &str| {
            if holds { Ok(()) } else { Err(ConfigError { setting, problem: problem.to_owned() }) }
        };
        must(self.account_concurrency > 0, "account_concurrency", "must be at least 1")?;
        must(self.memory_budget != Some(MemoryMib(0)), "memory_budget", "must be at least 1 MiB")?;
        let waits = self.queue != QueuePolicy::Wait { max_waiters: 0 };
        must(waits, "max_waiters", "must be at least 1: even the first instance takes time to start")?;
        self.keep_alive.check()?;
        must(self.launches_at_once > 0, "launches_at_once", "must be at least 1")?;
        must(!self.backoff_min.is_zero(), "backoff_min", "must be longer than zero")?;
        must(self.backoff_min <= self.backoff_max, "backoff_max", "must not be shorter than backoff_min")
    }
}

/// What becomes of a request for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePolicy {
    /// It waits in line until its deadline.
    Wait {
        /// At most so many wait for one function; the next one is refused.
        max_waiters: u32,
    },
    /// It is refused at once, as AWS does; it waits only for a launch that is there for it.
    Refuse,
}

/// When another instance is started for those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleOut {
    /// For everyone who waits, at once: AWS's way.
    Eager,
    /// Only if its expected start beats the expected wait for a busy one.
    CostAware,
}

/// How long an idle instance stays.
#[derive(Clone, Debug, PartialEq)]
pub enum KeepAlive {
    /// For a fixed time after its last use.
    Ttl(Duration),
    /// From shortly before to shortly after its function is expected, by the hybrid histogram (Shahrad et al.,
    /// USENIX ATC 2020). Launches instances ahead.
    HybridHistogram,
    /// Until others need its room; then those go first that cost least to start again, for their size and use
    /// (Fuerst and Sharma, ASPLOS 2021). Without a memory budget only `account_concurrency` ends anything.
    GreedyDual,
    /// For as long as that is cheaper than to start it anew.
    LevelCost {
        /// Seconds of cold start that a GiB kept for a second is worth.
        price: f64,
    },
}

impl KeepAlive {
    fn check(&self) -> Result<(), ConfigError> {
        match *self {
            Self::LevelCost { price } if !(price.is_finite() && 0.0 < price) => Err(ConfigError {
                setting: "keep_alive",
                problem: format!("the price of level-cost must be above 0, not {price}"),
            }),
            Self::Ttl(_) | Self::HybridHistogram | Self::GreedyDual | Self::LevelCost { .. } => Ok(()),
        }
    }
}

/// A configuration that cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting, by its name in [`Config`].
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_setting_that_cannot_hold_is_named() {
        type Spoil = fn(&mut Config);
        let spoil: [(&str, Spoil); 7] = [
            ("account_concurrency", |config| config.account_concurrency = 0),
            ("memory_budget", |config| config.memory_budget = Some(MemoryMib(0))),
            ("max_waiters", |config| config.queue = QueuePolicy::Wait { max_waiters: 0 }),
            ("keep_alive", |config| config.keep_alive = KeepAlive::LevelCost { price: f64::NAN }),
            ("launches_at_once", |config| config.launches_at_once = 0),
            ("backoff_min", |config| config.backoff_min = Duration::ZERO),
            ("backoff_max", |config| config.backoff_max = Duration::from_millis(1)),
        ];
        for (setting, spoil) in spoil {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|error| error.setting), Err(setting));
        }
    }
}
