//! Takes the picture.

use crate::instance::{Instance, Phase};
use crate::{FunctionId, FunctionSnapshot, InstanceSnapshot, PhaseSnapshot, Pool, Snapshot, Timestamp};

impl Pool {
    /// What the pool holds at this moment.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let functions = self
            .fleets
            .iter()
            .filter(|(_, fleet)| fleet.deployment.is_some() || !fleet.members.is_empty())
            .map(|(index, fleet)| FunctionSnapshot {
                id: FunctionId(index),
                deployed: fleet.deployment.map(|deployment| (deployment.deploy, deployment.spec)),
                instances: fleet.members.iter(&self.members).map(|member| self.picture(member)).collect(),
                waiting: fleet.waiting.len() as usize,
            })
            .collect();
        Snapshot { at: now, functions, memory_used: self.memory.used() }
    }

    fn picture(&self, index: u32) -> InstanceSnapshot {
        let &Instance { phase, since, launched_at, served, memory, purpose, deploy, .. } =
            &self.instances[index];
        let phase = match phase {
            Phase::Launching(_) => PhaseSnapshot::Launching,
            Phase::Idle(_) => PhaseSnapshot::Idle,
            Phase::Busy { serving } => PhaseSnapshot::Busy(serving),
            Phase::Draining { serving, .. } => PhaseSnapshot::Draining(serving),
            Phase::Terminating { .. } => PhaseSnapshot::Terminating,
        };
        InstanceSnapshot { id: self.id(index), deploy, phase, since, launched_at, served, memory, purpose }
    }
}
