//! One watch over all pods of this installation: hears what becomes of them, and removes them.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use hearth_core::{Host, ReapReport, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};

use crate::cluster::Cluster;
use crate::failure::{answer, failure, is_missing};
use crate::instances::{Instance, Instances, Phase};
use crate::labels;
use crate::outlook::{self, End, Stage};

/// How soon an API server that has gone is asked again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one request of the watch lasts, in seconds. A connection that has died unnoticed is given up a little later.
const WATCH_SECONDS: u32 = 60;
/// How long a pod is given to end after its grace period, until it is removed whatever its node says.
const END_LIMIT: Duration = Duration::from_secs(30);
/// How many pods are listed at once.
const PAGE: u32 = 500;

/// Follows the pods for as long as the host lives. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Watch {
    cluster: Cluster,
    host: Host,
    instances: Arc<Instances>,
}

impl Watch {
    pub(crate) fn new(cluster: Cluster, host: Host, instances: Arc<Instances>) -> Self {
        Self { cluster, host, instances }
    }

    /// Never returns. A stream that breaks off is taken up where it ended; if the server has forgotten what came then,
    /// all pods are listed anew.
    pub(crate) async fn run(self) {
        let config = watcher::Config::default()
            .labels(&labels::selector(labels::OWNER, &self.host.info().owner))
            .timeout(WATCH_SECONDS)
            .page_size(PAGE);
        let mut events = pin!(watch(self.cluster.pods(), config).backoff(Pauses(FIRST_PAUSE)));
        let mut listed = HashSet::new();
        let mut is_well = true;
        while let Some(event) = events.next().await {
            let was_well = std::mem::replace(&mut is_well, event.is_ok());
            match event {
                Ok(event) => self.happened(event, &mut listed),
                Err(error) if was_well => tracing::warn!(%error, "the pods cannot be watched; trying again"),
                Err(_) => {}
            }
        }
    }

    fn happened(&self, event: Event<Pod>, listed: &mut HashSet<String>) {
        match event {
            Event::Apply(pod) => self.seen(&pod),
            Event::Delete(pod) => {
                if let Some(instance) = self.instances.get(&pod.name_any()) {
                    let end = instance.gone(outlook::read(&pod));
                    self.tell(&instance, end);
                }
            }
            Event::Init => *listed = HashSet::new(),
            Event::InitApply(pod) => {
                self.seen(&pod);
                listed.insert(pod.name_any());
            }
            Event::InitDone => self.listed(listed),
        }
    }

    fn seen(&self, pod: &Pod) {
        if let Some(instance) = self.instances.get(&pod.name_any()) {
            let end = instance.seen(outlook::read(pod));
            self.tell(&instance, end);
        }
    }

    /// What is not in the list has gone unnoticed, unless it was never there: it may be made this very moment.
    fn listed(&self, listed: &HashSet<String>) {
        let all = self.instances.all();
        for instance in all.iter().filter(|instance| !listed.contains(&instance.handle)) {
            let outlook = instance.outlooks().now();
            if outlook.stage != Stage::Unseen || instance.phase() == Phase::Ending {
                let end = instance.gone(outlook);
                self.tell(instance, end);
            }
        }
    }

    /// The host is told, and what is left of the pod removed.
    fn tell(&self, instance: &Arc<Instance>, end: Option<End>) {
        let Some(end) = end else { return };
        tracing::info!(instance = instance.handle, reason = end.reason(), "an instance ended");
        self.host.emit(end.kind, &instance.handle, end.meta);
        let (watch, handle) = (self.clone(), instance.handle.clone());
        tokio::spawn(async move {
            if let Err(error) = watch.remove(&handle, Duration::ZERO).await {
                tracing::warn!(instance = handle, %error, "a pod that has ended cannot be removed; it is reaped later");
            }
        });
    }

