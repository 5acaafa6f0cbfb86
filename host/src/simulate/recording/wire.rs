//! The lines of a recording, as JSON.

use std::time::Duration;

use hearth_pool::{
    Config, DeployId, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, QueuePolicy,
    RequestId, ScaleOut, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::simulate::policy;

/// The version of the format that is written and read.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    hearth_recording: u32,
    config: ConfigFields,
}

#[derive(Debug, Serialize, Deserialize)]
struct ConfigFields {
    account_concurrency: u32,
    memory_budget_mib: Option<u64>,
    queue: QueueField,
    scale_out: ScaleOutField,
    keep_alive: String,
    launches_at_once: u32,
    backoff_min_nanos: u64,
    backoff_max_nanos: u64,
    seed: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QueueField {
    Wait { max_waiters: u32 },
    Refuse,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScaleOutField {
    Eager,
    CostAware,
}

/// Every other line: nanoseconds since the host started, and what the pool was told then.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventLine {
    at: u64,
    #[serde(flatten)]
    event: EventFields,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventFields {
    Deployed {
        function: u32,
        deploy: Digest,
        memory_mib: u64,
        slots: u32,
        reserved: Option<u32>,
        reserve_group: u32,
        provisioned: u32,
    },
    Removed {
        function: u32,
    },
    Requested {
        request: u64,
        function: u32,
        deadline: u64,
    },
    Cancelled {
        request: u64,
    },
    Released {
        instance: String,
        outcome: OutcomeField,
    },
    Launched {
        instance: String,
    },
    LaunchFailed {
        instance: String,
    },
    Exited {
        instance: String,
    },
    Terminated {
        instance: String,
    },
    Evicted {
        function: u32,
    },
    DeadlineReached,
    ShutDown,
}

/// A deploy's digest, in hexadecimal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Digest(DeployId);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeField {
    Reusable,
    Broken,
}

impl Header {
    pub(super) fn of(config: &Config) -> Self {
        let config = ConfigFields {
            account_concurrency: config.account_concurrency,
            memory_budget_mib: config.memory_budget.map(|budget| budget.0),
            queue: match config.queue {
                QueuePolicy::Wait { max_waiters } => QueueField::Wait { max_waiters },
                QueuePolicy::Refuse => QueueField::Refuse,
            },
            scale_out: match config.scale_out {
                ScaleOut::Eager => ScaleOutField::Eager,
                ScaleOut::CostAware => ScaleOutField::CostAware,
            },
            keep_alive: policy::name(&config.keep_alive),
            launches_at_once: config.launches_at_once,
            backoff_min_nanos: nanos(config.backoff_min),
            backoff_max_nanos: nanos(config.backoff_max),
            seed: config.seed,
        };
        Self { hearth_recording: FORMAT, config }
    }

    pub(super) fn config(self) -> Result<Config, String> {
        if self.hearth_recording != FORMAT {
            let version = self.hearth_recording;
            return Err(format!("a recording of format {version}; this hearth reads format {FORMAT}"));
        }
        let fields = self.config;
        Ok(Config {
            account_concurrency: fields.account_concurrency,
            memory_budget: fields.memory_budget_mib.map(MemoryMib),
            queue: match fields.queue {
                QueueField::Wait { max_waiters } => QueuePolicy::Wait { max_waiters },
                QueueField::Refuse => QueuePolicy::Refuse,
            },
            scale_out: match fields.scale_out {
                ScaleOutField::Eager => ScaleOut::Eager,
                ScaleOutField::CostAware => ScaleOut::CostAware,
            },
            keep_alive: policy::parse(&fields.keep_alive)?,
            launches_at_once: fields.launches_at_once,
            backoff_min: Duration::from_nanos(fields.backoff_min_nanos),
            backoff_max: Duration::from_nanos(fields.backoff_max_nanos),
            seed: fields.seed,
        })
    }
}

impl EventLine {
    pub(super) fn of(now: Timestamp, event: &Event) -> Self {
        Self { at: now.as_nanos(), event: EventFields::of(event) }
    }

