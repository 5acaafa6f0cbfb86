//! `/_hearth/backend`: what a backend says of itself, and what it answers itself.

use hearth_tests::{Answer, Host};
use serde_json::json;

use crate::support::{ECHO, deploy, launch};

const INVOKE: &str = "/2015-03-31/functions/echo/invocations";
const STREAM: &str = "/2021-11-15/functions/echo/response-streaming-invocations";

fn start(backend: &str) -> Host {
    launch().backend(backend).start().unwrap()
}

fn ask(host: &Host, method: &str, path: &str, body: &str) -> (u16, String) {
    let answer =
        host.client().send(method, path, &[("Content-Type", "text/plain")], body.as_bytes()).unwrap();
    (answer.status(), answer.text())
}

fn invoke(host: &Host, path: &str) -> Answer {
    host.client().send("POST", path, &[], b"[1]").unwrap()
}

#[test]
fn a_backend_that_answers_requests_is_passed_them_on() {
    let host = start("mock");
    let description = host.client().get("/_hearth/backend").unwrap();
    assert_eq!(
        (&description["name"], &description["has_admin_api"], &description["metadata"]),
        (&json!("mock"), &json!(true), &json!({}))
    );
    assert!(description["capabilities"].as_array().unwrap().contains(&json!("pause")), "{description}");
    let script = "/_hearth/backend/script";
    let (status, why) = ask(&host, "PUT", script, "invocations = [{ do = 'crush' }]");
    assert!(status == 400 && why.contains("unknown variant `crush`"), "{status} {why}");
    let put = ask(&host, "PUT", script, "answer_delay_ms = [1, 2]");
    assert_eq!(put, (200, "the script is followed from its beginning\n".to_owned()));
    let (_, followed) = ask(&host, "GET", script, "");
    assert!(followed.contains("answer_delay_ms = [1, 2]"), "{followed}");
    assert_eq!(ask(&host, "GET", "/_hearth/backend/no/such?page=1", "").0, 404);
}

#[test]
fn a_backend_without_an_api_is_said_to_have_none() {
    let host = start("process");
    assert_eq!(host.client().get("/_hearth/backend").unwrap()["has_admin_api"], json!(false));
    let (status, why) = ask(&host, "GET", "/_hearth/backend/script", "");
    assert_eq!((status, why.as_str()), (404, r#"{"message":"the backend process has no API of its own"}"#));
}

#[test]
fn an_instance_that_throttles_is_told_as_429_and_goes_on() {
    let host = start("mock");
    deploy(&host.client(), "echo", ECHO);
    assert_eq!(invoke(&host, INVOKE).text(), "[1]");
    for path in [INVOKE, STREAM] {
        let script = "invocations = [{ times = 2, do = 'throttle' }]";
        assert_eq!(ask(&host, "PUT", "/_hearth/backend/script", script).0, 200);
        for _ in 0..2 {
            let answer = invoke(&host, path);
            let kind = answer.header("x-amzn-ErrorType");
            assert_eq!((answer.status(), kind), (429, Some("TooManyRequestsException")), "{path}");
            assert_eq!(answer.json().unwrap()["Reason"], "ConcurrentInvocationLimitExceeded");
        }
        assert_eq!(invoke(&host, path).status(), 200, "{path}");
    }
    let instances = host.client().instances().unwrap();
    let served: Vec<_> = instances.iter().map(|instance| &instance["invocations"]).collect();
    assert_eq!(served, [&json!(7)], "one instance, which was given every event");
}
