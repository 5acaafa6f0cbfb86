//! What goes wrong below the host, played by the mock backend: who asked is told at once, and the next one is
//! served.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use hearth_tests::{Answer, Host, NewFunction, wait_until, zip_of};
use serde_json::{Value, json};

use crate::support::{ECHO, LIMIT, deploy, launch};

/// A host over the mock backend with these settings, and with a function `echo` that has a timeout of a minute.
struct Faulty {
    host: Host,
    _folder: tempfile::TempDir,
}

impl Faulty {
    /// Settings of the host, then those of the mock.
    fn start(pool: &str, mock: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hearth.toml");
        fs::write(&file, format!("[pool]\n{pool}\n[backends.mock]\n{mock}\n")).unwrap();
        let host = launch().backend("mock").args(["--config", file.to_str().unwrap()]).start().unwrap();
        deploy(&host.client(), "echo", ECHO);
        Self { host, _folder: folder }
    }

    fn invoke(&self) -> Answer {
        self.host.client().invoke("echo", b"[1]").unwrap()
    }

    /// The instances that are not on their way out.
    fn instances(&self) -> Vec<Value> {
        let mut instances = self.host.client().instances().unwrap();
        instances.retain(|instance| instance["state"] != "terminating");
        instances
    }

    /// Invokes once more: on an instance that has not served before, if `is_fresh`.
    #[track_caller]
    fn check_that_the_next_one_works(&self, is_fresh: bool) {
        let answer = self.invoke();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "[1]"));
        let served: Vec<_> =
            self.instances().iter().map(|instance| instance["invocations"].clone()).collect();
        assert_eq!(served.contains(&json!(1)), is_fresh, "{served:?}");
    }
}

#[track_caller]
fn check_function_error(answer: &Answer, kind: &str, what: &str) {
    let request_id = answer.header("x-amzn-RequestId").unwrap();
    assert_eq!((answer.status(), answer.header("X-Amz-Function-Error")), (200, Some("Unhandled")));
    let message = format!("RequestId: {request_id} Error: {what}");
    assert_eq!(answer.json().unwrap(), json!({"errorType": kind, "errorMessage": message}));
}

#[test]
fn a_launch_that_fails_is_told_with_its_cause() {
    let faulty = Faulty::start(
        "",
        "launches = [{ nth = 1, do = { fail = { message = 'no room on this machine' } } }]",
    );
    let answer = faulty.invoke();
    assert_eq!(
        (answer.status(), answer.header("x-amzn-ErrorType")),
        (502, Some("ResourceNotReadyException"))
    );
    assert!(answer.text().contains("no room on this machine"), "{}", answer.text());
    faulty.check_that_the_next_one_works(true);
}

#[test]
fn a_launch_that_never_ends_is_waited_for_no_longer_than_was_said() {
    let faulty = Faulty::start("queue_timeout_seconds = 0.2", "launches = [{ nth = 1, do = 'hang' }]");
    let answer = faulty.invoke();
    assert_eq!(
        (answer.status(), answer.header("x-amzn-ErrorType")),
        (502, Some("ResourceNotReadyException"))
    );
}

#[test]
fn an_instance_that_crashes_in_an_invocation_is_told_and_replaced() {
    let faulty = Faulty::start("", "invocations = [{ nth = 1, do = 'crash' }]");
    check_function_error(&faulty.invoke(), "Runtime.ExitError", "Runtime exited without providing a reason");
    faulty.check_that_the_next_one_works(true);
}

#[test]
fn an_instance_that_breaks_off_its_answer_is_replaced() {
    for act in ["garbage", "cut_off"] {
        let faulty = Faulty::start("", &format!("invocations = [{{ nth = 1, do = '{act}' }}]"));
        check_function_error(
            &faulty.invoke(),
            "Runtime.ExitError",
            "Runtime exited without providing a reason",
        );
        faulty.check_that_the_next_one_works(true);
    }
}

/// By the protocol the event was not given to the function, so that another instance may have it.
#[test]
fn an_instance_that_refuses_an_event_is_replaced_unnoticed() {
    let faulty =
        Faulty::start("", "invocations = [{ nth = 1, do = { status = { code = 409, body = 'busy' } } }]");
    let answer = faulty.invoke();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "[1]"));
}

/// The connection fails before a byte of the event is sent.
#[test]
fn an_instance_that_has_gone_unnoticed_costs_no_invocation() {
    let faulty = Faulty::start("", "launches = [{ nth = 1, do = { exit = { after_ms = 50 } } }]");
    assert_eq!(faulty.invoke().text(), "[1]");
    wait_until("the instance to be gone", LIMIT, || faulty.instances().is_empty().then_some(())).unwrap();
    faulty.check_that_the_next_one_works(true);
}

#[test]
fn a_function_that_fails_keeps_its_instance() {
    let act = "{ function_error = { type = 'My.Error', message = 'as told' } }";
    let faulty = Faulty::start("", &format!("invocations = [{{ nth = 1, do = {act} }}]"));
    let answer = faulty.invoke();
    assert_eq!((answer.status(), answer.header("X-Amz-Function-Error")), (200, Some("Unhandled")));
    assert_eq!(answer.json().unwrap()["errorType"], "My.Error");
    faulty.check_that_the_next_one_works(false);
}

