//! `cargo xtask test`: sets up what the tests need and runs them, ring by ring.

mod clients;
mod counts;
mod watched;

use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};
use hearth_tests::{Binaries, Explain, Problem, Stopwatch};

use crate::cargo::{self, cargo};
use crate::cluster::Cluster;
use crate::emulators;
use crate::engine::Engine;
use crate::images;
use crate::python;
use crate::screen::{self, GREEN, RED};
use crate::workspaces;

use self::clients::Clients;
use self::counts::Counts;

/// Set up what the tests need, and run them
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Which tests; all of them if none is named
    #[arg(value_enum)]
    ring: Option<Ring>,

    /// Fail where there is no container engine or no cluster and none can be started, instead of leaving its tests out
    #[arg(long)]
    leave_nothing_out: bool,
}

/// The inner rings are exact and fast, the outer ones are as real as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ring {
    /// The pool, under generated events and virtual time
    Pool,
    /// The parts of the host and the backends, each in its own process
    Host,
    /// The real binary and the real plugins, from outside, with the real clients of AWS
    E2e,
    /// The same over a container engine, with images as AWS's are; an engine is started where there is none
    Docker,
    /// The same over a Kubernetes cluster: the double of one, or the real one that is named by `HEARTH_TEST_KUBECONFIG`
    K8s,
}

/// How a ring went.
struct Row {
    name: &'static str,
    counts: Counts,
    seconds: f64,
}

impl Test {
    /// All rings.
    pub(crate) fn everything() -> Self {
        Self { ring: None, leave_nothing_out: true }
    }

    /// Runs the rings, each to its end even if it fails, and closes with how many tests passed.
    pub(crate) fn run(&self) -> ExitCode {
        let rings = self.ring.map_or_else(|| Ring::value_variants().to_vec(), |ring| vec![ring]);
        let has_nextest = cargo::has("nextest");
        let mut rows = Vec::new();
        let binaries = if rings == [Ring::Pool] { None } else { build(&mut rows) };
        if rows.is_empty() {
            let mut clients = rings.contains(&Ring::E2e).then(Clients::prepare);
            for ring in rings {
                let running = Stopwatch::start();
                let mut counts = match ring {
                    Ring::Docker => self.run_over_engine(has_nextest, binaries.as_ref()),
                    Ring::K8s => self.run_over_cluster(has_nextest, binaries.as_ref()),
                    _ => ring.run(has_nextest, binaries.as_ref()),
                };
                if let Some(clients) = clients.take_if(|_| ring == Ring::E2e) {
                    counts += clients.run(has_nextest, binaries.as_ref());
                }
                rows.push(Row { name: ring.name(), counts, seconds: running.elapsed().as_secs_f64() });
            }
        }
        close(&rows)
    }
}

impl Test {
    /// The ring that needs an engine. Where there can be none it is left out, which is said; not if it was asked for.
    fn run_over_engine(&self, has_nextest: bool, binaries: Option<&Binaries>) -> Counts {
        let ready = binaries.explain("nothing was built").and_then(|binaries| {
            let engine = Engine::find_or_start()?;
            emulators::put_beside(&binaries.plugins)?;
            images::load_into(&engine)?;
            Ok((engine, binaries))
        });
        match ready {
            Ok((engine, binaries)) => over_engine(&engine, has_nextest, binaries),
            Err(problem) => self.left_out("the tests over a container engine", &problem),
        }
    }

    /// The ring that needs a cluster: the double where no real one is named.
    fn run_over_cluster(&self, has_nextest: bool, binaries: Option<&Binaries>) -> Counts {
        let ready = binaries.explain("nothing was built").and_then(|binaries| {
            emulators::put_beside(&binaries.plugins)?;
            Ok((Cluster::find()?, binaries))
        });
        match ready {
            Ok((cluster, binaries)) => {
                let of_double = match cluster {
                    Cluster::Double(_) => Ring::K8s.run(has_nextest, Some(binaries)),
                    Cluster::Real => Counts::default(),
                };
                of_double + over_pods(&cluster, binaries)
            }
            Err(problem) => self.left_out("the tests over a cluster", &problem),
        }
    }

    /// What cannot run here fails if it was asked for, and is said otherwise.
    fn left_out(&self, what: &str, problem: &Problem) -> Counts {
        if self.ring.is_some() || self.leave_nothing_out {
            screen::problem(problem);
            return Counts::FAILURE;
        }
        anstream::println!("{RED}left out:{RED:#} {what}: {problem}");
        Counts { skipped: 1, ..Counts::default() }
    }
}

/// Builds everything once, the way each ring needs it. A failure becomes a row of its own.
fn build(rows: &mut Vec<Row>) -> Option<Binaries> {
    screen::title("Building");
    let building = Stopwatch::start();
    let built = cargo::build(&["--workspace", "--all-targets"]);
    let seconds = building.elapsed().as_secs_f64();
    built
        .inspect_err(screen::problem)
        .inspect_err(|_| rows.push(Row { name: "build", counts: Counts::FAILURE, seconds }))
        .ok()
}

