//! Hears from the engine what becomes of containers.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Summary, EventMessage};
use bollard::query_parameters::{EventsOptions, ListContainersOptions, RemoveContainerOptions};
use futures_util::StreamExt;
use futures_util::future::join_all;
use hearth_core::{BackendError, EventKind, Host, Meta, ReapReport, Result};
use tokio::sync::{Notify, watch};

use crate::engine::Engine;
use crate::failure::{failure, is_conflict, is_missing};
use crate::instances::{End, Instance, Instances};
use crate::labels;

/// How soon an engine that has gone is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long a launch waits for an engine that has gone. It then fails, and the host tries again further and further
/// apart: whoever waited here is served as soon as the engine is back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows the engine's events for as long as the host lives.
#[derive(Clone)]
pub(crate) struct Watch {
    engine: Engine,
    host: Host,
    instances: Arc<Instances>,
    /// Whether the engine is there, as far as is known.
    is_there: watch::Sender<bool>,
    doubt: Arc<Notify>,
}

impl Watch {
    pub(crate) fn new(engine: Engine, host: Host, instances: Arc<Instances>) -> Self {
        Self { engine, host, instances, is_there: watch::Sender::new(true), doubt: Arc::default() }
    }

    /// Takes over what an earlier backend of the same host has launched and what still runs: the process that held it
    /// may have ended, and the host uses those containers. What else that one left goes with the first sweep.
    pub(crate) async fn adopt(&self) -> Result<()> {
        let listed = self.list(labels::filter(labels::EPOCH, &self.host.info().epoch)).await?;
        for container in listed {
            let is_paused = container.state == Some(Summary::PAUSED);
            if is_paused || container.state == Some(Summary::RUNNING) {
                let instance = self.instances.begin(name(&container), None);
                instance.set_paused(is_paused);
                // It was begun a moment ago: nobody has told of its end.
                drop(instance.launched());
            }
        }
        Ok(())
    }

    /// Never returns. After each gap in the stream it is looked at what is there.
    pub(crate) async fn run(self) {
        let mut is_known_to_be_gone = false;
        loop {
            let ended = self.follow(&mut is_known_to_be_gone).await;
            self.is_there.send_replace(false);
            if let Err(error) = ended
                && !is_known_to_be_gone
            {
                tracing::warn!(%error, "the container engine is gone; waiting for it");
            }
            is_known_to_be_gone = true;
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Somebody could not speak to the engine. One that is about to end takes no calls any more, while its events still
    /// flow.
    pub(crate) fn doubt(&self) {
        self.is_there.send_replace(false);
        self.doubt.notify_one();
    }

    /// Returns when the engine is there, or after a while.
    pub(crate) async fn engine(&self) {
        let mut is_there = self.is_there.subscribe();
        // The sender is part of this, so that waiting cannot fail.
        drop(tokio::time::timeout(PATIENCE, is_there.wait_for(|is_there| *is_there)).await);
    }

    /// Until the stream ends. It begins at a moment before the containers were looked at, by the engine's clock, so
    /// that nothing is missed in between.
    async fn follow(&self, is_known_to_be_gone: &mut bool) -> Result<()> {
        let since = self.engine_time().await?;
        self.catch_up().await?;
        self.is_there.send_replace(true);
        if std::mem::take(is_known_to_be_gone) {
            tracing::info!("the container engine is back");
        }
        let kinds = ["die", "oom", "pause", "destroy"].map(str::to_owned).to_vec();
        let mut filters = labels::filter(labels::EPOCH, &self.host.info().epoch);
        filters.extend([("type".to_owned(), vec!["container".to_owned()]), ("event".to_owned(), kinds)]);
        let options = EventsOptions { since: Some(since), until: None, filters: Some(filters) };
        let mut events = self.engine.docker.events(Some(options)).boxed();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = self.doubt.notified() => return Err(BackendError::unavailable("it takes no calls")),
            };
            match event {
                Some(Ok(event)) => self.happened(event),
                Some(Err(error)) => return Err(failure("its events cannot be followed", &error)),
                None => return Ok(()),
            }
        }
    }

