//! Whether there is room for another instance, and what happens when there comes to be.

use crate::capacity::{Domain, Obstacle};
use crate::fleet::Fleet;
use crate::start_queue::Place;
use crate::{EvictReason, MemoryMib, Pool, Purpose};

impl Pool {
    /// What stands in the way of a launch, as long as no idle instance makes way.
    pub(super) fn obstacle(&self, index: u32, purpose: Purpose) -> Option<Obstacle> {
        let fleet = &self.fleets[index];
        let (group, deployment) = fleet.group.zip(fleet.deployment)?;
        let is_provisioned = fleet.deficit() > 0 && purpose != Purpose::Prediction;
        if let Some(obstacle) = self.capacity.obstacle(group, is_provisioned) {
            return Some(obstacle);
        }
        self.lacks_memory(index, deployment.spec.memory).then_some(Obstacle::Memory)
    }

    /// Whether an instance of the function would not fit into what is free, and not meant for another.
    pub(super) fn lacks_memory(&self, index: u32, need: MemoryMib) -> bool {
        let fits = if self.fleets[index].promised > 0 {
            self.memory.has_free(need)
        } else {
            self.memory.has_free_for_anyone(need) && !self.is_memory_kept_for_another(index)
        };
        !fits
    }

    /// What stands in the way of any launch of the function until somebody changes a setting. Instances that it
    /// still has may serve those who wait, unless they are too many as well.
    pub(super) fn lasting_obstacle(&self, index: u32) -> Option<Obstacle> {
        let fleet = &self.fleets[index];
        let (group, deployment) = fleet.group.zip(fleet.deployment)?;
        let has_none = fleet.current() == 0;
        match self.capacity.limit(group) {
            Some(0) => return Some(Obstacle::Group),
            Some(limit) if has_none && limit <= self.floor_of_others(group, index) => {
                return Some(Obstacle::Group);
            }
            None if self.capacity.unreserved_limit() == 0 => return Some(Obstacle::Account),
            Some(_) | None => {}
        }
        let needed = deployment.spec.memory.0 + self.provisioned_memory_of_others(index);
        (has_none && !self.memory.can_ever_hold(needed)).then_some(Obstacle::Memory)
    }

    fn floor_of_others(&self, group: u32, index: u32) -> u32 {
        self.capacity
            .fleets(group)
            .filter(|&other| other != index)
            .map(|other| self.fleets[other].floor)
            .sum()
    }

    fn provisioned_memory_of_others(&self, index: u32) -> u64 {
        let memory = |other: u32| {
            let Fleet { floor, deployment, .. } = &self.fleets[other];
            deployment.map_or(0, |it| it.spec.memory.0 * u64::from(*floor))
        };
        self.floors.iter().filter(|&&other| other != index).map(|&other| memory(other)).sum()
    }

    /// What stands in the way of one more request that finds nothing idle, if everyone who waits is to have an
    /// instance launched, and idle instances make way. For [`QueuePolicy::Refuse`](crate::QueuePolicy).
    pub(super) fn obstacle_to_one_more(&mut self, index: u32) -> Option<Obstacle> {
        let fleet = &self.fleets[index];
        let (group, deployment) = fleet.group.zip(fleet.deployment)?;
        let is_provisioned = fleet.deficit() > 0;
        let needed = fleet.level(fleet.waiting.len() + 1).saturating_sub(fleet.launching);
        if needed == 0 {
            return None;
        }
        let of_others = |claimed: u32| claimed - fleet.claimed;
        if let Some(limit) = self.capacity.limit(group) {
            let tally = self.capacity.use_of(group);
            let spare: u32 = self.capacity.fleets(group).map(|other| self.fleets[other].spare()).sum();
            let taken = tally.taken(is_provisioned) + of_others(tally.claimed) + needed;
            if limit + spare < taken {
                return Some(Obstacle::Group);
            }
        } else {
            let tally = self.capacity.use_of_domain(Domain::Unreserved);
            let taken = tally.taken(is_provisioned) + of_others(tally.claimed) + needed;
            let missing = taken.saturating_sub(self.capacity.unreserved_limit());
            if missing > 0 && self.count_victims(Domain::Unreserved, missing) < missing {
                return Some(Obstacle::Account);
            }
        }
        let MemoryMib(memory) = deployment.spec.memory;
        let (needed, own) = (u64::from(needed) * memory, u64::from(self.fleets[index].claimed) * memory);
        let fits = self.memory.could_have_beside_claims(needed, own, self.protected_memory());
        (!fits).then_some(Obstacle::Memory)
    }

    /// An instance of the function has gone idle or left: whoever stood aside may try again.
    pub(super) fn room_may_have_come(&mut self, index: u32) {
        self.has_memory_eased |= self.starts.has_held_by_memory();
        if self.starts.has_held_by_group()
            && let Some(group) = self.fleets[index].group
        {
            self.release_held_by_group(group);
        }
    }

    /// The functions of a group whose limit may have room stand in line again.
    pub(super) fn release_held_by_group(&mut self, group: u32) {
        let held: Vec<u32> = self
            .capacity
            .fleets(group)
            .filter(|&index| matches!(self.starts.place(index), Place::HeldByGroup(_)))
            .collect();
        for index in held {
            self.starts.put(index, Place::Out);
            self.reconsider(index);
        }
    }

    /// How many launches' worth of memory is being made free for a function: as many as it wants, as far as
    /// idle instances can make way. Those that must go are evicted.
    pub(super) fn make_memory_free(&mut self, index: u32, launches: u32) {
        let Some(memory) = self.fleets[index].deployment.map(|deployment| deployment.spec.memory) else {
            return;
        };
        while self.fleets[index].promised < launches {
            if self.is_memory_kept_for_another(index)
                || !self.memory.could_have(memory, self.protected_memory())
            {
                return;
            }
            while !self.memory.will_have(memory) {
                if !self.evict_from_domains(&Domain::ALL, EvictReason::MemoryPressure) {
                    return;
                }
            }
            self.fleets[index].promised += 1;
            self.memory.promise(memory);
            // What is still free is not kept for it any more.
            self.has_memory_eased = true;
        }
    }

    /// Memory that was set aside for launches that are not wanted any more is for everyone again.
    pub(super) fn keep_promises(&mut self, index: u32, launches: u32) {
        let fleet = &mut self.fleets[index];
        let Some(deployment) = fleet.deployment else { return };
        while launches < fleet.promised {
            fleet.promised -= 1;
            self.memory.keep_promise(deployment.spec.memory);
            self.has_memory_eased = true;
        }
    }
}