#[test]
fn a_result_that_looks_like_an_error_is_a_result() {
    let faulty = Faulty::start("", "");
    let event = br#"{"errorType":"My.Error","errorMessage":"as returned"}"#;
    let answer = faulty.host.client().invoke("echo", event).unwrap();
    assert_eq!((answer.status(), answer.header("X-Amz-Function-Error")), (200, None));
    assert_eq!(answer.body, event);
}

/// The invocation belongs to the host: it runs to its end, and the instance is there for the next one.
#[test]
fn a_client_that_hangs_up_takes_no_instance_along() {
    let faulty = Faulty::start("", "answer_delay_ms = 300");
    let mut connection = TcpStream::connect(faulty.host.address()).unwrap();
    let request =
        "POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n[1]";
    connection.write_all(request.as_bytes()).unwrap();
    let in_state = |state| faulty.instances().iter().any(|instance| instance["state"] == state).then_some(());
    wait_until("the invocation to begin", LIMIT, || in_state("busy")).unwrap();
    drop(connection);
    wait_until("the invocation to end", LIMIT, || in_state("idle")).unwrap();
    faulty.check_that_the_next_one_works(false);
}

/// Events that follow one another on one connection without waiting for the answers.
#[test]
fn requests_may_be_sent_ahead_on_a_connection() {
    let faulty = Faulty::start("", "");
    let mut connection = TcpStream::connect(faulty.host.address()).unwrap();
    let request = |event: &str, close: &str| {
        format!(
            "POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: x\r\n{close}Content-Length: 3\r\n\r\n{event}"
        )
    };
    let both = request("[1]", "") + &request("[2]", "Connection: close\r\n");
    connection.write_all(both.as_bytes()).unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).unwrap();
    let bodies: Vec<_> = answers.split("\r\n\r\n").skip(1).map(|part| &part[..3]).collect();
    assert_eq!(bodies, ["[1]", "[2]"], "{answers}");
}

#[test]
fn a_launch_that_ends_while_the_host_stops_is_ended_too() {
    let faulty = Faulty::start("", "launch_delay_ms = 500");
    let client = faulty.host.client();
    let waiting = thread::spawn(move || client.invoke("echo", b"[1]"));
    let is_launching =
        || faulty.instances().iter().any(|instance| instance["state"] == "launching").then_some(());
    wait_until("the launch to begin", LIMIT, is_launching).unwrap();
    let ended = faulty.host.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.output);
    assert!(ended.output.contains(" 0 left behind; "), "{}", ended.output);
    if let Ok(answer) = waiting.join().unwrap() {
        assert!([200, 503].contains(&answer.status()), "{}", answer.text());
    }
}

#[test]
fn an_instance_that_does_not_end_is_reported_and_does_not_stop_the_host_from_ending() {
    let faulty = Faulty::start("", "terminations = [{ nth = 1, do = 'hang' }]");
    assert_eq!(faulty.invoke().text(), "[1]");
    let ended = faulty.host.stop().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.output.contains(" 1 left behind; "), "{}", ended.output);
}

#[test]
fn a_function_that_cannot_be_prepared_is_told_to_have_failed_and_why() {
    let rule = "{ nth = 1, function = 'other', do = { fail = { message = 'the registry is not there' } } }";
    let faulty = Faulty::start("", &format!("preparations = [{rule}]"));
    let client = faulty.host.client();
    let zip = zip_of(&[("handler.py", ECHO)]).unwrap();
    let handler = "handler.handler";
    let new = NewFunction { name: "other", runtime: "python3.13", handler, zip: &zip, timeout_seconds: 3 };
    client.create(new).unwrap_err();
    let function = client.get("/2015-03-31/functions/other/configuration").unwrap();
    assert_eq!(function["State"], "Failed", "{function}");
    assert!(function["StateReason"].as_str().unwrap().contains("the registry is not there"), "{function}");
    let answer = client.invoke("other", b"1").unwrap();
    assert_eq!(
        (answer.status(), answer.header("x-amzn-ErrorType")),
        (409, Some("ResourceConflictException"))
    );
    assert!(
        answer.text().contains("The function is currently in the following state: Failed"),
        "{}",
        answer.text()
    );
}

#[test]
fn an_update_that_fails_leaves_the_function_serving_as_it_was() {
    let rule = "{ nth = 2, function = 'echo', do = { fail = { message = 'the disk is full' } } }";
    let faulty = Faulty::start("", &format!("preparations = [{rule}]"));
    let client = faulty.host.client();
    let path = "/2015-03-31/functions/echo/configuration";
    client.send("PUT", path, &[], br#"{"MemorySize": 256}"#).unwrap().ok().unwrap();
    let settled = || {
        let function = client.get(path).unwrap();
        (function["LastUpdateStatus"] != "InProgress").then_some(function)
    };
    let function = wait_until("the update to end", LIMIT, settled).unwrap();
    assert_eq!(
        (function["State"].as_str(), function["LastUpdateStatus"].as_str()),
        (Some("Active"), Some("Failed"))
    );
    assert!(function["LastUpdateStatusReason"].as_str().unwrap().contains("the disk is full"), "{function}");
    assert_eq!(faulty.invoke().text(), "[1]");
    assert_eq!(faulty.instances()[0]["memory_mb"], 128);
}
