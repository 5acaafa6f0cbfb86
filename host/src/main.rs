//! `hearth`: AWS Lambda functions on your own machine.

use std::process::ExitCode;

use clap::Parser;
use hearth_host::cli::Cli;

fn main() -> ExitCode {
    hearth_host::cli::run(&Cli::parse())
}
