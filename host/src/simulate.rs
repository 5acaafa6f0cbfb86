//! `hearth simulate`: what a keep-alive policy would do with a trace of invocations, without running any.
//!
//! The pool of the host is driven through the trace in virtual time: the same code, the same decisions, a day in a
//! second. People choose a policy by looking at what it costs, in cold starts and in idle memory.

mod arrivals;
mod cold_start;
mod engine;
mod meter;
mod plot;
pub(crate) mod policy;
pub(crate) mod quantity;
mod random;
pub mod recording;
mod report;
mod trace;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, iter, thread};

use clap::{Args, ValueEnum};
use hearth_pool::{Config, KeepAlive, MemoryMib, QueuePolicy, ScaleOut};
use indicatif::{ProgressBar, ProgressStyle};

use self::arrivals::Arrivals;
use self::cold_start::ColdStart;
use self::engine::Scenario;
use self::meter::Figures;
use self::recording::Recording;
use self::report::{Report, Row, Summary};
use self::trace::{Defaults, DurationModel, Files, Synthetic, Trace};
use crate::clock::Clock;

const EXAMPLES: &str = "\
Examples:
  hearth simulate --synthetic functions=200                 compare fixed times to live on a made-up day
  hearth simulate invocations.csv.xz --durations durations.csv.xz --memory memory.csv.xz \\
      --policy all --seeds 5 --plot policies.svg            compare all policies on your own trace
  hearth simulate invocations.csv --budget 60               what a memory budget of 60 GB does
  hearth simulate --replay bug.jsonl --effects              what the pool decided, event by event

Policies: ";

/// Flags of `hearth simulate`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{EXAMPLES}{}", policy::KNOWN))]
pub struct Simulate {
    /// Invocations a minute, in the layout of the Azure Functions dataset (CSV; .gz and .xz are unpacked)
    #[arg(value_name = "TRACE", required_unless_present_any = ["synthetic", "replay"])]
    trace: Option<PathBuf>,

    /// Execution times of the functions, in the layout of the same dataset
    #[arg(long, value_name = "FILE", requires = "trace")]
    durations: Option<PathBuf>,

    /// Memory of the apps, in the layout of the same dataset
    #[arg(long, value_name = "FILE", requires = "trace")]
    memory: Option<PathBuf>,

    /// Make a trace up instead: functions, minutes, rate (a minute), zipf, bursts and timers (shares), seed
    #[arg(long, value_name = "NAME=VALUE,…", num_args = 0..=1, default_missing_value = "", conflicts_with = "trace")]
    synthetic: Option<Synthetic>,

    /// Tell the pool again what was recorded, instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "synthetic"])]
    replay: Option<PathBuf>,

    /// With --replay: print every effect
    #[arg(long, requires = "replay")]
    effects: bool,

    /// Keep-alive policies to compare; `all` for those that are usually compared
    #[arg(long = "policy", value_name = "POLICY,…", value_delimiter = ',', default_value = "all")]
    policies: Vec<String>,

    /// Memory that all instances together may have, in GB (1,024 MiB) [default: no limit]
    #[arg(long, value_name = "GB")]
    budget: Option<f64>,

    /// Arrivals and cold starts are drawn anew for each seed, from 1; the figures are means
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// How invocations are spread over their minute
    #[arg(long, value_enum, default_value_t = Arrivals::Equidistant)]
    arrivals: Arrivals,

    /// How long instances take to start: constant:TIME, or lognormal:MEDIAN,SIGMA,CAP drawn for each function
    #[arg(long, value_name = "MODEL", default_value = "lognormal:500ms,0.8,10s")]
    cold: ColdStart,

    /// What is taken from the file of durations
    #[arg(long, value_enum, default_value_t = DurationModel::Average)]
    duration_model: DurationModel,

    /// Execution time of a function that no file knows
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = quantity::parse_duration)]
    default_duration: Duration,

    /// Memory of a function that no file knows, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    default_memory: u64,

    /// How long an invocation waits for an instance before it is refused
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = quantity::parse_duration)]
    max_wait: Duration,

    /// What becomes of an invocation for which there is no room
    #[arg(long, value_enum, default_value_t = WhenFull::Wait)]
    when_full: WhenFull,

    /// Start another instance only if its start is expected to beat the wait for a busy one
    #[arg(long)]
    cost_aware: bool,

    /// Instances at most [default: no limit]
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,

    /// Launches under way at once [default: no limit]
    #[arg(long, value_name = "N")]
    launches_at_once: Option<u32>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Draw cold seconds against idle memory
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// What becomes of an invocation for which there is no room
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WhenFull {
    /// It waits its turn
    Wait,
    /// It is refused at once, as AWS does
    Refuse,
}

/// Runs the command. What goes wrong is said in one line.
pub fn run(simulate: &Simulate) -> Result<ExitCode, String> {
    let answer = match &simulate.replay {
        Some(file) => replay(file, simulate)?,
        None => compare(simulate)?,
    };
    print(&answer)?;
    Ok(ExitCode::SUCCESS)
}

