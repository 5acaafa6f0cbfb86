//! Figures as programs print them, each beside its bar.

use std::process::{Command, Stdio};

use hearth_tests::{Explain, Problem, Result};
use serde_json::{Map, Value};

use crate::cargo::cargo;
use crate::screen;

/// What a figure is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// It is what others are compared with.
    None,
}

/// What an example of a package measures.
pub(super) fn example(package: &str, name: &str, args: &[&str]) -> Result<Map<String, Value>> {
    let run = ["run", "--release", "--quiet", "--package", package, "--example", name, "--"];
    object(cargo(run).args(args))
}

/// The JSON object that a program prints.
pub(super) fn object(command: &mut Command) -> Result<Map<String, Value>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().explain(format_args!("cannot run `{name}`"))?;
    if !output.status.success() {
        return Err(Problem::new(format!("`{name}` ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).explain(format_args!("what `{name}` printed is no JSON object"))
}

pub(super) fn print_json(figures: Map<String, Value>) -> Result<()> {
    let json = serde_json::to_string_pretty(&Value::Object(figures)).explain("the figures are no JSON")?;
    anstream::println!("{json}");
    Ok(())
}

pub(super) fn print_table(figures: &Map<String, Value>, bars: &[(&str, Bar)]) -> Result<()> {
    let mut rows = vec![["FIGURE", "VALUE", "BAR", "VERDICT"].map(str::to_owned).to_vec()];
    for (name, bar) in bars {
        let value = figures.get(*name).and_then(Value::as_f64);
        let value = value.explain(format_args!("no figure {name} was measured"))?;
        let (bar, verdict) = match *bar {
            Bar::AtMost(bar) => (format!("≤ {bar}"), verdict(value <= bar)),
            Bar::AtLeast(bar) => (format!("≥ {bar}"), verdict(bar <= value)),
            Bar::None => (String::new(), ""),
        };
        let digits = if value < 10.0 { 2 } else { 0 };
        rows.push(vec![(*name).to_owned(), format!("{value:.digits$}"), bar, verdict.to_owned()]);
    }
    screen::table(&rows);
    Ok(())
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "missed" }
}
