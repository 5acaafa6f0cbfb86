//! What the user can say about this backend, and what it is told by the environment of the host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hearth_containers::emulator::{self, Emulator};
use serde::{Deserialize, Serialize};

/// Those on Lambda, but for that of processes, which belongs to the user that runs them.
const LIMITS: [(&str, i64, i64); 4] = [
    ("core", 10_737_418_240, 10_737_418_240),
    ("memlock", 65_536, 65_536),
    ("nofile", 1024, 1024),
    ("stack", 8_388_608, -1),
];

/// Section `[backends.docker]` of the host's configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the engine is: `unix:///path`, `tcp://host:port` or `ssh://user@host`. Without it, `DOCKER_HOST`, the docker
    /// CLI's current context and the usual sockets are tried, in this order.
    pub host: Option<String>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, if `host` is to be spoken to over TLS.
    pub cert_path: Option<PathBuf>,

    /// Where the images of the runtimes are: `python3.13` is `<image_prefix>/python:3.13`.
    pub image_prefix: String,
    /// Images by runtime: `"python3.13" = "registry.example/python:3.13"`. They go before those with the prefix.
    pub images: BTreeMap<String, String>,
    /// When images are pulled.
    pub pull: Pull,

    /// What stands in front of an image's bootstrap. The tag `hearth.emulator` of a function goes before it.
    pub emulator: Emulator,
    /// Hearth's emulator, a static binary. Without it, `rie-x86_64` or `rie-arm64` is looked for beside the plugin
    /// and beside hearth.
    pub rie: Option<PathBuf>,
    /// How code reaches a container.
    pub code: Code,

    /// `bridge`, `host`, or the name of a network that the engine has.
    pub network: String,
    /// How the host reaches a container.
    pub reach: Reach,
    /// The address at which ports are published, if they are. Without it, 127.0.0.1; on another machine all that it has,
    /// and they are reached at the one that the engine is.
    pub published_address: Option<String>,
    /// Added to `/etc/hosts`: `name:address`. `host.docker.internal` is there always.
    pub extra_hosts: Vec<String>,
    /// Servers for names; the engine's own if empty.
    pub dns: Vec<String>,

    /// What `/tmp` is.
    pub tmp: Tmp,
    /// How a function's memory decides its share of the processors.
    pub cpu: Cpu,
    /// Whom functions run as, `uid:gid`; whom the image says if empty. Without it, 993:990 as on Lambda, and with many
    /// containers further users of the same group, so that they do not share one limit of processes.
    pub user: Option<String>,
    /// Whether a function can write nowhere but to `/tmp`, as on Lambda.
    pub read_only_root: bool,
    /// Most processes and threads in a container.
    pub pids: i64,
    /// Whether a function is stopped while it has nothing to do, as on Lambda: by the emulator inside, at no cost of
    /// the engine's.
    pub freeze: bool,
    /// Soft and hard limits of a function's processes by name, `nofile`, …. `nproc` is 742 as on Lambda unless it is
    /// here, or `user` is set.
    pub ulimits: BTreeMap<String, (i64, i64)>,

    /// Environment variables that every function gets, unless it sets them itself.
    pub environment: BTreeMap<String, String>,
}

/// When images are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// When the engine does not have them.
    Missing,
    /// Whenever a function is deployed, and when hearth starts.
    Always,
    /// Never: the engine must have them.
    Never,
}

/// How code reaches a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// As a mounted folder if the engine sees this machine's files, and in a volume otherwise.
    Auto,
    /// As a mounted folder.
    Mount,
    /// In a volume, which is filled once.
    Volume,
}

/// How the host reaches a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Directly if this machine is in the container's network, and through a published port otherwise.
    Auto,
    /// At the container's own address.
    Direct,
    /// Through a published port.
    Published,
}

/// What `/tmp` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tmp {
    /// Memory, as large as the function's ephemeral storage. The container's limit is raised by as much, and the
    /// emulator holds the function's processes to the function's memory.
    Tmpfs,
    /// A part of the container's own files. Its size is not limited.
    Disk,
}

/// How a function's memory decides its share of the processors.
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
            host: None,
            cert_path: None,
            image_prefix: "public.ecr.aws/lambda".to_owned(),
            images: BTreeMap::new(),
            pull: Pull::Missing,
            emulator: Emulator::Hearth,
            rie: None,
            code: Code::Auto,
            network: "bridge".to_owned(),
            reach: Reach::Auto,
            published_address: None,
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            tmp: Tmp::Tmpfs,
            cpu: Cpu::Shares,
            user: None,
            read_only_root: false,
            pids: 1024,
            freeze: true,
            ulimits: LIMITS.map(|(name, soft, hard)| (name.to_owned(), (soft, hard))).into(),
            environment: BTreeMap::new(),
        }
    }
}

/// What the environment of the host says, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// `DOCKER_HOST`.
    pub(crate) docker_host: Option<String>,
    /// The folder with certificates for `docker_host`: `DOCKER_CERT_PATH`, or else that of the docker CLI's settings, if
    /// `DOCKER_TLS_VERIFY` asks for TLS.
    pub(crate) docker_cert_path: Option<PathBuf>,
    /// `DOCKER_CONTEXT`.
    pub(crate) docker_context: Option<String>,
    /// Where the docker CLI keeps its settings.
    pub(crate) docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where engines of a user have their sockets.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Folders with the programs of Hearth: of this plugin, of the host, of installations.
    pub(crate) programs: Vec<PathBuf>,
}

impl Places {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
    pub(crate) fn of_host() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let path = |name| text(name).map(PathBuf::from);
        let docker_config = path("DOCKER_CONFIG").or_else(|| Some(path("HOME")?.join(".docker")));
        let certificates = path("DOCKER_CERT_PATH").or_else(|| docker_config.clone());
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_cert_path: text("DOCKER_TLS_VERIFY").and(certificates),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config,
            runtime_dir: path("XDG_RUNTIME_DIR"),
            programs: emulator::programs("libhearth_backend_docker.so"),
        }
    }
}
