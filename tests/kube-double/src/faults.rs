//! What a test has asked to go wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// A fault as a test names it. Some happen once, the others hold until all faults are ended.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Fault {
    ApiGone {
        seconds: f64,
    },
    Slow {
        seconds: f64,
    },
    TooManyRequests {
        count: u32,
        #[serde(default = "one")]
        retry_after: u32,
    },
    CutWatches {
        every_ms: u64,
    },
    Compact {},
    MergeEvents {
        seed: u64,
        #[serde(default = "fifty")]
        percent: u64,
    },
    KillPod {
        namespace: String,
        pod: String,
    },
    OomPod {
        namespace: String,
        pod: String,
    },
    EvictPod {
        namespace: String,
        pod: String,
    },
    LoseNode {
        #[serde(default = "fifty_seconds")]
        after_ms: u64,
        toleration_ms: Option<u64>,
    },
    FindNode {},
    FailPull {
        image: String,
        #[serde(default)]
        message: String,
    },
    SlowPull {
        image: String,
        seconds: f64,
    },
    Unschedulable {},
    ConfigError {
        message: String,
    },
    Deny {
        verb: String,
        resource: String,
    },
    NoAddresses {},
}

fn one() -> u32 {
    1
}

fn fifty() -> u64 {
    50
}

fn fifty_seconds() -> u64 {
    50_000
}

/// The faults that hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) slow: Option<Duration>,
    /// How many calls are still to be refused, and what they are told.
    pub(crate) too_many: (u32, u32),
    pub(crate) cut_watches: Option<Duration>,
    pub(crate) merge_events: Option<Dice>,
    pub(crate) lost_node: Option<LostNode>,
    pub(crate) failing_pulls: BTreeMap<String, String>,
    pub(crate) slow_pulls: BTreeMap<String, Duration>,
    pub(crate) unschedulable: bool,
    pub(crate) config_error: Option<String>,
    /// Verb and resource.
    pub(crate) denied: Vec<(String, String)>,
    pub(crate) no_addresses: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LostNode {
    /// How long nobody notices.
    pub(crate) after: Duration,
    /// Instead of what the pods tolerate.
    pub(crate) toleration: Option<Duration>,
}

/// Chance that can be repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice {
    state: u64,
    percent: u64,
}

impl Dice {
    /// Whether this time is one of so many in a hundred (xorshift64*).
    pub(crate) fn falls(&mut self) -> bool {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % 100 < self.percent
    }
}

impl Faults {
    /// Takes up a fault that holds; what happens once is the caller's to do.
    pub(crate) fn hold(&mut self, fault: &Fault) {
        match fault.clone() {
            Fault::Slow { seconds } => self.slow = Some(Duration::from_secs_f64(seconds)),
            Fault::TooManyRequests { count, retry_after } => self.too_many = (count, retry_after),
            Fault::CutWatches { every_ms } => self.cut_watches = Some(Duration::from_millis(every_ms)),
            Fault::MergeEvents { seed, percent } => {
                self.merge_events = Some(Dice { state: seed.max(1), percent });
            }
            Fault::LoseNode { after_ms, toleration_ms } => {
                let toleration = toleration_ms.map(Duration::from_millis);
                self.lost_node = Some(LostNode { after: Duration::from_millis(after_ms), toleration });
            }
            Fault::FindNode {} => self.lost_node = None,
            Fault::FailPull { image, message } => {
                self.failing_pulls.insert(image, message);
            }
            Fault::SlowPull { image, seconds } => {
                self.slow_pulls.insert(image, Duration::from_secs_f64(seconds));
            }
            Fault::Unschedulable {} => self.unschedulable = true,
            Fault::ConfigError { message } => self.config_error = Some(message),
            Fault::Deny { verb, resource } => self.denied.push((verb, resource)),
            Fault::NoAddresses {} => self.no_addresses = true,
            Fault::ApiGone { .. }
            | Fault::Compact {}
            | Fault::KillPod { .. }
            | Fault::OomPod { .. }
            | Fault::EvictPod { .. } => {}
        }
    }

    /// Whether this call is to be refused with 429, and the seconds that it is told.
    pub(crate) fn refuse(&mut self) -> Option<u32> {
        let (left, retry_after) = self.too_many;
        self.too_many.0 = left.saturating_sub(1);
        (left > 0).then_some(retry_after)
    }

    pub(crate) fn denies(&self, verb: &str, resource: &str) -> bool {
        self.denied.iter().any(|(v, r)| (v == verb || v == "*") && (r == resource || r == "*"))
    }
}
