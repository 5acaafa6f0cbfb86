//! The one tokio runtime of this library. It is never shut down, as the library is never unloaded.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::{BackendError, Result};

/// Fewer threads would let one blocking call of the author stand in the way of everything else.
const MIN_THREADS: usize = 2;

/// The runtime, made at the first call.
pub(super) fn handle() -> Result<Handle> {
    static RUNTIME: OnceLock<Result<Runtime, BackendError>> = OnceLock::new();
    RUNTIME.get_or_init(start).as_ref().map(|runtime| runtime.handle().clone()).map_err(Clone::clone)
}

fn start() -> Result<Runtime> {
    let threads =
        std::thread::available_parallelism().map_or(MIN_THREADS, |cores| cores.get().max(MIN_THREADS));
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("hearth-backend")
        .enable_all()
        .build()
        .map_err(|error| BackendError::unavailable("the backend cannot start its threads").caused_by(&error))
}
