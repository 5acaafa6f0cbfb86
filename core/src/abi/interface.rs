//! The tables of functions that a plugin and the host hand to each other.

#![expect(
    unsafe_code,
    non_local_definitions,
    unused_qualifications,
    clippy::expl_impl_clone_on_copy,
    clippy::used_underscore_binding,
    reason = "sabi_trait writes all of it"
)]

use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, ROption, RResult, RString, RVec, Tuple2};
use abi_stable::{StableAbi, sabi_trait};
use async_ffi::FfiFuture;

use crate::error::AbiBackendError;
use crate::types::{
    AbiBackendInfo, AbiCallContext, AbiEvent, AbiHostInfo, AbiInstance, AbiInstanceStats, AbiInstanceStatus,
    AbiLaunchSpec, AbiLogLine, AbiProgress, AbiReapReport,
};

/// A call in flight. It only waits: the work is done on the plugin's own threads. Dropping it cancels the call,
/// where cancelling is right.
pub type AbiFuture<T> = FfiFuture<RResult<T, AbiBackendError>>;

/// One record of a plugin's log.
#[repr(C)]
#[derive(Clone, Debug, StableAbi)]
pub struct TraceRecord {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// Module of the plugin that wrote it.
    pub target: RString,
    /// The message.
    pub message: RString,
    /// Its fields, rendered.
    pub fields: RVec<Tuple2<RString, RString>>,
    /// The spans around it, outermost first: `name{field=value …}`.
    pub spans: RVec<RString>,
}

/// Implemented by the host: where the log of a whole library goes. Called from any thread; must not block.
#[sabi_trait]
pub trait LogSink: Send + Sync + 'static {
    /// Takes one record.
    #[sabi(last_prefix_field)]
    fn record(&self, record: TraceRecord);
}

/// The host's log sink in a plugin's hands.
pub type LogSinkObject = LogSink_TO<RBox<()>>;

/// Implemented by the host, one for each backend. Called from any thread; must not block.
#[sabi_trait]
pub trait HostApi: Send + Sync + 'static {
    /// Something happened to an instance.
    fn event(&self, event: AbiEvent);

    /// A preparation has come this far.
    #[sabi(last_prefix_field)]
    fn progress(&self, progress: AbiProgress);
}

/// The host in a backend's hands.
pub type HostObject = HostApi_TO<RBox<()>>;

/// Implemented by the plugin: the lines of one instance, pulled by the host. Dropping it cancels.
#[sabi_trait]
pub trait LogSource: Send + 'static {
    /// The next lines, at least one; `None` once the log has ended. One call at a time.
    #[sabi(last_prefix_field)]
    fn next_lines(&mut self) -> FfiFuture<ROption<RVec<AbiLogLine>>>;
}

/// A log in the host's hands.
pub type LogObject = LogSource_TO<RBox<()>>;

/// Implemented by the plugin, one for each backend. The methods are those of [`Backend`](crate::Backend); none
/// of them runs the author's code on the caller's thread.
#[sabi_trait]
pub trait BackendApi: Send + Sync + 'static {
    fn info(&self) -> AbiBackendInfo;
    fn prepare(&self, cx: AbiCallContext, spec: AbiLaunchSpec) -> AbiFuture<()>;
    fn launch(&self, cx: AbiCallContext, spec: AbiLaunchSpec) -> AbiFuture<AbiInstance>;
    fn terminate(&self, cx: AbiCallContext, handle: RString, grace_ms: u64) -> AbiFuture<()>;
    fn inspect(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<AbiInstanceStatus>;
    fn list(&self, cx: AbiCallContext) -> AbiFuture<RVec<AbiInstanceStatus>>;
    fn reap(&self, cx: AbiCallContext) -> AbiFuture<AbiReapReport>;
    fn logs(&self, cx: AbiCallContext, handle: RString, since_ms: u64) -> AbiFuture<LogObject>;
    fn stats(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<AbiInstanceStats>;
    fn pause(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<()>;
    fn resume(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<()>;
    #[sabi(last_prefix_field)]
    fn shutdown(&self, cx: AbiCallContext) -> AbiFuture<()>;
    // Interface 1.1 and later append here, each method with a default body.
}

/// A backend in the host's hands.
pub type BackendObject = BackendApi_TO<RBox<()>>;

/// The root of a plugin.
#[expect(missing_debug_implementations, reason = "a table of functions")]
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ModuleRef)))]
pub struct Module {
    /// Called first, once for each load: where the library's log goes, and which of its records are wanted
    /// (directives as in `RUST_LOG`). Only the first call for a library counts.
    pub init: extern "C" fn(sink: LogSinkObject, filter: RString),
    /// Makes a backend. `config` is JSON; empty means the defaults.
    pub create:
        extern "C" fn(config: RString, info: AbiHostInfo, host: HostObject) -> AbiFuture<BackendObject>,
    /// The default configuration as JSON, for people to start from.
    #[sabi(last_prefix_field)]
    pub default_config: extern "C" fn() -> AbiFuture<RString>,
}

impl RootModule for ModuleRef {
    abi_stable::declare_root_module_statics! {ModuleRef}

    const BASE_NAME: &'static str = "hearth_backend";
    const NAME: &'static str = "hearth_backend";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}
