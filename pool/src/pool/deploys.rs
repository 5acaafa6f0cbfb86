//! Functions come, change and go.

use std::collections::BTreeMap;

use crate::backoff::Backoff;
use crate::capacity::Domain;
use crate::fleet::Deployment;
use crate::instance::{Fate, Phase, is_undone_by_deploy};
use crate::{DeployId, EvictReason, FunctionId, FunctionSpec, Pool, Refusal};

use super::Stage;

impl Pool {
    pub(super) fn deployed(&mut self, function: FunctionId, deploy: DeployId, spec: FunctionSpec) {
        if self.stage == Stage::ShuttingDown {
            return;
        }
        let index = function.0;
        let spec = FunctionSpec { slots: spec.slots.max(1), ..spec };
        self.grow_to(index);
        self.withdraw_wishes(index);
        let former = self.fleets[index].deployment.replace(Deployment { spec, deploy });
        let group = self.join_group(index, spec.reserve_group);
        let is_new = former.is_none_or(|former| former.deploy != deploy);
        if is_new {
            self.fleets[index].backoff = Backoff::Clear;
            self.dismiss_all(index, EvictReason::StaleDeploy, |member| member != deploy);
        }
        self.ask_for_floor(index, spec.provisioned);
        self.reserve(group, spec.reserved);
        if is_new {
            self.revive_all(index, deploy);
        }
        self.follow_limits(group);
    }

    pub(super) fn removed(&mut self, function: FunctionId) {
        let index = function.0;
        if self.fleets.get(index).is_none_or(|fleet| fleet.deployment.is_none()) {
            return;
        }
        self.withdraw_wishes(index);
        self.turn_all_away(index, Refusal::NoSuchFunction);
        self.dismiss_all(index, EvictReason::Removed, |_| true);
        self.policy.forget(function);
        self.fleets[index].deployment = None;
        self.fleets[index].prewarm_at = None;
        self.ask_for_floor(index, 0);
        let Some(group) = self.fleets[index].group else { return };
        let is_last = self.capacity.fleets(group).all(|other| self.fleets[other].deployment.is_none());
        let limit = if is_last { None } else { self.capacity.limit(group) };
        self.reserve(group, limit);
        self.follow_limits(group);
        self.leave_group_if_gone(index);
    }

    pub(super) fn evicted(&mut self, function: FunctionId) {
        if self.fleets.get(function.0).is_some() {
            self.dismiss_all(function.0, EvictReason::Evicted, |_| true);
        }
    }

    pub(super) fn shut_down(&mut self) {
        self.stage = Stage::ShuttingDown;
        for index in std::mem::take(&mut self.floors) {
            self.set_floor(index, 0);
        }
        for index in 0..self.fleets.len() {
            self.fleets[index].prewarm_at = None;
            self.turn_all_away(index, Refusal::ShuttingDown);
            self.dismiss_all(index, EvictReason::ShutDown, |_| true);
            self.reconsider(index);
        }
    }

    /// A function that is gone, and whose last instance has gone, counts in its group no more.
    pub(super) fn leave_group_if_gone(&mut self, index: u32) {
        let fleet = &self.fleets[index];
        if fleet.deployment.is_none()
            && fleet.live == 0
            && let Some(group) = fleet.group
        {
            self.reconsider(index);
            self.victims.unlist(index, &mut self.fleets[index]);
            let fleet = &mut self.fleets[index];
            fleet.group = None;
            self.capacity.leave(group, index, fleet.tally());
        }
    }

    fn grow_to(&mut self, index: u32) {
        self.fleets.grow_to(index);
        self.starts.grow_to(index);
        self.victims.grow_to(index);
        self.timers.functions.grow_to(index);
    }

    /// What a function had set aside for launches is for everyone again. What it wants now is another thing.
    fn withdraw_wishes(&mut self, index: u32) {
        self.claim(index, 0);
        self.keep_promises(index, 0);
    }

    fn join_group(&mut self, index: u32, number: u32) -> u32 {
        let group = self.capacity.group(number);
        let fleet = &mut self.fleets[index];
        let former = fleet.group.replace(group);
        let tally = fleet.tally();
        if former != Some(group) {
            if let Some(former) = former {
                self.capacity.leave(former, index, tally);
            }
            self.capacity.join(group, index, tally);
        }
        group
    }

