//! What was measured, as a table for people and as JSON for programs.

use serde_json::{Map, Value};

use crate::load::Measured;

/// The figures of one target at one number of connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    rounds: Vec<Measured>,
}

impl Cell {
    /// Adds a round.
    pub(crate) fn push(&mut self, measured: Measured) {
        self.rounds.push(measured);
    }

    /// Requests in a second, in the median round.
    pub(crate) fn requests_per_second(&self) -> f64 {
        median(self.rounds.iter().map(Measured::requests_per_second).collect())
    }

    /// A percentile of the latency in milliseconds, in the median round.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.percentile_ms(percent)).collect())
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Something that was promised, and whether it holds.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// What, with the figure.
    pub(crate) text: String,
    /// Whether it holds.
    pub(crate) is_met: bool,
}

impl Bar {
    /// For people.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", if self.is_met { "pass" } else { "FAIL" }, self.text)
    }
}

/// All figures of a benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// What was measured, and how.
    pub(crate) title: String,
    /// Target, connections, figures.
    pub(crate) cells: Vec<(&'static str, usize, Cell)>,
    /// What was promised.
    pub(crate) bars: Vec<Bar>,
}

const HEADS: &str = "target  connections  requests/s   p50 ms   p90 ms   p99 ms";

impl Figures {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let rows = self.cells.iter().map(|(target, connections, cell)| {
            let [p50, p90, p99] = [50, 90, 99].map(|percent| cell.percentile_ms(percent));
            let rps = cell.requests_per_second();
            format!("{target:<7} {connections:>11} {rps:>11.0} {p50:>8.3} {p90:>8.3} {p99:>8.3}")
        });
        let bars = self.bars.iter().map(Bar::line);
        let lines = [self.title.clone(), String::new(), HEADS.to_owned()].into_iter().chain(rows);
        lines.chain([String::new()]).chain(bars).collect::<Vec<_>>().join("\n")
    }

    /// For programs: one object of numbers.
    pub(crate) fn json(&self) -> String {
        let mut object = Map::new();
        for (target, connections, cell) in &self.cells {
            let mut insert = |what: &str, value: f64| {
                object.insert(format!("{target}_{what}_c{connections}"), Value::from(value));
            };
            insert("rps", cell.requests_per_second());
            for percent in [50, 90, 99] {
                insert(&format!("p{percent}_ms"), cell.percentile_ms(percent));
            }
        }
        Value::Object(object).to_string()
    }
}
