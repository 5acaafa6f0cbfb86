//! What Hearth adds to a container: a cold start against the floor of the engine, a warm invocation against AWS's
//! own emulator in the same image.
//!
//! The floor is the very container that Hearth makes, made and started straight through the engine's API until its
//! first answer. All take turns in one run.

mod rested;
mod running;

use std::time::Duration;

use hearth_tests::{
    Binaries, Client, Explain, Launch, NewFunction, Problem, Result, Stopwatch, wait_until, zip_of,
};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::figures::{Bar, median};
use crate::load::{self, Lane};
use crate::report;
use running::{Running, copy};

const COLD_ROUNDS: usize = 12;
const WARM_ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const CELL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(30);
/// Before each cold start, so that the engine is done with what was removed before.
const REST: Duration = Duration::from_millis(300);

/// What a cold start through Hearth may take at most, as a part of the floor.
const MOST_OF_COLD: f64 = 1.15;
/// What a warm invocation through Hearth may take at most, as a part of one straight to AWS's emulator.
const MOST_OF_WARM: f64 = 0.7;

const NAME: &str = "echo";
const HANDLER: &str = "handler.handler";
const FUNCTION: &str = "def handler(event, context):\n    return event\n";
const IMAGES: &str = "public.ecr.aws/lambda/python:";
const INVOKE: &str = "/2015-03-31/functions/function/invocations";
/// As Python writes it, so that the echo is the same.
const EVENT: &str = r#"{"name": "world"}"#;

/// The same function, with so many files beside it.
const MANY_FILES: &str = "echo-with-many-files";
const FILES: usize = 34_000;

/// Medians, in milliseconds.
#[derive(Debug)]
pub(crate) struct Comparison {
    engine: String,
    floor_cold: f64,
    hearth_cold: f64,
    /// Of the function with many files.
    many_files_cold: f64,
    aws_warm: f64,
    hearth_warm: f64,
    /// The first invocation after a rest: of a process that was stopped, and of a container that was paused.
    stopped_warm: f64,
    paused_warm: f64,
}

/// Measures over the engine at a socket.
pub(crate) fn measure(socket: &str) -> Result<Comparison> {
    let engine = Engine::at(socket);
    let version = engine.get("/version")?;
    let launch = Launch::new(Binaries::find()?).env("DOCKER_HOST", format!("unix://{socket}"));
    let host = launch.backend("docker").start()?;
    let client = host.client();
    let zip = zip_of(&[("handler.py", FUNCTION)])?;
    let runtime = runtime(&engine)?;
    deploy(&client, NAME, &runtime, &zip)?;
    deploy(&client, MANY_FILES, &runtime, &with_many_files()?)?;
    client.invoke(NAME, EVENT.as_bytes())?.ok()?;
    let model = engine.get(&format!("/containers/{}/json", container(&client)?))?;

    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..COLD_ROUNDS {
        report(&format!("cold round {} of {COLD_ROUNDS}", round + 1));
        for kind in [round % 3, (round + 1) % 3, (round + 2) % 3] {
            rest(&client)?;
            times[kind].push(match kind {
                0 => cold_floor(&engine, &model)?,
                1 => cold_through_hearth(&client, NAME)?,
                _ => cold_through_hearth(&client, MANY_FILES)?,
            });
        }
    }
    let [floor_cold, hearth_cold, many_files_cold] = times.map(median);
    rest(&client)?;
    let (aws_warm, hearth_warm) = warm(&engine, &model, host.address())?;
    let (stopped_warm, paused_warm) = rested::measure(&host, socket, &runtime, &zip)?;
    if !host.stop()?.status.success() {
        return Err(Problem::new("hearth did not end well"));
    }
    Ok(Comparison {
        engine: format!("engine {}, API {}", version["Version"], version["ApiVersion"]).replace('"', ""),
        floor_cold,
        hearth_cold,
        many_files_cold,
        aws_warm,
        hearth_warm,
        stopped_warm,
        paused_warm,
    })
}

fn deploy(client: &Client, name: &str, runtime: &str, zip: &[u8]) -> Result<()> {
    client.create(NewFunction { name, runtime, handler: HANDLER, zip, timeout_seconds: 60 })
}

/// As many as an application with all that it depends on has, in folders of a hundred.
fn with_many_files() -> Result<Vec<u8>> {
    let others = (1..FILES).map(|number| (format!("folder{}/file{number}.txt", number / 100), "text"));
    let files: Vec<_> = std::iter::once(("handler.py".to_owned(), FUNCTION)).chain(others).collect();
    let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    zip_of(&files)
}

/// The runtime that there is an image of.
fn runtime(engine: &Engine) -> Result<String> {
    let images = engine.get("/images/json")?;
    let mut tags = images
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|image| image["RepoTags"].as_array().into_iter().flatten());
    let version = tags.find_map(|tag| tag.as_str()?.strip_prefix(IMAGES));
    version
        .map(|version| format!("python{version}"))
        .explain("there is no image of Python: cargo xtask images")
}

/// The handle of the one instance, which is the name of its container.
fn container(client: &Client) -> Result<String> {
    let instances = client.instances()?;
    let handle = instances.first().and_then(|instance| instance["handle"].as_str());
    handle.map(str::to_owned).explain("there is no instance")
}

