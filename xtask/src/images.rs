//! `cargo xtask images`: container images as AWS's are, from public packages alone.

use std::process::Command;

use hearth_tests::{Result, Stopwatch};

use crate::cargo;
use crate::engine::Engine;
use crate::python;
use crate::screen;

/// Makes the images, unless that was done before, and loads them into the engine.
pub(crate) fn run() -> Result<()> {
    load_into(&Engine::find_or_start()?)
}

pub(crate) fn load_into(engine: &Engine) -> Result<()> {
    let python = python::with_test_packages()?;
    screen::note("making container images");
    let making = Stopwatch::start();
    let mut images = Command::new(python);
    images.arg("tests/images/images.py").arg(cargo::target_dir()?.join("images")).current_dir(cargo::root());
    engine.offer(&mut images);
    // Figures alone go to standard output.
    cargo::run(images.stdout(std::io::stderr()))?;
    screen::note(format_args!("loaded after {}", screen::time(making.elapsed())));
    Ok(())
}
