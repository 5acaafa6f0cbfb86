//! What is deployed: functions, versions, aliases, layers and their code.
//!
//! Reads come from memory; the invoke path is [`Catalog::resolve`], a look-up without hashing code or touching
//! the disk. Changes are committed to SQLite before they are answered, one after the other, by a thread of
//! their own. A deploy is a task of the catalog: whoever asked for it does not have to wait for it.
//!
//! No HTTP and no AWS JSON in here: that is `api`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};

use bytes::Bytes;
use hearth_core::LaunchSpec;
use tokio::sync::{oneshot, watch};

use alias::Alias;
use function::{Function, FunctionConfig, FunctionKey, Version, VersionName};
use index::Index;
use layer::{Layer, LayerKey, LayerVersion};
use package::{Package, PackageError, PackageStore};
use policy::Statement;
use provisioned::Provisioned;
use qualified::{FunctionSettings, Qualified, RecursiveLoop};
use resource::{Place, Resource};
use store::StoreError;
use url::{FunctionUrl, UrlSettings};
use writer::{Job, Writer};

pub use deploy::{Deploy, DeployId};
pub use target::{FunctionRef, Limits, Numbers, ResolveError, Target};
pub use writer::{AliasChange, ChangeError, NewFunction, NewLayerVersion, RoutingChange};

pub mod alias;
mod deploy;
pub mod digest;
pub mod environment;
pub mod function;
mod index;
pub mod layer;
mod load;
pub mod package;
pub mod policy;
pub mod provisioned;
pub mod qualified;
pub mod resource;
mod rollout;
pub mod store;
mod target;
pub mod url;
mod writer;

#[cfg(test)]
mod tests;

/// Reads the date and time of the world.
pub type WallClock = fn() -> jiff::Timestamp;

/// What the catalog needs to know at its making.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the database and the code are kept; made if it is missing.
    pub data_dir: PathBuf,
    /// Tells when something was changed.
    pub wall_clock: WallClock,
    /// Added to the environment of every function; a function's own variables win over it.
    pub function_env: BTreeMap<String, String>,
}

/// Whoever runs the functions. Implemented by the host's driver.
#[async_trait::async_trait]
pub trait Deployer: Send + Sync + 'static {
    /// Makes launches of this deploy possible and fast. Called once for each deploy before it is used, and once
    /// after each start of the host; may take long. The error, a text for people, makes the deploy fail.
    async fn prepare(&self, spec: &LaunchSpec) -> Result<(), String>;

    /// A version has a new deploy or new limits. Called before the first invocation can come to it, and for
    /// every stored version at the start. Called on the catalog's own thread: it must not block.
    fn deployed(&self, target: &Arc<Target>, limits: Limits);

    /// A version is gone. Must not block either.
    fn removed(&self, function_id: u32);
}

/// Why the catalog cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("cannot use the data directory {path}: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The code store cannot be used.
    #[error(transparent)]
    Packages(#[from] PackageError),
    /// The system gives no thread.
    #[error("cannot start the catalog's thread: {0}")]
    Thread(std::io::Error),
}

/// Everything that is deployed. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

/// What readers and the writer have in common.
struct Shared {
    index: RwLock<Index>,
    packages: PackageStore,
    deployer: OnceLock<Arc<dyn Deployer>>,
    resources_changed: watch::Sender<()>,
    wall_clock: WallClock,
    function_env: BTreeMap<String, String>,
}

