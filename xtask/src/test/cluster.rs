//! The cluster that tests use: the double of one, or the real one that `HEARTH_TEST_KUBECONFIG` names.

use std::path::PathBuf;
use std::process::Command;

use hearth_tests::{Binaries, Problem, Result};

use crate::cargo;
use crate::images;
use crate::python;
use crate::screen;
use crate::workspaces;

use super::counts::Counts;
use super::{watched, with_binaries};

/// What names a real cluster.
const REAL: &str = "HEARTH_TEST_KUBECONFIG";

/// A cluster that there is, or will be.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// Somebody else's. The tests find it by themselves.
    Real,
    /// The double, which the tests start, and the archive with its images.
    Double(PathBuf),
}

impl Cluster {
    /// Fails, with what could be done about it, where there can be none.
    pub(crate) fn find() -> Result<Self> {
        if is_named() {
            return Ok(Self::Real);
        }
        if !crate::engine::is_root() {
            return Err(Problem::new(format!(
                "only root can run the double of a cluster; name a real one with {REAL}"
            )));
        }
        images::archive().map(Self::Double)
    }

    /// Pods, as boto3 sees them.
    pub(crate) fn seen_by_boto3(&self, binaries: &Binaries) -> Counts {
        let suite = || {
            let mut pytest = Command::new(python::with_test_packages()?);
            pytest.args(["-m", "pytest", "tests/clients/k8s"]).current_dir(cargo::root());
            pytest.env("HEARTH_TEST_FUNCTIONS", workspaces::functions()?);
            if let Self::Double(images) = self {
                pytest.env("HEARTH_KUBE_DOUBLE", binaries.plugins.join("kube-double"));
                pytest.env("HEARTH_TEST_IMAGES", images);
            }
            Ok(pytest)
        };
        match suite() {
            Ok(pytest) => watched::run(with_binaries(pytest, Some(binaries))),
            Err(problem) => {
                screen::problem(&problem);
                Counts::FAILURE
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place in here that reads the environment")]
fn is_named() -> bool {
    std::env::var_os(REAL).is_some_and(|value| !value.is_empty())
}
