//! The pool itself: what it knows, and what it is told and asked.

mod audit;
mod deploys;
mod eviction;
mod exits;
mod idleness;
mod launches;
mod requests;
mod room;
mod snapshot;

use std::collections::VecDeque;

use crate::capacity::Capacity;
use crate::fleet::{Fleet, Fleets};
use crate::instance::Instance;
use crate::keep_alive::{self, Policy};
use crate::list::Links;
use crate::memory::Memory;
use crate::random::Random;
use crate::slab::Slab;
use crate::start_queue::StartQueue;
use crate::timers::{Timer, Timers};
use crate::victims::Victims;
use crate::wait_queue::WaitQueue;
use crate::{Config, ConfigError, Effect, Event, InstanceId, Timestamp};

/// The warm pool of one host: decides everything, does nothing.
///
/// Tell it what happened with [`handle`](Self::handle), then do what [`next_effect`](Self::next_effect) says
/// until it says nothing more. Wake it with [`Event::DeadlineReached`] at
/// [`next_deadline`](Self::next_deadline), if nothing happens before.
#[derive(Debug)]
pub struct Pool {
    config: Config,
    stage: Stage,
    now: Timestamp,
    fleets: Fleets,
    instances: Slab<Instance>,
    /// Links of each function's lists of idle, and of partly used, instances.
    ready: Links,
    /// Links of each function's list of all its instances.
    members: Links,
    /// Grants that were not given back yet, on instances that are still there.
    serving: usize,
    effects: VecDeque<Effect>,
    timers: Timers,
    policy: Box<dyn Policy>,
    victims: Victims,
    memory: Memory,
    waiters: WaitQueue,
    capacity: Capacity,
    starts: StartQueue,
    /// Functions with provisioned concurrency, in the order in which they asked for it.
    floors: Vec<u32>,
    /// Memory may have come free since those that it holds up were last looked at.
    has_memory_eased: bool,
    random: Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    ShuttingDown,
}

impl Pool {
    /// An empty pool. Refuses a configuration that cannot hold, with the name of the setting.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            stage: Stage::Open,
            now: Timestamp::START,
            fleets: Fleets::default(),
            instances: Slab::default(),
            ready: Links::default(),
            members: Links::default(),
            serving: 0,
            effects: VecDeque::new(),
            timers: Timers::default(),
            policy: keep_alive::policy(&config.keep_alive),
            victims: Victims::default(),
            memory: Memory::new(config.memory_budget),
            waiters: WaitQueue::default(),
            capacity: Capacity::new(config.account_concurrency),
            starts: StartQueue::new(config.launches_at_once),
            floors: Vec::new(),
            has_memory_eased: false,
            random: Random::new(config.seed),
            config,
        })
    }

    /// Tells the pool what happened. What follows from it are its next effects. Time never goes back: an
    /// earlier `now` counts as the latest one.
    pub fn handle(&mut self, now: Timestamp, event: Event) {
        self.now = self.now.max(now);
        self.run_timers();
        match event {
            Event::Requested { request, function, deadline } => self.requested(request, function, deadline),
            Event::Released { instance, outcome } => self.released(instance, outcome),
            Event::Cancelled { request } => self.cancelled(request),
            Event::Launched { instance } => self.launched(instance),
            Event::LaunchFailed { instance } => self.launch_failed(instance),
            Event::Exited { instance } => self.exited(instance),
            Event::Terminated { instance } => self.terminated(instance),
            Event::Deployed { function, deploy, spec } => self.deployed(function, deploy, spec),
            Event::Removed { function } => self.removed(function),
            Event::Evicted { function } => self.evicted(function),
            Event::ShutDown => self.shut_down(),
            Event::DeadlineReached => {}
        }
        self.run_timers();
        self.start_launches();
    }

    /// The next thing that the driver must do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to tell [`Event::DeadlineReached`], if nothing happens before. It is later than the time that was
    /// last told, and never later than the moment at which something is due; it may be earlier, if an instance
    /// was used since it was set.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| at)
    }

    /// Whether nobody waits and no invocation is under way.
    pub fn is_idle(&self) -> bool {
        self.serving == 0 && self.waiters.len() == 0
    }

    /// Whether the pool was told to shut down, and nothing is left: no waiter and no instance.
    pub fn is_drained(&self) -> bool {
        self.stage == Stage::ShuttingDown && self.instances.is_empty() && self.waiters.len() == 0
    }

    fn run_timers(&mut self) {
        while let Some(timer) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Waiter(waiter) => self.deadline_passed(waiter),
                Timer::Instance(instance) => self.keep_alive_ended(instance),
                Timer::Function(fleet) => self.reconsider(fleet),
            }
        }
    }

    /// The number of an instance that is not gone yet.
    fn find(&self, id: InstanceId) -> Option<u32> {
        self.instances.contains(id.index, id.generation).then_some(id.index)
    }

    fn id(&self, index: u32) -> InstanceId {
        InstanceId { index, generation: self.instances.generation(index) }
    }

    /// Changes what a function counts with, here and in the limits.
    fn alter(&mut self, index: u32, change: impl FnOnce(&mut Fleet)) {
        let fleet = &mut self.fleets[index];
        let before = fleet.tally();
        change(fleet);
        let after = fleet.tally();
        if let Some(group) = fleet.group.filter(|_| before != after) {
            self.capacity.replace(group, before, after);
        }
    }
}
