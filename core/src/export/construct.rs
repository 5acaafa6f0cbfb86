//! What a plugin exports, and how a backend comes to be.

use abi_stable::library::{__call_root_module_loader, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait as _;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RString;

use super::adapter::Adapter;
use super::{log, task};
use crate::abi::{
    AbiFuture, BackendApi_TO, BackendObject, HostObject, LogSinkObject, Module, ModuleRef, RawDescriptor,
    RootHeader, Wire, root_header,
};
use crate::types::AbiHostInfo;
use crate::{BackendError, Event, Host, HostInfo, HostSink, Plugin, Progress, Result};

/// The descriptor of a plugin.
pub const fn descriptor<P: Plugin>(name: &str, version: &str) -> RawDescriptor {
    RawDescriptor::new(name, version, P::CAPABILITIES)
}

/// The root of a plugin.
pub const fn root<P: Plugin>() -> RootHeader {
    root_header(construct::<P>)
}

extern "C" fn construct<P: Plugin>() -> RootModuleResult {
    __call_root_module_loader(module::<P>)
}

fn module<P: Plugin>() -> ModuleRef {
    Module { init, create: create::<P>, default_config: default_config::<P> }.leak_into_prefix()
}

extern "C" fn init(sink: LogSinkObject, filter: RString) {
    log::forward_to(sink, &filter);
}

extern "C" fn create<P: Plugin>(
    config: RString,
    info: AbiHostInfo,
    host: HostObject,
) -> AbiFuture<BackendObject> {
    let info = HostInfo::from_abi(info);
    task::answer(0, "create", async move {
        let config = parse_config::<P>(&config)?;
        let backend = P::create(config, Host::new(info, RemoteHost(host))).await?;
        let announced = backend.info();
        let undeclared = announced.capabilities.without(P::CAPABILITIES);
        if undeclared.bits() != 0 {
            tracing::warn!(?undeclared, "announced, but missing in Plugin::CAPABILITIES");
        }
        Ok(Created(Adapter::new(backend, announced)))
    })
}

extern "C" fn default_config<P: Plugin>() -> AbiFuture<RString> {
    task::answer(0, "default_config", async {
        serde_json::to_string_pretty(&P::Config::default()).map_err(|error| {
            BackendError::internal("the default configuration is not JSON").caused_by(&error)
        })
    })
}

fn parse_config<P: Plugin>(config: &str) -> Result<P::Config> {
    if config.trim().is_empty() {
        return Ok(P::Config::default());
    }
    // By way of a value, so that the message does not speak of lines and columns: what the user wrote is not
    // this text.
    serde_json::from_str(config)
        .and_then(serde_json::from_value::<P::Config>)
        .map_err(|error| BackendError::config(format!("configuration: {error}")))
}

/// A backend on its way to the host.
struct Created<P: Plugin>(Adapter<P>);

impl<P: Plugin> task::Answer for Created<P> {
    type Abi = BackendObject;

    fn hand_over(self) -> BackendObject {
        BackendApi_TO::from_value(self.0, TD_Opaque)
    }
}

/// The host, reached through its table of functions.
struct RemoteHost(HostObject);

impl HostSink for RemoteHost {
    fn event(&self, event: Event) {
        self.0.event(event.into_abi());
    }

    fn progress(&self, progress: Progress) {
        self.0.progress(progress.into_abi());
    }
}
