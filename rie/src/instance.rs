//! An instance, as whoever runs it sees it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::InstanceConfig;
use crate::emulator::Emulator;
use crate::freezer;
use crate::identity::Identity;
use crate::init::Init;
use crate::log::Logs;
use crate::process::Group;
use crate::process::usage::Usage;
use crate::protocol;
use crate::runtime_api;
use crate::sandbox::Sandbox;
use crate::server::{self, Connections, Door, Spelling};
use crate::supervisor::Supervisor;

/// A running instance: an endpoint that takes invocations, and the function's process behind it. Dropping it
/// kills the process at once; [`shutdown`](Self::shutdown) is the polite way.
pub struct Instance {
    emulator: Arc<Emulator>,
    address: SocketAddr,
    doors: watch::Sender<Door>,
    _tasks: Vec<AbortOnDrop>,
    /// Ends when the supervisor does.
    alive: watch::Receiver<()>,
}

impl Instance {
    /// Begins to listen, and starts the process. An error says that one of the two addresses could not be
    /// listened on: whatever becomes of the process is the outcome of the init phase.
    pub async fn start(config: InstanceConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let runtime_api = TcpListener::bind(config.runtime_api).await?;
        let address = listener.local_addr()?;
        let emulator = Emulator::new(
            Identity::new(config.function, &config.program.environment),
            config.admission,
            config.defaults,
            runtime_api.local_addr()?,
            config.stream,
            Arc::new(Logs::new(config.observer, config.log_format)),
            Sandbox::new(config.slots, config.init_limit),
        );
        let emulator = Arc::new(emulator);
        let (doors, door) = watch::channel(Door::Open);
        let connections = Connections::new();
        let supervisor = Supervisor {
            emulator: emulator.clone(),
            program: config.program,
            memory_limit: config.memory_limit,
            extensions: config.extensions,
            connections: connections.clone(),
        };
        let (life, alive) = watch::channel(());
        let mut tasks = vec![
            AbortOnDrop::spawn(serve_runtime(emulator.clone(), runtime_api, connections, door.clone())),
            AbortOnDrop::spawn(serve_host(emulator.clone(), listener, door)),
            AbortOnDrop::spawn(async move {
                supervisor.run().await;
                drop(life);
            }),
        ];
        if config.freeze {
            tasks.push(AbortOnDrop::spawn(freezer::run(emulator.clone())));
        }
        Ok(Self { emulator, address, doors, _tasks: tasks, alive })
    }

    /// Where invocations are taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the function's process finds the Runtime API.
    pub fn runtime_api(&self) -> SocketAddr {
        self.emulator.runtime_api
    }

    /// Waits for the end of the init phase.
    pub async fn ready(&self) -> Init {
        self.emulator.init().await
    }

    /// Waits until the instance is over, which it is only after a [`shutdown`](Self::shutdown): a process
    /// that ends by itself is replaced.
    pub async fn ended(&self) {
        // The sender never sends: the channel's end is the news.
        let _ = self.alive.clone().changed().await;
    }

    /// Takes no more invocations, gives the one under way and then the process until `grace` has passed to
    /// end, and kills what is left. Returns when no process of the instance is left.
    pub async fn shutdown(&self, grace: Duration) {
        self.emulator.close(grace);
        self.ended().await;
        self.doors.send_replace(Door::Closed);
    }

    /// Number of the process that runs, or of the last one that did.
    pub fn process_id(&self) -> Option<i32> {
        self.emulator.probe().map(|probe| probe.group.id())
    }

    /// Numbers of all processes that the instance itself started and still waits for.
    pub fn own_processes(&self) -> Vec<i32> {
        self.emulator.groups().map(Group::id).collect()
    }

    /// What the process, the extensions and those that they started use.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.emulator.groups().collect::<Vec<_>>())
    }

    /// The most memory that the process was seen to use, in bytes.
    pub fn memory_peak(&self) -> u64 {
        self.emulator.probe().map_or(0, |probe| probe.meter.peak())
    }

    /// Stops the processes where they stand. An invocation that comes meanwhile waits, and its time runs.
    pub fn pause(&self) {
        self.emulator.pause();
    }

    /// Lets paused processes go on.
    pub fn resume(&self) {
        self.emulator.resume();
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn serve_runtime(
    emulator: Arc<Emulator>,
    listener: TcpListener,
    connections: Connections,
    door: watch::Receiver<Door>,
) {
    let service = |hold| {
        let generation = emulator.generation();
        let caller = runtime_api::Caller { emulator: emulator.clone(), generation, hold };
        service_fn(move |request| runtime_api::answer(caller.clone(), request))
    };
    server::serve(listener, connections, Spelling::TitleCase, door, service).await;
}

async fn serve_host(emulator: Arc<Emulator>, listener: TcpListener, door: watch::Receiver<Door>) {
    let service = |_hold| {
        let emulator = emulator.clone();
        service_fn(move |request| protocol::answer(emulator.clone(), request))
    };
    server::serve(listener, Connections::new(), Spelling::LowerCase, door, service).await;
}

/// A task that does not outlive the instance.
struct AbortOnDrop(JoinHandle<()>);

impl AbortOnDrop {
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
