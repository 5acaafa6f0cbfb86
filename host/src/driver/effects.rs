//! Does what the pool decided: answers waiters, launches, terminates.

use std::sync::Arc;
use std::time::Duration;

use hearth_core::{BackendError, Capabilities, ErrorKind, LaunchSpec, Meta};
use hearth_pool::{Effect, Event, EvictReason, InstanceId, Purpose, Refusal, RequestId, Start, WaitedFor};
use uuid::Uuid;

use super::instance::Launched;
use super::{Driver, Instance, ProvisioningFailure, Refused, Reserved, Shared, State, Waiter, context};
use crate::catalog::Target;
use crate::clock::Clock;
use crate::function_logs::{Place, Source};
use crate::sigv4::{FunctionKeys, Keys};

/// The first pause before a termination is tried again; it doubles up to [`TERMINATE_RETRY_MAX`].
pub(super) const TERMINATE_RETRY: Duration = Duration::from_millis(100);
/// The longest pause between two tries to end an instance.
const TERMINATE_RETRY_MAX: Duration = Duration::from_secs(30);

/// The variable that names an instance's log stream.
const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";

/// A decision of the pool, with its names replaced by what they stand for. A waiter that is `None` has gone,
/// or has not begun to wait yet.
pub(super) enum Action {
    Grant { waiter: Option<Waiter>, instance: Arc<Instance>, start: Start },
    Refuse { waiter: Option<Waiter>, refused: Refused },
    Launch { id: InstanceId, target: Arc<Target>, purpose: Purpose },
    Terminate { instance: Arc<Instance>, reason: EvictReason },
}

impl State {
    /// Everything that the pool wants done.
    pub(super) fn drain(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(effect) = self.pool.next_effect() {
            actions.extend(self.action(effect, None));
        }
        actions
    }

    /// The same, with the answer to one request apart: that request waits nowhere yet.
    pub(super) fn drain_for(&mut self, asked: RequestId, function: u32) -> (Option<Action>, Vec<Action>) {
        let (mut mine, mut others) = (None, Vec::new());
        while let Some(effect) = self.pool.next_effect() {
            match effect {
                Effect::Grant { request, .. } | Effect::Refuse { request, .. } if request == asked => {
                    mine = self.action(effect, Some(function));
                }
                effect => others.extend(self.action(effect, None)),
            }
        }
        (mine, others)
    }

    fn action(&mut self, effect: Effect, asker: Option<u32>) -> Option<Action> {
        match effect {
            Effect::Grant { request, instance, start } => {
                let waiter = self.waiting.remove(&request);
                Some(Action::Grant { waiter, instance: self.known(instance)?, start })
            }
            Effect::Refuse { request, reason } => {
                let waiter = self.waiting.remove(&request);
                let function = asker.or(waiter.as_ref().map(|waiter| waiter.function));
                Some(Action::Refuse { refused: self.refused(reason, function), waiter })
            }
            Effect::Launch { instance, function, purpose, .. } => {
                let Some(function) = self.functions.get(&function.0) else {
                    tracing::error!(%instance, %function, "the pool launches a function that is not deployed");
                    return None;
                };
                self.launches_under_way += 1;
                Some(Action::Launch { id: instance, target: Arc::clone(&function.target), purpose })
            }
            Effect::Terminate { instance, reason } => {
                Some(Action::Terminate { instance: self.known(instance)?, reason })
            }
        }
    }

    /// The instance that the pool speaks of. It speaks of none that the host does not hold.
    fn known(&self, id: InstanceId) -> Option<Arc<Instance>> {
        let instance = self.instance(id).cloned();
        if instance.is_none() {
            tracing::error!(instance = %id, "the pool speaks of an instance that the host does not hold");
        }
        instance
    }

    fn refused(&self, reason: Refusal, function: Option<u32>) -> Refused {
        let is_about_launch =
            matches!(reason, Refusal::LaunchFailed(_) | Refusal::Deadline(WaitedFor::Launch));
        let function = function.filter(|_| is_about_launch).and_then(|id| self.functions.get(&id));
        Refused { reason, launch_error: function.and_then(|function| function.launch_error.clone()) }
    }

