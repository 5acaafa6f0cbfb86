//! The limits on concurrency: per function (reserved), and of the account.
//!
//! As AWS has it, functions with reserved concurrency take their reservation out of the account's; all others
//! share what is left. Provisioned concurrency takes its part before it is launched.

use std::collections::HashMap;

use crate::list::{Links, List};
use crate::slab::Slab;
use crate::{Refusal, WaitedFor};

/// The limits, and what counts against them.
#[derive(Debug)]
pub(crate) struct Capacity {
    account: u32,
    /// Sum of all reservations.
    reserved: u64,
    unreserved_use: Tally,
    reserved_use: Tally,
    /// Some limit may be exceeded: it was lowered while instances were up.
    is_exceeded: bool,
    groups: Slab<Group>,
    by_number: HashMap<u32, u32>,
    fleets: Links,
}

/// The versions of one function: they share its reserved concurrency.
#[derive(Debug, Default)]
struct Group {
    number: u32,
    limit: Option<u32>,
    tally: Tally,
    fleets: List,
}

/// What counts against a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Instances: launching, idle, busy and draining.
    pub(crate) live: u32,
    /// Provisioned instances that are not there yet: they keep their place.
    pub(crate) deficit: u32,
    /// Launches that are wanted for those who wait.
    pub(crate) claimed: u32,
}

/// From whose concurrency a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// Its own: it has reserved concurrency.
    Reserved,
    /// What the reservations leave of the account's.
    Unreserved,
}

/// What stands in the way of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The function's reserved concurrency.
    Group,
    /// The account's concurrency.
    Account,
    /// The memory budget.
    Memory,
}

impl Domain {
    pub(crate) const ALL: [Self; 2] = [Self::Reserved, Self::Unreserved];
}

impl From<Obstacle> for Refusal {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Group => Self::ReservedConcurrency,
            Obstacle::Account => Self::AccountConcurrency,
            Obstacle::Memory => Self::Memory,
        }
    }
}

impl From<Obstacle> for WaitedFor {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Group => Self::ReservedConcurrency,
            Obstacle::Account => Self::AccountConcurrency,
            Obstacle::Memory => Self::Memory,
        }
    }
}

impl Tally {
    fn replace(&mut self, before: Self, after: Self) {
        self.live = self.live - before.live + after.live;
        self.deficit = self.deficit - before.deficit + after.deficit;
        self.claimed = self.claimed - before.claimed + after.claimed;
    }

    /// What is taken from the point of view of a launch that is, or is not, a missing provisioned one.
    pub(crate) fn taken(self, is_provisioned: bool) -> u32 {
        if is_provisioned { self.live } else { self.live + self.deficit }
    }
}

impl Capacity {
    pub(crate) fn new(account: u32) -> Self {
        Self {
            account,
            reserved: 0,
            unreserved_use: Tally::default(),
            reserved_use: Tally::default(),
            is_exceeded: false,
            groups: Slab::default(),
            by_number: HashMap::new(),
            fleets: Links::default(),
        }
    }

    /// Instances that count, of all functions.
    pub(crate) fn live(&self) -> u32 {
        self.unreserved_use.live + self.reserved_use.live
    }

    pub(crate) fn domain(&self, group: u32) -> Domain {
        match self.groups[group].limit {
            Some(_) => Domain::Reserved,
            None => Domain::Unreserved,
        }
    }

    pub(crate) fn limit(&self, group: u32) -> Option<u32> {
        self.groups[group].limit
    }

    pub(crate) fn use_of(&self, group: u32) -> Tally {
        self.groups[group].tally
    }

    pub(crate) fn use_of_domain(&self, domain: Domain) -> Tally {
        match domain {
            Domain::Reserved => self.reserved_use,
            Domain::Unreserved => self.unreserved_use,
        }
    }

    /// What all functions without reserved concurrency may use together.
    pub(crate) fn unreserved_limit(&self) -> u32 {
        u32::try_from(u64::from(self.account).saturating_sub(self.reserved)).unwrap_or(0)
    }

    /// What stands in the way of one more instance, if idle ones do not make way.
    pub(crate) fn obstacle(&self, group: u32, is_provisioned: bool) -> Option<Obstacle> {
        let Group { limit, tally, .. } = self.groups[group];
        match limit {
            Some(limit) if limit <= tally.taken(is_provisioned) => Some(Obstacle::Group),
            None if self.unreserved_limit() <= self.unreserved_use.taken(is_provisioned) => {
                Some(Obstacle::Account)
            }
            _ if self.account <= self.live() => Some(Obstacle::Account),
            _ => None,
        }
    }

    /// By how much a function exceeds its limit, which was lowered while instances were up.
    pub(crate) fn excess_of_group(&self, group: u32) -> u32 {
        let Group { limit, tally, .. } = self.groups[group];
        limit.map_or(0, |limit| tally.live.saturating_sub(limit))
    }

    /// The same, for all functions without reserved concurrency together.
    pub(crate) fn excess_of_unreserved(&self) -> u32 {
        self.unreserved_use.live.saturating_sub(self.unreserved_limit())
    }

    /// The same, for all functions together.
    pub(crate) fn excess_of_account(&self) -> u32 {
        self.live().saturating_sub(self.account)
    }

    /// Whether an instance of the group is one too many.
    pub(crate) fn is_surplus(&self, group: u32) -> bool {
        self.is_exceeded
            && (self.excess_of_group(group) > 0
                || self.excess_of_account() > 0
                || (self.domain(group) == Domain::Unreserved && self.excess_of_unreserved() > 0))
    }

