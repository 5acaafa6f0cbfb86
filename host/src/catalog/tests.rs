//! The catalog over a real disk, with a deployer that does as it is told.

use std::sync::Mutex;

use tokio::sync::mpsc as tokio_mpsc;

use super::alias::Route;
use super::function::*;
use super::package::tests::zip_of;
use super::*;

const KEY: (&str, &str) = ("000000000000", "us-east-1");

/// Every call of the catalog, as it comes; `prepare` waits for a word.
struct Scripted {
    calls: Mutex<Vec<String>>,
    verdicts: tokio::sync::Mutex<tokio_mpsc::UnboundedReceiver<Result<(), String>>>,
}

#[async_trait::async_trait]
impl Deployer for Scripted {
    async fn prepare(&self, spec: &LaunchSpec) -> Result<(), String> {
        self.calls.lock().unwrap().push(format!("prepare {}:{}", spec.function, spec.version));
        // A closed script prepares everything at once.
        self.verdicts.lock().await.recv().await.unwrap_or(Ok(()))
    }

    fn deployed(&self, target: &Arc<Target>, limits: Limits) {
        let reserved = limits.reserved.map(|reserved| format!(" at most {reserved}")).unwrap_or_default();
        let provisioned = match limits.provisioned {
            0 => String::new(),
            provisioned => format!(" ready {provisioned}"),
        };
        let Target { function_id, function, version, .. } = &**target;
        let call = format!("deployed #{function_id} {}:{version}{reserved}{provisioned}", function.name);
        self.calls.lock().unwrap().push(call);
    }

    fn removed(&self, function_id: u32) {
        self.calls.lock().unwrap().push(format!("removed #{function_id}"));
    }
}

struct World {
    folder: tempfile::TempDir,
    catalog: Catalog,
    deployer: Arc<Scripted>,
    verdict: Option<tokio_mpsc::UnboundedSender<Result<(), String>>>,
}

impl World {
    /// A new data directory; deploys wait for [`World::verdict`].
    async fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap()).await
    }

    async fn over(folder: tempfile::TempDir) -> Self {
        let settings = Settings {
            data_dir: folder.path().join("data"),
            wall_clock: || jiff::Timestamp::UNIX_EPOCH,
            function_env: BTreeMap::new(),
        };
        let catalog = Catalog::open(settings).await.unwrap();
        let (verdict, verdicts) = tokio_mpsc::unbounded_channel();
        let deployer = Arc::new(Scripted { calls: Mutex::default(), verdicts: verdicts.into() });
        catalog.start(deployer.clone()).await;
        Self { folder, catalog, deployer, verdict: Some(verdict) }
    }

    /// Lets every deploy succeed at once.
    async fn easy() -> Self {
        let mut world = Self::new().await;
        world.verdict = None;
        world
    }

    /// Kills nothing, but leaves nothing in memory either.
    async fn restart(self) -> Self {
        self.catalog.close().await;
        let Self { folder, .. } = self;
        Self::over(folder).await
    }

    async fn create(&self, name: &str) -> Arc<Function> {
        let package = self.catalog.add_package(zip_of(&[("f.py", b"1")])).await.unwrap();
        let new = NewFunction {
            key: key(name),
            config: config(package.reference()),
            tags: BTreeMap::new(),
            settings: FunctionSettings::default(),
            publish: false,
            packages: vec![package],
        };
        self.catalog.create_function(new).await.unwrap()
    }

    async fn describe(&self, name: &str, description: &str) -> Result<Arc<Function>, ChangeError> {
        let description = description.to_owned();
        let edit = move |function: &Function| {
            Ok::<_, ChangeError>(FunctionConfig {
                description,
                ..FunctionConfig::clone(&function.latest.config)
            })
        };
        self.catalog.update_function(key(name), None, false, Vec::new(), edit).await
    }

    /// Waits until no deploy of the function is under way.
    async fn settled(&self, name: &str) -> Arc<Function> {
        loop {
            let function = self.catalog.function(&key(name)).unwrap();
            if !function.all_versions().any(|version| version.status.is_in_progress()) {
                return function;
            }
            tokio::task::yield_now().await;
        }
    }

    fn resolve(&self, name: &str, qualifier: Option<&str>) -> Result<Arc<Target>, ResolveError> {
        self.catalog.resolve(&FunctionRef { account: KEY.0, region: KEY.1, name, qualifier }, 0)
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.deployer.calls.lock().unwrap())
    }

    fn code_folders(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path().join("data/code")).unwrap();
        entries
            .filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'))
            .count()
    }
}

