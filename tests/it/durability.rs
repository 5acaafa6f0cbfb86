//! What survives a host that is killed, and what must not.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hearth_tests::{Client, Host, NewFunction, descendants, wait_until, zip_of};

use crate::support::{
    ECHO, LIMIT, WAITS, deploy, invoke_with_folder, launch, wait_for_file, wait_until_gone,
};

#[test]
fn functions_and_code_survive_a_kill_and_processes_do_not() {
    let data = tempfile::tempdir().unwrap();
    let host = launch().data_dir(data.path()).start().unwrap();
    deploy(&host.client(), "echo", ECHO);
    assert_eq!(host.client().invoke("echo", b"\"before\"").unwrap().text(), "\"before\"");
    let before = host.client().get("/2015-03-31/functions/echo").unwrap();
    let processes = descendants(host.pid());
    assert!(!processes.is_empty());
    host.kill().unwrap();
    wait_until_gone(&processes);

    let host = launch().data_dir(data.path()).start().unwrap();
    let after = host.client().get("/2015-03-31/functions/echo").unwrap();
    assert_eq!(after["Configuration"], before["Configuration"]);
    assert_eq!(host.client().invoke("echo", b"\"after\"").unwrap().text(), "\"after\"");
}

#[test]
fn a_kill_during_an_invocation_leaves_no_process_and_no_file() {
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = launch().data_dir(data.path()).start().unwrap();
    let client = host.client();
    deploy(&client, "waits", WAITS);
    let cut_off = invoke_with_folder(&client, "waits", folder.path());
    wait_for_file(&folder.path().join("started"));
    let processes = descendants(host.pid());
    host.kill().unwrap();
    assert!(cut_off.join().unwrap().is_err());
    wait_until_gone(&processes);

    let host = launch().data_dir(data.path()).start().unwrap();
    fs::write(folder.path().join("go-on"), "").unwrap();
    let answer = invoke_with_folder(&host.client(), "waits", folder.path()).join().unwrap().unwrap();
    assert_eq!(answer.text(), "\"finished\"");
    assert!(host.stop().unwrap().status.success());
    let left: Vec<_> = fs::read_dir(data.path().join("backends/process/instances")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// An event that was accepted is run, and run again if the host was killed meanwhile.
#[test]
fn an_accepted_event_survives_a_kill() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let host = launch().data_dir(data.path()).start().unwrap();
    deploy(&host.client(), "waits", WAITS);
    let path = "/2015-03-31/functions/waits/invocations";
    let event = format!("\"{}\"", folder.path().display());
    let answer =
        host.client().send("POST", path, &[("X-Amz-Invocation-Type", "Event")], event.as_bytes()).unwrap();
    assert_eq!(answer.status(), 202);
    let started = folder.path().join("started");
    wait_for_file(&started);
    host.kill().unwrap();
    fs::remove_file(&started).unwrap();

    let host = launch().data_dir(data.path()).start().unwrap();
    wait_for_file(&started);
    fs::write(folder.path().join("go-on"), "").unwrap();
    let idle = || {
        host.client().instances().unwrap().iter().any(|instance| instance["state"] == "idle").then_some(())
    };
    wait_until("the event to be done", LIMIT, idle).unwrap();
}

/// The system ends a killed host's children, not theirs: the next host finds those.
#[test]
fn grandchildren_that_a_killed_host_left_behind_are_reaped_by_the_next() {
    let source = "
import subprocess
child = subprocess.Popen(['sleep', '1000'])

def handler(event, context):
    return child.pid
";
    let data = tempfile::tempdir().unwrap();
    let host = launch().data_dir(data.path()).start().unwrap();
    deploy(&host.client(), "parent", source);
    host.client().invoke("parent", b"1").unwrap();
    let processes = descendants(host.pid());
    assert!(processes.iter().any(|process| process.name == "sleep"), "{processes:?}");
    host.kill().unwrap();

    let _next = launch().data_dir(data.path()).start().unwrap();
    wait_until_gone(&processes);
}

/// Creates functions until the host is gone. Answers those that were acknowledged.
fn create_until_killed(
    client: &Client,
    acknowledged: &Mutex<Vec<String>>,
    count: &AtomicUsize,
    writer: usize,
) {
    for number in 0.. {
        let name = format!("f-{writer}-{number}");
        let zip = zip_of(&[("handler.py", &format!("# {name}\n{ECHO}"))]).unwrap();
        let new = NewFunction {
            name: &name,
            runtime: "python3.13",
            handler: "handler.handler",
            zip: &zip,
            timeout_seconds: 3,
        };
        if client.create(new).is_err() {
            return;
        }
        acknowledged.lock().unwrap().push(name);
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every function by name, with its configuration.
fn functions(client: &Client) -> BTreeMap<String, serde_json::Value> {
    let mut found = BTreeMap::new();
    let mut path = "/2015-03-31/functions?MaxItems=50".to_owned();
    loop {
        let page = client.get(&path).unwrap();
        for function in page["Functions"].as_array().unwrap() {
            found.insert(function["FunctionName"].as_str().unwrap().to_owned(), function.clone());
        }
        match page["NextMarker"].as_str() {
            Some(marker) => path = format!("/2015-03-31/functions?MaxItems=50&Marker={marker}"),
            None => return found,
        }
    }
}

fn wait_until_all_work(host: &Host) -> BTreeMap<String, serde_json::Value> {
    let found = functions(&host.client());
    for name in found.keys() {
        host.client().wait_until_active(name).unwrap();
        assert_eq!(host.client().invoke(name, b"[1]").unwrap().text(), "[1]", "{name}");
    }
    found
}

/// Whatever a host was doing when it was killed: what it had acknowledged is there, nothing is there by half.
#[test]
fn a_host_can_be_killed_at_any_moment() {
    let data = tempfile::tempdir().unwrap();
    let mut all_acknowledged = Vec::new();
    for round in 0..8 {
        let host = launch().backend("mock").data_dir(data.path()).start().unwrap();
        let found = wait_until_all_work(&host);
        for name in &all_acknowledged {
            assert!(found.contains_key(name), "{name} was acknowledged and is lost");
        }
        let (acknowledged, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (client, acknowledged, count) = (host.client(), acknowledged.clone(), count.clone());
                thread::spawn(move || {
                    create_until_killed(&client, &acknowledged, &count, round * 10 + writer);
                })
            })
            .collect();
        wait_until("some functions to be created", LIMIT, || {
            (count.load(Ordering::Relaxed) >= round).then_some(())
        })
        .unwrap();
        host.kill().unwrap();
        for writer in writers {
            writer.join().unwrap();
        }
        all_acknowledged.append(&mut acknowledged.lock().unwrap());
    }

    let host = launch().backend("mock").data_dir(data.path()).start().unwrap();
    let found = wait_until_all_work(&host);
    assert!(all_acknowledged.len() >= 20, "{}", all_acknowledged.len());
    for name in &all_acknowledged {
        assert!(found.contains_key(name), "{name} was acknowledged and is lost");
    }
    // Each function has its folder, and nothing else has one: no rubbish of the kills.
    assert!(host.stop().unwrap().status.success());
    let folders = fs::read_dir(data.path().join("code")).unwrap().count();
    assert_eq!(folders, found.len());
}
