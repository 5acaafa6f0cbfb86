//! All of it together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::{Admin, Api, delete_all_pods};
use crate::cluster::{Capacity, Cluster};
use crate::controllers;
use crate::kubelet::{
    Habits, Images, Kubelet, Network, add_machine_address, gateway, remove_machine_address,
};
use crate::scheduler;
use crate::server::{self, Door};

const API_PORT: u16 = 6443;
/// Of a double's folder; its process number follows.
const PREFIX: &str = "kube-double-";
/// How long pods may take to go when the double ends: a process has two seconds after SIGTERM.
const END_LIMIT: Duration = Duration::from_secs(4);

/// What a double is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// An archive of images, as `docker save` writes it.
    pub images: Option<PathBuf>,
    /// Each step of a pod's life is told so much later.
    pub kubelet_delay: Duration,
    /// The first pause before a container is started again or an image pulled again.
    pub back_off: Duration,
    /// How often the sizes of volumes are looked at.
    pub eviction: Duration,
    /// How long volumes take to follow a secret that changes.
    pub secrets: Duration,
    /// What the node has: quantities, and a number of pods.
    pub node_cpu: String,
    /// As `node_cpu`.
    pub node_memory: String,
    /// The most pods that the node takes.
    pub node_pods: u32,
}

/// A running double.
#[derive(Debug)]
pub struct Double {
    api: SocketAddr,
    admin: SocketAddr,
    token: String,
    cluster: Arc<Cluster>,
    kubelet: Arc<Kubelet>,
    _tasks: JoinSet<io::Result<()>>,
    _folder: TempDir,
}

impl Double {
    /// Starts one on addresses of its own. Root is needed.
    pub async fn start(settings: &Settings) -> io::Result<Self> {
        sweep();
        let folder = TempDir::with_prefix(format!("{PREFIX}{}-", std::process::id()))?;
        let (listener, third) = listen().await?;
        let admin_listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (api_address, admin_address) = (listener.local_addr()?, admin_listener.local_addr()?);
        let token = uuid::Uuid::new_v4().simple().to_string();
        let capacity = Capacity {
            cpu: settings.node_cpu.clone(),
            memory: settings.node_memory.clone(),
            pods: settings.node_pods,
        };
        let network = Network::new(third);
        let cluster = Arc::new(Cluster::new(&token, &capacity, &network.gateway().to_string()));
        let image_folder = folder.path().join("images");
        fs::create_dir(&image_folder)?;
        let images = Images::load(settings.images.as_deref(), &image_folder)?;
        let habits = Habits {
            delay: settings.kubelet_delay,
            back_off: settings.back_off,
            eviction: settings.eviction,
            secrets: settings.secrets,
            api_port: API_PORT,
        };
        let kubelet = Kubelet::new(Arc::clone(&cluster), habits, images, network, folder.path().to_owned());
        let door = Door::new();
        let api =
            Api { cluster: Arc::clone(&cluster), kubelet: Arc::clone(&kubelet), door: Arc::clone(&door) };
        let admin =
            Admin { cluster: Arc::clone(&cluster), kubelet: Arc::clone(&kubelet), door: Arc::clone(&door) };
        let mut tasks = JoinSet::new();
        let serve_api = move |request| {
            let api = api.clone();
            async move { api.serve(request).await }
        };
        let serve_admin = move |request| {
            let admin = admin.clone();
            async move { admin.serve(request).await }
        };
        tasks.spawn(server::serve(listener, door, serve_api));
        tasks.spawn(server::serve(admin_listener, Door::new(), serve_admin));
        tasks.spawn(forever(scheduler::run(Arc::clone(&cluster))));
        tasks.spawn(forever(controllers::collect_garbage(Arc::clone(&cluster))));
        tasks.spawn(forever(controllers::collect_orphans(Arc::clone(&cluster))));
        tasks.spawn(forever(Arc::clone(&kubelet).run()));
        let (api, admin) = (api_address, admin_address);
        Ok(Self { api, admin, token, cluster, kubelet, _tasks: tasks, _folder: folder })
    }

    /// Where the API is. Pods reach it there as well.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where faults are asked for and calls are counted.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Writes what clients need to reach the API as its administrator.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": format!("http://{}", self.api)}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "double", "context": {
                "cluster": "double", "user": "admin", "namespace": "default",
            }}],
        });
        // JSON is YAML as well.
        fs::write(path, format!("{config:#}\n"))
    }

    /// Ends all pods and takes the address back.
    pub async fn stop(self) {
        delete_all_pods(&self.cluster);
        self.kubelet.die();
        // What has not gone by then is killed with the double.
        let _ = tokio::time::timeout(END_LIMIT, self.kubelet.is_idle()).await;
        if let std::net::IpAddr::V4(address) = self.api.ip() {
            // The next double on this machine does not mind it.
            drop(remove_machine_address(address).await);
        }
    }
}

/// Takes away the folders of doubles that were killed.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let double = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if double.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another double may be about the same.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

async fn forever(task: impl Future<Output = ()>) -> io::Result<()> {
    task.await;
    Ok(())
}

/// The first range of addresses that no other double has: whoever listens there owns it.
async fn listen() -> io::Result<(TcpListener, u8)> {
    for third in 1..=254 {
        let address = gateway(third);
        add_machine_address(address).await?;
        match server::bind((address, API_PORT).into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return Ok((bound?, third)),
        }
    }
    Err(io::Error::other("254 doubles run on this machine already"))
}