    /// The event, with instances looked up by name; or the name of one that nobody knows.
    pub(super) fn event(
        &self,
        find: impl Fn(&str) -> Option<InstanceId>,
    ) -> Result<(Timestamp, Event), &str> {
        Ok((Timestamp::from_nanos(self.at), self.event.event(find)?))
    }
}

impl EventFields {
    fn of(event: &Event) -> Self {
        match *event {
            Event::Deployed { function, deploy, spec } => Self::Deployed {
                function: function.0,
                deploy: Digest(deploy),
                memory_mib: spec.memory.0,
                slots: spec.slots,
                reserved: spec.reserved,
                reserve_group: spec.reserve_group,
                provisioned: spec.provisioned,
            },
            Event::Removed { function } => Self::Removed { function: function.0 },
            Event::Requested { request, function, deadline } => {
                Self::Requested { request: request.0, function: function.0, deadline: deadline.as_nanos() }
            }
            Event::Cancelled { request } => Self::Cancelled { request: request.0 },
            Event::Released { instance, outcome } => Self::Released {
                instance: instance.to_string(),
                outcome: match outcome {
                    Outcome::Reusable => OutcomeField::Reusable,
                    Outcome::Broken => OutcomeField::Broken,
                },
            },
            Event::Launched { instance } => Self::Launched { instance: instance.to_string() },
            Event::LaunchFailed { instance } => Self::LaunchFailed { instance: instance.to_string() },
            Event::Exited { instance } => Self::Exited { instance: instance.to_string() },
            Event::Terminated { instance } => Self::Terminated { instance: instance.to_string() },
            Event::Evicted { function } => Self::Evicted { function: function.0 },
            Event::DeadlineReached => Self::DeadlineReached,
            Event::ShutDown => Self::ShutDown,
        }
    }

    fn event(&self, find: impl Fn(&str) -> Option<InstanceId>) -> Result<Event, &str> {
        let named = |name| find(name).ok_or(name);
        Ok(match self {
            &Self::Deployed { function, deploy, memory_mib, slots, reserved, reserve_group, provisioned } => {
                let memory = MemoryMib(memory_mib);
                let spec = FunctionSpec { memory, slots, reserved, reserve_group, provisioned };
                Event::Deployed { function: FunctionId(function), deploy: deploy.0, spec }
            }
            Self::Removed { function } => Event::Removed { function: FunctionId(*function) },
            Self::Requested { request, function, deadline } => Event::Requested {
                request: RequestId(*request),
                function: FunctionId(*function),
                deadline: Timestamp::from_nanos(*deadline),
            },
            Self::Cancelled { request } => Event::Cancelled { request: RequestId(*request) },
            Self::Released { instance, outcome } => Event::Released {
                instance: named(instance)?,
                outcome: match outcome {
                    OutcomeField::Reusable => Outcome::Reusable,
                    OutcomeField::Broken => Outcome::Broken,
                },
            },
            Self::Launched { instance } => Event::Launched { instance: named(instance)? },
            Self::LaunchFailed { instance } => Event::LaunchFailed { instance: named(instance)? },
            Self::Exited { instance } => Event::Exited { instance: named(instance)? },
            Self::Terminated { instance } => Event::Terminated { instance: named(instance)? },
            Self::Evicted { function } => Event::Evicted { function: FunctionId(*function) },
            Self::DeadlineReached => Event::DeadlineReached,
            Self::ShutDown => Event::ShutDown,
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl From<Digest> for String {
    fn from(Digest(DeployId(digest)): Digest) -> Self {
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok());
        let digits: Vec<u8> =
            digits.collect::<Option<_>>().ok_or("a deploy is named in hexadecimal digits")?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        Ok(Self(DeployId(bytes.try_into().map_err(|_| "a deploy's name has 64 digits")?)))
    }
}
