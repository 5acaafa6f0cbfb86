//! Everything that happens by itself as time goes on.

use crate::Timestamp;
use crate::heap::Heap;

/// When to look at what. Instances are armed lazily: one that was used meanwhile is looked at too early and
/// armed anew, so that serving an invocation costs no work here.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    pub(crate) waiters: Heap<Timestamp>,
    pub(crate) instances: Heap<Timestamp>,
    pub(crate) functions: Heap<Timestamp>,
}

/// What a timer belongs to, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A waiter's deadline.
    Waiter(u32),
    /// The end of an instance's keep-alive, or earlier.
    Instance(u32),
    /// A function may want to launch something.
    Function(u32),
}

impl Timers {
    /// The first to go off. Deadlines of waiters come before what else is due at the same moment.
    #[inline]
    pub(crate) fn first(&self) -> Option<(Timestamp, Timer)> {
        let waiter = self.waiters.first().map(|(at, waiter)| (at, Timer::Waiter(waiter)));
        let instance = self.instances.first().map(|(at, instance)| (at, Timer::Instance(instance)));
        let function = self.functions.first().map(|(at, function)| (at, Timer::Function(function)));
        [waiter, instance, function].into_iter().flatten().min()
    }

    /// Takes out what is due.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        if self.is_due(now) { self.pop() } else { None }
    }

    /// Whether anything is. Asked with every event, and nearly always answered with no.
    fn is_due(&self, now: Timestamp) -> bool {
        [&self.waiters, &self.instances, &self.functions]
            .into_iter()
            .any(|heap| heap.first().is_some_and(|(at, _)| at <= now))
    }

    fn pop(&mut self) -> Option<Timer> {
        let (_, timer) = self.first()?;
        match timer {
            Timer::Waiter(waiter) => self.waiters.clear(waiter),
            Timer::Instance(instance) => self.instances.clear(instance),
            Timer::Function(function) => self.functions.clear(function),
        }
        Some(timer)
    }
}