fn cold_floor(engine: &Engine, model: &Value) -> Result<f64> {
    let mut environment = model["Config"]["Env"].as_array().into_iter().flatten();
    let token = environment.find_map(|variable| variable.as_str()?.strip_prefix("HEARTH_RIE_TOKEN="));
    let token = token.explain("the container has no token")?;
    let body = copy(model, |_| {});
    let starting = Stopwatch::start();
    let running = Running::start(engine, &body)?;
    let headers = format!(
        "Authorization: Bearer {token}\r\nLambda-Runtime-Aws-Request-Id: 1\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn\r\nHearth-Timeout-Ms: 60000\r\n"
    );
    running.first_answer(&headers)?;
    let took = starting.elapsed().as_secs_f64() * 1e3;
    running.remove()?;
    Ok(took)
}

/// Waits until no instance is left and the engine has come to rest.
fn rest(client: &Client) -> Result<()> {
    for name in [NAME, MANY_FILES] {
        client.send("POST", &format!("/_hearth/functions/{name}/evict"), &[], b"")?.ok()?;
    }
    let is_gone = || client.instances().is_ok_and(|instances| instances.is_empty()).then_some(());
    wait_until("the instance to go", LIMIT, is_gone)?;
    hearth_tests::pause(REST);
    Ok(())
}

fn cold_through_hearth(client: &Client, name: &str) -> Result<f64> {
    let invoking = Stopwatch::start();
    let answer = client.invoke(name, EVENT.as_bytes())?.ok()?;
    let took = invoking.elapsed().as_secs_f64() * 1e3;
    if answer.text() == EVENT { Ok(took) } else { Err(Problem::new(format!("no echo: {}", answer.text()))) }
}

/// Straight to AWS's emulator, and through Hearth.
fn warm(engine: &Engine, model: &Value, hearth: &str) -> Result<(f64, f64)> {
    let body = copy(model, |body| {
        body["Entrypoint"] = json!(["/lambda-entrypoint.sh"]);
        body["Cmd"] = json!([HANDLER]);
    });
    let aws = Running::start(engine, &body)?;
    aws.first_answer("")?;
    let path = format!("/2015-03-31/functions/{NAME}/invocations");
    let lanes = [Lane::post(&aws.address, INVOKE, &[], EVENT), Lane::post(hearth, &path, &[], EVENT)];
    let mut medians = [Vec::new(), Vec::new()];
    for round in 0..WARM_ROUNDS {
        report(&format!("warm round {} of {WARM_ROUNDS}", round + 1));
        for index in [round % 2, (round + 1) % 2] {
            let lane = &lanes[index..=index];
            load::run(lane, WARM_UP)?;
            medians[index].push(load::run(lane, CELL)?.percentile_ms(50));
        }
    }
    aws.remove()?;
    let [aws, hearth] = medians.map(median);
    Ok((aws, hearth))
}

impl Comparison {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let Self { engine, floor_cold, hearth_cold, many_files_cold, aws_warm, hearth_warm, .. } = self;
        let mut lines = vec![
            format!(
                "An echo in Python in a container ({engine}; {COLD_ROUNDS} cold starts, {WARM_ROUNDS} rounds of {} s warm, medians)",
                CELL.as_secs()
            ),
            String::new(),
            format!("cold start straight through the engine's API  {floor_cold:>9.1} ms"),
            format!("cold start through hearth                     {hearth_cold:>9.1} ms"),
            format!("the same with {FILES} files                  {many_files_cold:>9.1} ms"),
            format!("warm, straight to AWS's emulator              {aws_warm:>9.3} ms"),
            format!("warm, through hearth                          {hearth_warm:>9.3} ms"),
            format!("the first after a rest                        {:>9.3} ms", self.stopped_warm),
            format!("the same with pause_idle_after_seconds        {:>9.3} ms", self.paused_warm),
            String::new(),
        ];
        lines.extend(self.bars().iter().map(Bar::line));
        lines.join("\n")
    }

    /// For programs: one object of numbers.
    pub(crate) fn json(&self) -> String {
        json!({
            "floor_cold_ms": self.floor_cold,
            "hearth_cold_ms": self.hearth_cold,
            "hearth_cold_34000_files_ms": self.many_files_cold,
            "aws_rie_warm_ms": self.aws_warm,
            "hearth_warm_ms": self.hearth_warm,
            "hearth_rested_ms": self.stopped_warm,
            "hearth_paused_ms": self.paused_warm,
        })
        .to_string()
    }

    fn bars(&self) -> [Bar; 2] {
        let bar = |what: &str, part: f64, of: &str, most: f64| Bar {
            text: format!("{what} through hearth is {part:.2} of {of}; at most {most}"),
            is_met: part <= most,
        };
        [
            bar("a cold start", self.hearth_cold / self.floor_cold, "the engine's floor", MOST_OF_COLD),
            bar(
                "a warm invocation",
                self.hearth_warm / self.aws_warm,
                "one straight to AWS's emulator",
                MOST_OF_WARM,
            ),
        ]
    }
}
