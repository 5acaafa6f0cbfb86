//! What simulations came to, as a table for people and as JSON.

use std::fmt;

use comfy_table::{Attribute, Cell, CellAlignment, Table, presets};
use hearth_pool::{Effect, Purpose, Start, Timestamp};
use serde::Serialize;

use super::meter::Figures;
use super::plot::{self, Point};
use super::quantity::real;

/// One policy's figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) policy: String,
    /// The mean over all seeds.
    #[serde(flatten)]
    pub(super) mean: Figures,
    /// Each seed's, from seed 1.
    pub(super) seeds: Vec<Figures>,
}

/// The whole comparison.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) functions: usize,
    pub(super) minutes: usize,
    pub(super) invocations: u64,
    pub(super) arrivals: String,
    pub(super) cold_start: String,
    pub(super) budget_gb: Option<f64>,
    pub(super) policies: Vec<Row>,
    /// Invocations of all runs, over the time that one thread took for them.
    pub(super) trace_invocations_per_s: f64,
}

impl Report {
    /// Cold seconds against idle memory, as SVG.
    pub(super) fn plot(&self) -> String {
        let points: Vec<_> = self
            .policies
            .iter()
            .map(|row| Point {
                policy: row.policy.clone(),
                idle_gb_hours: row.mean.idle_gb_hours,
                cold_seconds: row.mean.cold_seconds,
            })
            .collect();
        let seeds = self.policies.first().map_or(0, |row| row.seeds.len());
        let seeds = if seeds == 1 { "1 seed".to_owned() } else { format!("mean of {seeds} seeds") };
        let budget = self.budget_gb.map(|budget| format!(", budget {budget} GB")).unwrap_or_default();
        let (functions, invocations) =
            (plot::number(real(self.functions as u64)), plot::number(real(self.invocations)));
        plot::svg(&format!("{functions} functions, {invocations} invocations{budget}, {seeds}"), &points)
    }

    /// What was simulated, and a table with a row for each policy.
    pub(super) fn table(&self, in_colour: bool) -> String {
        let Self { functions, minutes, invocations, arrivals, cold_start, .. } = self;
        let table = self.rows(in_colour);
        let speed = self.trace_invocations_per_s / 1e6;
        format!(
            "{invocations} invocations of {functions} functions in {minutes} minutes; arrivals {arrivals}, cold starts \
             {cold_start}\n\n{table}\n\n{speed:.2} million invocations simulated a second\n"
        )
    }

    fn rows(&self, in_colour: bool) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let titles = [
            "POLICY",
            "COLD %",
            "COLD s",
            "IDLE GB·h",
            "FN COLD % P50",
            "P75",
            "QUEUE ms P50",
            "P99",
            "P99.9",
            "REFUSED %",
            "PREWARMS",
        ];
        table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        for Row { policy, mean, .. } in &self.policies {
            let figures = [
                format!("{:.2}", mean.cold_percent),
                figure(mean.cold_seconds),
                figure(mean.idle_gb_hours),
                format!("{:.1}", mean.function_cold_percent_p50),
                format!("{:.1}", mean.function_cold_percent_p75),
                figure(mean.queue_ms_p50),
                figure(mean.queue_ms_p99),
                figure(mean.queue_ms_p99_9),
                format!("{:.2}", mean.refused_percent),
                format!("{:.0}", mean.prewarms),
            ];
            let figures = figures.map(|figure| Cell::new(figure).set_alignment(CellAlignment::Right));
            table.add_row([Cell::new(policy)].into_iter().chain(figures));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if !in_colour {
            table.force_no_tty();
        }
        table
    }
}

/// Three digits, or as many as stand before the point.
fn figure(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// What a pool asked for in a replay.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    events: usize,
    is_cut_off: bool,
    last_effect_seconds: f64,
    launches: u64,
    prewarms: u64,
    cold_starts: u64,
    warm_starts: u64,
    provisioned_starts: u64,
    refusals: u64,
    terminations: u64,
}

impl Summary {
    /// Of a recording of so many events, of which nothing was replayed yet.
    pub(super) fn new(events: usize, is_cut_off: bool) -> Self {
        Self { events, is_cut_off, ..Self::default() }
    }

    pub(super) fn count(&mut self, now: Timestamp, effect: &Effect) {
        self.last_effect_seconds = now.since_start().as_secs_f64();
        match effect {
            Effect::Launch { purpose, .. } => {
                self.launches += 1;
                self.prewarms += u64::from(*purpose == Purpose::Prediction);
            }
            Effect::Grant { start: Start::Cold, .. } => self.cold_starts += 1,
            Effect::Grant { start: Start::Warm, .. } => self.warm_starts += 1,
            Effect::Grant { start: Start::Provisioned, .. } => self.provisioned_starts += 1,
            Effect::Refuse { .. } => self.refusals += 1,
            Effect::Terminate { .. } => self.terminations += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} events, the last effect at {:.3} s", self.events, self.last_effect_seconds)?;
        if self.is_cut_off {
            writeln!(f, "the last line of the recording was cut off, and is left out")?;
        }
        writeln!(f, "launches      {} ({} prewarms)", self.launches, self.prewarms)?;
        let Self { cold_starts, warm_starts, provisioned_starts, .. } = self;
        writeln!(
            f,
            "grants        {cold_starts} cold, {warm_starts} warm, {provisioned_starts} provisioned"
        )?;
        writeln!(f, "refusals      {}", self.refusals)?;
        writeln!(f, "terminations  {}", self.terminations)
    }
}
