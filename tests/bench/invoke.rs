//! The warm path: the same event straight to a mock instance, through hearth, and through nginx.
//!
//! The mock's instances run inside the host's process and do next to nothing, so that what remains is the way.
//! Targets take turns in short rounds: whatever else the machine does meets all of them alike.

use std::fs;
use std::thread;
use std::time::Duration;

use hearth_tests::{
    Binaries, Client, Explain, Host, Launch, NewFunction, Problem, Result, wait_until, zip_of,
};
use serde_json::Value;

use crate::figures::{Bar, Cell, Figures};
use crate::load::{self, Lane};
use crate::nginx::Nginx;
use crate::report;

/// Each instance takes one event at a time: this many are needed for as many connections.
const MOST_CONNECTIONS: usize = 16;
const CONNECTIONS: [usize; 2] = [1, MOST_CONNECTIONS];
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const LAUNCH_LIMIT: Duration = Duration::from_secs(10);
const CELL: Duration = Duration::from_secs(2);

const FUNCTION: &str = "bench";
const EVENT: &str = r#"{"name":"world"}"#;
const INVOKE_INSTANCE: &str = "/2015-03-31/functions/function/invocations";

/// What hearth may add to the median latency of one connection, in milliseconds.
const MOST_ADDED_MS: f64 = 0.25;
/// The part of nginx's throughput that hearth must reach.
const LEAST_OF_NGINX: f64 = 0.7;

/// Launches take a moment, so that as many instances are started as there are events.
const SETTINGS: &str = "
[pool]
launches_at_once = 16
[backends.mock]
check_token = false
launch_delay_ms = 500
";

/// Measures all targets at all numbers of connections.
pub(crate) fn measure() -> Result<Figures> {
    let folder = tempfile::tempdir().explain("cannot make a folder")?;
    let settings = folder.path().join("hearth.toml");
    fs::write(&settings, SETTINGS).explain("cannot write settings")?;
    let settings = settings.display().to_string();
    let host = Launch::new(Binaries::find()?)
        .backend("mock")
        .args(["--config", &settings, "--log", "warn"])
        .start()?;
    let endpoints = endpoints(&host)?;
    let nginx = Nginx::start(&endpoints)?;
    let targets = [("direct", direct(&endpoints)), ("hearth", hearth(&host)), ("nginx", through(&nginx))];

    let mut cells: Vec<(&'static str, usize, Cell)> = CONNECTIONS
        .iter()
        .flat_map(|&connections| targets.iter().map(move |(name, _)| (*name, connections, Cell::default())))
        .collect();
    for round in 0..ROUNDS {
        report(&format!("round {} of {ROUNDS}", round + 1));
        for index in 0..cells.len() {
            // Each round begins with another cell: none is always the first after a pause.
            let (name, connections, cell) = &mut cells[(index + round) % (CONNECTIONS.len() * targets.len())];
            let lanes = &targets.iter().find(|(target, _)| target == name).explain("no such target")?.1
                [..*connections];
            load::run(lanes, WARM_UP)?;
            cell.push(load::run(lanes, CELL)?);
        }
    }
    host.stop()?;
    let bars = bars(&cells)?;
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let title = format!(
        "Warm invocations of a mock instance ({} byte event, {ROUNDS} rounds of {} s each, medians, {cores} cores)",
        EVENT.len(),
        CELL.as_secs()
    );
    Ok(Figures { title, cells, bars })
}

/// Starts as many instances as there are connections at most, and answers where they are.
fn endpoints(host: &Host) -> Result<Vec<String>> {
    let client = host.client();
    let zip = zip_of(&[("handler.py", "")])?;
    let handler = "handler.handler";
    client.create(NewFunction {
        name: FUNCTION,
        runtime: "python3.13",
        handler,
        zip: &zip,
        timeout_seconds: 3,
    })?;
    let invocations: Vec<_> = (0..MOST_CONNECTIONS).map(|_| invoke_once(client.clone())).collect();
    for invocation in invocations {
        invocation.join().map_err(|_| Problem::new("an invocation panicked"))??;
    }
    // The first instances may have served all events before the last ones are there.
    let all_there = || {
        let instances = client.instances().unwrap_or_default();
        let endpoints: Vec<String> = instances.iter().filter_map(endpoint).collect();
        (endpoints.len() == MOST_CONNECTIONS).then_some(endpoints)
    };
    wait_until("all instances to be launched", LAUNCH_LIMIT, all_there)
}

fn endpoint(instance: &Value) -> Option<String> {
    Some(instance["endpoint"].as_str()?.trim_start_matches("http://").to_owned())
}

fn invoke_once(client: Client) -> thread::JoinHandle<Result<()>> {
    thread::spawn(move || client.invoke(FUNCTION, EVENT.as_bytes())?.ok().map(drop))
}

/// The headers that hearth sends to an instance.
const INSTANCE_HEADERS: [(&str, &str); 3] = [
    ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:bench"),
    ("Hearth-Timeout-Ms", "3000"),
];

fn direct(endpoints: &[String]) -> Vec<Lane> {
    endpoints.iter().map(|endpoint| Lane::post(endpoint, INVOKE_INSTANCE, &INSTANCE_HEADERS, EVENT)).collect()
}

fn hearth(host: &Host) -> Vec<Lane> {
    let path = format!("/2015-03-31/functions/{FUNCTION}/invocations");
    vec![Lane::post(host.address(), &path, &[], EVENT); MOST_CONNECTIONS]
}

fn through(nginx: &Nginx) -> Vec<Lane> {
    let path = |index| format!("/{index}{INVOKE_INSTANCE}");
    (0..MOST_CONNECTIONS)
        .map(|index| Lane::post(nginx.address(), &path(index), &INSTANCE_HEADERS, EVENT))
        .collect()
}

fn bars(cells: &[(&'static str, usize, Cell)]) -> Result<Vec<Bar>> {
    let find = |target: &str, connections: usize| {
        let found = cells.iter().find(|(name, at, _)| *name == target && *at == connections);
        found.map(|(_, _, cell)| cell).explain(format_args!("{target} was not measured"))
    };
    let added = find("hearth", 1)?.percentile_ms(50) - find("direct", 1)?.percentile_ms(50);
    let many = MOST_CONNECTIONS;
    let part = find("hearth", many)?.requests_per_second() / find("nginx", many)?.requests_per_second();
    Ok(vec![
        Bar {
            text: format!(
                "hearth adds {added:.3} ms at the median with 1 connection; at most {MOST_ADDED_MS} ms"
            ),
            is_met: added <= MOST_ADDED_MS,
        },
        Bar {
            text: format!(
                "hearth reaches {part:.2} of nginx's throughput with {many} connections; at least {LEAST_OF_NGINX}"
            ),
            is_met: part >= LEAST_OF_NGINX,
        },
    ])
}