fn compare(simulate: &Simulate) -> Result<String, String> {
    let policies = policy::parse_all(&simulate.policies, simulate.budget.is_some())?;
    let trace = simulate.read_trace()?;
    let scenarios: Vec<Scenario<'_>> = policies
        .iter()
        .flat_map(|policy| (1..=simulate.seeds).map(move |seed| (policy, seed)))
        .map(|(policy, seed)| simulate.scenario(&trace, policy.clone(), seed))
        .collect::<Result<_, _>>()?;
    let runs = run_all(&scenarios)?;
    let seeds = usize::try_from(simulate.seeds).unwrap_or(usize::MAX);
    let rows = policies.iter().zip(runs.chunks(seeds)).filter_map(|(policy, runs)| {
        let seeds: Vec<_> = runs.iter().map(|run| run.figures).collect();
        Some(Row { policy: policy::name(policy), mean: Figures::mean(&seeds)?, seeds })
    });
    let took: Duration = runs.iter().map(|run| run.took).sum();
    let report = Report {
        functions: trace.functions.len(),
        minutes: trace.minutes().len(),
        invocations: trace.invocations,
        arrivals: simulate
            .arrivals
            .to_possible_value()
            .map_or_else(String::new, |it| it.get_name().to_owned()),
        cold_start: simulate.cold.to_string(),
        budget_gb: simulate.budget,
        policies: rows.collect(),
        trace_invocations_per_s: quantity::real(trace.invocations * runs.len() as u64) / took.as_secs_f64(),
    };
    if let Some(file) = &simulate.plot {
        fs::write(file, report.plot())
            .map_err(|error| format!("{}: cannot write: {error}", file.display()))?;
    }
    if simulate.json { json(&report) } else { Ok(report.table(io::stdout().is_terminal())) }
}

/// A simulation that was run, and how long that took.
#[derive(Clone, Copy, Debug)]
struct Run {
    figures: Figures,
    took: Duration,
}

/// Runs all, as many at once as there are processors. Their results do not depend on that.
fn run_all(scenarios: &[Scenario<'_>]) -> Result<Vec<Run>, String> {
    let bar = progress_bar(scenarios.iter().map(|scenario| scenario.trace.invocations).sum());
    let next = AtomicUsize::new(0);
    let work = || {
        let places = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let mine = places.map_while(|place| Some((place, scenarios.get(place)?)));
        mine.map(|(place, scenario)| (place, run_one(scenario, &bar))).collect::<Vec<_>>()
    };
    let mut runs: Vec<_> = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(scenarios.len());
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    bar.finish_and_clear();
    runs.sort_by_key(|(place, _)| *place);
    runs.into_iter().map(|(_, run)| run).collect()
}

fn run_one(scenario: &Scenario<'_>, bar: &ProgressBar) -> Result<Run, String> {
    let clock = Clock::start();
    let figures = scenario.run(|invocations| bar.inc(invocations)).map_err(|error| error.to_string())?;
    Ok(Run { figures, took: clock.now().since_start() })
}

/// On standard error, if that is a terminal.
fn progress_bar(invocations: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} invocations, {per_sec}, {eta} left");
    ProgressBar::new(invocations).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn replay(file: &Path, simulate: &Simulate) -> Result<String, String> {
    let recording = Recording::read(file).map_err(|error| error.to_string())?;
    let mut summary = Summary::new(recording.len(), recording.is_cut_off);
    let mut lines = String::new();
    let outcome = recording.replay(|now, effect| {
        summary.count(now, effect);
        if simulate.effects {
            let _infallible = writeln!(lines, "{now} {effect:?}");
        }
    });
    outcome.map_err(|error| error.to_string())?;
    Ok(lines + &if simulate.json { json(&summary)? } else { summary.to_string() })
}

impl Simulate {
    fn read_trace(&self) -> Result<Trace, String> {
        let Some(invocations) = self.trace.clone() else {
            return Ok(self.synthetic.clone().unwrap_or_default().generate());
        };
        let files = Files { invocations, durations: self.durations.clone(), memory: self.memory.clone() };
        let defaults = Defaults { duration: self.default_duration, memory: MemoryMib(self.default_memory) };
        files.read(defaults, self.duration_model).map_err(|problem| problem.to_string())
    }

    fn scenario<'a>(
        &self,
        trace: &'a Trace,
        keep_alive: KeepAlive,
        seed: u64,
    ) -> Result<Scenario<'a>, String> {
        let pool = Config {
            account_concurrency: self.concurrency.unwrap_or(u32::MAX),
            memory_budget: self.memory_budget(trace)?,
            queue: match self.when_full {
                WhenFull::Wait => QueuePolicy::Wait { max_waiters: u32::MAX },
                WhenFull::Refuse => QueuePolicy::Refuse,
            },
            scale_out: if self.cost_aware { ScaleOut::CostAware } else { ScaleOut::Eager },
            keep_alive,
            launches_at_once: self.launches_at_once.unwrap_or(u32::MAX),
            seed,
            ..Config::default()
        };
        let (arrivals, cold_start, max_wait) = (self.arrivals, self.cold, self.max_wait);
        Ok(Scenario { trace, pool, arrivals, cold_start, max_wait, seed })
    }

    /// The budget, if there is one; it must hold at least one instance of every function.
    fn memory_budget(&self, trace: &Trace) -> Result<Option<MemoryMib>, String> {
        let Some(budget) = self.budget else { return Ok(None) };
        let mib = MemoryMib(quantity::nearest(budget * 1024.0));
        let largest = trace.functions.iter().map(|function| function.memory).max().unwrap_or_default();
        if mib < largest.max(MemoryMib(1)) {
            let MemoryMib(largest) = largest;
            return Err(format!(
                "--budget {budget}: less than one instance of the largest function, {largest} MiB"
            ));
        }
        Ok(Some(mib))
    }
}

fn json(answer: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(answer).map(|json| json + "\n").map_err(|error| error.to_string())
}

/// To standard output. Whoever closes it early, as `head` does, has read enough.
fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot print: {error}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
