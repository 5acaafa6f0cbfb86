//! All of it together.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
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
    Habits, Images, Kubelet, Network, add_machine_address, gateway, open_firewall, remove_machine_address,
};
use crate::scheduler;
use crate::server::{self, Door};
use crate::tls::Identity;

const API_PORT: u16 = 6443;
/// For clients that insist, as those in pods do.
const TLS_PORT: u16 = 443;
/// Of a double's folder; its process number follows.
const PREFIX: &str = "kube-double-";
/// How long pods may take to go when the double ends: a process has two seconds after SIGTERM.
const END_LIMIT: Duration = Duration::from_secs(4);

/// What a double is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// An archive of images, as `docker save` writes it.
    pub images: Option<PathBuf>,
    /// Files that the machine's own image has in `/programs`.
    pub programs: Vec<PathBuf>,
    /// Each step of a pod's life is told so much later.
    pub kubelet_delay: Duration,
    /// The first pause before a container is started again or an image pulled again.
    pub back_off: Duration,
    /// How often the sizes of volumes are looked at.
    pub eviction: Duration,
    /// How long volumes take to follow a secret that changes.
    pub secrets: Duration,
    /// How long pods of a node without an object are left alone.
    pub orphans: Duration,
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
    _claim: UdpSocket,
    _folder: TempDir,
}

impl Double {
    /// Starts one on addresses of its own. Root is needed.
    pub async fn start(settings: &Settings) -> io::Result<Self> {
        sweep();
        let folder = TempDir::with_prefix(format!("{PREFIX}{}-", std::process::id()))?;
        let (claim, third) = claim().await?;
        open_firewall().await;
        let network = Network::new(third);
        let address = network.gateway();
        let listener = server::bind((address, API_PORT).into())?;
        let admin_listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (api_address, admin_address) = (listener.local_addr()?, admin_listener.local_addr()?);
        let token = uuid::Uuid::new_v4().simple().to_string();
        let capacity = Capacity {
            cpu: settings.node_cpu.clone(),
            memory: settings.node_memory.clone(),
            pods: settings.node_pods,
        };
        let identity = Identity::new(address)?;
        let cluster = Arc::new(Cluster::new(&token, &capacity, &address.to_string(), &identity.authority));
        let image_folder = folder.path().join("images");
        fs::create_dir(&image_folder)?;
        let images = Images::load(settings.images.as_deref(), &settings.programs, &image_folder)?;
        let habits = Habits {
            delay: settings.kubelet_delay,
            back_off: settings.back_off,
            eviction: settings.eviction,
            secrets: settings.secrets,
            api_port: TLS_PORT,
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
        let tls_listener = server::bind((address, TLS_PORT).into())?;
        let tls = Some(identity.acceptor);
        tasks.spawn(server::serve(tls_listener, tls, Arc::clone(&door), serve_api.clone()));
        tasks.spawn(server::serve(listener, None, door, serve_api));
        tasks.spawn(server::serve(admin_listener, None, Door::new(), serve_admin));
        tasks.spawn(forever(scheduler::run(Arc::clone(&cluster))));
        tasks.spawn(forever(controllers::collect_garbage(Arc::clone(&cluster))));
        tasks.spawn(forever(controllers::collect_orphans(Arc::clone(&cluster), settings.orphans)));
        tasks.spawn(forever(Arc::clone(&kubelet).run()));
        let (api, admin) = (api_address, admin_address);
        Ok(Self { api, admin, token, cluster, kubelet, _tasks: tasks, _claim: claim, _folder: folder })
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

/// The first range of addresses that no other double has. Whoever holds this socket owns it, also while its API is gone.
async fn claim() -> io::Result<(UdpSocket, u8)> {
    for third in 1..=254 {
        let address = gateway(third);
        add_machine_address(address).await?;
        match UdpSocket::bind((address, API_PORT)) {
            // Taken; or one that ends has just given the address back.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {}
            claimed => return Ok((claimed?, third)),
        }
    }
    Err(io::Error::other("254 doubles run on this machine already"))
}
