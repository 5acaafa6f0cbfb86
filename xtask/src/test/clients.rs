//! The suites with AWS's own clients, on either side: SDKs and the CLI that call Hearth, and functions on the
//! official runtime clients.

use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};

use hearth_tests::{Binaries, Explain, Result};

use crate::cargo;
use crate::node;
use crate::python;
use crate::screen;
use crate::workspaces::{self, Workspace};

use super::counts::Counts;
use super::{watched, with_binaries};

/// What the suites need, which is made while others run.
#[derive(Debug)]
pub(super) struct Clients(JoinHandle<Result<Prepared>>);

#[derive(Debug)]
struct Prepared {
    /// The folder that the functions are in.
    functions: PathBuf,
    /// The script that starts a function on AWS's client for Node, where that can be built.
    node_client: Option<PathBuf>,
    /// The folder that the SDK for JavaScript is in, where it can be installed.
    javascript_sdk: Option<PathBuf>,
}

impl Clients {
    /// Begins to build what takes minutes the first time.
    pub(super) fn prepare() -> Self {
        let build = || {
            let functions = workspaces::functions()?;
            cargo::run(&mut Workspace::Clients.build(["test", "--quiet", "--no-run"])?)?;
            // Tests that need it say that they cannot run without it.
            let node_client = node::runtime_client().inspect_err(screen::problem).unwrap_or_default();
            let javascript_sdk = node::sdk().inspect_err(screen::problem).unwrap_or_default();
            Ok(Prepared { functions, node_client, javascript_sdk })
        };
        Self(thread::spawn(build))
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
        // Those over containers and over pods are other rings.
        let others = ["--ignore=tests/clients/containers", "--ignore=tests/clients/k8s"];
        boto3.args(["-m", "pytest", "tests/clients"]).args(others).current_dir(cargo::root());
        let prepared = self.0.join().ok();
        let Prepared { functions, node_client, javascript_sdk } =
            prepared.explain("the clients' tests are not prepared")??;
        let sdk = if has_nextest {
            Workspace::Clients.build(["nextest", "run", "--no-fail-fast"])
        } else {
            Workspace::Clients.build(["test", "--no-fail-fast", "--tests"])
        };
        let mut suites = [boto3, sdk?];
        for suite in &mut suites {
            suite.env("HEARTH_TEST_FUNCTIONS", &functions);
            suite.envs(node_client.iter().map(|script| ("HEARTH_TEST_NODE_CLIENT", script)));
            suite.envs(javascript_sdk.iter().map(|folder| ("HEARTH_TEST_JAVASCRIPT_SDK", folder)));
        }
        Ok(suites)
    }
}