fn key(name: &str) -> FunctionKey {
    FunctionKey::new(KEY.0, KEY.1, name)
}

fn config(package: PackageRef) -> FunctionConfig {
    FunctionConfig {
        code: Code::Zip(ZipCode {
            package,
            runtime: "python3.13".into(),
            handler: "f.handler".into(),
            layers: Vec::new(),
        }),
        architecture: Architecture::X86_64,
        role: "arn:aws:iam::000000000000:role/r".into(),
        description: String::new(),
        timeout_seconds: 3,
        memory_mb: 128,
        ephemeral_storage_mb: 512,
        environment: None,
        kms_key_arn: None,
        tracing: Tracing::PassThrough,
        logging: Logging { group: "/aws/lambda/f".into(), format: LogFormat::Text },
        vpc: None,
        dead_letter_arn: None,
        file_systems: Vec::new(),
        snap_start: SnapStart::None,
    }
}

#[tokio::test]
async fn a_function_is_pending_until_it_is_prepared_and_deployed_before_it_is_active() {
    let world = World::new().await;
    assert_eq!(world.create("f").await.latest.status, Status::Creating);
    assert_eq!(world.resolve("f", None).unwrap_err(), ResolveError::NotActive(State::Pending));
    world.verdict.as_ref().unwrap().send(Ok(())).unwrap();
    assert_eq!(world.settled("f").await.latest.status, Status::Active);
    assert_eq!(world.calls(), ["prepare f:$LATEST", "deployed #0 f:$LATEST"]);
    let target = world.resolve("f", Some("$LATEST")).unwrap();
    assert_eq!(&*target.arn, "arn:aws:lambda:us-east-1:000000000000:function:f");
    assert_eq!((&*target.version, target.deploy.spec.deploy_id.len()), ("$LATEST", 43));
}

#[tokio::test]
async fn a_first_deploy_that_fails_can_be_mended_by_an_update() {
    let world = World::new().await;
    let verdict = world.verdict.as_ref().unwrap();
    world.create("f").await;
    verdict.send(Err("no interpreter".into())).unwrap();
    let status = world.settled("f").await.latest.status.clone();
    assert_eq!(status, Status::CreationFailed { reason: "no interpreter".into() });
    assert_eq!(world.resolve("f", None).unwrap_err(), ResolveError::NotActive(State::Failed));
    verdict.send(Ok(())).unwrap();
    assert_eq!(world.describe("f", "mended").await.unwrap().latest.status, Status::Creating);
    assert_eq!(world.settled("f").await.latest.status, Status::Active);
}

