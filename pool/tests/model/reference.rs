//! What must hold, told from nothing but the events that went in and the effects that came out.

mod asked;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hearth_pool::{
    Config, DeployId, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, PhaseSnapshot, Pool,
    Purpose, Refusal, RequestId, ScaleOut, Timestamp,
};

/// The world outside of the pool.
pub(crate) struct Reference {
    config: Config,
    pub(crate) now: Timestamp,
    is_shutting_down: bool,
    functions: BTreeMap<u32, Function>,
    /// Functions with provisioned concurrency, in the order in which they asked for it.
    provisioned: Vec<u32>,
    /// Reserved concurrency, by group.
    reserved: [Option<u32>; 2],
    /// Provisioned concurrency as far as the limits allow it, by function.
    floors: [u32; 4],
    waiting: BTreeMap<RequestId, Waiting>,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    launches: usize,
    ends: usize,
}

#[derive(Default)]
struct Function {
    deployed: Option<(DeployId, FunctionSpec)>,
    group: u32,
    line: VecDeque<RequestId>,
    /// When a launch failed, if none succeeded since. One that had begun before another failed does not count.
    failed_at: Option<Timestamp>,
}

impl Function {
    fn failed(&mut self, now: Timestamp, launched_at: Timestamp) {
        if self.failed_at.is_none_or(|failed_at| failed_at < launched_at) {
            self.failed_at = Some(now);
        }
    }
}

struct Waiting {
    function: u32,
    deadline: Timestamp,
}

pub(crate) struct Instance {
    pub(crate) function: u32,
    deploy: DeployId,
    memory: MemoryMib,
    slots: u32,
    purpose: Purpose,
    launched_at: Timestamp,
    served: u64,
    /// Grants that the driver has not given back yet.
    pub(crate) serving: u32,
    pub(crate) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Launching,
    /// Died before its launch was answered.
    LaunchingDead,
    /// Of another deploy than the current one: it is to end when it arrives, unless that is deployed again.
    LaunchingStale,
    /// Nobody wants it any more; it is to end when it arrives.
    LaunchingUnwanted,
    Ready,
    /// To serve nobody else, unless its deploy is deployed again.
    Stale,
    /// To serve nobody else.
    Spent,
    Terminating,
}

impl State {
    pub(crate) fn is_launching(self) -> bool {
        matches!(self, Self::Launching | Self::LaunchingDead | Self::LaunchingStale | Self::LaunchingUnwanted)
    }
}

