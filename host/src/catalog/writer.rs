//! The one place that changes the catalog: a thread of its own that takes changes in turn.
//!
//! Each change is checked against what is there, committed to disk, told to the deployer, and put in the index,
//! in this order. So nobody sees what a kill could take back, and no lock is held while anything waits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, mpsc};

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::deploy::Deploy;
use super::digest::Digest;
use super::function::{
    Function, FunctionConfig, FunctionKey, PackageRef, State, Status, Version, VersionName,
};
use super::index::uses;
use super::package::{MAX_UNPACKED_BYTES, Package};
use super::store::{Store, StoreError, digest_of};
use super::target::{Numbers, Target};
use super::{Deployer, Shared};

mod aliases;
mod functions;
mod layers;
mod provisioned;
mod qualified;
mod resources;
mod urls;

pub use aliases::{AliasChange, RoutingChange};
pub use functions::NewFunction;
pub use layers::NewLayerVersion;

/// Why a change was not made. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No such function.
    #[error("no such function")]
    FunctionNotFound,
    /// The function has no such version.
    #[error("no such version")]
    VersionNotFound,
    /// The function has no such alias.
    #[error("no such alias")]
    AliasNotFound,
    /// There is no such version of a layer.
    #[error("no such version of the layer")]
    LayerVersionNotFound,
    /// There is a function with this name.
    #[error("the function exists")]
    FunctionExists,
    /// There is an alias with this name.
    #[error("the alias exists")]
    AliasExists,
    /// There is no such URL.
    #[error("no such URL")]
    UrlNotFound,
    /// The function, or its alias, has a URL.
    #[error("the URL exists")]
    UrlExists,
    /// The version is used by an alias, whose name this is.
    #[error("the alias {0} refers to the version")]
    VersionInUse(String),
    /// Its first deploy is under way, or has failed.
    #[error("the function is {}", .0.as_str())]
    NotActive(State),
    /// Another deploy of it is under way.
    #[error("an update is in progress")]
    UpdateInProgress,
    /// The caller has seen an older revision.
    #[error("the revision is not the latest")]
    RevisionMismatch,
    /// The caller expects other code.
    #[error("the code is {}, not {given}", present.base64())]
    CodeMismatch {
        /// What they expect.
        given: String,
        /// What is there.
        present: Digest,
    },
    /// Code and layers together are this large, in bytes.
    #[error("code and layers unpack to {0} bytes")]
    TooLarge(u64),
    /// A code file is gone that was there a moment ago.
    #[error("the code {0} is not in the store")]
    CodeLost(Digest),
    /// The disk did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog is closed: the host is going down.
    #[error("the catalog is closed")]
    Closed,
}

pub(super) enum Job {
    Change(Box<dyn FnOnce(&mut Writer) + Send>),
    /// Close the database and say so.
    Close(oneshot::Sender<()>),
}

/// The state that only the writer's thread has.
pub(super) struct Writer {
    store: Store,
    shared: Arc<Shared>,
    numbers: HashMap<(FunctionKey, VersionName), u32>,
}

/// Takes jobs until it is told to close or nobody is left to give any.
pub(super) fn run(store: Store, shared: Arc<Shared>, jobs: &mpsc::Receiver<Job>) {
    let mut writer = Writer { store, shared, numbers: HashMap::new() };
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Change(change) => change(&mut writer),
            Job::Close(closed) => {
                drop(writer);
                let _ = closed.send(());
                return;
            }
        }
    }
}

impl Writer {
    /// Gives every version that was ever ready its target, and tells the deployer.
    pub(super) fn announce_all(&mut self) {
        let functions: Vec<_> = self.shared.index().all_functions().cloned().collect();
        for function in functions {
            self.refresh_targets(Function::clone(&function));
        }
    }

    /// Ends the deploy of a version, if it is still the one that was begun.
    pub(super) fn finish_deploy(
        &mut self,
        key: &FunctionKey,
        name: VersionName,
        revision: &str,
        prepared: Result<(), String>,
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let begun = old.version(name).ok_or(ChangeError::VersionNotFound)?;
        check_revision(&begun.revision_id, Some(revision))?;
        let mut version = Version::clone(begun);
        version.revision_id = Uuid::new_v4().to_string();
        match (prepared, &begun.status) {
            (Ok(()), _) => self.activate(&old, &mut version),
            (Err(reason), Status::Updating { serving }) => {
                version.status = Status::UpdateFailed { serving: Arc::clone(serving), reason };
            }
            (Err(reason), _) => version.status = Status::CreationFailed { reason },
        }
        let mut function = Function::clone(&old);
        function.put_version(Arc::new(version));
        self.put(Some(&old), function)?;
        Ok(())
    }

    /// Has a version run as it is configured.
    fn activate(&mut self, function: &Function, version: &mut Version) {
        let packages = version.packages.iter().take(version.config.packages().len()).cloned().collect();
        let deploy = self.shared.deploy(function, version.name, &version.config, packages);
        let target = self.target(&function.key, version.name, &version.config, Arc::new(deploy));
        version.status = Status::Active;
        version.target = Some(target);
    }

    fn find(&self, key: &FunctionKey) -> Result<Arc<Function>, ChangeError> {
        let index = self.shared.index();
        index.function(&key.account, &key.region, &key.name).cloned().ok_or(ChangeError::FunctionNotFound)
    }

