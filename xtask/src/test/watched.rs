//! Runs a test command: shows what it prints, and reads its closing lines.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use hearth_tests::{Explain, Problem, Result};

use crate::screen;

use super::counts::Counts;

/// Runs the command to its end. One that fails without a failed test to its name counts as a failure itself.
pub(crate) fn run(command: Command) -> Counts {
    let (counts, is_success) = watch(command).unwrap_or_else(|problem| {
        screen::problem(&problem);
        (Counts::default(), false)
    });
    if is_success || counts.failed > 0 { counts } else { counts + Counts::FAILURE }
}

fn watch(mut command: Command) -> Result<(Counts, bool)> {
    if io::stdout().is_terminal() {
        // They see a pipe where the terminal is.
        command.envs([("CARGO_TERM_COLOR", "always"), ("PY_COLORS", "1")]);
    }
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().explain("cannot run the tests")?;
    let stdout = follow(child.stdout.take(), |line| anstream::println!("{line}"));
    let stderr = follow(child.stderr.take(), |line| anstream::eprintln!("{line}"));
    let status = child.wait().explain("cannot wait for the tests")?;
    let mut counts = Counts::default();
    for reader in [stdout, stderr] {
        counts += reader.join().map_err(|_| Problem::new("cannot read what the tests print"))?;
    }
    Ok((counts, status.success()))
}

fn follow(
    stream: Option<impl Read + Send + 'static>,
    show: impl Fn(&str) + Send + 'static,
) -> JoinHandle<Counts> {
    thread::spawn(move || {
        let mut counts = Counts::default();
        for line in
            stream.into_iter().flat_map(|stream| BufReader::new(stream).lines().map_while(io::Result::ok))
        {
            let plain = anstream::adapter::strip_str(&line).to_string();
            counts += Counts::read(&plain).unwrap_or_default();
            show(&line);
        }
        counts
    })
}
