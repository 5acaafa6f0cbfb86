//! The table of hosts that instances see: that of this machine, with the names that a sandbox has on Lambda. What
//! extensions listen on for telemetry is called so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const NAMES: &str = "127.0.0.1 sandbox.localdomain sandbox";

/// Where the table is.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join("hosts")
}

/// Writes it, and returns where.
pub(crate) fn write(state: &Path) -> io::Result<PathBuf> {
    let of_machine = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let path = path(state);
    fs::write(&path, format!("{}\n{NAMES}\n", of_machine.trim_end()))?;
    Ok(path)
}