impl Ring {
    fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Host => "host",
            Self::E2e => "e2e",
            Self::Docker => "docker",
            Self::K8s => "k8s",
        }
    }

    /// As nextest chooses this ring's tests in Rust.
    fn filter(self) -> &'static str {
        match self {
            Self::Pool => "package(=hearth-pool)",
            Self::Host => {
                "not package(=hearth-pool) and not package(=hearth-tests) and not package(=hearth-kube-double)"
            }
            Self::E2e => "package(=hearth-tests)",
            Self::Docker => "package(=hearth-backend-docker)",
            Self::K8s => "package(=hearth-kube-double)",
        }
    }

    fn run(self, has_nextest: bool, binaries: Option<&Binaries>) -> Counts {
        screen::title(format_args!("Tests: {}", self.name()));
        let mut counts = Counts::default();
        for command in self.rust_suites(has_nextest, binaries.is_some()) {
            counts += watched::run(with_binaries(command, binaries));
        }
        counts
    }

    /// The commands that run this ring's tests in Rust. Where everything is built already, they choose among it
    /// instead of building a selection with other features.
    fn rust_suites(self, has_nextest: bool, is_all_built: bool) -> Vec<Command> {
        let selection: &[&str] = match self {
            Self::Pool => &["--package", "hearth-pool"],
            Self::Host => &[
                "--workspace",
                "--exclude",
                "hearth-pool",
                "--exclude",
                "hearth-tests",
                "--exclude",
                "hearth-kube-double",
            ],
            Self::E2e => &["--package", "hearth-tests"],
            Self::Docker => &["--package", "hearth-backend-docker"],
            Self::K8s => &["--package", "hearth-kube-double"],
        };
        let filter = self.filter();
        let mut suites = Vec::new();
        if has_nextest && is_all_built {
            let args = ["nextest", "run", "--workspace", "--no-fail-fast", "-E", filter];
            suites.push(cargo(args));
        } else if has_nextest {
            suites.push(cargo(["nextest", "run", "--no-fail-fast"].iter().chain(selection)));
        } else {
            suites.push(cargo(
                ["test", "--no-fail-fast", "--lib", "--bins", "--tests"].iter().chain(selection),
            ));
        }
        if self != Self::E2e {
            suites.push(cargo(["test", "--doc", "--no-fail-fast"].iter().chain(selection)));
        }
        suites
    }
}

/// What needs an engine: the backend by itself, then the whole.
fn over_engine(engine: &Engine, has_nextest: bool, binaries: &Binaries) -> Counts {
    screen::title("Tests: docker");
    let mut suite = if has_nextest {
        let filter = Ring::Docker.filter();
        cargo(["nextest", "run", "--workspace", "--no-fail-fast", "--run-ignored", "only", "-E", filter])
    } else {
        cargo(["test", "--no-fail-fast", "--package", "hearth-backend-docker", "--", "--ignored"])
    };
    engine.offer(&mut suite);
    let counts = watched::run(with_binaries(suite, Some(binaries)));
    counts + seen_by_boto3(engine, binaries)
}

/// Containers, as boto3 sees them.
fn seen_by_boto3(engine: &Engine, binaries: &Binaries) -> Counts {
    let suite = || {
        let mut pytest = Command::new(python::with_test_packages()?);
        pytest.args(["-m", "pytest", "tests/clients/containers"]).current_dir(cargo::root());
        pytest.env("HEARTH_TEST_FUNCTIONS", workspaces::functions()?);
        engine.offer(&mut pytest);
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

/// Pods, as boto3 sees them.
fn over_pods(cluster: &Cluster, binaries: &Binaries) -> Counts {
    let suite = || {
        let mut pytest = Command::new(python::with_test_packages()?);
        pytest.args(["-m", "pytest", "tests/clients/k8s"]).current_dir(cargo::root());
        pytest.env("HEARTH_TEST_FUNCTIONS", workspaces::functions()?);
        cluster.offer(&mut pytest, binaries);
        Ok(pytest)
    };
    match suite() {
        Ok(pytest) => watched::run(pytest),
        Err(problem) => {
            screen::problem(&problem);
            Counts::FAILURE
        }
    }
}

fn with_binaries(mut command: Command, binaries: Option<&Binaries>) -> Command {
    if let Some(binaries) = binaries {
        command.env("HEARTH_BIN", &binaries.hearth).env("HEARTH_PLUGIN_PATH", &binaries.plugins);
    }
    command
}

/// Prints the summary. The last line has one form, so that programs can read it.
fn close(rows: &[Row]) -> ExitCode {
    screen::title("Summary");
    let heads = ["RING", "PASSED", "FAILED", "SKIPPED", "SECONDS"];
    let mut cells = vec![heads.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|Row { name, counts, seconds }| {
        let Counts { passed, failed, skipped } = counts;
        vec![
            (*name).to_owned(),
            passed.to_string(),
            failed.to_string(),
            skipped.to_string(),
            format!("{seconds:.1}"),
        ]
    }));
    screen::table(&cells);
    let all = rows.iter().fold(Counts::default(), |all, row| all + row.counts);
    let verdict =
        if all.failed == 0 { format!("{GREEN}passed{GREEN:#}") } else { format!("{RED}failed{RED:#}") };
    anstream::println!("\n{verdict}");
    anstream::println!("{all}");
    if all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
