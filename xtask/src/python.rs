//! The Python that the tests and the demo use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hearth_tests::{Explain, Problem, Result};

use crate::cargo;
use crate::screen;

/// Pinned packages of the test suites.
const REQUIREMENTS: &str = "tests/clients/requirements.txt";

/// The version of the machine's python3, as runtimes are named by: `3.13`.
pub(crate) fn version() -> Result<String> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .output()
        .explain("python3 is needed, and cannot be run; install it")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !version.is_empty() {
        Ok(version)
    } else {
        Err(Problem::new(format!("python3 does not run: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// A Python with the packages of the test suites. It is made once and made anew when they change.
pub(crate) fn with_test_packages() -> Result<PathBuf> {
    let wanted = fs::read_to_string(cargo::root().join(REQUIREMENTS)).explain(REQUIREMENTS)?;
    let folder = cargo::target_dir()?.join("test-python");
    let python = folder.join("bin/python");
    // Written last: an environment without it was not finished.
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs(&python) {
        return Ok(python);
    }
    screen::title("Setting up Python for the tests");
    make_environment(&folder)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        REQUIREMENTS,
    ]);
    cargo::run(pip.current_dir(cargo::root()))?;
    fs::write(&stamp, wanted).explain(format_args!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn runs(python: &Path) -> bool {
    let silent = Command::new(python).args(["-c", ""]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    silent.is_ok_and(|status| status.success())
}

fn make_environment(folder: &Path) -> Result<()> {
    version()?;
    let make = || cargo::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    if can_make_environments() {
        return make();
    }
    // Debian and Ubuntu keep this part of Python in a package of its own.
    let install = "apt-get install --yes python3-venv";
    let mut apt = Command::new("sh");
    apt.args(["-c", &format!("test \"$(id -u)\" = 0 && {install}")]);
    cargo::run(&mut apt).explain(format_args!(
        "this python3 cannot make virtual environments, and only root can change that; run `{install}`"
    ))?;
    make()
}

fn can_make_environments() -> bool {
    let import =
        Command::new("python3").args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
    import.is_ok_and(|status| status.success())
}
