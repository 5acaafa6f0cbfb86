//! `cargo xtask bench k8s`: pods through hearth, against the same pods by themselves.

use hearth_tests::Result;

use crate::cargo;
use crate::cluster::Cluster;
use crate::emulators;
use crate::python;

pub(super) fn run(json: bool) -> Result<()> {
    let cluster = Cluster::find()?;
    let packages = ["hearth-host", "hearth-backend-k8s", "hearth-kube-double"];
    let mut args = vec!["--release"];
    args.extend(packages.iter().flat_map(|package| ["--package", package]));
    let binaries = cargo::build(&args)?;
    emulators::put_beside(&binaries.plugins)?;
    let mut bench = std::process::Command::new(python::with_test_packages()?);
    bench.arg("tests/clients/k8s/bench.py").args(json.then_some("--json")).current_dir(cargo::root());
    cluster.offer(&mut bench, &binaries);
    cargo::run(&mut bench)
}
