//! One function's version: what it runs, its instances, those who wait, and what it would like to launch.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::capacity::Tally;
use crate::keep_alive::Worth;
use crate::list::List;
use crate::load::Load;
use crate::{DeployId, FunctionSpec, Purpose, ScaleOut, Timestamp};

/// The state of one function's version. Lists hold numbers of instances and of waiters. What is needed to serve
/// comes first, and fits into two lines of a cache.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Fleet {
    /// Instances of the current deploy that serve nobody: the last one to go idle is at the back, and the first
    /// one to be used again. Where a floor is kept, those that were launched for it are behind all others.
    pub(crate) idle: List,
    /// Instances of the current deploy that serve somebody and have free slots.
    pub(crate) partial: List,
    /// Requests, first come first.
    pub(crate) waiting: List,
    /// Slots that are granted, on draining instances too.
    pub(crate) serving: u32,
    /// Idle and busy instances: those that can be granted, now or later.
    pub(crate) ready: u32,
    /// Launches under way whose instances will join.
    pub(crate) launching: u32,
    /// Instances that are kept ready: the provisioned concurrency, as far as the limits allow it.
    pub(crate) floor: u32,
    /// The number of the group that shares the reserved concurrency.
    pub(crate) group: Option<u32>,
    /// The worth that the function is listed with among the victims.
    pub(crate) listed_worth: Option<Worth>,
    /// When the keep-alive policy wants an instance to be ready, if nobody comes before.
    pub(crate) prewarm_at: Option<Timestamp>,
    pub(crate) load: Load,
    pub(crate) deployment: Option<Deployment>,
    /// Every instance that is not gone yet, of any deploy.
    pub(crate) members: List,
    /// Everything that counts as concurrency: launching, idle, busy and draining.
    pub(crate) live: u32,
    /// Launches for which memory is being made free.
    pub(crate) promised: u32,
    /// Launches that are wanted for those who wait, as the limits know it.
    pub(crate) claimed: u32,
    pub(crate) backoff: Backoff,
    /// Since when the function is held up by the memory budget.
    pub(crate) held_up_since: Timestamp,
}

/// What a function's version runs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Deployment {
    pub(crate) spec: FunctionSpec,
    pub(crate) deploy: DeployId,
}

/// What a function would like to launch at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) purpose: Purpose,
    /// At least one.
    pub(crate) launches: u32,
}

/// Every function's fleet, by its number.
#[derive(Debug, Default)]
pub(crate) struct Fleets(Vec<Fleet>);

impl Fleets {
    /// Makes room for the function with this number.
    pub(crate) fn grow_to(&mut self, fleet: u32) {
        if self.0.len() <= fleet as usize {
            self.0.resize_with(fleet as usize + 1, Fleet::default);
        }
    }

    pub(crate) fn get(&self, fleet: u32) -> Option<&Fleet> {
        self.0.get(fleet as usize)
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).expect("fewer than four billion functions")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Fleet)> {
        (0..).zip(&self.0)
    }
}

impl Index<u32> for Fleets {
    type Output = Fleet;

    fn index(&self, fleet: u32) -> &Fleet {
        &self.0[fleet as usize]
    }
}

impl IndexMut<u32> for Fleets {
    fn index_mut(&mut self, fleet: u32) -> &mut Fleet {
        &mut self.0[fleet as usize]
    }
}

impl Fleet {
    /// Instances that serve or will serve requests of the current deploy.
    pub(crate) const fn current(&self) -> u32 {
        self.ready + self.launching
    }

    /// Instances that the floor still lacks.
    pub(crate) const fn deficit(&self) -> u32 {
        self.floor.saturating_sub(self.current())
    }

    /// Idle instances that the floor can do without.
    pub(crate) fn spare(&self) -> u32 {
        self.idle.len().min(self.ready.saturating_sub(self.floor))
    }

    /// The instance that the next request gets: one that serves already, so that the others may age; else the
    /// one that was used last.
    pub(crate) const fn available(&self) -> Option<u32> {
        match self.partial.back() {
            None => self.idle.back(),
            partial => partial,
        }
    }

    /// Invocations that an instance serves at once.
    pub(crate) fn slots(&self) -> u32 {
        self.deployment.map_or(1, |deployment| deployment.spec.slots)
    }

    /// Everyone who is served or waits.
    pub(crate) const fn requests(&self) -> u32 {
        self.serving + self.waiting.len()
    }

    /// How many instances it takes to serve so many requests at once.
    pub(crate) fn level(&self, requests: u32) -> u32 {
        match self.slots() {
            1 => requests,
            slots => requests.div_ceil(slots),
        }
    }

    /// What counts against the limits.
    pub(crate) const fn tally(&self) -> Tally {
        Tally { live: self.live, deficit: self.deficit(), claimed: self.claimed }
    }

