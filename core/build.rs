//! Records the compiler's version, so that every plugin's descriptor can name it.

use std::env;
use std::process::Command;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script in variables which compiler it uses"
)]
fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let version = version.trim().trim_start_matches("rustc ");
    println!("cargo::rustc-env=HEARTH_RUSTC_VERSION={version}");
    println!("cargo::rerun-if-changed=build.rs");
}
