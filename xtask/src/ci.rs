//! `cargo xtask ci`: what a change must pass, quickest first.

use std::process::{Command, ExitCode};

use hearth_tests::{Result, Stopwatch};

use crate::cargo::{self, cargo};
use crate::screen;
use crate::test::Test;
use crate::workspaces::Workspace;

pub(crate) fn run() -> Result<ExitCode> {
    check("formatting", &mut cargo(["fmt", "--all", "--check"]))?;
    for workspace in Workspace::ALL {
        check(
            &format!("formatting of tests/{}", workspace.name()),
            &mut workspace.cargo(["fmt", "--check"]),
        )?;
    }
    check(
        "lints",
        &mut cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    )?;
    let mut documentation = cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    check("documentation", documentation.env("RUSTDOCFLAGS", "--deny warnings"))?;
    Ok(Test::everything().run())
}

fn check(what: &str, command: &mut Command) -> Result<()> {
    screen::title(what);
    let checking = Stopwatch::start();
    cargo::run(command)?;
    screen::done("passed", what, checking.elapsed());
    Ok(())
}