    /// Instances of this deploy that were about to go stay.
    fn revive_all(&mut self, index: u32, deploy: DeployId) {
        for member in self.members_of(index) {
            if self.instances[member].deploy == deploy {
                self.revive(member);
            }
        }
    }

    /// An instance was to go only because its deploy was not the current one, and has become it again.
    fn revive(&mut self, index: u32) {
        let instance = &mut self.instances[index];
        let function = instance.function.0;
        match instance.phase {
            Phase::Draining { serving, reason } if is_undone_by_deploy(reason) => {
                instance.phase = Phase::Busy { serving };
                instance.since = self.now;
                self.alter(function, |fleet| fleet.ready += 1);
                self.reconsider(function);
                self.offer(index);
            }
            Phase::Launching(Fate::Dropped(reason)) if is_undone_by_deploy(reason) => {
                instance.phase = Phase::Launching(Fate::Joins);
                self.alter(function, |fleet| fleet.launching += 1);
            }
            Phase::Launching(_)
            | Phase::Idle(_)
            | Phase::Busy { .. }
            | Phase::Draining { .. }
            | Phase::Terminating { .. } => {}
        }
    }

    fn dismiss_all(&mut self, index: u32, reason: EvictReason, is_meant: impl Fn(DeployId) -> bool) {
        for member in self.members_of(index) {
            if is_meant(self.instances[member].deploy) {
                self.dismiss(member, reason);
            }
        }
    }

    fn members_of(&self, index: u32) -> Vec<u32> {
        self.fleets[index].members.iter(&self.members).collect()
    }

    /// Gives a group its reserved concurrency. Idle instances for which there is no place any more leave.
    fn reserve(&mut self, group: u32, limit: Option<u32>) {
        self.capacity.set_limit(group, limit);
        self.assign_floors();
        while self.capacity.excess_of_group(group) > 0 && self.evict_from_group(group, EvictReason::Surplus) {
        }
        while self.capacity.excess_of_unreserved() > 0
            && self.evict_from_domains(&[Domain::Unreserved], EvictReason::Surplus)
        {}
        while self.capacity.excess_of_account() > 0
            && self.evict_from_domains(&Domain::ALL, EvictReason::Surplus)
        {}
        self.capacity.note_excess(group);
    }

    /// The limits of a group have changed, or who is in it: whoever depends on it looks anew.
    fn follow_limits(&mut self, group: u32) {
        let concerned: Vec<u32> = match self.capacity.unreserved_limit() {
            0 => (0..self.fleets.len()).collect(),
            _ => self.capacity.fleets(group).collect(),
        };
        for index in concerned {
            self.victims.unlist(index, &mut self.fleets[index]);
            self.list_victim(index);
            if let Some(obstacle) = self.lasting_obstacle(index) {
                self.turn_all_away(index, obstacle.into());
            }
            self.reconsider(index);
        }
        self.release_held_by_group(group);
    }

    /// Each function's floor is what it asks for, as far as its limit allows; who asked first comes first.
    fn assign_floors(&mut self) {
        let mut left_by_group = BTreeMap::new();
        let mut left_unreserved = self.capacity.unreserved_limit();
        for position in 0..self.floors.len() {
            let index = self.floors[position];
            let fleet = &self.fleets[index];
            let Some((group, deployment)) = fleet.group.zip(fleet.deployment) else { continue };
            let left = match self.capacity.limit(group) {
                Some(limit) => left_by_group.entry(group).or_insert(limit),
                None => &mut left_unreserved,
            };
            let floor = deployment.spec.provisioned.min(*left);
            *left -= floor;
            self.set_floor(index, floor);
        }
    }

    fn ask_for_floor(&mut self, index: u32, provisioned: u32) {
        self.floors.retain(|&other| other != index);
        if provisioned > 0 {
            self.floors.push(index);
        } else {
            self.set_floor(index, 0);
        }
    }

    fn set_floor(&mut self, index: u32, floor: u32) {
        if self.fleets[index].floor != floor {
            self.alter(index, |fleet| fleet.floor = floor);
            self.rearm(index);
            self.reconsider(index);
            self.room_may_have_come(index);
        }
    }
}
