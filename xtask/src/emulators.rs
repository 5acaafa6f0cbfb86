//! The two runtime interface emulators as they are put into containers: each one file that needs nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hearth_tests::{Explain, Result};

use crate::cargo::{self, cargo};
use crate::python;

const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC_FLAGS: &str =
    r#"target.x86_64-unknown-linux-gnu.rustflags=["-C", "target-feature=+crt-static"]"#;

/// The package that AWS's emulator comes in, and where it is in there.
const AWS_PACKAGE: &str = "aws-sam-cli==1.170.0";
const AWS_EMULATOR: &str = "samcli/local/rapid/aws-lambda-rie-x86_64";

/// Hearth's own, built.
pub(crate) fn hearth() -> Result<PathBuf> {
    let mut build = cargo(["build", "--release", "--package", "hearth-rie", "--bin", "rie"]);
    build.args(["--target", STATIC_TARGET, "--config", STATIC_FLAGS]);
    cargo::run(&mut build)?;
    Ok(cargo::target_dir()?.join(STATIC_TARGET).join("release/rie"))
}

/// Puts Hearth's own where the docker backend finds it: beside the plugins.
pub(crate) fn put_beside(plugins: &Path) -> Result<()> {
    let target = plugins.join("rie-x86_64");
    // Under another name first: one that is in use cannot be written to.
    let unfinished = plugins.join(".rie-x86_64");
    let explanation = format!("cannot write {}", target.display());
    fs::copy(hearth()?, &unfinished).explain(&explanation)?;
    fs::rename(unfinished, target).explain(explanation)
}

/// AWS's, downloaded once.
pub(crate) fn aws() -> Result<PathBuf> {
    let folder = cargo::target_dir()?.join("aws-emulator");
    let emulator = folder.join(AWS_EMULATOR);
    if emulator.is_file() {
        return Ok(emulator);
    }
    let python = python::with_test_packages()?;
    fs::create_dir_all(&folder).explain(format_args!("cannot make {}", folder.display()))?;
    let mut download = Command::new(&python);
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"]);
    cargo::run(download.arg(&folder).arg(AWS_PACKAGE))?;
    let mut unpack = Command::new(&python);
    unpack.args(["-c", UNPACK, AWS_EMULATOR]).current_dir(&folder);
    cargo::run(&mut unpack)?;
    Ok(emulator)
}

/// Takes one file out of the package in this folder, and allows to run it.
const UNPACK: &str = "
import glob, os, sys, zipfile
[package] = glob.glob('*.whl')
os.chmod(zipfile.ZipFile(package).extract(sys.argv[1]), 0o755)
";
