//! Functions as pods of a Kubernetes cluster.
//!
//! Each instance is one pod, in which Hearth's emulator of the Runtime API stands in front of the image's own bootstrap
//! and takes invocations over HTTP. An init container fetches the code from the host. What the cluster does is heard of
//! through one watch over all pods.
#![forbid(unsafe_code)]

mod backend;
mod config;

mod cluster;
mod failure;

mod address;
mod delivery;

mod labels;
mod placement;
mod pod;

mod instances;
mod launch;
mod logs;
mod outlook;
mod route;
mod watch;

pub use backend::KubernetesBackend;
pub use config::Config;

hearth_core::export_backend!(KubernetesBackend, "k8s");
