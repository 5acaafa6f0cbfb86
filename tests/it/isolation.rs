//! `--isolate-backend`: whatever ends a backend's process costs the host only the backend.

use std::fs;
use std::path::PathBuf;

use hearth_tests::{Answer, Host, Launch, Process, descendants, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::plugins::corpus::{library, program};
use crate::support::{ECHO, LIMIT, deploy, launch, wait_until_gone};

/// A host over a backend whose process ends as it is told, and whose instances live on.
struct Fragile {
    host: Host,
    data: tempfile::TempDir,
}

/// What instances run does not matter to it.
const NOTHING: &str = "";

fn settings(data: &tempfile::TempDir, settings: &str) -> Launch {
    let backend = data.path().join("libhearth_backend_fragile.so");
    fs::copy(library("fragile"), &backend).unwrap();
    let file = data.path().join("hearth.toml");
    let instance = program("fragile-instance");
    let section = format!("[backends.fragile]\ninstance = '{}'\n{settings}", instance.display());
    fs::write(&file, format!("isolate_backend = true\n{section}")).unwrap();
    let (backend, file) = (backend.to_str().unwrap(), file.to_str().unwrap());
    launch().backend(backend).args(["--config", file]).data_dir(data.path())
}

impl Fragile {
    fn start(more: &str, functions: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let host = settings(&data, more).start().unwrap();
        for function in functions {
            deploy(&host.client(), function, NOTHING);
        }
        Self { host, data }
    }

    fn invoke(&self, function: &str) -> Answer {
        self.host.client().invoke(function, b"[1]").unwrap()
    }

    #[track_caller]
    fn check_that_it_serves(&self, function: &str) {
        let answer = self.invoke(function);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "[1]"));
    }

    /// A file in the directory that the backend has from the host.
    fn path(&self, name: &str) -> PathBuf {
        self.data.path().join("backends/fragile").join(name)
    }

    /// Handles of the instances that the backend has.
    fn living(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("instances")).unwrap().map(|file| file.unwrap().path());
        let lives = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
        lives.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// Handles of the instances of a function that the host has, and how often each was invoked.
    fn held(&self, function: &str) -> Vec<(String, u64)> {
        let instances = self.host.client().instances().unwrap().into_iter();
        let of_function = instances.filter(|it| it["function"] == function && it["state"] != "terminating");
        let figures =
            |it: Value| (it["handle"].as_str().unwrap().to_owned(), it["invocations"].as_u64().unwrap());
        of_function.map(figures).collect()
    }

    /// How often the host has said this.
    fn times(&self, text: &str) -> usize {
        self.host.output().matches(text).count()
    }

    fn wait_until_back(&self) {
        let is_back = || (self.times(BACK) > 0).then_some(());
        wait_until("the backend to be back", LIMIT, is_back).unwrap();
    }
}

const ENDED: &str = "the backend's process has ended; starting it again";
const BACK: &str = "the backend's process is back";

