//! Idle instances make way for others: the least valuable one first.

use std::time::Duration;

use crate::capacity::{Domain, Obstacle};
use crate::instance::{Idle, Phase};
use crate::keep_alive::Worth;
use crate::start_queue::{Class, Place};
use crate::{EvictReason, Pool, Purpose};

/// For so long, launches that need less memory may pass by one that memory holds up. Then what comes free is
/// kept for it.
const PATIENCE_FOR_MEMORY: Duration = Duration::from_secs(1);

impl Pool {
    /// Why an instance in hand must go, although its function could use it.
    pub(super) fn must_make_way(&self, index: u32) -> Option<EvictReason> {
        let instance = &self.instances[index];
        let fleet = &self.fleets[instance.function.0];
        let group = fleet.group?;
        if self.capacity.is_surplus(group) {
            return Some(EvictReason::Surplus);
        }
        // A function that has several does not keep them all busy with its own line while another has none.
        let can_share = !fleet.waiting.is_empty() && fleet.current() > 1 && instance.served > 0;
        if can_share { self.reason_to_share(group) } else { None }
    }

    /// The least valuable idle instance of a group leaves, if there is one.
    pub(super) fn evict_from_group(&mut self, group: u32, reason: EvictReason) -> bool {
        let victims =
            self.capacity.fleets(group).filter_map(|index| Some((self.worth_of_victim(index)?, index)));
        let Some((worth, fleet)) = victims.min() else { return false };
        self.evict_from(fleet, worth, reason);
        true
    }

    /// The least valuable idle instance of these domains leaves, if there is one.
    pub(super) fn evict_from_domains(&mut self, domains: &[Domain], reason: EvictReason) -> bool {
        let victims = domains.iter().filter_map(|&domain| self.first_victim(domain));
        let Some((worth, fleet)) = victims.min() else { return false };
        self.evict_from(fleet, worth, reason);
        true
    }

    /// How many idle instances of a domain could leave, counted up to `enough`.
    pub(super) fn count_victims(&mut self, domain: Domain, enough: u32) -> u32 {
        let mut count = 0;
        let mut counted = Vec::new();
        while count < enough
            && let Some((worth, index)) = self.first_victim(domain)
        {
            count += self.fleets[index].spare();
            self.victims.unlist(index, &mut self.fleets[index]);
            counted.push((worth, index));
        }
        for (worth, index) in counted {
            self.victims.relist(domain, index, &mut self.fleets[index], worth);
        }
        count
    }

    /// Memory of idle instances that their functions' floors keep.
    pub(super) fn protected_memory(&self) -> u64 {
        let kept = |index: u32| {
            let fleet = &self.fleets[index];
            fleet.idle.iter(&self.ready).skip(fleet.spare() as usize)
        };
        self.floors.iter().flat_map(|&index| kept(index)).map(|index| self.instances[index].memory.0).sum()
    }

    /// Whether what comes free is kept for another that memory has held up for long. A function that has nothing
    /// live is never kept from its first instance.
    pub(super) fn is_memory_kept_for_another(&self, index: u32) -> bool {
        let mut heads =
            [Class::First, Class::More].map(|class| self.starts.held_by_memory(class).next()).into_iter();
        let is_patient = self.fleets[index].current() > 0;
        is_patient && heads.any(|head| head.is_some_and(|head| head != index && self.has_waited_long(head)))
    }

    /// The function's longest idle instance may have become another one.
    pub(super) fn list_victim(&mut self, index: u32) {
        if let Some(worth) = self.worth_of_bottom(index)
            && let Some(group) = self.fleets[index].group
        {
            let domain = self.capacity.domain(group);
            self.victims.list(domain, index, &mut self.fleets[index], worth);
        }
    }

    /// Who needs an instance's place more than a function that has several, and waits for another.
    fn reason_to_share(&self, group: u32) -> Option<EvictReason> {
        let has_none = |index: u32| self.fleets[index].current() == 0;
        let held_by_group =
            |index: u32| matches!(self.starts.place(index), Place::HeldByGroup(_)) && has_none(index);
        if self.starts.has_held_by_group() && self.capacity.fleets(group).any(held_by_group) {
            return Some(EvictReason::ConcurrencyPressure);
        }
        let mut first = self.starts.first_without_any(self.capacity.domain(group));
        if first.any(|index| self.obstacle(index, Purpose::Demand) == Some(Obstacle::Account)) {
            return Some(EvictReason::ConcurrencyPressure);
        }
        let head = self.starts.held_by_memory(Class::First).next()?;
        self.has_waited_long(head).then_some(EvictReason::MemoryPressure)
    }

    fn has_waited_long(&self, held_by_memory: u32) -> bool {
        let fleet = &self.fleets[held_by_memory];
        fleet.promised == 0 && PATIENCE_FOR_MEMORY <= self.now - fleet.held_up_since
    }

    fn evict_from(&mut self, fleet: u32, worth: Worth, reason: EvictReason) {
        if let Some(index) = self.fleets[fleet].idle.front() {
            self.policy.evicted(worth);
            self.dismiss(index, reason);
        }
    }

    /// The least valuable function of a domain that has an idle instance to spare. What the heap knows is put
    /// right on the way.
    fn first_victim(&mut self, domain: Domain) -> Option<(Worth, u32)> {
        let mut kept = Vec::new();
        let found = loop {
            let Some((listed, index)) = self.victims.first(domain) else { break None };
            match self.worth_of_bottom(index) {
                None => self.victims.unlist(index, &mut self.fleets[index]),
                Some(worth) if worth != listed => {
                    self.victims.relist(domain, index, &mut self.fleets[index], worth);
                }
                Some(worth) if self.fleets[index].spare() == 0 => {
                    self.victims.unlist(index, &mut self.fleets[index]);
                    kept.push((worth, index));
                }
                Some(worth) => break Some((worth, index)),
            }
        };
        for (worth, index) in kept {
            self.victims.relist(domain, index, &mut self.fleets[index], worth);
        }
        found
    }

    fn worth_of_victim(&self, index: u32) -> Option<Worth> {
        if self.fleets[index].spare() == 0 { None } else { self.worth_of_bottom(index) }
    }

    /// What the function's longest idle instance is worth.
    fn worth_of_bottom(&self, index: u32) -> Option<Worth> {
        match self.instances[self.fleets[index].idle.front()?].phase {
            Phase::Idle(Idle { worth, .. }) => Some(worth),
            Phase::Launching(_) | Phase::Busy { .. } | Phase::Draining { .. } | Phase::Terminating { .. } => {
                None
            }
        }
    }
}
