//! What runs, what waits, and what is owed to whom. It decides; the supervisor and the two HTTP faces act.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Instant;
use crate::emulator::Standstill;
use crate::extension_api;
use crate::extensions::Extensions;
use crate::init::{InitEnd, InitOutcome};
use crate::invocation::{Answer, Caller, Event, Invocation, ProcessEnd, ResponseMode};
use crate::outcome::{Fault, Outcome};
use crate::platform::InitPhase;
use crate::stream::Ending;

/// Why an invocation was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Busy,
    ShuttingDown,
}

/// What a runtime that asks for its next invocation gets.
#[derive(Debug)]
pub(crate) enum Next {
    Now(Arc<Event>),
    Later(oneshot::Receiver<Arc<Event>>),
}

/// Why a call of the runtime is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutOfOrder {
    /// No invocation of that id is under way.
    UnknownId,
    /// The runtime is in a state, named as AWS names it, in which it may not do that.
    State(&'static str),
}

/// What the supervisor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start a process.
    Start,
    /// Nothing, until this point in time or until something happens.
    Wait(Option<Instant>),
    /// Ask the process to end, and look again at this point in time.
    Terminate(Instant),
    /// Kill the process.
    Kill,
    /// Stop: the instance is over.
    End,
}

/// Invocations that ended, with what each came to.
pub(crate) type Ended = Vec<(Invocation, Outcome)>;

/// The state of an instance.
#[derive(Debug)]
pub(crate) struct Sandbox {
    slots: usize,
    init_limit: Duration,
    phase: Phase,
    /// Counts the processes: what an earlier one still has to say is not listened to.
    generation: u64,
    /// Accepted, and not yet taken by the runtime.
    waiting: VecDeque<Invocation>,
    running: Vec<Running>,
    pollers: VecDeque<oneshot::Sender<Arc<Event>>>,
    /// The id that was answered last: to answer it again is a mistake of its own.
    answered: Option<Arc<str>>,
    pub(crate) extensions: Extensions,
    pub(crate) standstill: Standstill,
    /// Since when there is nothing to do, and everybody waits for something.
    resting: Option<Instant>,
    first_init: FirstInit,
    /// When to stop waiting for what is under way, once the instance is told to end.
    closing: Option<Instant>,
    /// When a runtime that was asked to end must have done so.
    ending: Option<Instant>,
    /// When the supervisor looks again by itself.
    armed: Option<Instant>,
}

/// Down → Starting → Serving → Retiring → Down; every phase may end in Ended.
#[derive(Debug)]
enum Phase {
    /// There is no process.
    Down(Restart),
    /// The process is in its init: it has not asked for an invocation yet.
    Starting { since: Instant },
    /// The process takes invocations.
    Serving(Restart),
    /// The process is to end and takes no more invocations.
    Retiring { end: Retirement, restart: Restart },
    /// The instance is over.
    Ended,
}

/// When the next process is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    AtOnce,
    /// With the next invocation: the last process did not get so far as to serve one, and another one that is
    /// started at once would not either.
    OnDemand,
}

#[derive(Clone, Copy, Debug)]
enum Retirement {
    /// As soon as it has nothing under way.
    WhenIdle,
    /// It is about to end by itself, and is given until then.
    At(Instant),
}

#[derive(Debug)]
struct Running {
    invocation: Invocation,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Delivered,
    Responding,
    Streaming,
}

/// The init phase of the instance, as opposed to the init of later processes.
#[derive(Debug)]
enum FirstInit {
    Pending,
    /// It ended well, and no REPORT line has said so yet.
    Unreported(Duration),
    Over,
}

impl Sandbox {
    /// What extensions get of the shutdown's time, at least: 70 % of two seconds, as on AWS.
    const RESERVE: Duration = Duration::from_millis(1400);
    /// What a runtime without external extensions is given to end, at most, as on AWS.
    const RUNTIME_LIMIT: Duration = Duration::from_millis(500);
    /// How long a runtime that reported a failed init is given to end by itself.
    const LAST_WORDS: Duration = Duration::from_millis(500);

