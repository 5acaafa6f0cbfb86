//! The end of a host, asked for by a signal.

use std::fs;

use hearth_tests::{Ended, Host, Process, descendants, wait_until};
use nix::sys::signal::Signal;

use crate::support::{
    ECHO, LIMIT, WAITS, deploy, invoke_with_folder, launch, wait_for_file, wait_until_gone,
};

/// A host that serves one invocation, which goes on until `go-on` appears in the folder.
struct Busy {
    host: Host,
    folder: tempfile::TempDir,
    running: std::thread::JoinHandle<hearth_tests::Result<hearth_tests::Answer>>,
    processes: Vec<Process>,
}

fn busy(settings: &str) -> Busy {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hearth.toml");
    fs::write(&file, settings).unwrap();
    let host = launch().args(["--config", file.to_str().unwrap()]).start().unwrap();
    let client = host.client();
    deploy(&client, "waits", WAITS);
    let running = invoke_with_folder(&client, "waits", folder.path());
    wait_for_file(&folder.path().join("started"));
    let processes = descendants(host.pid());
    assert!(!processes.is_empty());
    Busy { host, folder, running, processes }
}

/// Waits until the host has heard the signal: it says so in its log.
fn wait_until_stopping(host: &Host) {
    wait_until("the host to begin its end", LIMIT, || host.output().contains("stopping").then_some(()))
        .unwrap();
}

#[track_caller]
fn check_end(ended: &Ended, report: &str, processes: &[Process]) {
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.output);
    let told =
        ended.output.lines().find(|line| line.starts_with("hearth stopped: ")).unwrap_or(&ended.output);
    assert!(told.starts_with(&format!("hearth stopped: {report}; ")), "{told}");
    for process in processes {
        assert!(!process.is_alive(), "{process:?} is left");
    }
}

#[test]
fn an_invocation_under_way_finishes_and_nothing_is_left() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let Busy { host, folder, running, processes } = busy("");
        host.signal(signal).unwrap();
        wait_until_stopping(&host);
        assert!(!running.is_finished());
        fs::write(folder.path().join("go-on"), "").unwrap();
        let answer = running.join().unwrap().unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "\"finished\""));
        check_end(
            &host.wait().unwrap(),
            "1 invocations finished, 0 cut off; 1 instances ended, 0 left behind",
            &processes,
        );
    }
}

#[test]
fn whoever_comes_while_the_host_stops_is_refused() {
    let Busy { host, folder, running, processes } = busy("");
    let (client, connected) = (host.client(), host.client());
    assert_eq!(connected.get("/_hearth/health").unwrap()["status"], "ok");
    host.signal(Signal::SIGTERM).unwrap();
    wait_until_stopping(&host);
    assert!(client.invoke("waits", b"1").is_err(), "a new connection was taken");
    if let Ok(answer) = connected.invoke("waits", b"1") {
        assert_eq!(answer.status(), 503, "{}", answer.text());
    }
    fs::write(folder.path().join("go-on"), "").unwrap();
    assert_eq!(running.join().unwrap().unwrap().status(), 200);
    check_end(
        &host.wait().unwrap(),
        "1 invocations finished, 0 cut off; 1 instances ended, 0 left behind",
        &processes,
    );
}

#[test]
fn an_invocation_that_outlasts_the_grace_period_is_answered_with_an_error() {
    let Busy { host, folder: _folder, running, processes } = busy("shutdown_grace_seconds = 0.3\n");
    host.signal(Signal::SIGTERM).unwrap();
    let answer = running.join().unwrap().unwrap();
    assert!(answer.status() >= 500 || answer.header("X-Amz-Function-Error").is_some(), "{}", answer.text());
    check_end(
        &host.wait().unwrap(),
        "0 invocations finished, 1 cut off; 1 instances ended, 0 left behind",
        &processes,
    );
}

#[test]
fn a_second_signal_ends_the_grace_period() {
    let Busy { host, folder: _folder, running, processes } = busy("shutdown_grace_seconds = 3600\n");
    host.signal(Signal::SIGTERM).unwrap();
    wait_until_stopping(&host);
    host.signal(Signal::SIGTERM).unwrap();
    check_end(
        &host.wait().unwrap(),
        "0 invocations finished, 1 cut off; 1 instances ended, 0 left behind",
        &processes,
    );
    drop(running.join().unwrap());
}

#[test]
fn idle_instances_end_with_the_host() {
    let host = launch().start().unwrap();
    let client = host.client();
    for name in ["one", "two"] {
        deploy(&client, name, ECHO);
        assert_eq!(client.invoke(name, b"1").unwrap().text(), "1");
    }
    let processes = descendants(host.pid());
    assert!(processes.len() >= 2, "{processes:?}");
    check_end(
        &host.stop().unwrap(),
        "0 invocations finished, 0 cut off; 2 instances ended, 0 left behind",
        &processes,
    );
}

#[test]
fn a_host_without_functions_ends_at_once() {
    let ended = launch().start().unwrap().stop().unwrap();
    check_end(&ended, "0 invocations finished, 0 cut off; 0 instances ended, 0 left behind", &[]);
}

/// What a function has started goes with it, although nobody told the host of it.
#[test]
fn children_of_a_function_end_with_it() {
    let source = "
import subprocess
child = subprocess.Popen(['sleep', '1000'])

def handler(event, context):
    return child.pid
";
    let host = launch().start().unwrap();
    deploy(&host.client(), "parent", source);
    let child: u32 = host.client().invoke("parent", b"1").unwrap().text().parse().unwrap();
    let processes = descendants(host.pid());
    assert!(processes.iter().any(|process| process.pid == child), "{processes:?}");
    assert!(host.stop().unwrap().status.success());
    wait_until_gone(&processes);
}
