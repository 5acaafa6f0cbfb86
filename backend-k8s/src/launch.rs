//! Waits for a pod that was made: until its emulator answers, or until it is known that it never will.

use std::pin::pin;
use std::time::Duration;

use hearth_containers::readiness::{self, Ready};
use hearth_core::{BackendError, ErrorKind, LaunchSpec, Protocol};
use tokio::time::sleep;

use crate::config::Config;
use crate::instances::Instance;
use crate::outlook::{End, Stage};
use crate::route::Routes;

/// How long a node is given to try again what may heal: it does so every ten seconds.
const HEAL_LIMIT: Duration = Duration::from_secs(15);
/// How much longer than its init a container may take from its start until its emulator answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long each stage may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    unscheduled: Duration,
    starting: Duration,
    running: Duration,
}

impl Limits {
    pub(crate) fn of(config: &Config, spec: &LaunchSpec) -> Self {
        Self {
            unscheduled: Duration::from_secs(config.unschedulable_seconds),
            starting: Duration::from_secs(config.start_seconds),
            running: ANSWER_LIMIT + Duration::from_millis(spec.init_timeout_ms),
        }
    }

    /// How long this stage may last, and what is wrong if it lasts longer. Stages that say the same count together.
    fn of_stage(&self, stage: &Stage) -> Option<(Duration, Trouble)> {
        let seconds = |limit: Duration| limit.as_secs();
        match stage {
            Stage::Unseen => {
                let reason = format!("nothing was heard of its pod in {} s", seconds(self.starting));
                Some((self.starting, Trouble::TooSlow(reason)))
            }
            Stage::Unscheduled(why) => {
                let why = why.as_deref().unwrap_or("the scheduler has not said why");
                let reason = format!("no node was found for it in {} s: {why}", seconds(self.unscheduled));
                Some((self.unscheduled, Trouble::NoRoom(reason)))
            }
            Stage::Starting(Some(problem)) => Some((HEAL_LIMIT, Trouble::Ended(End::because(problem)))),
            Stage::Starting(None) => {
                let reason = format!("its containers did not start in {} s", seconds(self.starting));
                Some((self.starting, Trouble::TooSlow(reason)))
            }
            Stage::Running => {
                let reason = format!("its emulator does not answer after {} s", seconds(self.running));
                Some((self.running, Trouble::TooSlow(reason)))
            }
            Stage::Ended(_) => None,
        }
    }
}

/// Why a pod does not become an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It has ended, or cannot start.
    Ended(End),
    /// No node takes it.
    NoRoom(String),
    /// It takes longer than it may.
    TooSlow(String),
    /// Its emulator answers, and is none that can be spoken to.
    Unfit(String),
}

impl Trouble {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Ended(end) => end.reason(),
            Self::NoRoom(reason) | Self::TooSlow(reason) | Self::Unfit(reason) => reason,
        }
    }

    /// The error for the host. `wrote` is what the pod wrote last.
    pub(crate) fn error(&self, wrote: &str) -> BackendError {
        let wrote = if wrote.is_empty() { String::new() } else { format!("; it wrote: {wrote}") };
        let message = format!("the pod did not come up: {}{wrote}", self.reason());
        match self {
            Self::NoRoom(_) => BackendError::new(ErrorKind::NO_CAPACITY, message).retryable(),
            Self::TooSlow(_) => BackendError::new(ErrorKind::TIMEOUT, message).retryable(),
            Self::Ended(_) | Self::Unfit(_) => BackendError::internal(message),
        }
    }
}

/// Returns the endpoint once its emulator answers there. It is asked as soon as the pod has an address: a node tells
/// that a container runs up to a second after it does.
pub(crate) async fn ready(
    instance: &Instance,
    routes: &Routes,
    spec: &LaunchSpec,
    limits: Limits,
) -> Result<(String, Ready), Trouble> {
    let answers = async {
        let endpoint = routes.endpoint(instance).await.map_err(|error| Trouble::Unfit(error.to_string()))?;
        let ready = readiness::wait(&endpoint, &spec.token).await.map_err(Trouble::Unfit)?;
        if ready.protocol != Protocol::HEARTH_1 {
            // Whoever answers does not know the instance's token: it must be its container that does.
            instance.until(|outlook| (outlook.stage == Stage::Running).then_some(())).await;
        }
        Ok((endpoint, ready))
    };
    tokio::select! {
        ready = answers => ready,
        trouble = trouble(instance, limits) => Err(trouble),
    }
}

/// Returns once it is known that the pod does not become an instance.
async fn trouble(instance: &Instance, limits: Limits) -> Trouble {
    let mut outlooks = instance.outlooks();
    let mut stage = outlooks.now().stage;
    loop {
        let Some((limit, mut trouble)) = limits.of_stage(&stage) else {
            let Stage::Ended(end) = stage else { continue };
            return Trouble::Ended(end);
        };
        let mut limit = pin!(sleep(limit));
        loop {
            tokio::select! {
                () = outlooks.change() => {}
                () = &mut limit => return trouble,
            }
            let next = outlooks.now().stage;
            if next.is_another(&stage) {
                stage = next;
                break;
            }
            trouble = limits.of_stage(&next).map_or(trouble, |(_, newer)| newer);
        }
    }
}
