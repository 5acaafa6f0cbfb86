//! The container runtime: hidden subcommands of the binary, each of which is one step on the way from the kubelet to the
//! process of a container.
//!
//! ```text
//! kubelet ─► pause                 holds the network namespace of a pod
//!        └─► shim ─► init ═► the container's process
//! ```
//!
//! The **shim** enters the pod's network namespace, makes namespaces for mounts, process numbers, IPC and names, starts
//! **init** in them and tells the kubelet, over its standard input, what becomes of it. **init** mounts the root of the
//! container, becomes the user that it shall be and turns into the container's process, which is number 1 in there.

mod exec;
mod init;
mod pause;
mod shim;
mod spec;

use std::io;

pub(crate) use self::spec::{Command, Limits, Mount, Order, Report, Root, Spec};

/// The subcommands.
pub(crate) const PAUSE: &str = "pause";
pub(crate) const SHIM: &str = "shim";
pub(crate) const EXEC: &str = "exec";
const INIT: &str = "init";

/// Runs a subcommand, if `arguments` (without the program) name one: the exit code of it.
///
/// A test or a program that starts a double in its own process must call this first thing, before it has threads.
pub fn run(arguments: &[String]) -> Option<i32> {
    let (subcommand, rest) = arguments.split_first()?;
    let result = match subcommand.as_str() {
        PAUSE => pause::run(rest),
        SHIM => shim::run(),
        INIT => init::run(rest),
        EXEC => exec::run(rest),
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        report(subcommand, &error);
        1
    }))
}

#[expect(clippy::print_stderr, reason = "a step of the runtime has nowhere else to say it")]
fn report(subcommand: &str, error: &io::Error) {
    eprintln!("kube-double {subcommand}: {error}");
}