impl Reference {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            now: Timestamp::START,
            is_shutting_down: false,
            functions: BTreeMap::new(),
            provisioned: Vec::new(),
            reserved: [None; 2],
            floors: [0; 4],
            waiting: BTreeMap::new(),
            instances: BTreeMap::new(),
            launches: 0,
            ends: 0,
        }
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.waiting.keys().copied()
    }

    /// An event is about to be told to the pool.
    pub(crate) fn happens(&mut self, event: Event) {
        match event {
            Event::Deployed { function, deploy, spec } => self.deployed(function.0, deploy, spec),
            Event::Removed { function } => self.removed(function.0),
            Event::Requested { request, function, deadline } => {
                self.functions.entry(function.0).or_default().line.push_back(request);
                self.waiting.insert(request, Waiting { function: function.0, deadline });
            }
            Event::Cancelled { request } => self.leaves_line(request),
            Event::Released { instance, outcome } => self.released(instance, outcome),
            Event::Launched { instance } => self.launched(instance),
            Event::LaunchFailed { instance } => self.launch_failed(instance),
            Event::Exited { instance } => self.exited(instance),
            Event::Terminated { instance } => self.terminated(instance),
            Event::Evicted { function } => self.spend(function.0),
            Event::ShutDown => {
                self.is_shutting_down = true;
                self.provisioned.clear();
                self.settle_limits();
                (0..4).for_each(|function| self.spend(function));
            }
            Event::DeadlineReached => {}
        }
    }

    /// What was chosen to make way shows only later if it still serves: it drains first. So may an instance with
    /// several slots, and one that was to stay after all since its deploy is the current one again.
    pub(crate) fn notice_what_drains(&mut self, event: Event, pool: &Pool) {
        let may_drain = |id: InstanceId, it: &Instance| match event {
            Event::Released { instance, .. } => instance == id && it.serving < it.slots,
            Event::Deployed { function, .. } => function.0 == it.function,
            _ => false,
        };
        let is_serving = |it: &Instance| it.state == State::Ready && it.serving > 0;
        let serving = self.instances.iter().filter(|&(&id, it)| is_serving(it) && may_drain(id, it));
        let serving: Vec<(InstanceId, u32)> = serving.map(|(&id, it)| (id, it.function)).collect();
        for (id, function) in serving {
            let snapshot = pool.snapshot(self.now);
            let instances = &snapshot.function(FunctionId(function)).expect("it has an instance").instances;
            let pooled = instances.iter().find(|it| it.id == id).expect("it is there");
            if matches!(pooled.phase, PhaseSnapshot::Draining(_)) {
                let wants = |it: &u32| {
                    *it != function && (!self.functions[it].line.is_empty() || self.floor(*it) > 0)
                };
                let others_want = self.functions.keys().any(wants);
                assert!(others_want || self.full(function, 0).is_some(), "{id} drains for nobody");
                self.instances.get_mut(&id).expect("it was just found").state = State::Spent;
            }
        }
    }

    /// Everything that must hold once the pool asks for nothing more.
    pub(crate) fn check(&self, pool: &Pool) {
        for (request, waiting) in &self.waiting {
            assert!(self.now < waiting.deadline, "{request} waits past its deadline");
        }
        for (&index, function) in &self.functions {
            if function.line.is_empty() && self.floor(index) == 0 {
                continue;
            }
            let is_free = |it: &&Instance| it.state == State::Ready && it.serving < it.slots;
            let free = self.of(index).find(is_free);
            assert!(
                function.line.is_empty() || free.is_none(),
                "f{index}: somebody waits for a free instance"
            );
            self.check_progress(index, function, pool);
        }
        assert!(pool.next_deadline().is_none_or(|deadline| self.now < deadline), "the next deadline is past");
        let serving = self.instances.values().any(|it| it.state != State::Terminating && it.serving > 0);
        assert_eq!(pool.is_idle(), self.waiting.is_empty() && !serving);
        let is_drained = self.is_shutting_down && self.waiting.is_empty() && self.instances.is_empty();
        assert_eq!(pool.is_drained(), is_drained);
    }

    /// The pool's own picture is the world's.
    pub(crate) fn check_snapshot(&self, pool: &Pool) {
        let snapshot = pool.snapshot(self.now);
        let memory: u64 = self.instances.values().map(|it| it.memory.0).sum();
        assert_eq!(snapshot.memory_used, MemoryMib(memory));
        let seen = snapshot.functions.iter().flat_map(|function| &function.instances);
        let mut seen: Vec<_> = seen.map(|it| (it.id, it.deploy, it.memory, it.served)).collect();
        seen.sort();
        let known: Vec<_> =
            self.instances.iter().map(|(&id, it)| (id, it.deploy, it.memory, it.served)).collect();
        assert_eq!(seen, known);
        for (&index, function) in &self.functions {
            let waiting = snapshot.function(FunctionId(index)).map_or(0, |it| it.waiting);
            assert_eq!(waiting, function.line.len());
        }
    }

    /// Nothing is left, and whatever was launched has ended.
    pub(crate) fn check_drained(&self) {
        assert!(self.waiting.is_empty() && self.instances.is_empty());
        assert_eq!(self.launches, self.ends, "launched, and gone");
    }

    fn of(&self, function: u32) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(move |it| it.function == function)
    }

    fn count(&self, function: u32, state: State) -> u32 {
        u32::try_from(self.of(function).filter(|it| it.state == state).count()).expect("few instances")
    }

    /// Launches that will join, or count as failed.
    fn launching(&self, function: u32) -> u32 {
        self.count(function, State::Launching) + self.count(function, State::LaunchingDead)
    }

    fn live(&self, is_counted: impl Fn(u32) -> bool) -> u32 {
        let counted =
            self.instances.values().filter(|it| it.state != State::Terminating && is_counted(it.function));
        u32::try_from(counted.count()).expect("few instances")
    }

    fn group(&self, function: u32) -> u32 {
        self.functions[&function].group
    }

    fn reserved(&self, group: u32) -> Option<u32> {
        self.reserved[group as usize]
    }

    fn floor(&self, function: u32) -> u32 {
        self.floors[function as usize]
    }

    fn unreserved_limit(&self) -> u32 {
        let reserved: u32 = self.reserved.iter().flatten().sum();
        self.config.account_concurrency.saturating_sub(reserved)
    }

    /// Whether a limit has no place for one more instance of the function, and why.
    fn full(&self, function: u32, one_more: u32) -> Option<Refusal> {
        let group = self.group(function);
        let of_group = self.live(|other| self.group(other) == group);
        if let Some(limit) = self.reserved(group) {
            if limit < of_group + one_more {
                return Some(Refusal::ReservedConcurrency);
            }
        } else if self.unreserved_limit()
            < self.live(|other| self.reserved(self.group(other)).is_none()) + one_more
        {
            return Some(Refusal::AccountConcurrency);
        }
        let is_full = self.config.account_concurrency < self.live(|_| true) + one_more;
        is_full.then_some(Refusal::AccountConcurrency)
    }

    fn memory_free(&self) -> u64 {
        let used: u64 = self.instances.values().map(|it| it.memory.0).sum();
        self.config.memory_budget.map_or(u64::MAX, |budget| budget.0 - used)
    }

    /// Settings have changed: what each group has reserved, and each function's floor, follow from them.
    fn settle_limits(&mut self) {
        self.reserved = [0, 1].map(|group| {
            let members = self.functions.values().filter(|it| it.group == group);
            members.filter_map(|it| it.deployed).find_map(|(_, spec)| spec.reserved)
        });
        self.floors = [0; 4];
        let mut left = self.reserved.map(|limit| limit.unwrap_or(0));
        let mut left_unreserved = self.unreserved_limit();
        for &index in &self.provisioned {
            let function = &self.functions[&index];
            let Some((_, spec)) = function.deployed else { continue };
            let left = match self.reserved(function.group) {
                Some(_) => &mut left[function.group as usize],
                None => &mut left_unreserved,
            };
            let floor = spec.provisioned.min(*left);
            *left -= floor;
            self.floors[index as usize] = floor;
        }
    }

    /// A launch is under way for everyone who waits, and for every instance that is to be kept ready, unless
    /// something stands in the way.
    fn check_progress(&self, index: u32, function: &Function, pool: &Pool) {
        let Some((_, spec)) = function.deployed else {
            assert!(function.line.is_empty(), "f{index}: somebody waits for a function that is gone");
            return;
        };
        let slots = spec.slots.max(1);
        let waiting = u32::try_from(function.line.len()).expect("few wait");
        let (mut launching, mut ready) = (0, 0);
        for instance in self.of(index) {
            launching += u32::from(matches!(instance.state, State::Launching | State::LaunchingDead));
            ready += u32::from(instance.state == State::Ready);
        }
        let is_eager = self.config.scale_out == ScaleOut::Eager || ready == 0;
        let is_short = is_eager && launching < waiting.div_ceil(slots);
        let is_below_floor = ready + launching < self.floor(index);
        if !is_short && !is_below_floor {
            return;
        }
        if let Some(since) = function.failed_at {
            let latest = since + self.config.backoff_max;
            let probes = launching > 0 || pool.next_deadline().is_some_and(|deadline| deadline <= latest);
            if launching > 0 || (self.now < latest && probes) {
                return;
            }
        }
        let under_way = self.instances.values().filter(|it| it.state.is_launching());
        let refills = under_way.clone().filter(|it| it.purpose != Purpose::Demand).count();
        let at_once = self.config.launches_at_once as usize;
        let gate_is_full = under_way.count() >= at_once || (!is_short && refills >= (at_once / 2).max(1));
        assert!(
            gate_is_full || self.is_obstructed(index, spec),
            "f{index}: somebody waits, and nothing is launched"
        );
    }

    /// Something stands in the way of a launch, and no idle instance could make way.
    fn is_obstructed(&self, index: u32, spec: FunctionSpec) -> bool {
        let is_memory_short = self.memory_free() < spec.memory.0;
        if is_memory_short || self.is_memory_promised() {
            return true;
        }
        let group = self.group(index);
        let deficit = |other: u32| {
            let current = self.count(other, State::Ready) + self.launching(other);
            self.floor(other).saturating_sub(current)
        };
        let is_provisioned = deficit(index) > 0;
        let kept_free = |of: &dyn Fn(u32) -> bool| -> u32 {
            if is_provisioned {
                0
            } else {
                self.functions.keys().filter(|&&it| of(it)).map(|&it| deficit(it)).sum()
            }
        };
        let in_group = |other: u32| self.group(other) == group;
        let unreserved = |other: u32| self.reserved(self.group(other)).is_none();
        let (limit, taken, spare) = match self.reserved(group) {
            Some(limit) => (limit, self.live(in_group) + kept_free(&in_group), self.spare(in_group)),
            None => (
                self.unreserved_limit(),
                self.live(unreserved) + kept_free(&unreserved),
                self.spare(unreserved),
            ),
        };
        (limit <= taken && spare == 0)
            || (self.config.account_concurrency <= self.live(|_| true) && self.spare(|_| true) == 0)
    }

    /// Some launch may have evicted others and wait for them to be gone: what is free may be meant for it.
    fn is_memory_promised(&self) -> bool {
        self.config.memory_budget.is_some()
            && self.functions.values().any(|function| {
                function.deployed.is_some_and(|(_, spec)| {
                    let is_short = self.memory_free() < spec.memory.0;
                    let is_leaving = self.instances.values().any(|it| it.state == State::Terminating);
                    is_short || is_leaving
                })
            })
    }

    /// Idle instances that could make way.
    fn spare(&self, is_counted: impl Fn(u32) -> bool) -> u32 {
        let of = |function: u32| {
            let idle = self.of(function).filter(|it| it.state == State::Ready && it.serving == 0).count();
            let ready = self.count(function, State::Ready);
            u32::try_from(idle).expect("few instances").min(ready.saturating_sub(self.floor(function)))
        };
        self.functions.keys().filter(|&&function| is_counted(function)).map(|&function| of(function)).sum()
    }

    fn deployed(&mut self, index: u32, deploy: DeployId, spec: FunctionSpec) {
        if self.is_shutting_down {
            return;
        }
        let function = self.functions.entry(index).or_default();
        let former = function.deployed.replace((deploy, spec));
        function.group = spec.reserve_group;
        if former.is_none_or(|(former, _)| former != deploy) {
            function.failed_at = None;
        }
        // The reservation is the group's: what one version says of it holds for all.
        for other in self.functions.values_mut().filter(|it| it.group == spec.reserve_group) {
            if let Some((_, other)) = &mut other.deployed {
                other.reserved = spec.reserved;
            }
        }
        self.provisioned.retain(|&other| other != index);
        if spec.provisioned > 0 {
            self.provisioned.push(index);
        }
        for instance in self.instances.values_mut().filter(|it| it.function == index) {
            instance.state = match instance.state {
                State::Stale if instance.deploy == deploy => State::Ready,
                State::LaunchingStale if instance.deploy == deploy => State::Launching,
                state => state,
            };
        }
        self.outdate(index, Some(deploy));
        self.settle_limits();
    }

    fn removed(&mut self, index: u32) {
        if let Some(function) = self.functions.get_mut(&index) {
            function.deployed = None;
            function.failed_at = None;
        }
        self.provisioned.retain(|&other| other != index);
        self.outdate(index, None);
        self.settle_limits();
    }

    /// Instances of other deploys than the current one serve nobody else.
    fn outdate(&mut self, function: u32, current: Option<DeployId>) {
        let of_function = self.instances.values_mut().filter(|it| it.function == function);
        for instance in of_function.filter(|it| Some(it.deploy) != current) {
            instance.state = match instance.state {
                State::Ready => State::Stale,
                State::Launching => State::LaunchingStale,
                State::LaunchingDead => State::LaunchingUnwanted,
                state => state,
            };
        }
    }

    /// The instances of a function serve nobody else, whatever happens.
    fn spend(&mut self, function: u32) {
        for instance in self.instances.values_mut().filter(|it| it.function == function) {
            instance.state = match instance.state {
                State::Ready | State::Stale => State::Spent,
                State::Launching | State::LaunchingDead | State::LaunchingStale => State::LaunchingUnwanted,
                state => state,
            };
        }
    }

    fn released(&mut self, id: InstanceId, outcome: Outcome) {
        let Some(instance) = self.instances.get_mut(&id).filter(|it| it.serving > 0) else { return };
        instance.serving -= 1;
        if outcome == Outcome::Broken && matches!(instance.state, State::Ready | State::Stale) {
            instance.state = State::Spent;
        }
    }

    fn launched(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let function = self.functions.get_mut(&instance.function).expect("it was launched");
        match instance.state {
            State::Launching => {
                instance.state = State::Ready;
                function.failed_at = None;
            }
            State::LaunchingDead => {
                instance.state = State::Spent;
                function.failed(self.now, instance.launched_at);
            }
            State::LaunchingStale | State::LaunchingUnwanted => instance.state = State::Spent,
            State::Ready | State::Stale | State::Spent | State::Terminating => {}
        }
    }

    fn launch_failed(&mut self, id: InstanceId) {
        let Some(state) = self.instances.get(&id).map(|it| it.state).filter(|state| state.is_launching())
        else {
            return;
        };
        let instance = self.instances.remove(&id).expect("it was just found");
        self.ends += 1;
        if matches!(state, State::Launching | State::LaunchingDead) {
            let function = self.functions.get_mut(&instance.function).expect("it was launched");
            function.failed(self.now, instance.launched_at);
        }
    }

    fn exited(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.state = match instance.state {
            State::Launching => State::LaunchingDead,
            State::Ready => {
                if instance.served == 0 {
                    let function = self.functions.get_mut(&instance.function).expect("it was launched");
                    function.failed(self.now, instance.launched_at);
                }
                State::Spent
            }
            State::LaunchingStale => State::LaunchingUnwanted,
            State::Stale => State::Spent,
            state => state,
        };
        if !instance.state.is_launching() {
            instance.serving = 0;
        }
    }

    fn terminated(&mut self, id: InstanceId) {
        if self.instances.get(&id).is_some_and(|it| !it.state.is_launching()) {
            self.instances.remove(&id);
            self.ends += 1;
        }
    }

    fn leaves_line(&mut self, request: RequestId) {
        if let Some(Waiting { function, .. }) = self.waiting.remove(&request) {
            let line = &mut self.functions.get_mut(&function).expect("it was requested").line;
            line.retain(|&other| other != request);
        }
    }
}

/// Longer than any keep-alive, deadline or pause.
pub(crate) const FOREVER: Duration = Duration::from_secs(24 * 3600);
