//! The backend interface of Hearth: everything that the author of a backend sees.
//!
//! A backend runs Lambda functions somewhere: as processes, in containers, on another machine. It is a library
//! that a Hearth host loads when it starts. One trait, [`Backend`], says what it can do; [`Plugin`] adds its
//! configuration and its constructor; [`export_backend!`] makes the library loadable. Nothing of it is unsafe,
//! and it need not be built by the compiler that built the host.
//!
//! # A whole backend
//!
//! This one starts nothing: it hands out an endpoint that is there already.
//!
//! ```
//! #![forbid(unsafe_code)]
//! use hearth_core::{Backend, BackendError, BackendInfo, CallContext, Capabilities, Host, Instance, LaunchSpec};
//! use hearth_core::{Meta, Plugin, Protocol, Result, async_trait, export_backend};
//!
//! #[derive(Default, hearth_core::serde::Serialize, hearth_core::serde::Deserialize)]
//! #[serde(crate = "hearth_core::serde", default, deny_unknown_fields)]
//! pub struct Config {
//!     endpoint: String,
//! }
//!
//! pub struct Fixed(Config);
//!
//! impl Plugin for Fixed {
//!     type Config = Config;
//!     async fn create(config: Config, _host: Host) -> Result<Self> {
//!         if config.endpoint.is_empty() {
//!             return Err(BackendError::config("set `endpoint` to the address of a running instance"));
//!         }
//!         Ok(Self(config))
//!     }
//! }
//!
//! #[async_trait]
//! impl Backend for Fixed {
//!     fn info(&self) -> BackendInfo {
//!         BackendInfo::new("fixed", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES)
//!     }
//!     async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
//!         let (handle, endpoint) = (spec.instance_id.clone(), self.0.endpoint.clone());
//!         Ok(Instance { handle, endpoint, protocol: Protocol::AWS_RIE, meta: Meta::new() })
//!     }
//!     async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! export_backend!(Fixed, "fixed");
//! # fn main() {}
//! ```
//!
//! Its `Cargo.toml` says
//!
//! ```toml
//! [lib]
//! name = "hearth_backend_fixed"
//! crate-type = ["cdylib"]
//! ```
//!
//! and `hearth --backend fixed` loads it from any of the folders that `hearth backends` names.
//!
//! # Where things are
//!
//! | what | where |
//! |---|---|
//! | the trait, the constructor, the host as a backend sees it | [`Backend`], [`Plugin`], [`Host`] |
//! | what a launch is given and answers | [`LaunchSpec`], [`Instance`] |
//! | what went wrong | [`BackendError`], [`ErrorKind`] |
//! | what is optional | [`Capabilities`] |
//! | loading a backend, for hosts | [`foreign`] |
//!
//! # What a backend can rely on
//!
//! - Its code runs on threads of its own, inside a tokio runtime with timers and, if it asks tokio for them,
//!   sockets and processes. It may block a thread without hurting the host.
//! - A panic becomes the error of one call. Calls made at the same time and after it go on.
//! - What it writes with `tracing` appears in the host's log, with its spans.
//! - A call whose caller has gone, or whose time is up, is dropped at its next `await`. Three are not:
//!   [`launch`](Backend::launch), [`terminate`](Backend::terminate) and [`shutdown`](Backend::shutdown) run to
//!   their end, and the instance of a launch that nobody waits for any more is terminated.
//!
//! The version of this crate is that of the binary interface: what is built with 1.x loads into every host of
//! 1.y.

#[doc(hidden)]
pub mod abi;
mod backend;
mod error;
#[doc(hidden)]
pub mod export;
pub mod foreign;
mod kinds;
mod types;

pub use self::backend::{Backend, Host, HostSink, LogStream, Plugin, Result};
pub use self::error::BackendError;
pub use self::kinds::{Capabilities, ErrorKind, EventKind, LogStreamKind, Protocol, State};
pub use self::types::{
    Artifact, BackendInfo, CallContext, Event, HostInfo, Image, Instance, InstanceStats, InstanceStatus,
    LaunchSpec, LogLine, Meta, Progress, ReapReport,
};
pub use async_trait::async_trait;
#[doc(no_inline)]
pub use futures_core::Stream;
#[doc(no_inline)]
pub use serde;