    pub(super) fn instance(&self, id: InstanceId) -> Option<&Arc<Instance>> {
        self.instances.get(id.index())?.as_ref().filter(|instance| instance.id == id)
    }

    fn insert(&mut self, instance: &Arc<Instance>) {
        let index = instance.id.index();
        if self.instances.len() <= index {
            self.instances.resize_with(index + 1, || None);
        }
        self.instances[index] = Some(Arc::clone(instance));
        self.by_handle.insert(instance.handle.clone(), instance.id);
    }

    /// Exits that nobody claimed while launches were under way belong to instances that the host never had.
    fn launch_ended(&mut self) {
        self.launches_under_way -= 1;
        if self.launches_under_way == 0 {
            self.early_exits.clear();
        }
    }

    fn remove(&mut self, instance: &Instance) {
        self.by_handle.remove(&instance.handle);
        if let Some(place) = self.instances.get_mut(instance.id.index()) {
            *place = None;
        }
    }
}

impl Driver {
    /// Does one thing. Called without the lock.
    pub(super) fn act(&self, action: Action) {
        match action {
            Action::Grant { waiter, instance, start } => {
                let reserved = Reserved::new(self.clone(), instance, start);
                if let Some(waiter) = waiter {
                    // If nobody listens any more, the answer comes back and its drop gives the slot back.
                    let _unheard = waiter.answer.send(Ok(reserved));
                }
            }
            Action::Refuse { waiter, refused } => {
                if let Some(waiter) = waiter {
                    let _unheard = waiter.answer.send(Err(refused));
                }
            }
            Action::Launch { id, target, purpose } => {
                self.shared.tasks.spawn(self.clone().launch(id, target, purpose));
            }
            Action::Terminate { instance, reason } => {
                self.shared.tasks.spawn(self.clone().terminate(instance, reason));
            }
        }
    }

    async fn launch(self, id: InstanceId, target: Arc<Target>, purpose: Purpose) {
        let requested_at = self.shared.clock.now();
        let spec = launch_spec(&target, purpose, &self.shared.settings.function_keys);
        tracing::debug!(function = %target.function.name, version = %target.version, instance = %spec.instance_id, "launching");
        let answer = self.shared.backend.launch(&context(Duration::ZERO), &spec).await;
        let ready_at = self.shared.clock.now();
        self.shared.metrics.launched(ready_at - requested_at, answer.is_ok());
        let error = match answer {
            Ok(answer) => {
                let handle = answer.handle.clone();
                let name = spec.instance_id;
                let log_stream = spec.env.get(LOG_STREAM).map_or_else(Arc::default, |it| it.as_str().into());
                let launched = Launched {
                    id,
                    name,
                    target: Arc::clone(&target),
                    log_stream,
                    token: spec.token,
                    requested_at,
                    ready_at,
                    answer,
                    may_pause: self.shared.settings.pause_idle_after.is_some(),
                };
                let entered =
                    launched.into_instance().and_then(|instance| self.enter(&Arc::new(instance), purpose));
                match entered {
                    Ok(()) => return,
                    Err(problem) => {
                        self.end(&handle).await;
                        BackendError::new(ErrorKind::INTERNAL, problem)
                    }
                }
            }
            Err(error) => error,
        };
        self.launch_failed(id, &target, purpose, error);
    }

    /// Takes a launched instance into the tables and tells the pool. Fails, with a reason for people, if it
    /// has ended already: it must not be granted to anyone.
    fn enter(&self, instance: &Arc<Instance>, purpose: Purpose) -> Result<(), String> {
        let mut state = self.state();
        if let Some(cause) = state.early_exits.remove(&instance.handle) {
            let reason = cause.get("reason").map_or("no reason given", String::as_str);
            return Err(format!("the instance ended as soon as it was launched: {reason}"));
        }
        tracing::info!(
            function = %instance.target.function.name,
            version = %instance.target.version,
            instance = %instance.name,
            handle = %instance.handle,
            took = ?(instance.ready_at - instance.requested_at),
            "instance ready"
        );
        self.follow(instance);
        if let Some(after) = self.shared.settings.pause_idle_after {
            self.shared.tasks.spawn(self.clone().pause_when_unused(Arc::clone(instance), after));
        }
        state.insert(instance);
        state.launch_ended();
        if let Some(function) = state.functions.get_mut(&instance.target.function_id) {
            function.launch_error = None;
        }
        let now = self.shared.clock.now();
        state.tell(now, Event::Launched { instance: instance.id });
        let mut actions = state.drain();
        if purpose == Purpose::Provisioned
            && state.note_init(instance).is_err()
            && !grants(&actions, instance)
        {
            // Nobody waited for it, and for nobody is it kept ready.
            state.tell(now, Event::Exited { instance: instance.id });
            actions.extend(state.drain());
        }
        self.perform(state, actions);
        Ok(())
    }