#[tokio::test]
async fn the_old_deploy_serves_until_the_new_one_is_ready_and_goes_on_if_that_fails() {
    let world = World::new().await;
    let verdict = world.verdict.as_ref().unwrap();
    verdict.send(Ok(())).unwrap();
    world.create("f").await;
    world.settled("f").await;
    let old = world.resolve("f", None).unwrap();
    world.describe("f", "two").await.unwrap();
    assert!(matches!(world.describe("f", "three").await, Err(ChangeError::UpdateInProgress)));
    assert!(Arc::ptr_eq(&world.resolve("f", None).unwrap(), &old));
    verdict.send(Err("no".into())).unwrap();
    assert!(matches!(world.settled("f").await.latest.status, Status::UpdateFailed { .. }));
    assert!(Arc::ptr_eq(&world.resolve("f", None).unwrap(), &old));
    verdict.send(Ok(())).unwrap();
    world.describe("f", "four").await.unwrap();
    let function = world.settled("f").await;
    assert_eq!((&function.latest.status, &*function.latest.config.description), (&Status::Active, "four"));
    assert!(!Arc::ptr_eq(&world.resolve("f", None).unwrap(), &old));
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let world = World::easy().await;
    world.create("f").await;
    world.settled("f").await;
    world.catalog.publish_version(key("f"), None, None, Some("one".into())).await.unwrap();
    let alias = Alias {
        name: "live".into(),
        version: VersionName::Number(1),
        routing: Some(Route { version: VersionName::Latest, weight: 0.25 }),
        description: "d".into(),
        revision_id: "r".into(),
    };
    world.catalog.create_alias(key("f"), alias.clone()).await.unwrap();
    world.catalog.tag(key("f"), |tags| drop(tags.insert("team".into(), "fire".into()))).await.unwrap();
    world.catalog.reserve_concurrency(key("f"), Some(7)).await.unwrap();
    let before = world.settled("f").await;

    let world = world.restart().await;
    let after = world.catalog.function(&key("f")).unwrap();
    assert_eq!(after.aliases["live"].as_ref(), &alias);
    assert_eq!((&after.tags, after.reserved_concurrency), (&before.tags, Some(7)));
    for (before, after) in before.all_versions().zip(after.all_versions()) {
        assert_eq!(
            (&before.config, &before.revision_id, &before.status),
            (&after.config, &after.revision_id, &after.status)
        );
        let deploys = [before, after].map(|version| version.target.as_ref().unwrap().deploy.id);
        assert_eq!(deploys[0], deploys[1]);
    }
    assert_eq!(
        world.calls()[..2],
        ["deployed #0 f:$LATEST at most 7", "deployed #1 f:1 at most 7"].map(str::to_owned)
    );
}

#[tokio::test]
async fn a_deploy_that_a_kill_interrupted_is_resumed_and_the_old_one_serves_meanwhile() {
    let world = World::new().await;
    world.verdict.as_ref().unwrap().send(Ok(())).unwrap();
    world.create("f").await;
    world.settled("f").await;
    world.describe("f", "two").await.unwrap();
    world.create("g").await;

    let mut world = world.restart().await;
    assert_eq!(world.resolve("f", None).unwrap().deploy.spec.version, "$LATEST");
    assert!(matches!(world.catalog.function(&key("f")).unwrap().latest.status, Status::Updating { .. }));
    assert_eq!(world.resolve("g", None).unwrap_err(), ResolveError::NotActive(State::Pending));
    world.verdict = None;
    assert_eq!(world.settled("f").await.latest.status, Status::Active);
    assert_eq!(world.settled("g").await.latest.status, Status::Active);
}

#[tokio::test]
async fn publishing_twice_without_a_change_gives_the_same_version() {
    let world = World::easy().await;
    world.create("f").await;
    world.settled("f").await;
    let publish = || world.catalog.publish_version(key("f"), None, None, None);
    assert_eq!(publish().await.unwrap().1.name, VersionName::Number(1));
    world.settled("f").await;
    assert_eq!(publish().await.unwrap().1.name, VersionName::Number(1));
    world.describe("f", "changed").await.unwrap();
    world.settled("f").await;
    assert_eq!(publish().await.unwrap().1.name, VersionName::Number(2));
    world.settled("f").await;
    world.catalog.delete_version(key("f"), 2).await.unwrap();
    assert_eq!(world.resolve("f", Some("2")).unwrap_err(), ResolveError::NotFound);
    assert_eq!(publish().await.unwrap().1.name, VersionName::Number(3));
}