    /// Commits a function, tells the deployer what is new, and shows it.
    fn put(&mut self, old: Option<&Function>, new: Function) -> Result<Arc<Function>, ChangeError> {
        let new = Arc::new(new);
        let packages = new.all_versions().flat_map(|version| &version.packages);
        packages.for_each(|package| package.keep(true));
        self.store.put_function(old, &new)?;
        for version in new.all_versions() {
            let known = old.and_then(|old| old.version(version.name)?.target.as_ref());
            let limits = old.map(|old| old.limits(version.name));
            match &version.target {
                Some(target)
                    if !known.is_some_and(|known| Arc::ptr_eq(known, target))
                        || limits != Some(new.limits(version.name)) =>
                {
                    self.deployed(target, version.name, &new);
                }
                Some(_) | None => {}
            }
        }
        self.shared.index_mut().put_function(Arc::clone(&new));
        if let Some(old) = old {
            // Hardly a change lets go of anything, and it takes a look at everything to know that.
            let kept: HashSet<_> = new.all_versions().flat_map(|version| uses(version)).collect();
            let used = old.all_versions().flat_map(|version| uses(version));
            self.release(used.filter(|sha256| !kept.contains(sha256)).collect());
        }
        Ok(new)
    }

    /// Makes the targets of a function anew, from its stored settings.
    fn refresh_targets(&mut self, mut function: Function) {
        let names: Vec<_> = function.all_versions().map(|version| version.name).collect();
        for name in names {
            let Some(version) = function.version(name).cloned() else { continue };
            let Some(serving) = version.status.serving(&version.config) else { continue };
            let packages = match self.hold(&serving.packages()) {
                Ok(packages) => packages,
                Err(error) => {
                    tracing::error!(function = %function.key.arn(), version = %name, %error, "cannot be invoked");
                    continue;
                }
            };
            let deploy = Arc::new(self.shared.deploy(&function, name, serving, packages));
            let target = self.target(&function.key, name, serving, deploy);
            self.deployed(&target, name, &function);
            function.put_version(Arc::new(Version { target: Some(target), ..Version::clone(&version) }));
        }
        self.shared.index_mut().put_function(Arc::new(function));
    }

    /// Makes a version from `$LATEST` under the next number, unless the newest one was made from the same.
    fn next_version(
        &self,
        function: &Function,
        description: Option<String>,
    ) -> Result<Option<Version>, ChangeError> {
        let mut config = FunctionConfig::clone(&function.latest.config);
        let published_from = Some(digest_of(&config).map_err(StoreError::Unwritable)?);
        let newest = function.versions.values().next_back();
        if newest.is_some_and(|newest| newest.published_from == published_from) {
            return Ok(None);
        }
        config.description = description.unwrap_or(config.description);
        let name = VersionName::Number(function.last_published + 1);
        let version = self.version(name, Arc::new(config), Status::Creating)?;
        Ok(Some(Version { published_from, ..version }))
    }

    fn version(
        &self,
        name: VersionName,
        config: Arc<FunctionConfig>,
        status: Status,
    ) -> Result<Version, ChangeError> {
        Ok(Version {
            name,
            packages: self.hold(&config.packages())?,
            config,
            revision_id: Uuid::new_v4().to_string(),
            last_modified: self.now(),
            status,
            published_from: None,
            target: None,
        })
    }

    /// Holds the packages of a version, which must be held by somebody already.
    fn hold(&self, references: &[PackageRef]) -> Result<Vec<Arc<Package>>, ChangeError> {
        let total = references.iter().map(|reference| reference.unpacked_size).sum();
        if total > MAX_UNPACKED_BYTES {
            return Err(ChangeError::TooLarge(total));
        }
        let find = |reference: &PackageRef| {
            self.shared.packages.find(reference.sha256).ok_or(ChangeError::CodeLost(reference.sha256))
        };
        references.iter().map(find).collect()
    }

    /// Lets go of packages that nothing refers to any more.
    fn release(&self, candidates: HashSet<Digest>) {
        let index = self.shared.index();
        for sha256 in candidates {
            if !index.refers_to(sha256)
                && let Some(package) = self.shared.packages.find(sha256)
            {
                package.keep(false);
            }
        }
    }

    fn target(
        &mut self,
        key: &FunctionKey,
        name: VersionName,
        config: &FunctionConfig,
        deploy: Arc<Deploy>,
    ) -> Arc<Target> {
        let numbers = Numbers {
            reserve_group: self.number(key, VersionName::Latest),
            function_id: self.number(key, name),
        };
        Arc::new(Target::new(key, name, config, numbers, deploy))
    }

    fn number(&mut self, key: &FunctionKey, name: VersionName) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry((key.clone(), name)).or_insert(next)
    }

    fn deployed(&self, target: &Arc<Target>, name: VersionName, function: &Function) {
        if let Some(deployer) = self.deployer() {
            deployer.deployed(target, function.limits(name));
        }
    }

    fn retire(&mut self, key: &FunctionKey, version: &Version) {
        if version.target.is_some() {
            let number = self.number(key, version.name);
            if let Some(deployer) = self.deployer() {
                deployer.removed(number);
            }
        }
    }

    fn deployer(&self) -> Option<&Arc<dyn Deployer>> {
        self.shared.deployer.get()
    }

    fn now(&self) -> Timestamp {
        (self.shared.wall_clock)()
    }
}

fn check_revision(latest: &str, expected: Option<&str>) -> Result<(), ChangeError> {
    match expected {
        Some(expected) if expected != latest => Err(ChangeError::RevisionMismatch),
        Some(_) | None => Ok(()),
    }
}