    /// A limit was lowered: it may be exceeded for a while.
    pub(crate) fn note_excess(&mut self, group: u32) {
        self.is_exceeded |= self.excess_of_group(group) > 0 || self.is_shared_limit_exceeded();
    }

    /// The functions of a group.
    pub(crate) fn fleets(&self, group: u32) -> impl Iterator<Item = u32> + '_ {
        self.groups[group].fleets.iter(&self.fleets)
    }

    /// Counts a function differently.
    pub(crate) fn replace(&mut self, group: u32, before: Tally, after: Tally) {
        self.groups[group].tally.replace(before, after);
        self.use_of_mut(self.domain(group)).replace(before, after);
        if self.is_exceeded && after.live < before.live {
            self.is_exceeded = self.is_shared_limit_exceeded()
                || self.groups.iter().any(|(group, _)| self.excess_of_group(group) > 0);
        }
    }

    /// The group with this number, made if there is none.
    pub(crate) fn group(&mut self, number: u32) -> u32 {
        let groups = &mut self.groups;
        *self.by_number.entry(number).or_insert_with(|| groups.insert(Group { number, ..Group::default() }).0)
    }

    /// A function becomes part of a group, with what it uses.
    pub(crate) fn join(&mut self, group: u32, fleet: u32, tally: Tally) {
        self.fleets.grow_to(fleet);
        self.groups[group].fleets.push_back(&mut self.fleets, fleet);
        self.replace(group, Tally::default(), tally);
    }

    /// A function is no part of its group any more, nor is what it uses. The last one takes the group along.
    pub(crate) fn leave(&mut self, group: u32, fleet: u32, tally: Tally) {
        self.replace(group, tally, Tally::default());
        self.groups[group].fleets.remove(&mut self.fleets, fleet);
        if self.groups[group].fleets.is_empty() {
            self.set_limit(group, None);
            let group = self.groups.remove(group);
            self.by_number.remove(&group.number);
        }
    }

    /// Reserves concurrency for a group, or gives it back.
    pub(crate) fn set_limit(&mut self, group: u32, limit: Option<u32>) {
        let tally = self.groups[group].tally;
        let before = self.domain(group);
        self.use_of_mut(before).replace(tally, Tally::default());
        let former = std::mem::replace(&mut self.groups[group].limit, limit);
        self.reserved = self.reserved - u64::from(former.unwrap_or(0)) + u64::from(limit.unwrap_or(0));
        let after = self.domain(group);
        self.use_of_mut(after).replace(Tally::default(), tally);
    }

    fn is_shared_limit_exceeded(&self) -> bool {
        self.excess_of_unreserved() > 0 || self.excess_of_account() > 0
    }

    fn use_of_mut(&mut self, domain: Domain) -> &mut Tally {
        match domain {
            Domain::Reserved => &mut self.reserved_use,
            Domain::Unreserved => &mut self.unreserved_use,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Tally = Tally { live: 1, deficit: 0, claimed: 0 };

    fn live(live: u32) -> Tally {
        Tally { live, ..Tally::default() }
    }

    #[test]
    fn a_reservation_is_taken_out_of_what_the_others_share() {
        let mut capacity = Capacity::new(10);
        let (reserved, other) = (capacity.group(1), capacity.group(2));
        capacity.set_limit(reserved, Some(4));
        capacity.join(reserved, 0, live(4));
        capacity.join(other, 1, live(5));
        assert_eq!((capacity.limit(reserved), capacity.unreserved_limit()), (Some(4), 6));
        assert_eq!(capacity.obstacle(reserved, false), Some(Obstacle::Group));
        assert_eq!(capacity.obstacle(other, false), None);
        capacity.replace(other, live(5), live(6));
        assert_eq!(capacity.obstacle(other, false), Some(Obstacle::Account));
    }

    #[test]
    fn a_provisioned_instance_keeps_its_place_before_it_is_there() {
        let mut capacity = Capacity::new(10);
        let group = capacity.group(1);
        capacity.set_limit(group, Some(2));
        capacity.join(group, 0, Tally { live: 0, deficit: 2, claimed: 0 });
        capacity.join(group, 1, Tally::default());
        assert_eq!(capacity.obstacle(group, false), Some(Obstacle::Group));
        assert_eq!(capacity.obstacle(group, true), None);
    }

    #[test]
    fn lowering_a_limit_exceeds_it() {
        let mut capacity = Capacity::new(10);
        let group = capacity.group(1);
        capacity.join(group, 0, live(5));
        capacity.set_limit(group, Some(3));
        capacity.note_excess(group);
        assert_eq!(capacity.excess_of_group(group), 2);
        assert!(capacity.is_surplus(group));
        capacity.replace(group, live(5), live(3));
        assert!(!capacity.is_surplus(group));
        capacity.set_limit(group, None);
        assert_eq!(capacity.use_of_domain(Domain::Unreserved), live(3));
    }

    #[test]
    fn the_last_function_takes_its_group_along() {
        let mut capacity = Capacity::new(10);
        let group = capacity.group(7);
        capacity.set_limit(group, Some(3));
        capacity.join(group, 0, ONE);
        capacity.leave(group, 0, ONE);
        assert_eq!(
            (capacity.groups.len(), capacity.by_number.len(), capacity.unreserved_limit()),
            (0, 0, 10)
        );
    }
}
