//! The cluster that tests and benches use: the double of one, or the real one that `HEARTH_TEST_KUBECONFIG` names.

use std::path::PathBuf;
use std::process::Command;

use hearth_tests::{Binaries, Problem, Result};

use crate::engine;
use crate::images;

/// What names a real cluster.
const REAL: &str = "HEARTH_TEST_KUBECONFIG";

/// A cluster that there is, or will be.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// Somebody else's, which whoever uses it finds by itself.
    Real,
    /// The double, which whoever uses it starts, and the archive with its images.
    Double(PathBuf),
}

impl Cluster {
    /// Fails, with what could be done about it, where there can be none.
    pub(crate) fn find() -> Result<Self> {
        if is_named() {
            return Ok(Self::Real);
        }
        if !engine::is_root() {
            return Err(Problem::new(format!(
                "only root can run the double of a cluster; name a real one with {REAL}"
            )));
        }
        images::archive().map(Self::Double)
    }

    /// Lets a command use this cluster, and hearth.
    pub(crate) fn offer(&self, command: &mut Command, binaries: &Binaries) {
        command.env("HEARTH_BIN", &binaries.hearth).env("HEARTH_PLUGIN_PATH", &binaries.plugins);
        if let Self::Double(images) = self {
            command.env("HEARTH_KUBE_DOUBLE", binaries.plugins.join("kube-double"));
            command.env("HEARTH_TEST_IMAGES", images);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place in here that reads the environment")]
fn is_named() -> bool {
    std::env::var_os(REAL).is_some_and(|value| !value.is_empty())
}
