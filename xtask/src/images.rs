//! `cargo xtask images`: container images as AWS's are, from public packages alone.

use std::path::{Path, PathBuf};
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
    let making = Stopwatch::start();
    let mut images = making_them(&cargo::target_dir()?.join("images"))?;
    engine.offer(&mut images);
    cargo::run(&mut images)?;
    screen::note(format_args!("loaded after {}", screen::time(making.elapsed())));
    Ok(())
}

/// Makes the images, unless that was done before, and answers the archive that they are in.
pub(crate) fn archive() -> Result<PathBuf> {
    let folder = cargo::target_dir()?.join("images");
    cargo::run(making_them(&folder)?.arg("--archive"))?;
    Ok(folder.join("images.tar"))
}

fn making_them(folder: &Path) -> Result<Command> {
    let mut images = Command::new(python::with_test_packages()?);
    screen::note("making container images");
    images.arg("tests/images/images.py").arg(folder).current_dir(cargo::root());
    // Figures alone go to standard output.
    images.stdout(std::io::stderr());
    Ok(images)
}
