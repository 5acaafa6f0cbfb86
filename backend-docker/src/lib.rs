//! Functions as containers of any engine that has Docker's API: Docker, Podman, …
//!
//! Each instance is one container, in which Hearth's emulator of the Runtime API stands in front of the image's own
//! bootstrap and takes invocations over HTTP. The code is mounted, not copied. What the engine does is heard of
//! through its stream of events.
#![forbid(unsafe_code)]

mod backend;
mod config;

mod engine;
mod failure;

mod credentials;
mod images;
mod reference;

mod delivery;
mod volume;

mod container;
mod network;
mod users;

mod instances;
mod labels;
mod logs;
mod watch;

pub use backend::DockerBackend;
pub use config::Config;

hearth_core::export_backend!(DockerBackend, "docker");
