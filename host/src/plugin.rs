//! Finding and loading backends.
//!
//! A file is looked at from outside first: whether it may be trusted, whether it is whole, and what
//! its descriptor says. Only then is it opened, and its types are compared with this host's before any of its
//! functions is called. Whatever is wrong with it is one line for the user; a file that is unfit leaves the host
//! as it was. A library is never unloaded: its threads may still be running.

mod error;
mod isolated;
mod last_words;
mod list;
mod open;
mod search;
mod vet;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth_core::foreign::{Descriptor, ForeignBackend};
use hearth_core::{Backend, BackendInfo, HostInfo, HostSink};
use serde::{Deserialize, Serialize};

pub use self::error::{LoadError, Problem};
pub use self::isolated::{Program, hold};
pub use self::list::{Found, list};
pub use self::search::{SearchError, SearchPath, search};

/// How a backend is to be loaded.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct LoadOptions {
    /// The backend's section of the configuration, as JSON; empty for its defaults.
    pub config_json: String,
    /// What the backend is told about this host.
    pub host_info: HostInfo,
    /// Which of the backend's log records are wanted: directives as in `RUST_LOG`. They come out of this
    /// program's `tracing` subscriber with the target `backend`, whose own filter should let all of them pass
    /// (`backend=trace`).
    pub log_filter: String,
    /// SHA-256 that the file must have, in hexadecimal.
    pub sha256: Option<String>,
    /// The program that is to hold the backend in a process of its own; nothing: it runs in this one.
    #[serde(skip)]
    pub isolate: Option<Program>,
}

/// A backend that is ready to be used.
#[derive(Clone)]
pub struct Loaded {
    /// The backend itself.
    pub backend: Arc<dyn Backend>,
    /// What it says of itself.
    pub info: BackendInfo,
    /// What its file says of it.
    pub descriptor: Descriptor,
    /// The file.
    pub path: PathBuf,
}

/// Loads the backend in the file at `path` and creates it. `sink` is called from the backend's threads and must
/// not block. Reads the file on the calling thread; called once, at start.
pub async fn load(path: &Path, options: LoadOptions, sink: Arc<dyn HostSink>) -> Result<Loaded, LoadError> {
    let at = |problem| LoadError::new(path, problem);
    let descriptor = vet::vet(path, options.sha256.as_deref()).map_err(at)?;
    let backend: Arc<dyn Backend> = if let Some(program) = options.isolate.clone() {
        Arc::new(isolated::start(program, path, options, sink).await.map_err(at)?)
    } else {
        last_words::prepare(path);
        Arc::new(create(path, &descriptor, options, sink).await.map_err(at)?)
    };
    let info = backend.info();
    Ok(Loaded { backend, info, descriptor, path: path.to_owned() })
}

/// Creates the backend in this process.
async fn create(
    path: &Path,
    descriptor: &Descriptor,
    options: LoadOptions,
    sink: Arc<dyn HostSink>,
) -> Result<ForeignBackend, Problem> {
    let module = open::open(path, descriptor, &options.log_filter)?;
    let created = module.create(&options.config_json, options.host_info, sink).await;
    let backend = created.map_err(Problem::Create)?;
    tracing::info!(backend = %descriptor, path = %path.display(), "backend loaded");
    Ok(backend)
}

/// What the file at `path` says of itself. Runs none of its code, and does not say whether it fits this host.
pub fn describe(path: &Path) -> Result<Descriptor, LoadError> {
    vet::describe(path).map_err(|problem| LoadError::new(path, problem))
}

/// The default configuration of the backend in the file at `path`, as JSON.
pub async fn default_config(path: &Path) -> Result<String, LoadError> {
    let at = |problem| LoadError::new(path, problem);
    let descriptor = vet::vet(path, None).map_err(at)?;
    let module = open::open(path, &descriptor, "warn").map_err(at)?;
    module.default_config().await.map_err(|error| at(Problem::Create(error)))
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("info", &self.info).field("path", &self.path).finish_non_exhaustive()
    }
}