    /// In the form in which events are asked for: seconds since 1970.
    async fn engine_time(&self) -> Result<String> {
        let info = self.engine.docker.info().await;
        let info = info.map_err(|error| failure("the engine cannot be asked for its time", &error))?;
        let time: Option<jiff::Timestamp> = info.system_time.and_then(|time| time.parse().ok());
        let text = |time: jiff::Timestamp| format!("{}.{:09}", time.as_second(), time.subsec_nanosecond());
        Ok(time.map_or_else(|| "0".to_owned(), text))
    }

    fn happened(&self, event: EventMessage) {
        let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        let Some(instance) = attributes.get("name").and_then(|name| self.instances.get(name)) else { return };
        match event.action.as_deref() {
            Some("oom") => {
                instance.set_out_of_memory();
                let function = attributes.get(labels::FUNCTION);
                tracing::info!(
                    instance = instance.handle,
                    function,
                    "a process was killed: it used more memory than it may"
                );
            }
            Some("die") => {
                let status = attributes.get("exitCode").map_or("", String::as_str);
                self.ended(&instance, exited(status, instance.ran_out_of_memory()));
            }
            Some("pause") if !instance.is_paused() => self.ended(&instance, paused()),
            Some("destroy") => self.ended(&instance, End::because("somebody removed its container")),
            _ => {}
        }
    }

    /// The host is told, and what is left of the container removed.
    fn ended(&self, instance: &Arc<Instance>, end: End) {
        if !instance.ended(end.clone()) {
            return;
        }
        self.host.emit(end.kind, &instance.handle, end.meta);
        let (watch, handle) = (self.clone(), instance.handle.clone());
        tokio::spawn(async move {
            if let Err(error) = watch.remove(&handle).await {
                tracing::warn!(instance = handle, %error, "a container that has ended cannot be removed; it is reaped later");
            }
        });
    }

    /// Looks at what was launched: what has ended meanwhile has done so unnoticed.
    async fn catch_up(&self) -> Result<()> {
        // Before the list: what is launched while it is made is not in it.
        let running = self.instances.running();
        let filters = labels::filter(labels::EPOCH, &self.host.info().epoch);
        let listed = self.list(filters).await?;
        for instance in running {
            let container = listed.iter().find(|container| name(container) == instance.handle);
            match container.and_then(|container| container.state) {
                Some(Summary::RUNNING | Summary::RESTARTING) => {}
                Some(Summary::PAUSED) if instance.is_paused() => {}
                Some(Summary::PAUSED) => self.ended(&instance, paused()),
                Some(_) => self.ended(&instance, exited("", instance.ran_out_of_memory())),
                None => self.ended(&instance, End::because("its container is gone")),
            }
        }
        self.sweep(listed).await;
        Ok(())
    }

    /// Removes what an earlier host process of this installation left behind, and what this one could not remove while
    /// the engine was gone.
    pub(crate) async fn reap(&self) -> Result<ReapReport> {
        let listed = self.list(labels::filter(labels::OWNER, &self.host.info().owner)).await?;
        Ok(self.sweep(listed).await)
    }

    async fn sweep(&self, listed: Vec<ContainerSummary>) -> ReapReport {
        let own_epoch = &self.host.info().epoch;
        let is_at_work = |container: &ContainerSummary| {
            let label = |name| container.labels.as_ref().and_then(|labels| labels.get(name));
            label(labels::HELPER).is_some() && label(labels::EPOCH) == Some(own_epoch)
        };
        let names = listed
            .iter()
            .filter(|container| !is_at_work(container))
            .map(|container| name(container).to_owned());
        let unknown: Vec<_> = names.filter(|name| self.instances.get(name).is_none()).collect();
        let removals = unknown.into_iter().map(async |name| (self.remove(&name).await, name));
        let mut report = ReapReport::default();
        for (removed, name) in join_all(removals).await {
            match removed {
                Ok(()) => report.removed.push(name),
                Err(error) => report.failed.push(format!("{name}: {error}")),
            }
        }
        report
    }

