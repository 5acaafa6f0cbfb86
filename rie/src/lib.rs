//! The runtime interface emulator: AWS's Lambda Runtime API around one function process, and an endpoint in
//! front of it that takes invocations (docs/instance-protocol.md).
//!
//! ```text
//! host ─HTTP─► protocol ──► sandbox ◄── runtime_api ◄─HTTP─ the function's runtime
//!                             ▲                                     │
//!                             └────────── supervisor ── process ◄───┘ stdout, stderr, exit
//! ```
//!
//! The `sandbox` decides and never acts; the other three tell it what happened.

mod config;
mod identity;
mod init;
mod instance;
mod log;

mod emulator;
mod exit;
mod extensions;
mod freezer;
mod invocation;
mod outcome;
mod payload;
mod platform;
mod sandbox;

mod extension_api;
mod protocol;
mod runtime_api;
mod server;
mod socket;
mod stream;
mod telemetry;
mod telemetry_api;

mod clock;
mod memory;
mod output;
mod process;
mod supervisor;

pub use config::{
    Admission, Confinement, Defaults, Function, InstanceConfig, LogFormat, Program, StreamRules,
    SystemLogLevel,
};
pub use exit::Exit;
pub use init::{Init, InitOutcome};
pub use instance::Instance;
pub use log::{Line, NoObserver, Observer, Origin};
pub use process::private_mounts_work;
pub use process::usage::Usage;