#[tokio::test]
async fn an_alias_divides_invocations_and_holds_its_version() {
    let world = World::easy().await;
    world.create("f").await;
    world.settled("f").await;
    world.catalog.publish_version(key("f"), None, None, None).await.unwrap();
    world.settled("f").await;
    let alias = |name: &str, version| Alias {
        name: name.into(),
        version: VersionName::Number(version),
        routing: None,
        description: String::new(),
        revision_id: "r".into(),
    };
    let create = |alias| world.catalog.create_alias(key("f"), alias);
    create(alias("live", 1)).await.unwrap();
    assert!(matches!(create(alias("live", 1)).await, Err(ChangeError::AliasExists)));
    assert!(matches!(create(alias("next", 2)).await, Err(ChangeError::VersionNotFound)));
    assert_eq!(&*world.resolve("f", Some("live")).unwrap().version, "1");
    let deleted = world.catalog.delete_version(key("f"), 1).await;
    assert!(matches!(deleted, Err(ChangeError::VersionInUse(alias)) if alias == "live"));
    let change = AliasChange { version: Some(VersionName::Latest), ..AliasChange::default() };
    let stale = world.catalog.update_alias(key("f"), "live".into(), Some("old".into()), change.clone()).await;
    assert!(matches!(stale, Err(ChangeError::RevisionMismatch)));
    world.catalog.update_alias(key("f"), "live".into(), Some("r".into()), change).await.unwrap();
    assert_eq!(&*world.resolve("f", Some("live")).unwrap().version, "$LATEST");
    world.catalog.delete_version(key("f"), 1).await.unwrap();
    world.catalog.delete_alias(key("f"), "live".into()).await.unwrap();
    assert_eq!(world.resolve("f", Some("live")).unwrap_err(), ResolveError::NotFound);
}

