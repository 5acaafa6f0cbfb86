//! The suites with AWS's own clients, on either side: SDKs and the CLI that call Hearth, and functions on the
//! official runtime clients.

use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};

use hearth_tests::{Binaries, Explain, Result};

use crate::cargo;
use crate::python;
use crate::screen;
use crate::workspaces::{self, Workspace};

use super::counts::Counts;
use super::{watched, with_binaries};

/// What the suites need, which is made while others run.
#[derive(Debug)]
pub(super) struct Clients {
    /// Ends with the folder that the functions are in.
    functions: JoinHandle<Result<PathBuf>>,
}

impl Clients {
    /// Begins to build what takes a minute or two the first time.
    pub(super) fn prepare() -> Self {
        let build = || {
            let functions = workspaces::functions()?;
            cargo::run(&mut Workspace::Clients.build(["test", "--quiet", "--no-run"])?)?;
            Ok(functions)
        };
        Self { functions: thread::spawn(build) }
    }

    /// Runs the suites.
    pub(super) fn run(self, has_nextest: bool, binaries: Option<&Binaries>) -> Counts {
        self.suites(has_nextest).map_or_else(
            |problem| {
                screen::problem(&problem);
                Counts::FAILURE
            },
            |suites| {
                suites.into_iter().fold(Counts::default(), |counts, suite| {
                    counts + watched::run(with_binaries(suite, binaries))
                })
            },
        )
    }

    fn suites(self, has_nextest: bool) -> Result<[Command; 2]> {
        let mut boto3 = Command::new(python::with_test_packages()?);
        boto3.args(["-m", "pytest", "tests/clients"]).current_dir(cargo::root());
        let built = self.functions.join().ok();
        let functions = built.explain("the functions of the tests cannot be built")??;
        let sdk = if has_nextest {
            Workspace::Clients.build(["nextest", "run", "--no-fail-fast"])
        } else {
            Workspace::Clients.build(["test", "--no-fail-fast", "--tests"])
        };
        let mut suites = [boto3, sdk?];
        for suite in &mut suites {
            suite.env("HEARTH_TEST_FUNCTIONS", &functions);
        }
        Ok(suites)
    }
}
