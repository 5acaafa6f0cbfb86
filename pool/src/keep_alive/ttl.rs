//! A fixed time to live, as AWS has it; under pressure the least recently used goes first.

use std::time::Duration;

use super::{Candidate, Plan, Policy, Worth};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Keeps every instance for the same time.
#[derive(Debug)]
pub(super) struct Ttl(pub(super) Duration);

impl Policy for Ttl {
    fn rose(&mut self, _: Timestamp, _: FunctionId, _: u32) {}

    fn fell(&mut self, _: Timestamp, _: FunctionId, _: u32) {}

    fn plan(&mut self, now: Timestamp, _: Candidate) -> Plan {
        Plan { idle: Idle { keep_until: now + self.0, worth: Worth::of_last_use(now) }, prewarm_at: None }
    }

    fn evicted(&mut self, _: Worth) {}

    fn emptied(&mut self, _: FunctionId) {}

    fn forget(&mut self, _: FunctionId) {}
}
