//! What the user can say about this backend, and what it is told by the environment of the host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use hearth_containers::emulator::{self, Emulator};
use serde::{Deserialize, Serialize};

/// Section `[backends.k8s]` of the host's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A kubeconfig. Without it, `KUBECONFIG`, the pod's own `ServiceAccount` and `~/.kube/config` are tried, in this
    /// order.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; its current one unless named.
    pub context: Option<String>,
    /// Where pods are made; the context's or the `ServiceAccount`'s own unless named.
    pub namespace: Option<String>,

    /// Where the images of the runtimes are: `python3.13` is `<image_prefix>/python:3.13`.
    pub image_prefix: String,
    /// Images by runtime: `"python3.13" = "registry.example/python:3.13"`. They go before those with the prefix.
    pub images: BTreeMap<String, String>,
    /// When nodes pull images.
    pub pull: Pull,

    /// What stands in front of an image's bootstrap. The tag `hearth.emulator` of a function goes before it.
    pub emulator: Emulator,
    /// Hearth's emulator, a static binary. Without it, `rie-x86_64` or `rie-arm64` is looked for beside the plugin and
    /// beside hearth.
    pub rie: Option<PathBuf>,
    /// The image of the init container, which fetches the code. It needs `sh`, `wget`, `tar` and `sha256sum`, as
    /// busybox has them, or starts `rie fetch` by itself, as Hearth's own does.
    pub init_image: String,
    /// Whether the init container is told by a shell script what to do.
    pub init_shell: bool,
    /// Where images have Hearth's emulator in them, `/usr/local/bin/rie`. It then fetches the code by itself, without an
    /// init container. The tag `hearth.k8s.rie-in-image` of a function says the same for its image.
    pub rie_in_image: Option<String>,

    /// Where code is served to pods, `address:port`. Any free port at the host's own address unless set.
    pub code_listen: Option<String>,
    /// How pods reach that, `http://address:port`, if not by the same address.
    pub code_url: Option<String>,
    /// How the host reaches a pod.
    pub reach: Reach,

    /// How many seconds a pod may wait for a node that has room for it.
    pub unschedulable_seconds: u64,
    /// How many seconds a pod may take from its node until its containers run: pulling images is most of it.
    pub start_seconds: u64,

    /// What `/tmp` is.
    pub tmp: Tmp,
    /// How a function's memory decides its part of the processors.
    pub cpu: Cpu,
    /// Memory, in MiB, that a container may use beyond the function's: for the emulator.
    pub memory_overhead_mb: u32,
    /// Whom functions run as, `uid:gid`; whom the image says if empty.
    pub user: String,
    /// Whether a function can write nowhere but to `/tmp`, as on Lambda.
    pub read_only_root: bool,
    /// Whether a function is stopped while it has nothing to do, as on Lambda.
    pub freeze: bool,
    /// Environment variables that every function gets, unless it sets them itself.
    pub environment: BTreeMap<String, String>,

    /// Labels that a pod's node must have. This and what follows can be said by tags of a function as well.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that pods put up with, as kubectl writes taints: `key=value:NoSchedule`, `key:NoExecute`, `key`.
    pub tolerations: Vec<String>,
    /// Annotations of pods.
    pub annotations: BTreeMap<String, String>,
    /// The `ServiceAccount` of pods. Functions get no token of it.
    pub service_account: Option<String>,
    /// Secrets with credentials for registries.
    pub pull_secrets: Vec<String>,
    /// The `PriorityClass` of pods.
    pub priority_class: Option<String>,
    /// The `RuntimeClass` of pods.
    pub runtime_class: Option<String>,
}

/// When nodes pull images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// When they do not have them.
    Missing,
    /// For each pod: what a tag means is asked anew.
    Always,
    /// Never: the nodes must have them.
    Never,
}

/// How the host reaches a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// At its own address if that can be reached, and through the API server otherwise.
    Auto,
    /// At its own address.
    PodIp,
    /// Through the API server, as `kubectl port-forward` does.
    PortForward,
}

/// What `/tmp` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tmp {
    /// A part of the node's disk, as large as the function's ephemeral storage. A pod that writes more is evicted.
    Disk,
    /// Memory, as large as the function's ephemeral storage: it is full when it is full. The container's limit is
    /// raised by as much.
    Memory,
}

/// How a function's memory decides its part of the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cpu {
    /// In proportion to it, where functions compete; what nobody else wants can be had.
    Shares,
    /// No more than on Lambda, where 1769 MB are one processor.
    Quota,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            image_prefix: "public.ecr.aws/lambda".to_owned(),
            images: BTreeMap::new(),
            pull: Pull::Missing,
            emulator: Emulator::Hearth,
            rie: None,
            init_image: "busybox:1.37".to_owned(),
            init_shell: true,
            rie_in_image: None,
            code_listen: None,
            code_url: None,
            reach: Reach::Auto,
            unschedulable_seconds: 30,
            start_seconds: 300,
            tmp: Tmp::Disk,
            cpu: Cpu::Shares,
            memory_overhead_mb: 32,
            // As on Lambda, where this user is called sbx_user1051.
            user: "993:990".to_owned(),
            read_only_root: false,
            freeze: true,
            environment: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            annotations: BTreeMap::new(),
            service_account: None,
            pull_secrets: Vec::new(),
            priority_class: None,
            runtime_class: None,
        }
    }
}

/// What the environment of the host says, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// Whether `KUBECONFIG` is set.
    pub(crate) has_kubeconfig: bool,
    /// `KUBERNETES_SERVICE_HOST`: the host is in a pod.
    pub(crate) is_in_cluster: bool,
    /// `POD_NAME`, `POD_UID` and `POD_NAMESPACE`, which the host's own pod is told by its manifest.
    pub(crate) own_pod: Option<OwnPod>,
    /// `POD_IP`, likewise.
    pub(crate) pod_ip: Option<IpAddr>,
    /// Folders with the programs of Hearth: of this plugin, of the host, of installations.
    pub(crate) programs: Vec<PathBuf>,
}

/// The pod that the host itself runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnPod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) namespace: String,
}

impl Places {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
    pub(crate) fn of_host() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let own_pod = || {
            let [name, uid, namespace] = ["POD_NAME", "POD_UID", "POD_NAMESPACE"].map(text);
            Some(OwnPod { name: name?, uid: uid?, namespace: namespace? })
        };
        Self {
            has_kubeconfig: text("KUBECONFIG").is_some(),
            is_in_cluster: text("KUBERNETES_SERVICE_HOST").is_some(),
            own_pod: own_pod(),
            pod_ip: text("POD_IP").and_then(|address| address.parse().ok()),
            programs: emulator::programs("libhearth_backend_k8s.so"),
        }
    }
}
