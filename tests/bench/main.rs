//! `hearth-bench`: figures over the real binary. `cargo xtask bench` builds and runs it.

mod docker;
mod engine;
mod figures;
mod invoke;
mod load;
mod nginx;
mod rie;

use std::process::ExitCode;

use hearth_tests::{Problem, Result};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&format!("hearth-bench: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["invoke"] => print(&invoke::measure()?.table()),
        ["invoke", "--json"] => print(&invoke::measure()?.json()),
        ["docker", socket] => print(&docker::measure(socket)?.table()),
        ["docker", socket, "--json"] => print(&docker::measure(socket)?.json()),
        ["rie", ours, theirs, function] => {
            print(&rie::measure(ours.as_ref(), theirs.as_ref(), function.as_ref())?.table());
        }
        ["rie", ours, theirs, function, "--json"] => {
            print(&rie::measure(ours.as_ref(), theirs.as_ref(), function.as_ref())?.json());
        }
        _ => {
            return Err(Problem::new(
                "usage: hearth-bench invoke | rie OURS THEIRS FUNCTION | docker SOCKET [--json]",
            ));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn print(text: &str) {
    println!("{text}");
}

/// Tells how far it is, beside the figures.
#[expect(clippy::print_stderr, reason = "people wait for minutes, and standard output is for figures")]
fn report(text: &str) {
    eprintln!("{text}");
}