    /// What it would like to launch. `head_since` is when the first of those who wait came.
    pub(crate) fn wish(&self, now: Timestamp, mode: ScaleOut, head_since: Option<Timestamp>) -> Option<Wish> {
        self.deployment?;
        let room = self.backoff.room(now, self.launching);
        let demand = self.wanted(now, mode, head_since).saturating_sub(self.launching);
        let prewarm = u32::from(self.current() == 0 && self.prewarm_at.is_some_and(|at| at <= now));
        [(Purpose::Demand, demand), (Purpose::Provisioned, self.deficit()), (Purpose::Prediction, prewarm)]
            .into_iter()
            .map(|(purpose, launches)| Wish { purpose, launches: launches.min(room) })
            .find(|wish| wish.launches > 0)
    }

    /// When it may have a wish that it does not have yet.
    pub(crate) fn wishes_at(
        &self,
        now: Timestamp,
        mode: ScaleOut,
        head_since: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let deployment = self.deployment?;
        let would_launch =
            !self.waiting.is_empty() || deployment.spec.provisioned > 0 || self.prewarm_at.is_some();
        let retry = self.backoff.until(now).filter(|_| would_launch);
        let prewarm = self.prewarm_at.filter(|&at| now < at && self.current() == 0);
        let hedge = self.patience_ends(mode, head_since).filter(|&at| now < at);
        [retry, prewarm, hedge].into_iter().flatten().min()
    }

    /// How many instances are wanted for those who wait.
    fn wanted(&self, now: Timestamp, mode: ScaleOut, head_since: Option<Timestamp>) -> u32 {
        let everyone = self.waiting.len().div_ceil(self.slots());
        match self.patience_ends(mode, head_since) {
            None => everyone,
            Some(end) => {
                let served_in_time = self.load.completions_during_a_start(self.ready * self.slots());
                let impatient = self.waiting.len().saturating_sub(served_in_time).div_ceil(self.slots());
                impatient.max(u32::from(end <= now && everyone > 0))
            }
        }
    }

    /// When the first of those who wait has waited for as long as a start takes: until then a busy instance may
    /// be the quicker one. To wait for as long as starting would have taken, and to start then, costs at most
    /// twice what the better of the two would have cost.
    fn patience_ends(&self, mode: ScaleOut, head_since: Option<Timestamp>) -> Option<Timestamp> {
        match mode {
            ScaleOut::Eager => None,
            ScaleOut::CostAware if self.ready == 0 => None,
            ScaleOut::CostAware => Some(head_since? + self.load.start_time()?),
        }
    }

    /// What a start is thought to take.
    pub(crate) fn start_cost(&self) -> Duration {
        self.load.start_time().unwrap_or(Load::UNKNOWN_START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryMib;

    fn fleet(waiting: u32, ready: u32, launching: u32) -> Fleet {
        let spec = FunctionSpec {
            memory: MemoryMib(128),
            slots: 1,
            reserved: None,
            reserve_group: 0,
            provisioned: 0,
        };
        let deployment = Some(Deployment { deploy: DeployId([0; 32]), spec });
        let mut fleet = Fleet { ready, launching, serving: ready, deployment, ..Fleet::default() };
        let mut links = crate::list::Links::default();
        for waiter in 0..waiting {
            links.grow_to(waiter);
            fleet.waiting.push_back(&mut links, waiter);
        }
        fleet
    }

    fn launches(fleet: &Fleet, mode: ScaleOut, waited_ms: u64) -> u32 {
        let now = Timestamp::from_millis(10_000);
        let head_since = (!fleet.waiting.is_empty()).then(|| Timestamp::from_millis(10_000 - waited_ms));
        fleet.wish(now, mode, head_since).map_or(0, |wish| wish.launches)
    }

    #[test]
    fn eager_launches_one_for_everyone_who_waits_less_those_under_way() {
        for (waiting, launching, expected) in [(0, 0, 0), (3, 0, 3), (3, 1, 2), (3, 3, 0), (1, 3, 0)] {
            assert_eq!(launches(&fleet(waiting, 2, launching), ScaleOut::Eager, 0), expected);
        }
    }

    #[test]
    fn cost_aware_launches_only_for_those_whom_busy_instances_will_not_serve_within_a_start() {
        // Two busy instances that take 100 ms each serve four within a start of 200 ms.
        for (waiting, waited_ms, expected) in [(4, 0, 0), (5, 0, 1), (10, 0, 6), (1, 199, 0), (1, 200, 1)] {
            let mut fleet = fleet(waiting, 2, 0);
            fleet.load.started(Duration::from_millis(200));
            fleet.load.changed(Timestamp::from_millis(0), 1);
            fleet.load.completed(Timestamp::from_millis(100), 1);
            assert_eq!(launches(&fleet, ScaleOut::CostAware, waited_ms), expected, "{waiting} {waited_ms}");
        }
    }

    #[test]
    fn cost_aware_launches_for_everyone_when_nothing_is_ready_or_known() {
        assert_eq!(launches(&fleet(3, 0, 0), ScaleOut::CostAware, 0), 3);
        assert_eq!(launches(&fleet(3, 1, 0), ScaleOut::CostAware, 0), 3);
    }
}
