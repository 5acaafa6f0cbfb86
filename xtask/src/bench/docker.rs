//! `cargo xtask bench docker`: containers through hearth, against the engine itself.

use std::process::Command;

use hearth_tests::Result;

use crate::cargo;
use crate::emulators;
use crate::engine::Engine;
use crate::images;

pub(super) fn run(json: bool) -> Result<()> {
    let engine = Engine::find_or_start()?;
    let packages = ["hearth-host", "hearth-backend-docker", "hearth-tests"];
    let mut args = vec!["--release"];
    args.extend(packages.iter().flat_map(|package| ["--package", package]));
    let binaries = cargo::build(&args)?;
    emulators::put_beside(&binaries.plugins)?;
    images::load_into(&engine)?;
    let mut bench = Command::new(binaries.plugins.join("hearth-bench"));
    bench.arg("docker").arg(engine.socket()?).args(json.then_some("--json"));
    bench.env("HEARTH_BIN", &binaries.hearth).env("HEARTH_PLUGIN_PATH", &binaries.plugins);
    cargo::run(&mut bench)
}
