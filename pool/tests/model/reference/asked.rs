//! What the pool may ask for, and when.

use hearth_pool::{
    DeployId, Effect, EvictReason, FunctionId, InstanceId, Purpose, QueuePolicy, Refusal, RequestId, Start,
};

use super::{Instance, Reference, State, Waiting};

impl Reference {
    /// The pool asks for something.
    pub(crate) fn asked(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { instance, function, deploy, purpose } => {
                self.launch(instance, function, deploy, purpose);
            }
            Effect::Grant { request, instance, start } => self.grant(request, instance, start),
            Effect::Refuse { request, reason } => self.refuse(request, reason),
            Effect::Terminate { instance, reason } => self.terminate(instance, reason),
        }
    }

    fn launch(&mut self, id: InstanceId, function: FunctionId, deploy: DeployId, purpose: Purpose) {
        let under_way = self.instances.values().filter(|it| it.state.is_launching()).count();
        assert!(under_way < self.config.launches_at_once as usize, "too many launches at once");
        let function = function.0;
        let (current, spec) = self.functions[&function].deployed.expect("launched, though not deployed");
        assert_eq!(deploy, current, "launched with a stale deploy");
        assert_eq!(self.full(function, 1), None, "launched above a limit");
        assert!(spec.memory.0 <= self.memory_free(), "launched above the memory budget");
        if let Some(since) = self.functions[&function].failed_at {
            assert_eq!(self.launching(function), 0, "more than one probe at once");
            let pause = self.now - since;
            assert!(self.config.backoff_min <= pause, "launched again after {pause:?}");
        }
        assert!(!self.is_shutting_down);
        let slots = spec.slots.max(1);
        let instance = Instance {
            function,
            deploy,
            memory: spec.memory,
            slots,
            purpose,
            launched_at: self.now,
            served: 0,
            serving: 0,
            state: State::Launching,
        };
        assert!(self.instances.insert(id, instance).is_none(), "{id} exists already");
        self.launches += 1;
    }

    fn grant(&mut self, request: RequestId, id: InstanceId, start: Start) {
        let Waiting { function, deadline } =
            *self.waiting.get(&request).expect("granted, though nobody waits");
        assert!(
            self.now < deadline || self.functions[&function].line.len() == 1,
            "granted after the deadline"
        );
        assert_eq!(self.functions[&function].line.front(), Some(&request), "somebody was overtaken");
        self.leaves_line(request);
        let current = self.functions[&function].deployed.map(|(deploy, _)| deploy);
        let instance = self.instances.get_mut(&id).expect("granted an instance that is not there");
        assert_eq!((instance.function, Some(instance.deploy)), (function, current), "granted something else");
        assert_eq!(instance.state, State::Ready, "granted an instance that is not ready");
        assert!(instance.serving < instance.slots, "granted an instance that is full");
        assert_eq!(start == Start::Warm, instance.served > 0);
        assert!(start != Start::Provisioned || instance.purpose != Purpose::Demand);
        instance.serving += 1;
        instance.served += 1;
    }

    fn refuse(&mut self, request: RequestId, reason: Refusal) {
        let Waiting { function, deadline } =
            *self.waiting.get(&request).expect("refused, though nobody waits");
        let line = self.functions[&function].line.len();
        let current = self.count(function, State::Ready) + self.launching(function);
        let holds = match reason {
            Refusal::Deadline(_) => deadline <= self.now,
            Refusal::ShuttingDown => self.is_shutting_down,
            Refusal::NoSuchFunction => self.functions[&function].deployed.is_none(),
            Refusal::QueueFull => match self.config.queue {
                QueuePolicy::Wait { max_waiters } => (max_waiters as usize) < line,
                QueuePolicy::Refuse => false,
            },
            Refusal::LaunchFailed(_) => current == 0 && self.functions[&function].failed_at.is_some(),
            Refusal::ReservedConcurrency | Refusal::AccountConcurrency | Refusal::Memory => {
                let has_no_share = match self.reserved(self.group(function)) {
                    Some(limit) => limit == 0,
                    None => self.unreserved_limit() == 0,
                };
                self.config.queue == QueuePolicy::Refuse || current == 0 || has_no_share
            }
        };
        assert!(holds, "{request} was refused: {reason:?}");
        self.leaves_line(request);
    }

    fn terminate(&mut self, id: InstanceId, reason: EvictReason) {
        let instance = self.instances.get(&id).expect("terminated an instance that is not there");
        assert!(instance.state != State::Terminating, "{id} is terminated twice");
        assert!(!instance.state.is_launching(), "{id} is terminated while it is launched");
        assert!(instance.serving == 0, "{id} is terminated while it serves");
        let holds = match reason {
            EvictReason::Idle => instance.state == State::Ready,
            // It may have been chosen while it served, and nobody wanted it any more when it was done.
            EvictReason::MemoryPressure | EvictReason::ConcurrencyPressure | EvictReason::Surplus => true,
            _ => matches!(instance.state, State::Stale | State::Spent),
        };
        assert!(holds, "{id} is terminated: {reason:?}");
        if matches!(reason, EvictReason::Idle) {
            let ready = self.count(instance.function, State::Ready);
            assert!(self.floor(instance.function) < ready, "{id} was to be kept ready");
        }
        self.instances.get_mut(&id).expect("it was just found").state = State::Terminating;
    }
}
