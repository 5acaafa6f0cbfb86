//! Instances leave: they are dismissed, die, and are gone.

use crate::instance::{Fate, Instance, Phase, is_undone_by_deploy};
use crate::{Effect, EvictReason, InstanceId, Pool};

impl Pool {
    /// An instance ended by itself.
    pub(super) fn exited(&mut self, id: InstanceId) {
        let Some(index) = self.find(id) else { return };
        let &Instance { phase, served, launched_at, function, .. } = &self.instances[index];
        match phase {
            Phase::Launching(Fate::Joins) => {
                self.instances[index].phase = Phase::Launching(Fate::DeadOnArrival);
            }
            Phase::Idle(_) if served == 0 => {
                // Else one that ends as soon as it is ready would be launched over and over.
                self.back_off(function.0, launched_at);
                self.dismiss(index, EvictReason::Exited);
            }
            Phase::Idle(_) | Phase::Busy { .. } | Phase::Draining { .. } => {
                self.take_out(index);
                self.terminate(index, EvictReason::Exited);
            }
            Phase::Launching(Fate::Dropped(_)) => {
                self.instances[index].phase = Phase::Launching(Fate::Dropped(EvictReason::Exited));
            }
            Phase::Launching(Fate::DeadOnArrival) | Phase::Terminating { .. } => {}
        }
    }

    /// The backend says that an instance is gone, whether or not it was asked to end it.
    pub(super) fn terminated(&mut self, id: InstanceId) {
        let Some(index) = self.find(id) else { return };
        match self.instances[index].phase {
            // Its launch will be answered.
            Phase::Launching(_) => return,
            Phase::Idle(_) | Phase::Busy { .. } | Phase::Draining { .. } => {
                self.take_out(index);
                self.detach(index);
            }
            Phase::Terminating { .. } => self.memory.ceased_leaving(self.instances[index].memory),
        }
        self.forget(index);
    }

    /// An instance goes as soon as nobody is cut off by it: at once, when its last invocation has ended, or
    /// when its launch has.
    pub(super) fn dismiss(&mut self, index: u32, reason: EvictReason) {
        self.take_out(index);
        self.let_go(index, reason);
    }

    /// The same for an instance in hand.
    pub(super) fn let_go(&mut self, index: u32, reason: EvictReason) {
        let instance = &mut self.instances[index];
        let function = instance.function.0;
        match instance.phase {
            Phase::Launching(fate @ (Fate::Joins | Fate::DeadOnArrival)) => {
                let reason = if fate == Fate::Joins { reason } else { EvictReason::Exited };
                instance.phase = Phase::Launching(Fate::Dropped(reason));
                self.alter(function, |fleet| fleet.launching -= 1);
                self.reconsider(function);
            }
            Phase::Busy { serving: 0 } => self.terminate(index, reason),
            Phase::Busy { serving } => {
                instance.phase = Phase::Draining { serving, reason };
                instance.since = self.now;
                self.alter(function, |fleet| fleet.ready -= 1);
                self.reconsider(function);
            }
            Phase::Launching(Fate::Dropped(former)) if is_undone_by_deploy(former) => {
                instance.phase = Phase::Launching(Fate::Dropped(reason));
            }
            Phase::Draining { serving, reason: former } if is_undone_by_deploy(former) => {
                instance.phase = Phase::Draining { serving, reason };
            }
            Phase::Launching(Fate::Dropped(_))
            | Phase::Idle(_)
            | Phase::Draining { .. }
            | Phase::Terminating { .. } => {}
        }
    }

    /// An instance in hand, draining or on its way is ended.
    pub(super) fn terminate(&mut self, index: u32, reason: EvictReason) {
        self.detach(index);
        let id = self.id(index);
        let instance = &mut self.instances[index];
        instance.phase = Phase::Terminating { reason };
        instance.since = self.now;
        let function = instance.function.0;
        self.memory.began_to_leave(instance.memory);
        self.effects.push_back(Effect::Terminate { instance: id, reason });
        self.reconsider(function);
    }

    /// An instance in hand, draining or on its way counts as concurrency no more, nor do its invocations.
    pub(super) fn detach(&mut self, index: u32) {
        let &Instance { phase, function, .. } = &self.instances[index];
        self.alter(function.0, |fleet| {
            fleet.live -= 1;
            match phase {
                Phase::Launching(Fate::Joins | Fate::DeadOnArrival) => fleet.launching -= 1,
                Phase::Busy { .. } => fleet.ready -= 1,
                Phase::Launching(Fate::Dropped(_))
                | Phase::Idle(_)
                | Phase::Draining { .. }
                | Phase::Terminating { .. } => {}
            }
        });
        for _ in 0..phase.serving() {
            self.invocation_ended(index);
        }
        if self.fleets[function.0].current() == 0 {
            self.policy.emptied(function);
        }
        self.room_may_have_come(function.0);
    }

    /// An instance that counts no more is gone: its row is free.
    pub(super) fn forget(&mut self, index: u32) {
        let instance = self.instances.remove(index);
        let function = instance.function.0;
        self.timers.instances.clear(index);
        self.fleets[function].members.remove(&mut self.members, index);
        self.memory.gone(instance.memory);
        self.has_memory_eased = true;
        self.leave_group_if_gone(function);
        self.reconsider(function);
    }
}