/// The process that holds a host's backend.
fn home(host: &Host) -> Process {
    let mut found = descendants(host.pid());
    found.retain(|process| process.name == "hearth-backend");
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn kill_home(host: &Host) {
    let home = home(host);
    kill(Pid::from_raw(i32::try_from(home.pid).unwrap()), Signal::SIGKILL).unwrap();
    wait_until_gone(&[home]);
}

#[test]
fn a_backend_that_aborts_costs_the_launch_and_nothing_else() {
    let fragile = Fragile::start("lists = true", &["aborts", "other"]);
    fragile.check_that_it_serves("other");
    let answer = fragile.invoke("aborts");
    assert_eq!(
        (answer.status(), answer.header("x-amzn-ErrorType")),
        (502, Some("ResourceNotReadyException"))
    );
    let told = answer.text();
    assert!(told.contains("the backend's process has ended (signal: 6 (SIGABRT)"), "{told}");
    fragile.check_that_it_serves("aborts");
    fragile.check_that_it_serves("other");
    assert_eq!((fragile.times(ENDED), fragile.times(BACK)), (1, 1), "{}", fragile.host.output());
    assert_eq!(fragile.held("other")[0].1, 2);
}

#[test]
fn instances_that_live_on_serve_while_the_backend_is_away_and_are_adopted() {
    let fragile = Fragile::start("lists = true", &["stays", "goes", "comes"]);
    fragile.check_that_it_serves("stays");
    fragile.check_that_it_serves("goes");
    let (stays, goes) = (fragile.held("stays"), fragile.held("goes"));
    fs::write(fragile.path("hold"), "").unwrap();
    kill_home(&fragile.host);
    wait_until("its end to be seen", LIMIT, || (fragile.times(ENDED) > 0).then_some(())).unwrap();
    fragile.check_that_it_serves("stays");
    fragile.check_that_it_serves("stays");
    assert_eq!(fragile.times(BACK), 0);

    // One that ends while nobody looks is missed afterwards, and one that is launched meanwhile waits.
    fs::remove_file(fragile.path("instances").join(&goes[0].0).with_extension("json")).unwrap();
    let (client, hold) = (fragile.host.client(), fragile.path("hold"));
    let waits = std::thread::spawn(move || client.invoke("comes", b"[1]").unwrap().text());
    let is_launching = || {
        let instances = fragile.host.client().instances().unwrap();
        instances.iter().any(|it| it["function"] == "comes" && it["state"] == "launching").then_some(())
    };
    wait_until("the launch to be asked for", LIMIT, is_launching).unwrap();
    fs::remove_file(hold).unwrap();
    assert_eq!(waits.join().unwrap(), "[1]");
    assert_eq!(fragile.held("stays"), [(stays[0].0.clone(), 3)]);
    wait_until("the other to be missed", LIMIT, || fragile.held("goes").is_empty().then_some(())).unwrap();
    assert!(fragile.host.output().contains("adopted=1 lost=1"), "{}", fragile.host.output());
    fragile.check_that_it_serves("stays");
    assert_eq!(fragile.held("stays")[0].1, 4);
}

#[test]
fn an_instance_whose_launch_was_never_answered_is_ended() {
    let fragile = Fragile::start("lists = true", &["loses"]);
    assert_eq!(fragile.invoke("loses").status(), 502);
    fragile.check_that_it_serves("loses");
    let held: Vec<_> = fragile.held("loses").into_iter().map(|(handle, _)| handle).collect();
    assert_eq!(fragile.living(), held);
}

#[test]
fn of_a_backend_that_cannot_list_nothing_is_kept() {
    let fragile = Fragile::start("lists = false", &["echo"]);
    fragile.check_that_it_serves("echo");
    let former = fragile.held("echo");
    kill_home(&fragile.host);
    fragile.wait_until_back();
    wait_until("it to be given up", LIMIT, || fragile.living().is_empty().then_some(())).unwrap();
    fragile.check_that_it_serves("echo");
    assert_ne!(fragile.held("echo")[0].0, former[0].0);
}

#[test]
fn the_log_of_an_instance_goes_on_where_it_was() {
    let fragile = Fragile::start("lists = true", &["echo"]);
    let log = || {
        let path = "/_hearth/functions/echo/logs?follow=false";
        let answer = fragile.host.client().send("GET", path, &[], b"").unwrap().text();
        answer
            .lines()
            .map(|line| line.rsplit_once("] ").map_or(line, |it| it.1).to_owned())
            .collect::<Vec<_>>()
    };
    let lines = |count: usize| wait_until("lines", LIMIT, || (log().len() >= count).then(log)).unwrap();
    let event = |number: u8| fragile.host.client().invoke("echo", &[b'0' + number]).unwrap();
    event(1);
    event(2);
    lines(2);
    kill_home(&fragile.host);
    event(3);
    fragile.wait_until_back();
    event(4);
    let served: Vec<_> =
        lines(4).iter().map(|line| line[line.find("served").unwrap()..].to_owned()).collect();
    assert_eq!(served, ["served 1", "served 2", "served 3", "served 4"]);
}

#[test]
fn a_backend_that_never_starts_is_one_line() {
    let data = tempfile::tempdir().unwrap();
    let ended = settings(&data, "aborts = true").args(["--listen", "127.0.0.1:0"]).run_to_end().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let line = ended.output.lines().last().unwrap();
    let problem = "its process ended while it was loaded (signal: 6 (SIGABRT)";
    assert!(line.starts_with("hearth: cannot load ") && line.contains(problem), "{}", ended.output);
}

/// A host over the process backend, with an instance of the function `echo`.
fn processes(launch: Launch) -> Host {
    let host = launch.args(["--isolate-backend"]).start().unwrap();
    deploy(&host.client(), "echo", ECHO);
    assert_eq!(host.client().invoke("echo", b"1").unwrap().text(), "1");
    host
}

#[test]
fn instances_that_end_with_the_backend_are_told_and_replaced() {
    let data = tempfile::tempdir().unwrap();
    let host = processes(launch().data_dir(data.path()));
    let former = descendants(host.pid());
    kill_home(&host);
    wait_until_gone(&former);
    let told = || host.output().contains("instance ended by itself").then_some(());
    wait_until("the instance to be missed", LIMIT, told).unwrap();
    assert_eq!(host.client().invoke("echo", b"2").unwrap().text(), "2");
    let folders = fs::read_dir(data.path().join("backends/process/instances")).unwrap().count();
    assert_eq!(folders, 1, "one is left of a former instance");
}

#[test]
fn a_killed_host_leaves_neither_backend_nor_instances() {
    let host = processes(launch());
    let processes = descendants(host.pid());
    assert!(processes.contains(&home(&host)) && processes.len() >= 2, "{processes:?}");
    host.kill().unwrap();
    wait_until_gone(&processes);
}

#[test]
fn a_signal_to_the_whole_group_ends_instances_before_the_backend() {
    let host = processes(launch().shielded());
    let processes = descendants(host.pid());
    kill(Pid::from_raw(-i32::try_from(host.pid()).unwrap()), Signal::SIGTERM).unwrap();
    let ended = host.wait().unwrap();
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.output.contains("1 instances ended, 0 left behind"), "{}", ended.output);
    assert!(!ended.output.contains(ENDED), "{}", ended.output);
    for process in processes {
        assert!(!process.is_alive(), "{process:?} is left");
    }
}