    /// What the instance writes is kept, if the backend can tell and somebody keeps it.
    fn follow(&self, instance: &Instance) {
        let Shared { backend, info, settings, .. } = &*self.shared;
        let Some(logs) = settings.logs.as_ref().filter(|_| info.capabilities.contains(Capabilities::LOGS))
        else {
            return;
        };
        let Instance { handle, target, log_stream, .. } = instance;
        let place = Place { function: target.function.clone(), group: Arc::clone(&target.log_group) };
        let source = Source { handle: handle.clone(), place, stream: Arc::clone(log_stream) };
        logs.follow(Arc::clone(backend), source);
    }

    fn launch_failed(&self, id: InstanceId, target: &Target, purpose: Purpose, error: BackendError) {
        tracing::warn!(function = %target.function.name, version = %target.version, %error, "launch failed");
        let mut state = self.state();
        state.launch_ended();
        if let Some(function) = state.functions.get_mut(&target.function_id) {
            let error = Arc::new(error);
            if purpose == Purpose::Provisioned {
                function.provisioning_failure = Some(ProvisioningFailure::Launch(Arc::clone(&error)));
            }
            function.launch_error = Some(error);
        }
        state.tell(self.shared.clock.now(), Event::LaunchFailed { instance: id });
        let actions = state.drain();
        self.perform(state, actions);
    }

    async fn terminate(self, instance: Arc<Instance>, reason: EvictReason) {
        instance.close();
        self.end(&instance.handle).await;
        tracing::info!(
            function = %instance.target.function.name,
            instance = %instance.name,
            ?reason,
            "instance gone"
        );
        self.state().remove(&instance);
        self.apply(Event::Terminated { instance: instance.id });
    }

    /// Ends what the backend calls `handle`, however often it takes.
    async fn end(&self, handle: &str) {
        let mut pause = TERMINATE_RETRY;
        let grace_ms = u64::try_from(self.shared.settings.terminate_grace.as_millis()).unwrap_or(u64::MAX);
        while let Err(error) = self.shared.backend.terminate(&context(Duration::ZERO), handle, grace_ms).await
        {
            tracing::warn!(handle, %error, "cannot end an instance; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TERMINATE_RETRY_MAX);
        }
    }
}

/// Whether somebody is given this instance.
fn grants(actions: &[Action], instance: &Arc<Instance>) -> bool {
    let is_given = |action: &Action| matches!(action, Action::Grant { instance: given, .. } if Arc::ptr_eq(given, instance));
    actions.iter().any(is_given)
}

/// What the deploy's template leaves open.
fn launch_spec(target: &Target, purpose: Purpose, keys: &FunctionKeys) -> LaunchSpec {
    let mut spec = target.deploy.spec.clone();
    spec.instance_id = Uuid::new_v4().simple().to_string();
    spec.token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let initialization = match purpose {
        Purpose::Provisioned => "provisioned-concurrency",
        Purpose::Demand | Purpose::Prediction => "on-demand",
    };
    let log_stream =
        format!("{}/[{}]{}", Clock::wall().strftime("%Y/%m/%d"), target.version, spec.instance_id);
    spec.env.insert("AWS_LAMBDA_INITIALIZATION_TYPE".to_owned(), initialization.to_owned());
    spec.env.insert(LOG_STREAM.to_owned(), log_stream);
    let Keys { id, secret, session_token } = keys.of(&target.function.account);
    spec.secret_env = Meta::from([
        ("AWS_ACCESS_KEY_ID".to_owned(), id),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), secret),
        ("AWS_SESSION_TOKEN".to_owned(), session_token.unwrap_or_default()),
    ]);
    spec
}