    pub(crate) async fn list(
        &self,
        filters: std::collections::HashMap<String, Vec<String>>,
    ) -> Result<Vec<ContainerSummary>> {
        let options =
            ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let listed = self.engine.docker.list_containers(Some(options)).await;
        listed.map_err(|error| failure("the containers cannot be listed", &error))
    }

    /// Kills a container if it runs, and removes it. That it is not there is success.
    pub(crate) async fn remove(&self, handle: &str) -> Result<()> {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        let removed = match self.engine.docker.remove_container(handle, Some(options)).await {
            // Somebody else is removing it: it is gone once its name is.
            Err(error) if is_conflict(&error) => self.wait_until_removed(handle).await,
            removed => removed,
        };
        match removed {
            Err(error) if !is_missing(&error) => {
                Err(failure(&format!("the container {handle} cannot be removed"), &error))
            }
            _ => {
                self.instances.forget(handle);
                Ok(())
            }
        }
    }

    async fn wait_until_removed(&self, handle: &str) -> Result<(), bollard::errors::Error> {
        let options = bollard::query_parameters::WaitContainerOptions { condition: "removed".to_owned() };
        let mut waiting = self.engine.docker.wait_container(handle, Some(options)).boxed();
        while let Some(ended) = waiting.next().await {
            match ended {
                // How it ended does not matter.
                Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The container's name, which the engine writes with a slash.
pub(crate) fn name(container: &ContainerSummary) -> &str {
    let name = container.names.as_ref().and_then(|names| names.first());
    name.map_or("", |name| name.trim_start_matches('/'))
}

/// In the words of the interface. Shells and engines add 128 to the number of a signal.
pub(crate) fn exited(status: &str, is_out_of_memory: bool) -> End {
    let mut meta = Meta::new();
    let status: Option<u16> = status.parse().ok();
    // A process that was killed for its memory earlier is not why the container was stopped later.
    let is_out_of_memory = is_out_of_memory && status == Some(137);
    let reason = match status {
        Some(_) if is_out_of_memory => "it used more memory than it may",
        Some(status) if status > 128 => "its container was killed",
        _ => "its container ended",
    };
    meta.insert("reason".to_owned(), reason.to_owned());
    match status.map(|status| (status, status.checked_sub(128))) {
        Some((_, Some(9))) => drop(meta.insert("exit.signal".to_owned(), "killed".to_owned())),
        Some((_, Some(15))) => drop(meta.insert("exit.signal".to_owned(), "terminated".to_owned())),
        Some((status, _)) => drop(meta.insert("exit.status".to_owned(), status.to_string())),
        None => {}
    }
    let kind = if is_out_of_memory { EventKind::OOM } else { EventKind::EXITED };
    End { kind, meta }
}

/// It cannot be invoked, and whoever paused it has not said for how long.
fn paused() -> End {
    End::because("somebody paused its container")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_container_says_how_it_ended() {
        let shown = |status, oom| format!("{:?}", exited(status, oom));
        for (status, oom, expected) in [
            ("0", false, r#"EXITED, meta: {"exit.status": "0", "reason": "its container ended"}"#),
            ("3", false, r#"EXITED, meta: {"exit.status": "3", "reason": "its container ended"}"#),
            (
                "137",
                false,
                r#"EXITED, meta: {"exit.signal": "killed", "reason": "its container was killed"}"#,
            ),
            (
                "137",
                true,
                r#"OOM, meta: {"exit.signal": "killed", "reason": "it used more memory than it may"}"#,
            ),
            ("", false, r#"EXITED, meta: {"reason": "its container ended"}"#),
        ] {
            assert_eq!(shown(status, oom), format!("End {{ kind: {expected} }}"));
        }
    }
}
