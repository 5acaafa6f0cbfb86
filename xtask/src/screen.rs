//! What people see: coloured on a terminal, plain otherwise and under `NO_COLOR`.

use std::fmt::Display;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use hearth_tests::Problem;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Begins a part of the output.
pub(crate) fn title(text: impl Display) {
    anstream::println!("\n{BOLD}{text}{BOLD:#}");
}

/// Tells beside the output what is being done, for those who wait.
pub(crate) fn note(text: impl Display) {
    anstream::eprintln!("{DIM}{text}{DIM:#}");
}

/// Tells of something done, and how long it took.
pub(crate) fn done(what: &str, detail: impl Display, took: Duration) {
    anstream::println!("  {GREEN}✓{GREEN:#} {what:<9} {detail}  {DIM}{}{DIM:#}", time(took));
}

/// Tells of a failure on standard error.
pub(crate) fn problem(problem: &Problem) {
    anstream::eprintln!("{RED}error:{RED:#} {problem}");
}

/// A length of time with three digits or so.
pub(crate) fn time(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 0.01 {
        format!("{:.2} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// Rows under a head, in columns as wide as they need to be.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        let style = if index == 0 { DIM } else { Style::new() };
        anstream::println!("  {style}{}{style:#}", cells.join("  ").trim_end());
    }
}
