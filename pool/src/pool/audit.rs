//! Recounts everything that the pool keeps count of.

use crate::capacity::{Domain, Obstacle, Tally};
use crate::fleet::Fleet;
use crate::instance::{Fate, Idle, Instance, Phase};
use crate::start_queue::Place;
use crate::{MemoryMib, Pool, Purpose, Timestamp};

impl Pool {
    /// Compares every count, list and timer with the table of instances and the line of those who wait, and says
    /// what does not agree. Takes time in proportion to what is in the pool: for tests.
    pub fn audit(&self) -> Result<(), String> {
        for (index, fleet) in self.fleets.iter() {
            self.audit_counts(index, fleet).map_err(|problem| format!("f{index}: {problem}"))?;
            self.audit_promptness(fleet).map_err(|problem| format!("f{index}: {problem}"))?;
            self.audit_launches(index, fleet).map_err(|problem| format!("f{index}: {problem}"))?;
        }
        self.audit_limits()?;
        self.audit_memory()?;
        let launching =
            self.instances.iter().filter(|(_, it)| matches!(it.phase, Phase::Launching(_))).count();
        agree("launches under way", self.starts.under_way() as usize, launching)?;
        let members: usize = self.fleets.iter().map(|(_, fleet)| fleet.members.len() as usize).sum();
        agree("members of all functions", members, self.instances.len())?;
        let serving: u32 = self.fleets.iter().map(|(_, fleet)| fleet.serving).sum();
        agree("grants", self.serving, serving as usize)?;
        let is_late = self.next_deadline().is_some_and(|deadline| deadline <= self.now);
        if is_late { Err("the next deadline is in the past".to_owned()) } else { Ok(()) }
    }

    fn audit_counts(&self, index: u32, fleet: &Fleet) -> Result<(), String> {
        let members: Vec<&Instance> =
            fleet.members.iter(&self.members).map(|it| &self.instances[it]).collect();
        let count =
            |wanted: fn(&Instance) -> bool| members.iter().filter(|instance| wanted(instance)).count();
        agree("members of other functions", members.iter().filter(|it| it.function.0 != index).count(), 0)?;
        let idle = count(|it| matches!(it.phase, Phase::Idle(_)));
        let busy = count(|it| matches!(it.phase, Phase::Busy { .. }));
        agree("ready", fleet.ready as usize, idle + busy)?;
        agree("idle", fleet.idle.iter(&self.ready).count(), idle)?;
        let partial = count(|it| matches!(it.phase, Phase::Busy { serving } if serving < it.slots));
        agree("partial", fleet.partial.iter(&self.ready).count(), partial)?;
        let launching = count(|it| matches!(it.phase, Phase::Launching(Fate::Joins | Fate::DeadOnArrival)));
        agree("launching", fleet.launching as usize, launching)?;
        let live = count(|it| !matches!(it.phase, Phase::Terminating { .. }));
        agree("live", fleet.live as usize, live)?;
        agree("serving", fleet.serving, members.iter().map(|it| it.phase.serving()).sum())?;
        agree("waiting", fleet.waiting.len() as usize, self.waiters.line(fleet.waiting).count())?;
        let overfull = count(|it| it.slots < it.phase.serving());
        agree("instances that serve more than they have slots", overfull, 0)
    }

    /// Nobody waits, and no instance stays, longer than it must.
    fn audit_promptness(&self, fleet: &Fleet) -> Result<(), String> {
        if !fleet.waiting.is_empty() && fleet.available().is_some() {
            return Err("somebody waits although an instance is free".to_owned());
        }
        let current = fleet.deployment.map(|deployment| deployment.deploy);
        for member in fleet.members.iter(&self.members) {
            let instance = &self.instances[member];
            let is_ready = matches!(instance.phase, Phase::Idle(_) | Phase::Busy { .. });
            if is_ready && current != Some(instance.deploy) {
                return Err(format!("{} is ready although its deploy is stale", self.id(member)));
            }
            let armed = self.timers.instances.key(member).unwrap_or(Timestamp::NEVER);
            agree("timer", instance.armed, armed)?;
            if let Phase::Idle(Idle { keep_until, .. }) = instance.phase
                && keep_until < armed
                && fleet.spare() > 0
            {
                return Err(format!("{} will never be looked at", self.id(member)));
            }
        }
        match self.waiters.line(fleet.waiting).find(|&waiter| self.timers.waiters.key(waiter).is_none()) {
            Some(_) => Err("somebody waits without a deadline".to_owned()),
            None => Ok(()),
        }
    }

