//! What the host counts, as a monitor reads it.

use std::fs;
use std::thread;

use hearth_tests::{Client, wait_until};

use crate::support::{ECHO, LIMIT, deploy, launch};

fn metrics(client: &Client) -> String {
    client.send("GET", "/_hearth/metrics", &[], b"").unwrap().ok().unwrap().text()
}

#[test]
fn lines_are_told_by_function_in_length_and_in_time_and_so_are_launches() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("hearth.toml");
    let hang = "launches = [{ nth = 1, function = 'stuck', do = 'hang' }]";
    let text = format!("[pool]\nqueue_timeout_seconds = 2\n[backends.mock]\n{hang}\n");
    fs::write(&settings, text).unwrap();
    let host = launch().backend("mock").args(["--config", settings.to_str().unwrap()]).start().unwrap();
    let client = host.client();
    deploy(&client, "echo", ECHO);
    deploy(&client, "stuck", ECHO);
    assert_eq!(client.invoke("echo", b"[1]").unwrap().text(), "[1]");
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.invoke("stuck", b"[1]").unwrap()
    });
    let is_waiting = || {
        let text = metrics(&client);
        text.lines().any(|line| line == "hearth_waiting{function=\"stuck\"} 1").then_some(text)
    };
    let text = wait_until("the line to show", LIMIT, is_waiting).unwrap();
    for line in [
        "hearth_waiting{function=\"echo\"} 0",
        "hearth_queue_seconds_count{function=\"echo\"} 1",
        "hearth_queue_seconds_bucket{le=\"+Inf\",function=\"echo\"} 1",
        "hearth_launch_seconds_count{outcome=\"success\"} 1",
        "hearth_launch_seconds_bucket{le=\"+Inf\",outcome=\"success\"} 1",
        "hearth_instances{state=\"launching\"} 1",
        "hearth_instances{state=\"idle\"} 1",
    ] {
        assert!(text.lines().any(|it| it == line), "`{line}` is not in:\n{text}");
    }
    assert_eq!(waiting.join().unwrap().status(), 502);
    assert!(metrics(&client).lines().any(|line| line == "hearth_waiting{function=\"stuck\"} 0"));
}
