//! Puts the parts together and runs them: the only module that knows all of them.

use std::sync::Arc;
use std::time::Duration;

use hearth_core::{Backend, CallContext, HostInfo, Meta};
use hearth_pool::MemoryMib;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::api::access::Access;
use crate::api::{self, ApiState, Front, admin};
use crate::aws::{self, Aws};
use crate::catalog::{self, Catalog, Deployer};
use crate::clock::Clock;
use crate::config::HostConfig;
use crate::data_dir::{DataDir, DataDirError};
use crate::destinations::Destinations;
use crate::driver::{self, Driver, EventSink, ShutDown};
use crate::event_queue::{self, EventQueue};
use crate::event_sources;
use crate::function_logs::{CloudWatch, FunctionLogs};
use crate::invoke::Invoker;
use crate::metrics::Metrics;
use crate::plugin::{self, LoadOptions, Program, SearchPath};
use crate::server::Server;

/// How often the backend is asked to remove what an earlier run left behind.
const REAP_EVERY: Duration = Duration::from_secs(60);
/// How long instances may take to go once nothing runs in them any more.
const TERMINATE_LIMIT: Duration = Duration::from_secs(5);
/// How long the last lines of functions' logs may take to be written.
const LOGS_LIMIT: Duration = Duration::from_secs(2);
/// How often old logs are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How long the last answers may take to reach their clients.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Why the host does not start. Each is one line for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}; choose another with --listen HOST:PORT (port 0 picks a free one)"
    )]
    Listen {
        /// As configured.
        address: String,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The address can be reached from elsewhere, and anybody may invoke.
    #[error(
        "{0} can be reached from other machines, and whoever reaches it may run code here; listen on 127.0.0.1, say \
         with --credentials FILE whose requests to serve, or say --allow-anonymous if that is what you want"
    )]
    Exposed(std::net::SocketAddr),
    /// Other services cannot be called over HTTPS.
    #[error(transparent)]
    Tls(#[from] aws::TlsError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The backend cannot be found.
    #[error(transparent)]
    Search(#[from] plugin::SearchError),
    /// The backend cannot be loaded.
    #[error(transparent)]
    Load(#[from] plugin::LoadError),
    /// What is deployed cannot be read.
    #[error(transparent)]
    Catalog(#[from] catalog::OpenError),
    /// Accepted events cannot be read.
    #[error(transparent)]
    Events(#[from] event_queue::StoreError),
    /// There can be no pool, or no recording of it.
    #[error(transparent)]
    Driver(#[from] driver::StartError),
    /// A function that is deployed could never be run.
    #[error(
        "pool.memory_budget_mb: {budget} is less than one instance of {function}:{version}, which has {memory}; raise it, \
         or start once without it and make the function smaller"
    )]
    TooLarge {
        /// As configured.
        budget: u64,
        /// Its ARN.
        function: Arc<str>,
        /// `$LATEST` or a number.
        version: Arc<str>,
        /// In MiB.
        memory: u32,
    },
    /// The system does not let the host hear of signals.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

impl StartError {
    fn listen(config: &HostConfig, error: std::io::Error) -> Self {
        Self::Listen { address: config.listen.clone(), error }
    }
}

/// Serves until SIGTERM or SIGINT, then ends everything that it began. A second signal cuts the grace short. `program`
/// holds the backend if that is to have a process of its own.
pub async fn serve(
    config: HostConfig,
    search: SearchPath,
    log_filter: String,
    program: Program,
) -> Result<ShutDown, StartError> {
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let aws = Aws::new(config.aws.clone())?;
    let server = listen(&config).await?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let clock = Clock::start();
    let metrics = Arc::new(Metrics::new());

    let sink = Arc::new(EventSink::default());
    let program = config.isolate_backend.then_some(program);
    let options = LoadOptions { log_filter, isolate: program, ..load_options(&config, &data_dir) };
    let loaded = load(&config, &data_dir, &search, options, Arc::clone(&sink)).await?;
    let logs = function_logs(&config, &data_dir, &aws);
    let settings = driver_settings(&config, logs.clone());
    let backend = Arc::clone(&loaded.backend);
    let driver = Driver::new(loaded.backend, loaded.info, settings, clock, Arc::clone(&metrics))?;
    sink.connect(&driver);
    reap(backend.as_ref()).await;

    let catalog = Catalog::open(catalog::Settings {
        data_dir: data_dir.path().to_owned(),
        wall_clock: Clock::wall,
        function_env: config.function_env.clone(),
    })
    .await?;
    let events = EventQueue::open(data_dir.path(), config.events.clone()).await?;
    let timer = tokio::spawn(driver.clone().run_timer());
    catalog.start(Arc::new(driver.clone()) as Arc<dyn Deployer>).await;
    check_budget(&config, &catalog)?;
    let reaper = tokio::spawn(reap_for_ever(Arc::clone(&backend)));
    let sweeper = tokio::spawn(sweep_for_ever(logs.clone().zip(config.keep_logs)));

    let invoker = Invoker::new(driver.clone(), clock, Arc::clone(&metrics), config.queue_timeout);
    let reader = event_sources::Reader::new(catalog.clone(), invoker.clone(), aws.clone());
    let sources = tokio::spawn(reader.run());
    let destinations = Destinations::new(aws.clone());
    let events_runner = tokio::spawn(events.clone().run(catalog.clone(), invoker.clone(), destinations));
    let settings = api_settings(&config, &server)?;
    let admin = admin::AdminState {
        catalog: catalog.clone(),
        driver: driver.clone(),
        metrics,
        clock,
        logs: logs.clone(),
        settings: settings.clone(),
    };
    let (catalog, driver) = (&catalog, &driver);
    let state = ApiState { catalog: catalog.clone(), driver: driver.clone(), invoker, events, aws, settings };
    let front = Front::new(admin::router(admin), Arc::new(state));

    announce(&server, driver);
    let connections = server.run(front, signals.next()).await;

    tracing::info!(grace = ?config.shutdown_grace, "stopping; a second signal ends the grace period");
    let report = driver.shut_down(config.shutdown_grace, TERMINATE_LIMIT, signals.next()).await;
    connections.close(FLUSH_LIMIT).await;
    if let Some(logs) = logs {
        logs.close(LOGS_LIMIT).await;
    }
    for task in [reaper, sweeper, timer, events_runner, sources] {
        task.abort();
    }
    catalog.close().await;
    if let Err(error) = backend.shutdown(&context()).await {
        tracing::warn!(%error, "the backend did not shut down cleanly");
    }
    driver.end_recording().await;
    Ok(report)
}

/// Keeps what functions write, unless nobody wants it.
fn function_logs(config: &HostConfig, data_dir: &DataDir, aws: &Aws) -> Option<FunctionLogs> {
    config.keep_logs?;
    let cloud_watch = aws.knows(aws::Service::Logs).then(|| CloudWatch::start(aws.clone()));
    Some(FunctionLogs::new(data_dir.path().join("logs"), cloud_watch))
}

fn driver_settings(config: &HostConfig, logs: Option<FunctionLogs>) -> driver::Settings {
    driver::Settings {
        pool: config.pool.clone(),
        terminate_grace: config.terminate_grace,
        pause_idle_after: config.pause_idle_after,
        record: config.record.clone(),
        logs,
        function_keys: config.access.functions(),
    }
}

fn api_settings(config: &HostConfig, server: &Server) -> Result<api::Settings, StartError> {
    Ok(api::Settings {
        account: config.account_id.clone(),
        region: config.region.clone(),
        access: config.access.clone(),
        account_concurrency: config.pool.account_concurrency,
        memory_budget_mb: config.pool.memory_budget.map(|budget| budget.0),
        port: server.local_addr().map_err(|error| StartError::listen(config, error))?.port(),
    })
}

async fn listen(config: &HostConfig) -> Result<Server, StartError> {
    let failed = |error| StartError::listen(config, error);
    let server = Server::bind(&config.listen).await.map_err(failed)?;
    let address = server.local_addr().map_err(failed)?;
    let is_guarded = matches!(config.access, Access::KeyHolders(_));
    if address.ip().is_loopback() || is_guarded || config.allow_anonymous {
        Ok(server)
    } else {
        Err(StartError::Exposed(address))
    }
}

/// The budget of an earlier run may have been larger.
fn check_budget(config: &HostConfig, catalog: &Catalog) -> Result<(), StartError> {
    let Some(MemoryMib(budget)) = config.pool.memory_budget else { return Ok(()) };
    let mut targets = catalog.targets();
    targets.sort_by_key(|target| target.function_id);
    match targets.into_iter().find(|target| budget < target.memory_mb.into()) {
        None => Ok(()),
        Some(target) => Err(StartError::TooLarge {
            budget,
            function: Arc::clone(&target.arn),
            version: Arc::clone(&target.version),
            memory: target.memory_mb,
        }),
    }
}

async fn load(
    config: &HostConfig,
    data_dir: &DataDir,
    search: &SearchPath,
    mut options: LoadOptions,
    sink: Arc<EventSink>,
) -> Result<plugin::Loaded, StartError> {
    let path = plugin::search(&config.backend, search)?;
    let state_dir = data_dir.backend_dir(&plugin::describe(&path)?.name)?;
    options.host_info.state_dir = state_dir.display().to_string();
    Ok(plugin::load(&path, options, sink).await?)
}

/// All but what depends on the backend that is found.
fn load_options(config: &HostConfig, data_dir: &DataDir) -> LoadOptions {
    let host_info = HostInfo {
        owner: data_dir.owner().to_owned(),
        epoch: Uuid::new_v4().simple().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..HostInfo::default()
    };
    LoadOptions {
        config_json: config.backend_config.clone(),
        host_info,
        sha256: config.backend_sha256.clone(),
        ..LoadOptions::default()
    }
}

fn context() -> CallContext {
    CallContext { request_id: String::new(), budget_ms: 0, meta: Meta::new() }
}

/// Removes what an earlier, killed run left behind.
async fn reap(backend: &dyn Backend) {
    match backend.reap(&context()).await {
        Ok(report) => {
            if !report.removed.is_empty() {
                tracing::info!(instances = report.removed.len(), "removed what an earlier run left behind");
            }
            for failure in report.failed {
                tracing::warn!(failure, "cannot remove what an earlier run left behind");
            }
        }
        Err(error) => tracing::warn!(%error, "cannot look for what an earlier run left behind"),
    }
}

async fn reap_for_ever(backend: Arc<dyn Backend>) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        reap(backend.as_ref()).await;
    }
}

/// Removes logs that nothing was written to for long.
async fn sweep_for_ever(logs: Option<(FunctionLogs, Duration)>) {
    let Some((logs, age)) = logs else { return };
    loop {
        let sweeping = logs.clone();
        // A sweep that panics leaves files behind, which the next one finds.
        let _swept = tokio::task::spawn_blocking(move || sweeping.sweep(age)).await;
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

#[expect(clippy::print_stdout, reason = "the one line that people and scripts wait for")]
fn announce(server: &Server, driver: &Driver) {
    let info = driver.backend_info();
    if let Ok(address) = server.local_addr() {
        println!(
            "hearth {} listening on http://{address} (backend {} {})",
            env!("CARGO_PKG_VERSION"),
            info.name,
            info.version
        );
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