impl Catalog {
    /// Opens the database and the code store, and reads everything into memory. Nothing can be invoked before
    /// [`start`](Self::start).
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let (shared, store) = blocking(move || load::open(settings)).await?;
        let shared = Arc::new(shared);
        let (jobs, inbox) = mpsc::channel();
        let for_writer = Arc::clone(&shared);
        // What the deployer is told may make it start tasks.
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || {
                let _entered = runtime.enter();
                writer::run(store, for_writer, &inbox);
            })
            .map_err(OpenError::Thread)?;
        Ok(Self { shared, jobs })
    }

    /// Tells the deployer of every stored version, then goes on with the deploys that an earlier run did not
    /// finish. Called once, before the first request is served.
    pub async fn start(&self, deployer: Arc<dyn Deployer>) {
        if self.shared.deployer.set(deployer).is_err() {
            return;
        }
        if self.change(Writer::announce_all).await.is_ok() {
            self.resume_deploys();
        }
    }

    /// Waits for changes under way and closes the database. Later changes fail; look-ups go on.
    pub async fn close(&self) {
        let (closed, is_closed) = oneshot::channel();
        if self.jobs.send(Job::Close(closed)).is_ok() {
            let _error_if_closed_before = is_closed.await;
        }
    }

    /// Finds what an invocation is for. `draw` is any evenly spread number; it decides where an alias divides
    /// the invocations among two versions.
    pub fn resolve(&self, reference: &FunctionRef<'_>, draw: u32) -> Result<Arc<Target>, ResolveError> {
        self.shared.index().resolve(reference, draw)
    }

    /// Everything that can be invoked, in no order.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        let index = self.shared.index();
        let versions = index.all_functions().flat_map(|function| function.all_versions());
        versions.filter_map(|version| version.target.clone()).collect()
    }

    /// A function as it is at this moment.
    pub fn function(&self, key: &FunctionKey) -> Option<Arc<Function>> {
        self.shared.index().function(&key.account, &key.region, &key.name).cloned()
    }

    /// Whether a function that calls itself, through others or through queues, is let go on.
    pub fn lets_loop(&self, key: &FunctionKey) -> bool {
        let function = self.function(key);
        function.is_some_and(|function| function.settings.recursive_loop == Some(RecursiveLoop::Allow))
    }

    /// A function's URL by its id, with the function and the alias that it is for; `$LATEST` is for the function
    /// itself.
    pub fn url(&self, id: &str) -> Option<(Arc<Function>, String, Arc<FunctionUrl>)> {
        self.shared.index().url(id)
    }

    /// The functions of one account and region, by name.
    pub fn functions(&self, account: &str, region: &str) -> Vec<Arc<Function>> {
        self.shared.index().functions(account, region)
    }

    /// A layer as it is at this moment.
    pub fn layer(&self, key: &LayerKey) -> Option<Arc<Layer>> {
        self.shared.index().layer(key).cloned()
    }

    /// The layers of one account and region by name, each with its newest version.
    pub fn layers(&self, account: &str, region: &str) -> Vec<(String, Arc<LayerVersion>)> {
        self.shared.index().layers(account, region)
    }

    /// Code that is in the store.
    pub fn package(&self, sha256: digest::Digest) -> Option<Arc<Package>> {
        self.shared.packages.find(sha256)
    }

    /// Checks and unpacks a zip file, and holds it until it is used or dropped.
    pub async fn add_package(&self, zip: Bytes) -> Result<Arc<Package>, PackageError> {
        let packages = self.shared.packages.clone();
        blocking(move || packages.add(&zip)).await
    }

    /// Creates a function. Its deploy begins at once; the answer does not wait for it.
    pub async fn create_function(&self, new: NewFunction) -> Result<Arc<Function>, ChangeError> {
        let function = self.change(move |writer| writer.create(new)).await??;
        self.begin_deploys(&function);
        Ok(function)
    }

    /// Changes the settings of `$LATEST`: `edit` makes the new ones from the function as it is. Their deploy
    /// begins at once; until it is done, invocations go on with the present one. `packages` are those that the
    /// new settings need and the present ones do not.
    pub async fn update_function<E: From<ChangeError> + Send + 'static>(
        &self,
        key: FunctionKey,
        revision: Option<String>,
        publish: bool,
        packages: Vec<Arc<Package>>,
        edit: impl FnOnce(&Function) -> Result<FunctionConfig, E> + Send + 'static,
    ) -> Result<Arc<Function>, E> {
        let function = self
            .change(move |writer| {
                let updated = writer.update(&key, revision.as_deref(), publish, edit);
                drop(packages);
                updated
            })
            .await??;
        self.begin_deploys(&function);
        Ok(function)
    }

    /// Publishes `$LATEST`, unless it is what was published last. Answers the function and the version.
    pub async fn publish_version(
        &self,
        key: FunctionKey,
        revision: Option<String>,
        code_sha256: Option<String>,
        description: Option<String>,
    ) -> Result<(Arc<Function>, Arc<Version>), ChangeError> {
        let (function, version) = self
            .change(move |writer| {
                writer.publish(&key, revision.as_deref(), code_sha256.as_deref(), description)
            })
            .await??;
        self.begin_deploys(&function);
        self.prepare_later(version.target.iter().cloned().collect());
        Ok((function, version))
    }

    /// Deletes a function with all its versions.
    pub async fn delete_function(&self, key: FunctionKey) -> Result<(), ChangeError> {
        self.change(move |writer| writer.delete(&key)).await?
    }

    /// Deletes one published version; nothing happens if there is none with this number.
    pub async fn delete_version(&self, key: FunctionKey, number: u32) -> Result<(), ChangeError> {
        self.change(move |writer| writer.delete_version(&key, number)).await?
    }

    /// Sets the reserved concurrency, or removes it.
    pub async fn reserve_concurrency(
        &self,
        key: FunctionKey,
        reserved: Option<u32>,
    ) -> Result<(), ChangeError> {
        self.change(move |writer| writer.reserve(&key, reserved)).await?
    }

    /// Changes what is set for a function as a whole.
    pub async fn set(
        &self,
        key: FunctionKey,
        edit: impl FnOnce(&mut FunctionSettings) + Send + 'static,
    ) -> Result<(), ChangeError> {
        self.change(move |writer| writer.set(&key, edit)).await?
    }

    /// Provisions concurrency for a version or an alias, which must exist. Its instances are launched at once;
    /// the answer does not wait for them.
    pub async fn provision(
        &self,
        key: FunctionKey,
        qualifier: String,
        requested: u32,
    ) -> Result<Arc<Provisioned>, ChangeError> {
        self.change(move |writer| writer.provision(&key, qualifier, requested)).await?
    }

    /// Ends what is provisioned for a version or an alias; nothing happens if nothing is.
    pub async fn unprovision(&self, key: FunctionKey, qualifier: String) -> Result<(), ChangeError> {
        self.change(move |writer| writer.unprovision(&key, &qualifier)).await?
    }

    /// Makes a URL for an alias, or for the function itself under the name of `$LATEST`.
    pub async fn create_url(
        &self,
        key: FunctionKey,
        qualifier: String,
        settings: UrlSettings,
    ) -> Result<Arc<FunctionUrl>, ChangeError> {
        self.change(move |writer| writer.create_url(&key, qualifier, settings)).await?
    }

    /// Changes how a URL is served.
    pub async fn update_url(
        &self,
        key: FunctionKey,
        qualifier: String,
        edit: impl FnOnce(&mut UrlSettings) + Send + 'static,
    ) -> Result<Arc<FunctionUrl>, ChangeError> {
        self.change(move |writer| writer.update_url(&key, &qualifier, edit)).await?
    }

    /// Takes a URL away. It is never given again.
    pub async fn delete_url(&self, key: FunctionKey, qualifier: String) -> Result<(), ChangeError> {
        self.change(move |writer| writer.delete_url(&key, &qualifier)).await?
    }

    /// Changes the tags of a function.
    pub async fn tag(
        &self,
        key: FunctionKey,
        edit: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
    ) -> Result<(), ChangeError> {
        self.change(move |writer| writer.tag(&key, edit)).await?
    }

    /// Creates an alias for versions that exist.
    pub async fn create_alias(&self, key: FunctionKey, alias: Alias) -> Result<Arc<Alias>, ChangeError> {
        self.change(move |writer| writer.create_alias(&key, alias)).await?
    }

    /// Moves an alias, or changes its share or description.
    pub async fn update_alias(
        &self,
        key: FunctionKey,
        name: String,
        revision: Option<String>,
        change: AliasChange,
    ) -> Result<Arc<Alias>, ChangeError> {
        self.change(move |writer| writer.update_alias(&key, &name, revision.as_deref(), change)).await?
    }

    /// Deletes an alias; nothing happens if there is none with this name.
    pub async fn delete_alias(&self, key: FunctionKey, name: String) -> Result<(), ChangeError> {
        self.change(move |writer| writer.delete_alias(&key, &name)).await?
    }

    /// Changes what is set for a qualifier that exists; answers what `edit` answers.
    pub async fn qualify<R: Send + 'static, E: From<ChangeError> + Send + 'static>(
        &self,
        key: FunctionKey,
        qualifier: String,
        edit: impl FnOnce(&mut Qualified) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E> {
        self.change(move |writer| writer.qualify(&key, &qualifier, edit)).await?
    }

    /// Changes who may use a version or an alias; answers what `edit` answers.
    pub async fn edit_policy<R: Send + 'static, E: From<ChangeError> + Send + 'static>(
        &self,
        key: FunctionKey,
        qualifier: String,
        revision: Option<String>,
        edit: impl FnOnce(&mut Vec<Statement>) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E> {
        self.change(move |writer| writer.edit_policy(&key, &qualifier, revision.as_deref(), edit)).await?
    }

    /// Changes who may use a version of a layer; answers its new revision.
    pub async fn edit_layer_policy<E: From<ChangeError> + Send + 'static>(
        &self,
        key: LayerKey,
        number: u32,
        revision: Option<String>,
        edit: impl FnOnce(&mut Vec<Statement>) -> Result<(), E> + Send + 'static,
    ) -> Result<String, E> {
        self.change(move |writer| writer.edit_layer_policy(&key, number, revision.as_deref(), edit)).await?
    }

    /// A value of a kind, as it is at this moment.
    pub fn resource<R: Resource>(&self, place: &Place, id: &str) -> Option<Arc<R>> {
        self.shared.index().resource(place, id).cloned()
    }

    /// All values of a kind in one account and region, by id.
    pub fn resources<R: Resource>(&self, place: &Place) -> Vec<Arc<R>> {
        self.shared.index().resources(place)
    }

    /// All values of a kind, in no order.
    pub fn all_resources<R: Resource>(&self) -> Vec<(Place, Arc<R>)> {
        self.shared.index().all_resources()
    }

    /// Tells when such a value was put, changed or deleted.
    pub fn resource_changes(&self) -> watch::Receiver<()> {
        self.shared.resources_changed.subscribe()
    }

    /// Puts a value in the place of the one with its id.
    pub async fn put_resource<R: Resource>(&self, place: Place, resource: R) -> Result<Arc<R>, ChangeError> {
        self.change(move |writer| writer.put_resource(&place, resource)).await?
    }

    /// Changes a value, if there is one with this id.
    pub async fn edit_resource<R: Resource>(
        &self,
        place: Place,
        id: String,
        edit: impl FnOnce(&mut R) + Send + 'static,
    ) -> Result<Option<Arc<R>>, ChangeError> {
        self.change(move |writer| writer.edit_resource(&place, &id, edit)).await?
    }

    /// Removes a value and answers it, if there is one with this id.
    pub async fn delete_resource<R: Resource>(
        &self,
        place: Place,
        id: String,
    ) -> Result<Option<Arc<R>>, ChangeError> {
        self.change(move |writer| writer.delete_resource(&place, &id)).await?
    }

    /// Publishes the next version of a layer.
    pub async fn publish_layer_version(
        &self,
        new: NewLayerVersion,
    ) -> Result<Arc<LayerVersion>, ChangeError> {
        self.change(move |writer| writer.publish_layer_version(new)).await?
    }

    /// Deletes a version of a layer; functions that use it keep it. Nothing happens if there is none with this
    /// number.
    pub async fn delete_layer_version(&self, key: LayerKey, number: u32) -> Result<(), ChangeError> {
        self.change(move |writer| writer.delete_layer_version(&key, number)).await?
    }

    /// Has the writer make a change. It is made even if whoever waits for it goes away.
    async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Writer) -> R + Send + 'static,
    ) -> Result<R, ChangeError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Change(Box::new(move |writer| {
            let changed = change(writer);
            let _nobody_may_wait_for_it_any_more = answer.send(changed);
        }));
        self.jobs.send(job).map_err(|_| ChangeError::Closed)?;
        answered.await.map_err(|_| ChangeError::Closed)
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Shared {
    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn deploy(
        &self,
        function: &Function,
        name: VersionName,
        config: &FunctionConfig,
        packages: Vec<Arc<Package>>,
    ) -> Deploy {
        Deploy::new(&function.key, name, config, packages, &function.tags, &self.function_env)
    }
}

/// Runs what touches the disk where blocking is allowed.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down; whoever waits here goes with it.
            Err(_) => std::future::pending().await,
        },
    }
}