#[tokio::test]
async fn what_is_provisioned_for_an_alias_moves_with_it_and_ends_with_it() {
    let world = World::easy().await;
    world.create("f").await;
    world.settled("f").await;
    world.catalog.publish_version(key("f"), None, None, None).await.unwrap();
    world.describe("f", "two").await.unwrap();
    world.settled("f").await;
    world.catalog.publish_version(key("f"), None, None, None).await.unwrap();
    let alias = Alias {
        name: "live".into(),
        version: VersionName::Number(1),
        routing: None,
        description: String::new(),
        revision_id: "r".into(),
    };
    world.catalog.create_alias(key("f"), alias).await.unwrap();
    world.calls();
    world.catalog.provision(key("f"), "live".into(), 2).await.unwrap();
    assert_eq!(world.calls(), ["deployed #1 f:1 ready 2"]);
    assert!(matches!(
        world.catalog.provision(key("f"), "$LATEST".into(), 2).await,
        Err(ChangeError::VersionNotFound)
    ));
    let change =
        |number| AliasChange { version: Some(VersionName::Number(number)), ..AliasChange::default() };
    world.catalog.update_alias(key("f"), "live".into(), None, change(2)).await.unwrap();
    assert_eq!(world.calls(), ["deployed #1 f:1", "deployed #2 f:2 ready 2"]);

    let world = world.restart().await;
    assert_eq!(
        world.calls()[..3],
        ["deployed #0 f:$LATEST", "deployed #1 f:1", "deployed #2 f:2 ready 2"].map(str::to_owned)
    );
    world.catalog.delete_alias(key("f"), "live".into()).await.unwrap();
    world.catalog.unprovision(key("f"), "live".into()).await.unwrap();
    assert_eq!(world.catalog.function(&key("f")).unwrap().total_provisioned(), 0);
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_its_code_stays_while_an_instance_runs_it() {
    let world = World::easy().await;
    world.create("f").await;
    world.settled("f").await;
    let instance = Arc::clone(&world.resolve("f", None).unwrap().deploy);
    world.calls();
    world.catalog.delete_function(key("f")).await.unwrap();
    assert_eq!(world.calls(), ["removed #0"]);
    assert_eq!(world.resolve("f", None).unwrap_err(), ResolveError::NotFound);
    assert!(matches!(world.catalog.delete_function(key("f")).await, Err(ChangeError::FunctionNotFound)));
    assert_eq!(world.code_folders(), 1);
    drop(instance);
    // The rollout that has settled may hold it for a moment longer.
    while world.code_folders() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_function_that_is_made_again_has_its_number_again() {
    let world = World::easy().await;
    for name in ["f", "g", "f"] {
        if world.catalog.function(&key(name)).is_some() {
            world.catalog.delete_function(key(name)).await.unwrap();
        }
        world.create(name).await;
        world.settled(name).await;
    }
    let ids = ["f", "g"].map(|name| world.resolve(name, None).unwrap().function_id);
    assert_eq!(ids, [0, 1]);
    let again = NewFunction {
        key: key("f"),
        config: FunctionConfig::clone(&world.settled("f").await.latest.config),
        tags: BTreeMap::new(),
        settings: FunctionSettings::default(),
        publish: false,
        packages: Vec::new(),
    };
    assert!(matches!(world.catalog.create_function(again).await, Err(ChangeError::FunctionExists)));
}

#[tokio::test]
async fn a_layer_outlives_its_deleted_version_in_the_functions_that_use_it() {
    let world = World::easy().await;
    let layer = LayerKey { account: KEY.0.into(), region: KEY.1.into(), name: "l".into() };
    let publish = |content: &'static [u8]| {
        let (catalog, key) = (world.catalog.clone(), layer.clone());
        async move {
            let package = catalog.add_package(zip_of(&[("lib.py", content)])).await.unwrap();
            let new = NewLayerVersion {
                key,
                package,
                description: String::new(),
                license: None,
                runtimes: Vec::new(),
                architectures: Vec::new(),
            };
            catalog.publish_layer_version(new).await.unwrap()
        }
    };
    let first = publish(b"1").await;
    let used = LayerRef { arn: format!("{}:1", layer.arn()), package: first.package };
    world.create("f").await;
    world.settled("f").await;
    let edit = move |function: &Function| {
        let mut config = FunctionConfig::clone(&function.latest.config);
        if let Code::Zip(zip) = &mut config.code {
            zip.layers.push(used);
        }
        Ok::<_, ChangeError>(config)
    };
    world.catalog.update_function(key("f"), None, false, Vec::new(), edit).await.unwrap();
    world.settled("f").await;
    world.catalog.delete_layer_version(layer.clone(), 1).await.unwrap();
    drop(first);
    assert_eq!(world.resolve("f", None).unwrap().deploy.spec.layers.len(), 1);
    assert_eq!(publish(b"2").await.number, 2);
    let world = world.restart().await;
    assert_eq!(world.resolve("f", None).unwrap().deploy.spec.layers.len(), 1);
    assert_eq!(world.catalog.layer(&layer).unwrap().versions.keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(world.code_folders(), 3);
}

#[tokio::test]
async fn one_data_directory_has_one_host() {
    let world = World::new().await;
    let settings = Settings {
        data_dir: world.folder.path().join("data"),
        wall_clock: || jiff::Timestamp::UNIX_EPOCH,
        function_env: BTreeMap::new(),
    };
    let error = Catalog::open(settings).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::InUse(_))), "{error}");
}

#[tokio::test]
async fn code_and_layers_that_are_too_large_together_are_refused() {
    let world = World::easy().await;
    let package = world.catalog.add_package(zip_of(&[("f.py", b"1")])).await.unwrap();
    let large = PackageRef { unpacked_size: 262_144_001, ..package.reference() };
    let new = NewFunction {
        key: key("f"),
        config: config(large),
        tags: BTreeMap::new(),
        settings: FunctionSettings::default(),
        publish: false,
        packages: vec![package],
    };
    let refused = world.catalog.create_function(new).await;
    assert!(matches!(refused, Err(ChangeError::TooLarge(262_144_001))));
    assert_eq!(world.code_folders(), 0);
}
