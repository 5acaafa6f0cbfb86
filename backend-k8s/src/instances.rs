//! The instances of this host process, from before their pods are made until those are gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::outlook::{End, Outlook, Stage};
use crate::route::Tunnel;

/// All of them, by handle. A handle is the name of the pod.
#[derive(Debug, Default)]
pub(crate) struct Instances(Mutex<HashMap<String, Arc<Instance>>>);

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) handle: String,
    phase: Mutex<Phase>,
    sight: watch::Sender<Sight>,
    /// How the host reaches it, if not by its own address.
    tunnel: Mutex<Option<Tunnel>>,
}

/// What was last seen of its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sight {
    outlook: Outlook,
    /// Whether the object is gone: then nothing of the pod runs any more, unless it was removed by force.
    is_gone: bool,
}

/// `Launching` → `Running` → `Ending`; `Launching` → `Ending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Whoever launches it looks after it.
    Launching,
    /// The host may invoke it, and wants to know if it ends.
    Running,
    /// It is being removed.
    Ending,
}

impl Instances {
    /// Enters an instance whose pod is about to be made.
    pub(crate) fn begin(&self, handle: &str) -> Arc<Instance> {
        let instance = Arc::new(Instance::new(handle, Phase::Launching));
        self.table().insert(handle.to_owned(), instance.clone());
        instance
    }

    /// The instance with this handle, or an unknown one's, which is about to be removed.
    pub(crate) fn to_be_removed(&self, handle: &str) -> Arc<Instance> {
        let mut table = self.table();
        let new = || Arc::new(Instance::new(handle, Phase::Ending));
        let instance = table.entry(handle.to_owned()).or_insert_with(new).clone();
        instance.ending();
        instance
    }

    pub(crate) fn get(&self, handle: &str) -> Option<Arc<Instance>> {
        self.table().get(handle).cloned()
    }

    /// Its pod is gone.
    pub(crate) fn forget(&self, handle: &str) {
        self.table().remove(handle);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Instance>> {
        self.table().values().cloned().collect()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    fn new(handle: &str, phase: Phase) -> Self {
        Self {
            handle: handle.to_owned(),
            phase: Mutex::new(phase),
            sight: watch::Sender::new(Sight::default()),
            tunnel: Mutex::default(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.lock()
    }

    /// Hands it over to the host, unless it has ended already.
    pub(crate) fn launched(&self) -> Result<(), End> {
        let mut phase = self.lock();
        if let Stage::Ended(end) = &self.sight.borrow().outlook.stage {
            return Err(end.clone());
        }
        *phase = Phase::Running;
        Ok(())
    }

    /// It is being removed: its end is no news to the host any more.
    pub(crate) fn ending(&self) {
        *self.lock() = Phase::Ending;
    }

    /// What the API server says of its pod. Answers with the end that the host must be told of: once, and only of what
    /// it may invoke.
    pub(crate) fn seen(&self, outlook: Outlook) -> Option<End> {
        self.update(|sight| {
            // An end is final, whatever a late event says.
            if !matches!(sight.outlook.stage, Stage::Ended(_)) {
                sight.outlook = outlook;
            }
        })
    }

    /// The same, once its pod is gone.
    pub(crate) fn gone(&self, outlook: Outlook) -> Option<End> {
        self.update(|sight| {
            if !matches!(sight.outlook.stage, Stage::Ended(_)) {
                sight.outlook = match outlook.stage {
                    Stage::Ended(_) => outlook,
                    _ => Outlook { stage: Stage::Ended(End::because("its pod is gone")), ..outlook },
                };
            }
            sight.is_gone = true;
        })
    }

    fn update(&self, change: impl FnOnce(&mut Sight)) -> Option<End> {
        let mut phase = self.lock();
        self.sight.send_if_modified(|sight| {
            let before = sight.clone();
            change(sight);
            *sight != before
        });
        match &self.sight.borrow().outlook.stage {
            Stage::Ended(end) if *phase == Phase::Running => {
                *phase = Phase::Ending;
                Some(end.clone())
            }
            _ => None,
        }
    }

    /// What was last seen of it, and what will be.
    pub(crate) fn outlooks(&self) -> Outlooks {
        Outlooks(self.sight.subscribe())
    }

    /// Waits until something can be read from what is seen of it.
    pub(crate) async fn until<T>(&self, read: impl Fn(&Outlook) -> Option<T>) -> T {
        let mut outlooks = self.outlooks();
        loop {
            if let Some(found) = read(&outlooks.now()) {
                return found;
            }
            outlooks.change().await;
        }
    }

    /// Keeps a tunnel to it open for as long as it is known.
    pub(crate) fn keep(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    /// Waits until its pod is gone.
    pub(crate) async fn is_gone(&self) {
        let mut sights = self.sight.subscribe();
        // The sender is part of this very instance, so that waiting cannot fail.
        drop(sights.wait_for(|sight| sight.is_gone).await);
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows an instance.
#[derive(Debug)]
pub(crate) struct Outlooks(watch::Receiver<Sight>);

impl Outlooks {
    pub(crate) fn now(&mut self) -> Outlook {
        self.0.borrow_and_update().outlook.clone()
    }

    /// Returns once there is another one. Never returns if the instance is no more.
    pub(crate) async fn change(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(stage: Stage) -> Outlook {
        Outlook { address: None, stage }
    }

    #[tokio::test]
    async fn the_host_is_told_once_and_only_of_what_it_may_invoke() {
        let instances = Instances::default();
        let (launching, running, ending) =
            (instances.begin("launching"), instances.begin("running"), instances.begin("ending"));
        running.launched().unwrap();
        ending.launched().unwrap();
        instances.to_be_removed("ending");
        let end = End::because("as told");
        let ended = || outlook(Stage::Ended(end.clone()));
        let news = [&launching, &running, &running, &ending].map(|instance| instance.seen(ended()));
        assert_eq!(news, [None, Some(end.clone()), None, None]);
        assert_eq!(launching.launched(), Err(end), "it ended before it was handed over");
    }

    #[tokio::test]
    async fn an_end_is_final_and_a_pod_that_is_gone_has_ended() {
        let instances = Instances::default();
        let (ended, lost) = (instances.begin("ended"), instances.begin("lost"));
        ended.seen(outlook(Stage::Ended(End::because("as told"))));
        ended.seen(outlook(Stage::Running));
        ended.gone(outlook(Stage::Running));
        lost.launched().unwrap();
        assert_eq!(lost.gone(outlook(Stage::Running)), Some(End::because("its pod is gone")));
        let stages = [ended.outlooks().now().stage, lost.outlooks().now().stage];
        assert_eq!(stages, ["as told", "its pod is gone"].map(|reason| Stage::Ended(End::because(reason))));
        ended.is_gone().await;
        lost.is_gone().await;
    }
}