    /// Ends a pod, `grace` after asking politely, and waits until it is gone. That it is not there is success.
    pub(crate) async fn remove(&self, handle: &str, grace: Duration) -> Result<()> {
        let instance = self.instances.to_be_removed(handle);
        // With none, the object is gone at once and the process is not.
        let seconds = grace.as_millis().div_ceil(1000).max(1);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        if self.delete(handle, seconds).await? {
            let limit = Duration::from_secs(seconds.into()) + END_LIMIT;
            if tokio::time::timeout(limit, instance.is_gone()).await.is_err() {
                tracing::warn!(
                    instance = handle,
                    "its node does not say that the pod has ended; removing it all the same"
                );
                self.delete(handle, 0).await?;
            }
        }
        // The event may be still to come, and others may wait for it.
        instance.gone(instance.outlooks().now());
        self.instances.forget(handle);
        Ok(())
    }

    /// Whether there was one.
    async fn delete(&self, handle: &str, grace_seconds: u32) -> Result<bool> {
        let parameters = DeleteParams::default().grace_period(grace_seconds);
        match answer(self.cluster.pods().delete(handle, &parameters)).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failure(&format!("the pod {handle} cannot be removed"), &error)),
        }
    }

    /// Takes over what an earlier backend of the same host has launched and what still runs: the process that held it
    /// may have ended, and the host uses those pods. What else that one left goes with the first sweep.
    pub(crate) async fn adopt(&self) -> Result<()> {
        let listed = self.list().await?;
        let own = listed.iter().filter(|pod| labels::read(pod, labels::EPOCH) == self.host.info().epoch);
        let kept = own.filter(|pod| pod.metadata.deletion_timestamp.is_none());
        // A node may not have told yet of one that runs; one that was still being launched is ended by the host.
        for pod in kept.filter(|pod| !matches!(outlook::read(pod).stage, Stage::Ended(_))) {
            // It was begun a moment ago: nobody has told of its end.
            drop(self.instances.begin(&pod.name_any()).launched());
        }
        Ok(())
    }

    /// Removes what an earlier host process of this installation left behind, and what this one could not remove while
    /// the API server was gone.
    pub(crate) async fn reap(&self) -> Result<ReapReport> {
        let is_looked_after = |pod: &Pod| match self.instances.get(&pod.name_any()) {
            // Whoever ends it waits for it; an end that the server was not told of is one that failed.
            Some(instance) if instance.phase() == Phase::Ending => pod.metadata.deletion_timestamp.is_some(),
            Some(_) => true,
            None => false,
        };
        let listed = self.list().await?;
        let removals = listed.iter().filter(|pod| !is_looked_after(pod)).map(ResourceExt::name_any);
        let removals = removals.map(async |name| (self.remove(&name, Duration::ZERO).await, name));
        let mut report = ReapReport::default();
        for (removed, name) in join_all(removals).await {
            match removed {
                Ok(()) => report.removed.push(name),
                Err(error) => report.failed.push(format!("{name}: {error}")),
            }
        }
        Ok(report)
    }

    /// The pods of this installation, those that are about to end among them.
    pub(crate) async fn list(&self) -> Result<Vec<Pod>> {
        let owner = labels::selector(labels::OWNER, &self.host.info().owner);
        let mut parameters = ListParams::default().labels(&owner).limit(PAGE);
        let mut all = Vec::new();
        loop {
            let listed = answer(self.cluster.pods().list(&parameters)).await;
            let listed = listed.map_err(|error| failure("the pods cannot be listed", &error))?;
            let more = listed.metadata.continue_.clone().filter(|token| !token.is_empty());
            all.extend(listed.items);
            match more {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    /// The pod with this name, if it is of this installation.
    pub(crate) async fn find(&self, handle: &str) -> Result<Option<Pod>> {
        let owner = labels::selector(labels::OWNER, &self.host.info().owner);
        let parameters = ListParams::default().labels(&owner).fields(&format!("metadata.name={handle}"));
        let listed = answer(self.cluster.pods().list(&parameters)).await;
        let listed =
            listed.map_err(|error| failure(&format!("the pod {handle} cannot be looked at"), &error))?;
        Ok(listed.items.into_iter().next())
    }
}

/// Each twice as long as the one before, from the first one on once all is well again.
struct Pauses(Duration);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let longer = (self.0 * 2).min(LONGEST_PAUSE);
        Some(std::mem::replace(&mut self.0, longer))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }
}