    /// A launch that is wanted and could begin has begun.
    fn audit_launches(&self, index: u32, fleet: &Fleet) -> Result<(), String> {
        let (wish, place) = (self.wish(index), self.starts.place(index));
        let Some(wish) = wish else { return agree("place in line", place, Place::Out) };
        if !self.starts.has_room()
            || (wish.purpose != Purpose::Demand && !self.starts.has_room_for_a_refill())
        {
            return Ok(());
        }
        let obstacle = self.obstacle(index, wish.purpose);
        let memory = fleet.deployment.map_or(MemoryMib(0), |deployment| deployment.spec.memory);
        let is_held_up = match place {
            Place::Out => false,
            Place::Queued(_) => matches!(obstacle, Some(Obstacle::Account | Obstacle::Group)),
            Place::HeldByGroup(_) => obstacle == Some(Obstacle::Group),
            Place::HeldByMemory(_) => {
                let could_have = self.memory.could_have(memory, self.protected_memory());
                let is_promised_all = wish.launches <= fleet.promised;
                let is_promised_nothing =
                    obstacle != Some(Obstacle::Memory) || self.is_memory_kept_for_another(index);
                self.lacks_memory(index, memory) && (is_promised_all || is_promised_nothing || !could_have)
            }
        };
        if is_held_up {
            Ok(())
        } else {
            Err(format!("{wish:?} is held up by {obstacle:?}, and stands in {place:?}"))
        }
    }

    fn audit_limits(&self) -> Result<(), String> {
        for domain in Domain::ALL {
            let mut expected = Tally::default();
            for (_, fleet) in self.fleets.iter() {
                if fleet.group.is_some_and(|group| self.capacity.domain(group) == domain) {
                    let Tally { live, deficit, claimed } = fleet.tally();
                    expected.live += live;
                    expected.deficit += deficit;
                    expected.claimed += claimed;
                }
            }
            agree("use of concurrency", self.capacity.use_of_domain(domain), expected)?;
        }
        Ok(())
    }

    fn audit_memory(&self) -> Result<(), String> {
        let sum = |wanted: fn(Phase) -> bool| -> u64 {
            self.instances.iter().filter(|(_, it)| wanted(it.phase)).map(|(_, it)| it.memory.0).sum()
        };
        let per_launch = |launches: fn(&Fleet) -> u32| -> u64 {
            let of = |fleet: &Fleet| {
                fleet.deployment.map_or(0, |it| it.spec.memory.0) * u64::from(launches(fleet))
            };
            self.fleets.iter().map(|(_, fleet)| of(fleet)).sum()
        };
        let recount = [
            sum(|_| true),
            sum(|phase| matches!(phase, Phase::Terminating { .. })),
            sum(|phase| matches!(phase, Phase::Idle(_))),
            per_launch(|fleet| fleet.claimed),
            per_launch(|fleet| fleet.promised),
        ];
        if self.memory.agrees_with(recount) {
            Ok(())
        } else {
            Err(format!("the account is {:?}, counted were {recount:?}", self.memory))
        }
    }
}

fn agree<T: Copy + PartialEq + std::fmt::Debug>(what: &str, kept: T, counted: T) -> Result<(), String> {
    if kept == counted { Ok(()) } else { Err(format!("{what}: kept {kept:?}, counted {counted:?}")) }
}
