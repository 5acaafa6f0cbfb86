//! Deploys in the background: prepare, then switch over.

use std::sync::Arc;

use super::function::{Function, Version};
use super::writer::ChangeError;
use super::{Catalog, Target};

impl Catalog {
    /// Begins the deploys of a function's versions that wait for one. Nothing happens before the catalog was
    /// started: everything unfinished is resumed then.
    pub(super) fn begin_deploys(&self, function: &Arc<Function>) {
        if self.shared.deployer.get().is_none() {
            return;
        }
        for version in function.all_versions().filter(|version| version.status.is_in_progress()) {
            let work = self.clone().deploy_version(Arc::clone(function), Arc::clone(version));
            tokio::spawn(work);
        }
    }

    /// After a start: goes on with what was not finished, and prepares what was.
    pub(super) fn resume_deploys(&self) {
        let functions: Vec<_> = self.shared.index().all_functions().cloned().collect();
        for function in &functions {
            self.begin_deploys(function);
        }
        self.prepare_later(self.targets());
    }

    /// Makes launches of what can be invoked already fast, one after the other.
    pub(super) fn prepare_later(&self, targets: Vec<Arc<Target>>) {
        let Some(deployer) = self.shared.deployer.get().cloned() else { return };
        tokio::spawn(async move {
            for target in targets {
                if let Err(reason) = deployer.prepare(&target.deploy.spec).await {
                    tracing::warn!(function = %target.arn, version = %target.version, reason, "cannot be prepared");
                }
            }
        });
    }

    /// A version that was deleted or changed meanwhile has another revision, and this deploy is dropped.
    async fn deploy_version(self, function: Arc<Function>, version: Arc<Version>) {
        let Some(deployer) = self.shared.deployer.get() else { return };
        let packages = version.packages.iter().take(version.config.packages().len()).cloned().collect();
        let deploy = self.shared.deploy(&function, version.name, &version.config, packages);
        let prepared = deployer.prepare(&deploy.spec).await;
        if let Err(reason) = &prepared {
            tracing::warn!(function = %function.key.arn(), version = %version.name, reason, "the deploy failed");
        }
        let (key, name, revision) = (function.key.clone(), version.name, version.revision_id.clone());
        let finished = self.change(move |writer| writer.finish_deploy(&key, name, &revision, prepared)).await;
        match finished.and_then(|finished| finished) {
            Ok(()) => {
                tracing::debug!(function = %function.key.arn(), version = %version.name, "deploy finished");
            }
            Err(
                ChangeError::FunctionNotFound
                | ChangeError::VersionNotFound
                | ChangeError::RevisionMismatch
                | ChangeError::Closed,
            ) => {}
            Err(error) => {
                tracing::error!(function = %function.key.arn(), version = %version.name, %error, "the deploy is not kept");
            }
        }
    }
}
