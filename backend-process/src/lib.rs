//! Functions as child processes of this machine: the backend that needs nothing installed but the function's
//! own interpreter.
//!
//! Each instance is a process group of its own behind an emulator of the Runtime API
//! ([`hearth_rie`]), which runs inside this library. What is `/var/task`, `/opt`, `/var/runtime` and `/tmp` on
//! Lambda are folders of this machine, which the environment names.
#![forbid(unsafe_code)]

mod backend;
mod config;

mod bootstrap;
mod interpreter;
mod program;
mod runtime;

mod guard;
mod hosts;
mod instance;
mod logs;
mod record;

pub use backend::ProcessBackend;
pub use config::Config;

hearth_core::export_backend!(ProcessBackend, "process");
