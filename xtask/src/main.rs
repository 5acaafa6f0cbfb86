//! Automation of the repository, in Rust so that there is nothing to install.

mod bench;
mod cargo;
mod ci;
mod cluster;
mod demo;
mod emulators;
mod engine;
mod images;
mod node;
mod python;
mod screen;
mod test;
mod workspaces;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hearth_tests::Result;

/// Automation of the repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start hearth, deploy a function, invoke it cold and warm, stop again
    Demo(demo::Demo),
    /// Set up what the tests need, and run them
    Test(test::Test),
    /// All that the CI runs: formatting, lints, documentation, tests
    Ci,
    /// Make container images as AWS's are, from public packages, and load them into the container engine
    Images,
    /// Measure
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome: Result<ExitCode> = match Arguments::parse().command {
        Command::Demo(demo) => demo.run().map(|()| ExitCode::SUCCESS),
        Command::Test(test) => Ok(test.run()),
        Command::Ci => ci::run(),
        Command::Images => images::run().map(|()| ExitCode::SUCCESS),
        Command::Bench(bench) => bench.run().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|problem| {
        screen::problem(&problem);
        ExitCode::FAILURE
    })
}
