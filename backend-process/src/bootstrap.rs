//! The clients of the Runtime API that interpreted functions run in, as files.

use std::io;
use std::path::{Path, PathBuf};

const PYTHON: &str = include_str!("bootstrap/bootstrap.py");
const NODE: &str = include_str!("bootstrap/bootstrap.mjs");

/// Where the clients lie: what is `/var/runtime` on Lambda.
#[derive(Clone, Debug)]
pub(crate) struct Bootstraps {
    pub(crate) folder: PathBuf,
}

impl Bootstraps {
    /// Writes them into a folder that is named by what is in it, unless it is there already.
    pub(crate) fn install(state: &Path) -> io::Result<Self> {
        let folder = state.join("runtime").join(hearth_artifacts::folder::name_of([PYTHON, NODE]));
        if !folder.exists() {
            hearth_artifacts::folder::create(&folder, |new| {
                std::fs::write(new.join("bootstrap.py"), PYTHON)?;
                std::fs::write(new.join("bootstrap.mjs"), NODE)
            })?;
        }
        Ok(Self { folder })
    }
}
