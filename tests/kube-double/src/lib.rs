//! A Kubernetes API and a node for tests: what a real cluster was recorded to do, with real processes as pods. The
//! [README](../README.md) says what there is.
//!
//! The **store** is pure, and so is what stands around it: admission, deletion, access. **`cluster`** puts it behind one
//! lock. The API, the scheduler, the controllers and the kubelet all act on it and wait for it to change.

mod access;
mod admission;
mod api;
mod clock;
mod cluster;
mod controllers;
mod deletion;
mod events;
mod failure;
mod faults;
mod kubelet;
mod patch;
mod proxy;
mod resource;
mod runtime;
mod scheduler;
mod selector;
mod server;
mod store;
mod tls;

mod double;

pub use self::double::{Double, Settings};
pub use self::runtime::run as run_step_of_runtime;