    pub(crate) fn new(slots: usize, init_limit: Duration) -> Self {
        Self {
            slots: slots.max(1),
            init_limit,
            phase: Phase::Down(Restart::AtOnce),
            generation: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            pollers: VecDeque::new(),
            answered: None,
            extensions: Extensions::default(),
            standstill: Standstill::default(),
            resting: None,
            first_init: FirstInit::Pending,
            closing: None,
            ending: None,
            armed: None,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn has_several_slots(&self) -> bool {
        self.slots > 1
    }

    pub(crate) fn closing_deadline(&self) -> Option<Instant> {
        self.closing
    }

    /// Whether an invocation would be accepted.
    pub(crate) fn admits(&self) -> Result<(), Refusal> {
        if self.closing.is_some() || matches!(self.phase, Phase::Ended) {
            return Err(Refusal::ShuttingDown);
        }
        if self.waiting.len() + self.running.len() >= self.slots { Err(Refusal::Busy) } else { Ok(()) }
    }

    /// Takes an invocation on, after [`admits`](Self::admits) said so. Returns whether the supervisor must be
    /// woken: it sleeps on what it knew when it last looked.
    pub(crate) fn accept(&mut self, mut invocation: Invocation) -> bool {
        if let FirstInit::Unreported(duration) = self.first_init {
            invocation.init = Some(duration);
            self.first_init = FirstInit::Over;
        }
        let deadline = invocation.deadline();
        self.resting = None;
        self.waiting.push_back(invocation);
        self.deliver();
        matches!(self.phase, Phase::Down(_)) || self.armed.is_none_or(|armed| deadline < armed)
    }

    /// The runtime asks for an invocation. The first time that ends its init.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        generation: u64,
    ) -> Result<(Next, Option<InitEnd>), OutOfOrder> {
        if generation != self.generation {
            return Err(OutOfOrder::State("Ended"));
        }
        match self.phase {
            Phase::Starting { .. }
            | Phase::Serving(_)
            | Phase::Retiring { end: Retirement::WhenIdle, .. } => {}
            Phase::Retiring { .. } | Phase::Down(_) | Phase::Ended => {
                return Err(OutOfOrder::State(self.state_name()));
            }
        }
        match (&*self.running, self.slots) {
            // A runtime that asks again instead of answering gets the same invocation again.
            ([Running { stage: Stage::Delivered, invocation }], 1) => {
                return Ok((Next::Now(invocation.event.clone()), None));
            }
            ([_], 1) => {
                return Err(OutOfOrder::State(self.state_name()));
            }
            _ => {}
        }
        let (poller, receiver) = oneshot::channel();
        self.pollers.push_back(poller);
        let init = self.advance(now);
        Ok((Next::Later(receiver), init))
    }

    /// Whether the process is in its init, and its runtime has not asked for an invocation yet.
    pub(crate) fn is_initialising(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. }) && self.pollers.is_empty()
    }

    /// The runtime or an extension asks for what is next: the init may be over, or the invocation before.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<InitEnd> {
        let init = match self.phase {
            Phase::Starting { since } if !self.pollers.is_empty() && self.extensions.are_ready() => {
                self.phase = Phase::Serving(Restart::OnDemand);
                Some(self.init_ended(now, since, InitOutcome::Ready, None))
            }
            _ => None,
        };
        self.deliver();
        self.resting = self.is_at_rest().then_some(now);
        init
    }

    /// Since when the processes have had nothing to do, if they have not.
    pub(crate) fn resting_since(&self) -> Option<Instant> {
        self.resting.filter(|_| self.is_at_rest() && self.closing.is_none())
    }

    /// Where several invocations run at once, Lambda freezes nothing.
    fn is_at_rest(&self) -> bool {
        self.slots == 1
            && matches!(self.phase, Phase::Serving(_))
            && self.running.is_empty()
            && self.waiting.is_empty()
            && self.extensions.are_ready()
            && self.pollers.iter().any(|poller| !poller.is_closed())
    }

    /// Why extensions are told to end, in AWS's words.
    pub(crate) fn shutdown_reason(&self) -> &'static str {
        match (self.closing, &self.phase) {
            (_, Phase::Retiring { end: Retirement::WhenIdle, .. }) => "timeout",
            (Some(_), _) if self.extensions.failure().is_none() => "spindown",
            _ => "failure",
        }
    }

    /// The invocation's first appearance in the log, if this is it.
    pub(crate) fn announce(&mut self, id: &str) -> Option<Arc<Event>> {
        let running = self.running.iter_mut().find(|running| *running.invocation.id == *id)?;
        let announced = std::mem::replace(&mut running.invocation.announced, true);
        (!announced).then(|| running.invocation.event.clone())
    }

    /// The runtime begins to answer.
    pub(crate) fn begin_response(
        &mut self,
        now: Instant,
        generation: u64,
        id: &str,
    ) -> Result<(), OutOfOrder> {
        let state = self.state_name();
        let answered = self.answered.as_deref() == Some(id);
        match self.running.iter_mut().find(|running| *running.invocation.id == *id) {
            _ if generation != self.generation => Err(OutOfOrder::UnknownId),
            Some(running) if running.stage == Stage::Delivered => {
                running.stage = Stage::Responding;
                running.invocation.responding = Some(now);
                Ok(())
            }
            Some(_) => Err(OutOfOrder::State("InvocationResponse")),
            None if answered => Err(OutOfOrder::State(state)),
            None => Err(OutOfOrder::UnknownId),
        }
    }

    /// The runtime broke off: it may try again.
    pub(crate) fn abandon_response(&mut self, id: &str) {
        let running = self.running.iter_mut().find(|running| *running.invocation.id == *id);
        if let Some(running) = running.filter(|running| running.stage == Stage::Responding) {
            running.stage = Stage::Delivered;
        }
    }

    /// How the caller takes the response. `None` if the invocation has ended meanwhile.
    pub(crate) fn response_mode(&self, id: &str) -> Option<ResponseMode> {
        let running = self.running.iter().find(|running| *running.invocation.id == *id)?;
        match running.invocation.caller {
            Caller::Waiting(_, mode) => Some(mode),
            Caller::Streaming(_) => None,
        }
    }

    /// The answer begins as a stream: `ending` will be told how it ends. Returns whom to send it to, unless
    /// the invocation has ended meanwhile.
    pub(crate) fn stream(
        &mut self,
        id: &str,
        ending: oneshot::Sender<Ending>,
    ) -> Option<oneshot::Sender<Answer>> {
        let running = self.running.iter_mut().find(|running| *running.invocation.id == *id)?;
        running.stage = Stage::Streaming;
        match std::mem::replace(&mut running.invocation.caller, Caller::Streaming(ending)) {
            Caller::Waiting(answer, _) => Some(answer),
            Caller::Streaming(_) => None,
        }
    }

    /// The answer is complete. `None` if the invocation has ended otherwise meanwhile.
    pub(crate) fn finish(&mut self, id: &str) -> Option<Invocation> {
        let place = self.running.iter().position(|running| *running.invocation.id == *id)?;
        let Running { invocation, .. } = self.running.swap_remove(place);
        self.answered = Some(invocation.id.clone());
        if let Phase::Serving(restart) = &mut self.phase {
            *restart = Restart::AtOnce;
        }
        Some(invocation)
    }

    /// Whether the process is only kept for what is under way.
    pub(crate) fn is_winding_up(&self) -> bool {
        self.closing.is_some() || matches!(self.phase, Phase::Retiring { .. })
    }

    /// The runtime reports that its init failed.
    pub(crate) fn init_failed(
        &mut self,
        now: Instant,
        generation: u64,
        reported: impl Fn() -> Outcome,
        reason: &str,
        error_type: Arc<str>,
    ) -> Result<(Ended, InitEnd), OutOfOrder> {
        let Phase::Starting { since } = self.phase else { return Err(OutOfOrder::State(self.state_name())) };
        if !self.pollers.is_empty() {
            return Err(OutOfOrder::State(self.state_name()));
        }
        if generation != self.generation {
            return Err(OutOfOrder::State("Ended"));
        }
        self.phase =
            Phase::Retiring { end: Retirement::At(now + Self::LAST_WORDS), restart: Restart::OnDemand };
        let outcome = InitOutcome::Failed { reason: reason.to_owned() };
        let init = self.init_ended(now, since, outcome, Some(error_type));
        Ok((self.waiting.drain(..).map(|invocation| (invocation, reported())).collect(), init))
    }

    /// The supervisor begins to start a process, and these external extensions before it.
    pub(crate) fn started(&mut self, now: Instant, extensions: &[Arc<str>]) {
        self.generation += 1;
        self.extensions = Extensions::expecting(extensions);
        self.pollers.clear();
        self.phase = Phase::Starting { since: now };
    }

    /// The process is gone, or could not be started.
    pub(crate) fn gone(&mut self, now: Instant, end: &ProcessEnd) -> (Ended, Option<InitEnd>) {
        let mut ended: Ended = Vec::new();
        let mut init = None;
        let failed = self.extensions.failure().cloned().map(ProcessEnd::Extension);
        let end = failed.as_ref().unwrap_or(end);
        ended.extend(self.running.drain(..).map(|running| running.invocation.ended_by(end)));
        let restart = match self.phase {
            Phase::Starting { since } => {
                ended.extend(self.waiting.drain(..).map(|invocation| invocation.ended_by(end)));
                let outcome = InitOutcome::Failed { reason: end.to_string() };
                init = Some(self.init_ended(now, since, outcome, Some(end.error_type().into())));
                Restart::OnDemand
            }
            Phase::Serving(restart) | Phase::Retiring { restart, .. } | Phase::Down(restart) => restart,
            Phase::Ended => Restart::OnDemand,
        };
        self.pollers.clear();
        self.phase = Phase::Down(restart);
        (ended, init)
    }

    /// The instance is to end. What is under way is given until `deadline`.
    pub(crate) fn close(&mut self, deadline: Instant) {
        self.closing = Some(self.closing.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// Ends what is overdue, and says what the supervisor is to do.
    pub(crate) fn step(&mut self, now: Instant) -> (Step, Ended, Option<InitEnd>) {
        let (ended, init) = self.expire(now);
        let init = init.or_else(|| self.expire_init(now));
        let (step, refused) = self.next_step(now);
        self.armed = if let Step::Wait(until) = step { until } else { None };
        (step, ended.into_iter().chain(refused).collect(), init)
    }

    /// Since when something is under way that may use memory. If nothing is, the supervisor is woken by
    /// whatever comes next.
    pub(crate) fn busy_since(&mut self) -> Option<Instant> {
        let init = if let Phase::Starting { since } = self.phase { Some(since) } else { None };
        let since = self.running.iter().map(|running| running.invocation.begun).chain(init).min();
        if since.is_none() {
            self.armed = None;
        }
        since
    }

    fn next_step(&mut self, now: Instant) -> (Step, Ended) {
        let idle = self.running.is_empty() && self.waiting.is_empty();
        match (&self.phase, self.closing_runtime()) {
            (Phase::Ended, _) => (Step::End, Vec::new()),
            (Phase::Down(_), Some(_)) => {
                self.phase = Phase::Ended;
                let refuse = |invocation: Invocation| {
                    let fault = Fault::shutdown(&invocation.id);
                    (invocation, Outcome::Fault(fault))
                };
                (Step::End, self.waiting.drain(..).map(refuse).collect())
            }
            (Phase::Down(restart), None) => {
                let wanted = *restart == Restart::AtOnce || !self.waiting.is_empty();
                (if wanted { Step::Start } else { Step::Wait(None) }, Vec::new())
            }
            _ if self.extensions.failure().is_some() => (Step::Kill, Vec::new()),
            (_, Some(deadline)) if now >= deadline => (Step::Kill, Vec::new()),
            (_, Some(deadline)) if idle => (self.end_runtime(now, deadline), Vec::new()),
            (Phase::Retiring { end: Retirement::WhenIdle, .. }, _) if self.running.is_empty() => {
                (Step::Kill, Vec::new())
            }
            (Phase::Retiring { end: Retirement::At(time), .. }, _) if now >= *time => {
                (Step::Kill, Vec::new())
            }
            _ => (Step::Wait(self.next_deadline()), Vec::new()),
        }
    }

    /// What is done about a process that has nothing to do and is to end by `deadline`.
    fn end_runtime(&mut self, now: Instant, deadline: Instant) -> Step {
        let limit = *self.ending.get_or_insert(now + Self::RUNTIME_LIMIT);
        let deadline = if self.extensions.has_external() { deadline } else { deadline.min(limit) };
        if now >= deadline { Step::Kill } else { Step::Terminate(deadline) }
    }

    /// The earliest point in time at which [`step`](Self::step) would do something.
    fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Starting { since } if self.waiting.is_empty() => Some(since + self.init_limit),
            Phase::Retiring { end: Retirement::At(time), .. } => Some(time),
            _ => None,
        };
        let invocations = self.invocations().map(Invocation::deadline);
        let overdue = if self.running.is_empty() { self.extensions.overdue_at() } else { None };
        invocations.chain(phase).chain(overdue).chain(self.closing_runtime()).min()
    }

    /// When the runtime must be gone: extensions are told to end after it, and need time for it.
    fn closing_runtime(&self) -> Option<Instant> {
        let deadline = self.closing?;
        let reserve = if self.extensions.has_external() { Self::RESERVE } else { Duration::ZERO };
        Some(deadline.checked_sub(reserve).unwrap_or(deadline))
    }

    fn invocations(&self) -> impl Iterator<Item = &Invocation> {
        self.waiting.iter().chain(self.running.iter().map(|running| &running.invocation))
    }

    /// Ends the invocations that are overdue, and with them the process that does not get on with them.
    fn expire(&mut self, now: Instant) -> (Ended, Option<InitEnd>) {
        let overdue = |invocation: &Invocation| invocation.deadline() <= now;
        let stuck = self.running.is_empty() && self.extensions.overdue_at().is_some_and(|time| time <= now);
        if !stuck && !self.invocations().any(overdue) {
            return (Vec::new(), None);
        }
        let (late, waiting) = std::mem::take(&mut self.waiting).into_iter().partition::<Vec<_>, _>(overdue);
        self.waiting = waiting.into();
        let running = self.running.extract_if(.., |running| overdue(&running.invocation));
        let late: Vec<_> = running.map(|running| running.invocation).chain(late).collect();
        let (restart, init) = match self.phase {
            Phase::Starting { since } => {
                (Some(Restart::OnDemand), Some(self.init_ended(now, since, InitOutcome::TimedOut, None)))
            }
            Phase::Serving(_) => (Some(Restart::AtOnce), None),
            Phase::Down(_) | Phase::Retiring { .. } | Phase::Ended => (None, None),
        };
        if let Some(restart) = restart {
            self.phase = Phase::Retiring { end: Retirement::WhenIdle, restart };
        }
        (late.into_iter().map(Invocation::timed_out).collect(), init)
    }

    /// The init phase has a limit of its own, until an invocation waits for it.
    fn expire_init(&mut self, now: Instant) -> Option<InitEnd> {
        let Phase::Starting { since } = self.phase else { return None };
        if !self.waiting.is_empty() || now < since + self.init_limit {
            return None;
        }
        self.phase = Phase::Retiring { end: Retirement::WhenIdle, restart: Restart::OnDemand };
        Some(self.init_ended(now, since, InitOutcome::TimedOut, None))
    }

    fn init_ended(
        &mut self,
        now: Instant,
        since: Instant,
        outcome: InitOutcome,
        error_type: Option<Arc<str>>,
    ) -> InitEnd {
        let (duration, phase) = (now.saturating_duration_since(since), self.init_phase());
        if phase == InitPhase::Init {
            // An invocation that waits for it has it in its own duration.
            let unreported = outcome == InitOutcome::Ready && self.waiting.is_empty();
            self.first_init = if unreported { FirstInit::Unreported(duration) } else { FirstInit::Over };
        }
        InitEnd { phase, outcome, duration, error_type }
    }

    /// Which init it is that goes on, or that would be next.
    pub(crate) fn init_phase(&self) -> InitPhase {
        if matches!(self.first_init, FirstInit::Pending) { InitPhase::Init } else { InitPhase::Invoke }
    }

    /// Brings those who wait and those who ask together. A poller that has hung up is passed over.
    fn deliver(&mut self) {
        while matches!(self.phase, Phase::Serving(_))
            && !self.waiting.is_empty()
            && self.extensions.are_ready()
        {
            let Some(poller) = self.pollers.pop_front() else { break };
            let Some(invocation) = self.waiting.pop_front() else { break };
            match poller.send(invocation.event.clone()) {
                Ok(()) => {
                    let notice = extension_api::invoke_event(&invocation.id, &invocation.event.headers);
                    self.extensions.invoke(&notice, invocation.deadline());
                    self.running.push(Running { invocation, stage: Stage::Delivered });
                }
                Err(_) => self.waiting.push_front(invocation),
            }
        }
    }

    /// What AWS calls the state that the runtime is in.
    fn state_name(&self) -> &'static str {
        match (&self.phase, self.running.first()) {
            (Phase::Starting { .. }, _) if self.pollers.is_empty() => "Started",
            (Phase::Retiring { end: Retirement::At(_), .. }, _) => "InitError",
            (_, Some(Running { stage: Stage::Responding | Stage::Streaming, .. })) => "InvocationResponse",
            (_, Some(Running { stage: Stage::Delivered, .. })) => "Running",
            (_, None) if self.pollers.is_empty() => "RuntimeResponseSentState",
            (_, None) => "Ready",
        }
    }
}

#[cfg(test)]
mod tests;
