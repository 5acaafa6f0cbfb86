//! Hearth's emulator against AWS's: the same function, the same events, one connection.
//!
//! The function is an echo on the official crate `lambda_runtime`. The two take turns in short rounds, as in the
//! benchmark of the warm path.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hearth_tests::{Explain, Problem, Result, Stopwatch, descendants, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::figures::{Bar, median};
use crate::load::{self, Lane};
use crate::report;

const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const CELL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);

const INVOKE: &str = "/2015-03-31/functions/function/invocations";
const EVENT: &str = r#"{"name":"world"}"#;

/// What Hearth's emulator may need at most, as a part of what AWS's does.
const MOST_OF_WARM: f64 = 0.5;
const MOST_OF_MEMORY: f64 = 0.5;
const MOST_OF_COLD: f64 = 1.0;

/// What was measured of one emulator.
#[derive(Debug)]
struct Column {
    warm_ms: f64,
    memory_mb: f64,
    cold_ms: f64,
}

/// What was measured of both.
#[derive(Debug)]
pub(crate) struct Comparison {
    ours: Column,
    theirs: Column,
}

/// Measures both emulators around a function that answers with its event. All are given as executables.
pub(crate) fn measure(ours: &Path, theirs: &Path, function: &Path) -> Result<Comparison> {
    let emulators = [ours, theirs];
    let [mut cold, mut warm, mut memory]: [[Vec<f64>; 2]; 3] = Default::default();
    for round in 0..ROUNDS {
        report(&format!("round {} of {ROUNDS}", round + 1));
        // Each round begins with the other one.
        for index in [round % 2, (round + 1) % 2] {
            let starting = Stopwatch::start();
            let emulator = Emulator::start(emulators[index], function)?;
            emulator.first_answer()?;
            cold[index].push(starting.elapsed().as_secs_f64() * 1e3);
            let lane = [Lane::post(&emulator.address, INVOKE, &[], EVENT)];
            load::run(&lane, WARM_UP)?;
            warm[index].push(load::run(&lane, CELL)?.percentile_ms(50));
            memory[index].push(emulator.memory_mb()?);
        }
    }
    let [ours, theirs] = [0, 1].map(|index| Column {
        warm_ms: median(std::mem::take(&mut warm[index])),
        memory_mb: median(std::mem::take(&mut memory[index])),
        cold_ms: median(std::mem::take(&mut cold[index])),
    });
    Ok(Comparison { ours, theirs })
}

impl Comparison {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let title = format!(
            "An echo in Rust behind either emulator ({} byte event, 1 connection, {ROUNDS} rounds of {} s, medians)",
            EVENT.len(),
            CELL.as_secs()
        );
        let row = |name: &str, column: &Column| {
            let Column { warm_ms, memory_mb, cold_ms } = column;
            format!("{name:<15} {warm_ms:>8.3} {memory_mb:>7.1} {cold_ms:>8.1}")
        };
        let mut lines = vec![title, String::new(), "emulator         warm ms  RSS MB  cold ms".to_owned()];
        lines.extend([row("rie", &self.ours), row("aws-lambda-rie", &self.theirs), String::new()]);
        lines.extend(self.bars().iter().map(Bar::line));
        lines.join("\n")
    }

    /// For programs: one object of numbers.
    pub(crate) fn json(&self) -> String {
        let Self { ours, theirs } = self;
        json!({
            "rie_warm_ms": ours.warm_ms,
            "aws_rie_warm_ms": theirs.warm_ms,
            "rie_rss_mb": ours.memory_mb,
            "aws_rie_rss_mb": theirs.memory_mb,
            "rie_cold_ms": ours.cold_ms,
            "aws_rie_cold_ms": theirs.cold_ms,
        })
        .to_string()
    }

    fn bars(&self) -> [Bar; 3] {
        let Self { ours, theirs } = self;
        let bar = |what: &str, part: f64, most: f64| Bar {
            text: format!("{what} is {part:.2} of AWS's; at most {most}"),
            is_met: part <= most,
        };
        [
            bar("the median of warm invocations", ours.warm_ms / theirs.warm_ms, MOST_OF_WARM),
            bar("the emulator's memory", ours.memory_mb / theirs.memory_mb, MOST_OF_MEMORY),
            bar("the cold start", ours.cold_ms / theirs.cold_ms, MOST_OF_COLD),
        ]
    }
}

/// A running emulator with the function behind it.
struct Emulator {
    process: Child,
    /// `HOST:PORT`.
    address: String,
}

impl Emulator {
    fn start(program: &Path, function: &Path) -> Result<Self> {
        let [address, runtime_api] = free_addresses()?;
        let process = Command::new(program)
            .args(["--runtime-interface-emulator-address", &address, "--runtime-api-address", &runtime_api])
            .arg(function)
            .arg("handler")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .explain(format_args!("cannot run {}", program.display()))?;
        Ok(Self { process, address })
    }

    /// The first event, as soon as somebody takes it; with AWS's emulator it is what starts the function.
    fn first_answer(&self) -> Result<()> {
        let connect = || TcpStream::connect(&self.address).ok();
        let mut stream = wait_until("the emulator to listen", LIMIT, connect)?;
        stream.set_read_timeout(Some(LIMIT)).explain("cannot set a limit")?;
        let length = EVENT.len();
        let request = format!(
            "POST {INVOKE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{EVENT}"
        );
        stream.write_all(request.as_bytes()).explain("cannot send the first event")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).explain("cannot read the first answer")?;
        if answer.starts_with("HTTP/1.1 200 ") && answer.contains(EVENT) {
            Ok(())
        } else {
            Err(Problem::new(format!("the first answer is no echo: {answer}")))
        }
    }

    /// What the emulator itself takes, without the function's process.
    fn memory_mb(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.explain("cannot read the emulator's memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(kib.explain("the emulator's memory is not told")? / 1024.0)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let function = descendants(self.process.id());
        // Whoever has ended already cannot be ended again.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
        for process in function.iter().filter(|process| process.is_alive()) {
            if let Ok(pid) = i32::try_from(process.pid) {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// Two at once, so that they differ.
fn free_addresses() -> Result<[String; 2]> {
    let bind = || TcpListener::bind("127.0.0.1:0").explain("cannot find a free port");
    let address = |listener: &TcpListener| {
        listener.local_addr().map(|address| address.to_string()).explain("cannot find a free port")
    };
    let listeners = [bind()?, bind()?];
    Ok([address(&listeners[0])?, address(&listeners[1])?])
}
