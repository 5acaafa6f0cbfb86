//! What extensions and their processes do to an instance.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Emulator;
use crate::clock::{self, Instant};
use crate::exit::Exit;
use crate::extension_api;
use crate::extensions::{Interest, NextNotice, Refused, Standing};
use crate::platform::{ExtensionState, Record};
use crate::process::Group;
use crate::telemetry::{Api, NotSubscribed, Subscription};

impl Emulator {
    /// What external extensions are given to end, as on AWS.
    const SHUTDOWN_LIMIT: Duration = Duration::from_millis(2000);

    /// Extensions API: a registration. Returns the identifier.
    pub(crate) fn register_extension(
        &self,
        name: &str,
        interests: Vec<Interest>,
    ) -> Result<Arc<str>, Refused> {
        let mut sandbox = self.sandbox();
        if !sandbox.is_initialising() {
            return Err(Refused::RegistrationClosed);
        }
        if sandbox.has_several_slots() && interests.contains(&Interest::Invoke) {
            return Err(Refused::Interest("INVOKE: InvokeEventNotSupportedForMultiConcurrentFunction"));
        }
        let id = sandbox.extensions.register(name, interests)?;
        drop(sandbox);
        self.changed.notify_one();
        Ok(id)
    }

    /// Extensions API: the next event.
    pub(crate) fn next_notice(&self, id: &str) -> Result<NextNotice, Refused> {
        let mut sandbox = self.sandbox();
        let (notice, standing) = sandbox.extensions.next(id)?;
        let init = sandbox.advance(clock::now());
        self.may_rest(&sandbox);
        drop(sandbox);
        self.say_of_extension(standing);
        self.publish(init);
        Ok(notice)
    }

    /// Telemetry API: a subscription.
    pub(crate) fn subscribe(&self, name: &Arc<str>, subscription: Subscription) -> Result<(), NotSubscribed> {
        let (api, types) = (subscription.api, subscription.types.clone());
        let state = self.logs.telemetry.subscribe(name, subscription)?;
        self.logs.say(&match api {
            Api::Telemetry => Record::TelemetrySubscription { name, state, types: &types },
            Api::Logs => Record::LogsSubscription { name, state, types: &types },
        });
        Ok(())
    }

    /// Extensions API: whose identifier it is.
    pub(crate) fn extension_name(&self, id: &str) -> Option<Arc<str>> {
        self.sandbox().extensions.name_of(id)
    }

    /// Extensions API: the init of an extension failed.
    pub(crate) fn extension_init_failed(&self, id: &str, error_type: &str) -> Result<(), Refused> {
        let standing = self.sandbox().extensions.init_failed(id, error_type)?;
        self.say_of_extension(standing);
        self.changed.notify_one();
        Ok(())
    }

    /// Extensions API: an extension is about to end.
    pub(crate) fn extension_exit_failed(&self, id: &str, error_type: &str) -> Result<(), Refused> {
        let standing = self.sandbox().extensions.exit_failed(id, error_type)?;
        self.say_of_extension(standing);
        self.changed.notify_one();
        Ok(())
    }

    /// Supervisor: whether the runtime can be started.
    pub(crate) fn extensions_are_registered(&self) -> bool {
        self.sandbox().extensions.are_registered()
    }

    /// Supervisor: an external extension could not be started.
    pub(crate) fn extension_not_started(&self, name: &str, reason: String) {
        let standing = self.sandbox().extensions.not_started(name, reason);
        self.say_of_extension(standing);
    }

    /// Supervisor: an external extension was started.
    pub(crate) fn companion_started(&self, group: Group) {
        self.companions.lock().unwrap_or_else(PoisonError::into_inner).push(group);
        self.logs.observer().extension_started(group.id(), self.runtime_api);
    }

    /// Supervisor: an external extension is gone, as it may be once it is to end.
    pub(crate) fn companion_ended(&self, group: Group) {
        self.companions.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != group);
        self.logs.observer().extension_ended(group.id());
    }

    /// Supervisor: an external extension is gone while it was needed.
    pub(crate) fn extension_crashed(&self, name: &str, exit: Exit) {
        let standing = self.sandbox().extensions.gone(name, exit);
        self.say_of_extension(standing);
    }

    fn say_of_extension(&self, standing: Option<Standing>) {
        if let Some(Standing { name, state, interests, error_type }) = standing {
            let extension = ExtensionState { name: &name, state, events: &interests, error_type };
            self.logs.say(&Record::Extension(extension));
        }
    }

    /// Supervisor: why the process ends, as extensions are told it.
    pub(crate) fn shutdown_reason(&self) -> &'static str {
        self.sandbox().shutdown_reason()
    }

    /// Supervisor: the process has ended, and the extensions are to. Returns those that were told, and until
    /// when they have time.
    pub(crate) fn shut_extensions_down(&self, reason: &str) -> (Vec<Arc<str>>, Instant) {
        let now = clock::now();
        let mut sandbox = self.sandbox();
        let limit = now + Self::SHUTDOWN_LIMIT;
        let deadline = sandbox.closing_deadline().map_or(limit, |closing| closing.clamp(now, limit));
        let left = u64::try_from(deadline.saturating_duration_since(now).as_millis()).unwrap_or(0);
        let notice = extension_api::shutdown_event(reason, clock::unix_ms() + left);
        (sandbox.extensions.shut_down(&notice), deadline)
    }

    /// The groups of the external extensions that run.
    pub(crate) fn companions(&self) -> Vec<Group> {
        self.companions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
