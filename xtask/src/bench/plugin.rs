//! `cargo xtask bench plugin`: what it costs that a backend is a plugin.

use hearth_tests::{Explain, Result};

use super::bars::{self, Bar};
use crate::cargo::{self, cargo};

/// Every figure, with its bar.
const BARS: [(&str, Bar); 4] = [
    ("load_ms", Bar::AtMost(10.0)),
    ("call_direct_ns", Bar::None),
    ("call_plugin_ns", Bar::None),
    ("call_overhead_us", Bar::AtMost(100.0)),
];

pub(super) fn run(json: bool) -> Result<()> {
    cargo::run(&mut cargo(["build", "--release", "--package", "hearth-backend-mock"]))?;
    let file = cargo::target_dir()?.join("release/libhearth_backend_mock.so");
    let file = file.to_str().explain("the target folder's name is no text")?;
    let figures = bars::example("hearth-tests", "plugin_cost", &[file])?;
    if json { bars::print_json(figures) } else { bars::print_table(&figures, &BARS) }
}
