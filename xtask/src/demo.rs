//! `cargo xtask demo`: the shortest way to see Hearth at work.

use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::Args;
use hearth_tests::{
    Answer, Binaries, Client, Explain, Host, Launch, NewFunction, Problem, Result, Stopwatch, descendants,
    zip_folder,
};
use serde_json::Value;

use crate::cargo;
use crate::python;
use crate::screen::{self, BOLD, CYAN, DIM, GREEN};

/// The function that is deployed, from `examples/functions`.
const FUNCTION: &str = "python-hello";
/// The port of `sam local start-lambda`, where people expect it.
const USUAL_ADDRESS: &str = "127.0.0.1:3001";
/// How soon the end of a host that nobody stopped is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Start hearth, deploy a function, invoke it cold and warm, stop again
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Leave it serving until Ctrl-C
    #[arg(long)]
    keep: bool,

    /// Build it optimised: it takes longer to build, and answers faster
    #[arg(long)]
    release: bool,
}

impl Demo {
    pub(crate) fn run(&self) -> Result<()> {
        let whole = Stopwatch::start();
        let interrupted = interruptions()?;
        let aws_cli = thread::spawn(aws_cli_major);
        let python = python::version()?;

        screen::title("Hearth demo: a Lambda function on your own machine");
        let binaries = self.build()?;
        let hearth = binaries.hearth.clone();
        let host = self.start(binaries)?;
        let client = host.client();
        deploy(&client, &python)?;

        invoke(&client, "cold", r#"{"name": "world"}"#)?;
        invoke(&client, "warm", r#"{"name": "world, once more"}"#)?;
        show_instances(&client)?;
        self.show_what_next(&host, &hearth, aws_cli);
        if self.keep {
            serve_until_interrupted(host, &interrupted)?;
        } else {
            stop(host)?;
        }
        anstream::println!(
            "\n{GREEN}The demo is over{GREEN:#} {DIM}after {}{DIM:#}",
            screen::time(whole.elapsed())
        );
        Ok(())
    }

    fn build(&self) -> Result<Binaries> {
        let building = Stopwatch::start();
        let mut args = vec!["--package", "hearth-host", "--package", "hearth-backend-process"];
        if self.release {
            args.push("--release");
        }
        let binaries = cargo::build(&args)?;
        screen::done("built", "hearth, libhearth_backend_process.so", building.elapsed());
        Ok(binaries)
    }

    fn start(&self, binaries: Binaries) -> Result<Host> {
        let starting = Stopwatch::start();
        let is_free = TcpListener::bind(USUAL_ADDRESS).is_ok();
        let address = if is_free { USUAL_ADDRESS } else { "127.0.0.1:0" };
        let launch = Launch::new(binaries).backend("process").args(["--listen", address]).shielded();
        let launch = if self.keep { launch.show_log() } else { launch };
        let host = launch.start()?;
        screen::done("started", host.banner(), starting.elapsed());
        Ok(host)
    }

    fn show_what_next(&self, host: &Host, hearth: &Path, aws_cli: JoinHandle<Option<u32>>) {
        let url = format!("http://{}", host.address());
        // Version 1 takes the payload as it is and does not know the option; version 2 needs it.
        let is_version_1 = matches!(aws_cli.join(), Ok(Some(1)));
        let raw = if is_version_1 { "" } else { "--cli-binary-format raw-in-base64-out " };
        screen::title(if self.keep {
            "Go on by hand"
        } else {
            "Go on by hand, with cargo xtask demo --keep"
        });
        anstream::println!(
            "  {CYAN}export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1{CYAN:#}"
        );
        anstream::println!(
            "  {CYAN}aws lambda invoke --endpoint-url {url} --function-name {FUNCTION} \\\n      \
             {raw}--payload '{{\"name\":\"you\"}}' /dev/stdout{CYAN:#}"
        );
        let hearth = hearth.strip_prefix(cargo::root()).unwrap_or(hearth).display();
        anstream::println!("  {CYAN}{hearth} instances --listen {}{CYAN:#}", host.address());
    }
}

/// Told of every Ctrl-C and SIGTERM, which then do not end this process: it has something to clean up.
fn interruptions() -> Result<Receiver<()>> {
    let (sender, interrupted) = mpsc::channel();
    let handler = move || {
        // Nobody listens any more when the demo is about to end anyway.
        let _nobody = sender.send(());
    };
    ctrlc::set_handler(handler).explain("cannot listen for Ctrl-C")?;
    Ok(interrupted)
}

/// The first number in `aws-cli/2.31.0 …`, if the aws CLI is installed.
fn aws_cli_major() -> Option<u32> {
    let output = std::process::Command::new("aws").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("aws-cli/")?.split('.').next()?.parse().ok()
}

fn deploy(client: &Client, python: &str) -> Result<()> {
    let deploying = Stopwatch::start();
    let folder = cargo::root().join("examples/functions").join(FUNCTION);
    let zip = zip_folder(&folder)?;
    let runtime = format!("python{python}");
    client.create(NewFunction {
        name: FUNCTION,
        runtime: &runtime,
        handler: "lambda_function.lambda_handler",
        zip: &zip,
        timeout_seconds: 3,
    })?;
    let detail = format!("{FUNCTION} ({runtime}) from a zip of {} bytes, through CreateFunction", zip.len());
    screen::done("deployed", detail, deploying.elapsed());
    Ok(())
}

fn invoke(client: &Client, start: &str, event: &str) -> Result<()> {
    let waiting = Stopwatch::start();
    let answer = client.invoke(FUNCTION, event.as_bytes())?.ok()?;
    let took = waiting.elapsed();
    if let Some(kind) = answer.header("X-Amz-Function-Error") {
        return Err(Problem::new(format!("the function failed ({kind}): {}", answer.text())));
    }
    screen::done(start, format_args!("{BOLD}{}{BOLD:#}", answer.text()), took);
    if let Some(report) = report(&answer) {
        anstream::println!("{:14}{DIM}{report}{DIM:#}", "");
    }
    Ok(())
}

/// What the function's log says of the invocation: `Duration: 1.02 ms  Billed Duration: 2 ms  …`.
fn report(answer: &Answer) -> Option<String> {
    let log = answer.log_tail()?;
    let (_, figures) = log.lines().rfind(|line| line.starts_with("REPORT "))?.split_once('\t')?;
    Some(figures.trim_end().replace('\t', "  "))
}

fn show_instances(client: &Client) -> Result<()> {
    screen::title("Warm instances");
    let heads = ["FUNCTION", "VERSION", "RUNTIME", "STATE", "INVOCATIONS", "IDLE", "AGE", "MEMORY", "WHERE"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(client.instances()?.iter().map(instance_row));
    screen::table(&rows);
    Ok(())
}

fn instance_row(instance: &Value) -> Vec<String> {
    let text = |name: &str| instance[name].as_str().unwrap_or_default().to_owned();
    let number =
        |name: &str, unit: &str| instance[name].as_u64().map_or("-".into(), |it| format!("{it}{unit}"));
    let seconds = |name: &str| instance[name].as_f64().map_or("-".into(), |it| format!("{it:.2} s"));
    let pid = instance["metadata"]["process.id"].as_str().map(|pid| format!("process {pid}"));
    vec![
        text("function"),
        text("version"),
        text("runtime"),
        text("state"),
        number("invocations", ""),
        seconds("idle_seconds"),
        seconds("age_seconds"),
        number("memory_mb", " MB"),
        pid.unwrap_or_else(|| text("handle")),
    ]
}

fn serve_until_interrupted(mut host: Host, interrupted: &Receiver<()>) -> Result<()> {
    anstream::println!("\n{BOLD}Serving until Ctrl-C.{BOLD:#} {DIM}What follows is hearth's log.{DIM:#}");
    while interrupted.recv_timeout(LOOK_EVERY).is_err() {
        if host.has_ended() {
            let ended = host.wait()?;
            return Err(Problem::new(format!("hearth ended by itself: {}\n{}", ended.status, ended.output)));
        }
    }
    stop(host)
}

/// Ends hearth as a service manager would, and looks whether anything of it is left.
fn stop(host: Host) -> Result<()> {
    screen::title("Stopping");
    let stopping = Stopwatch::start();
    let processes = descendants(host.pid());
    let ended = host.stop()?;
    if !ended.status.success() {
        return Err(Problem::new(format!("hearth ended with {}:\n{}", ended.status, ended.output)));
    }
    let left: Vec<String> =
        processes.iter().filter(|it| it.is_alive()).map(|it| format!("{} ({})", it.name, it.pid)).collect();
    if !left.is_empty() {
        return Err(Problem::new(format!("hearth ended and left processes behind: {}", left.join(", "))));
    }
    let report = ended.output.lines().rev().find_map(|line| line.strip_prefix("hearth stopped: "));
    screen::done("stopped", report.unwrap_or("nothing is left"), stopping.elapsed());
    Ok(())
}
