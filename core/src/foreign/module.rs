//! A plugin's library, joined to this host.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use super::ForeignBackend;
use super::backend::answered;
use super::callbacks::{log_sink, remote_host};
use crate::abi::{Descriptor, LinkError, ModuleRef, Wire, root_module};
use crate::{HostInfo, HostSink, Result};

/// A plugin's library whose layout was checked. Cheap to copy; the library is never unloaded.
#[derive(Clone, Copy)]
pub struct ForeignModule {
    root: ModuleRef,
}

impl ForeignModule {
    /// Checks that the library means the same by every type as this host, and sends its log into this program's
    /// `tracing` subscriber: records have the target `backend`, and those that `log_filter` (directives as in
    /// `RUST_LOG`) does not let through stay over there. For a library that was joined before, the first filter
    /// remains.
    ///
    /// # Safety
    ///
    /// `symbol` must be the address of [`ROOT_SYMBOL`](super::ROOT_SYMBOL) in a library that is never unloaded,
    /// and `descriptor` that of its file.
    #[expect(unsafe_code, reason = "believes the loader about an address")]
    pub unsafe fn join(
        symbol: *const c_void,
        descriptor: &Descriptor,
        log_filter: &str,
    ) -> Result<Self, LinkError> {
        // SAFETY: the same conditions, which are the caller's to keep.
        let root = unsafe { root_module(symbol, descriptor.abi_minor) }?;
        root.init()(log_sink(), log_filter.into());
        Ok(Self { root })
    }

    /// Makes a backend. `config_json` is its section of the configuration; empty means its defaults. `sink` is
    /// called from the plugin's threads.
    pub async fn create(
        &self,
        config_json: &str,
        host: HostInfo,
        sink: Arc<dyn HostSink>,
    ) -> Result<ForeignBackend> {
        let created = self.root.create()(config_json.into(), host.into_abi(), remote_host(sink));
        answered(created).await.map(ForeignBackend::new)
    }

    /// The plugin's default configuration as JSON, for people to start from.
    pub async fn default_config(&self) -> Result<String> {
        answered(self.root.default_config()()).await.map(Wire::from_abi)
    }
}

impl fmt::Debug for ForeignModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignModule").finish_non_exhaustive()
    }
}
