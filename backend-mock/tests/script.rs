//! The backend, spoken to as a host does, without the boundary between them.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use hearth_backend_mock::{Config, Mock};
use hearth_core::{
    Backend as _, CallContext, ErrorKind, Event, Host, HostInfo, HostSink, Instance, LaunchSpec, Plugin as _,
    Progress, State,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The address of an API, and the header that opens it.
type Api = (String, String);

const INVOCATIONS: &str = "POST /2015-03-31/functions/function/invocations";

#[derive(Clone, Default)]
struct Told(Arc<(Mutex<Vec<String>>, Notify)>);

impl HostSink for Told {
    fn event(&self, event: Event) {
        self.0
            .0
            .lock()
            .expect("no panic")
            .push(format!("{:?} {} {:?}", event.kind, event.handle, event.meta));
        self.0.1.notify_one();
    }

    fn progress(&self, _progress: Progress) {}
}

struct Fixture {
    backend: Mock,
    told: Told,
}

impl Fixture {
    async fn new(config: Value) -> Self {
        let config: Config = serde_json::from_value(config).expect("a valid configuration");
        let told = Told::default();
        let info = HostInfo { owner: "me".to_owned(), epoch: "now".to_owned(), ..HostInfo::default() };
        let backend = Mock::create(config, Host::new(info, told.clone())).await.expect("created");
        Self { backend, told }
    }

    async fn launch(&self) -> Instance {
        let spec = LaunchSpec {
            instance_id: "i-1".to_owned(),
            function: "f".to_owned(),
            token: "secret".to_owned(),
            slots: 1,
            ..LaunchSpec::default()
        };
        self.backend.launch(&CallContext::default(), &spec).await.expect("launched")
    }

    /// Where its script is changed.
    fn control(&self) -> Api {
        let meta = self.backend.info().meta;
        (meta["admin.endpoint"].clone(), format!("authorization: Bearer {}\r\n", meta["admin.token"]))
    }

    /// Waits until the instance has an invocation.
    async fn busy(&self) {
        let in_flight = || async {
            let stats = self.backend.stats(&CallContext::default(), "i-1").await.expect("there");
            stats.meta["invocations.in_flight"].clone()
        };
        while in_flight().await != "1" {
            tokio::task::yield_now().await;
        }
    }

    async fn terminate(&self, handle: &str) {
        self.backend.terminate(&CallContext::default(), handle, 0).await.expect("terminated");
    }
}

/// Status, head and body of an answer; none if there is none, or half of one.
type Reply = Option<(u16, String, String)>;

async fn send(instance: &Instance, request_line: &str, headers: &str, body: &str) -> Reply {
    send_to(&instance.endpoint, request_line, headers, body).await
}

async fn send_to(endpoint: &str, request_line: &str, headers: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(endpoint).await.ok()?;
    let length = body.len();
    let request = format!(
        "{request_line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.ok()?;
    let reply = String::from_utf8(reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let promised = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    (promised == body.len().to_string()).then(|| (status, head.to_owned(), body.to_owned()))
}

async fn invoke(instance: &Instance, event: &str) -> Reply {
    send(
        instance,
        INVOCATIONS,
        "authorization: Bearer secret\r\nlambda-runtime-aws-request-id: r-1\r\n",
        event,
    )
    .await
}

/// Status and body of an answer.
fn brief(reply: Reply) -> Option<(u16, String)> {
    reply.map(|(status, _, body)| (status, body))
}

fn answered(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test]
async fn an_instance_answers_with_the_event() {
    let fixture = Fixture::new(json!({})).await;
    let instance = fixture.launch().await;
    let (status, head, body) = invoke(&instance, r#"{"a":1}"#).await.expect("an answer");
    assert_eq!((status, body.as_str()), (200, r#"{"a":1}"#));
    for header in
        ["content-type: application/json", "lambda-runtime-aws-request-id: r-1", "hearth-instance: reusable"]
    {
        assert!(head.contains(header), "{header} in {head}");
    }
}

#[tokio::test]
async fn what_the_protocol_refuses_is_refused() {
    let fixture = Fixture::new(json!({})).await;
    let instance = fixture.launch().await;
    let token = "authorization: Bearer secret\r\n";
    let bad_timeout = format!("{token}hearth-timeout-ms: soon\r\n");
    for (line, headers, status) in [
        (INVOCATIONS, "", 401),
        (INVOCATIONS, "authorization: Bearer other\r\n", 401),
        (INVOCATIONS, bad_timeout.as_str(), 400),
        ("GET /2015-03-31/functions/function/invocations", token, 405),
        ("POST /elsewhere", token, 404),
        ("GET /_hearth/instance", token, 200),
    ] {
        let reply = send(&instance, line, headers, "").await.expect("an answer");
        assert_eq!(reply.0, status, "{line} {headers}");
    }
}

#[tokio::test]
async fn the_token_is_not_asked_for_if_the_configuration_says_so() {
    let fixture = Fixture::new(json!({ "check_token": false })).await;
    let instance = fixture.launch().await;
    assert_eq!(brief(send(&instance, INVOCATIONS, "", "1").await), Some(answered(200, "1")));
}

#[tokio::test]
async fn each_invocation_does_what_the_script_says() {
    let fixture = Fixture::new(json!({ "invocations": [
        { "nth": 2, "do": { "function_error": { "type": "E", "message": "m" } } },
        { "nth": 3, "do": { "status": { "code": 503, "body": "away" } } },
        { "nth": 4, "do": "garbage" },
        { "nth": 5, "do": "cut_off" },
        { "nth": 6, "do": { "answer": { "body": "not JSON" } } },
        { "nth": 7, "function": "g", "do": "crash" },
    ] }))
    .await;
    let instance = fixture.launch().await;
    let expected = [
        Some(answered(200, "1")),
        Some(answered(200, r#"{"errorMessage":"m","errorType":"E"}"#)),
        Some(answered(503, "away")),
        None,
        None,
        Some(answered(200, "not JSON")),
        Some(answered(200, "1")),
    ];
    for (number, expected) in expected.into_iter().enumerate() {
        assert_eq!(brief(invoke(&instance, "1").await), expected, "invocation {}", number + 1);
    }
}

#[tokio::test]
async fn a_function_error_is_marked_as_one() {
    let fixture = Fixture::new(json!({ "invocations": [
        { "nth": 1, "do": { "function_error": { "type": "E", "message": "m" } } },
    ] }))
    .await;
    let instance = fixture.launch().await;
    let (_, head, _) = invoke(&instance, "1").await.expect("an answer");
    assert!(head.contains("x-amz-function-error: Unhandled"), "{head}");
}

#[tokio::test]
async fn a_timeout_ends_a_slow_invocation_as_an_emulator_would() {
    let fixture = Fixture::new(json!({ "answer_delay_ms": 60_000 })).await;
    let instance = fixture.launch().await;
    let headers =
        "authorization: Bearer secret\r\nlambda-runtime-aws-request-id: r-1\r\nhearth-timeout-ms: 10\r\n";
    let reply = brief(send(&instance, INVOCATIONS, headers, "1").await);
    let message = "RequestId: r-1 Error: Task timed out after 0.01 seconds";
    assert_eq!(
        reply,
        Some((200, json!({ "errorMessage": message, "errorType": "Sandbox.Timedout" }).to_string()))
    );
}

#[tokio::test]
async fn a_crash_closes_the_connection_and_tells_the_host() {
    let fixture = Fixture::new(json!({ "invocations": [{ "nth": 1, "do": "crash" }] })).await;
    let instance = fixture.launch().await;
    assert_eq!(invoke(&instance, "1").await, None);
    assert_eq!(
        *fixture.told.0.0.lock().expect("no panic"),
        [r#"EXITED i-1 {"reason": "crashed, as the script says"}"#]
    );
    assert!(fixture.backend.list(&CallContext::default()).await.expect("listed").is_empty());
}

#[tokio::test]
async fn the_host_hears_how_an_instance_ends_before_the_connection_does() {
    let end = json!({ "exit": { "kind": "oom", "after_ms": 1 } });
    let fixture = Fixture::new(json!({ "invocations": [{ "do": end }] })).await;
    let instance = fixture.launch().await;
    tokio::select! {
        biased;
        reply = invoke(&instance, "1") => panic!("the host is told first: {reply:?}"),
        () = fixture.told.0.1.notified() => {}
    }
    assert_eq!(
        *fixture.told.0.0.lock().expect("no panic"),
        [r#"OOM i-1 {"exit.signal": "killed", "reason": "the script says so"}"#]
    );
}

#[tokio::test]
async fn a_throttled_invocation_leaves_the_instance_as_it_was() {
    let fixture = Fixture::new(json!({ "invocations": [{ "times": 2, "do": "throttle" }] })).await;
    let instance = fixture.launch().await;
    let throttled = Some(answered(429, r#"{"message":"throttled, as the script says"}"#));
    assert_eq!(brief(invoke(&instance, "1").await), throttled);
    assert_eq!(brief(invoke(&instance, "1").await), throttled);
    assert_eq!(brief(invoke(&instance, "1").await), Some(answered(200, "1")));
}

#[tokio::test]
async fn an_instance_may_exit_by_itself() {
    let fixture =
        Fixture::new(json!({ "launches": [{ "nth": 1, "do": { "exit": { "after_ms": 1 } } }] })).await;
    let _instance = fixture.launch().await;
    fixture.told.0.1.notified().await;
    assert_eq!(
        *fixture.told.0.0.lock().expect("no panic"),
        [r#"EXITED i-1 {"reason": "the script says so"}"#]
    );
}

#[tokio::test]
async fn a_preparation_fails_as_the_script_says() {
    let failure = json!({ "fail": { "message": "no such image", "kind": "spec_rejected" } });
    let fixture = Fixture::new(json!({ "preparations": [{ "nth": 2, "do": failure }] })).await;
    let prepare = || async {
        let outcome = fixture.backend.prepare(&CallContext::default(), &LaunchSpec::default()).await;
        outcome.map_err(|error| (error.kind, error.message))
    };
    assert_eq!(prepare().await, Ok(()));
    assert_eq!(prepare().await, Err((ErrorKind::SPEC_REJECTED, "no such image".to_owned())));
}

#[tokio::test]
async fn a_launch_fails_as_the_script_says_and_leaves_nothing() {
    let failure = json!({ "fail": { "message": "no room", "kind": "no_capacity", "retryable": true } });
    let fixture = Fixture::new(json!({ "launches": [{ "nth": 1, "do": failure }] })).await;
    let error =
        fixture.backend.launch(&CallContext::default(), &LaunchSpec::default()).await.expect_err("scripted");
    assert_eq!(
        (error.kind, error.retryable, error.message.as_str()),
        (ErrorKind::NO_CAPACITY, true, "no room")
    );
    assert!(fixture.backend.list(&CallContext::default()).await.expect("listed").is_empty());
}

#[tokio::test]
async fn termination_closes_the_endpoint_and_may_be_repeated() {
    let fixture = Fixture::new(json!({ "terminations": [{ "nth": 2, "times": 0, "do": "hang" }] })).await;
    let instance = fixture.launch().await;
    fixture.terminate("i-1").await;
    fixture.terminate("i-1").await;
    fixture.terminate("never seen").await;
    assert_eq!(invoke(&instance, "1").await, None);
    let error = fixture.backend.inspect(&CallContext::default(), "i-1").await.expect_err("it is gone");
    assert_eq!(error.kind, ErrorKind::NOT_FOUND);
}

#[tokio::test]
async fn a_paused_instance_answers_once_it_is_resumed() {
    let fixture = Fixture::new(json!({})).await;
    let instance = fixture.launch().await;
    let cx = CallContext::default();
    fixture.backend.pause(&cx, "i-1").await.expect("paused");
    assert_eq!(fixture.backend.inspect(&cx, "i-1").await.expect("there").state, State::PAUSED);
    let mut waiting: Pin<Box<dyn Future<Output = Reply>>> = Box::pin(invoke(&instance, "1"));
    tokio::select! {
        reply = &mut waiting => panic!("answered while paused: {reply:?}"),
        () = fixture.busy() => {}
    }
    fixture.backend.resume(&cx, "i-1").await.expect("resumed");
    assert_eq!(brief(waiting.await), Some(answered(200, "1")));
}

#[tokio::test]
async fn a_busy_instance_takes_no_second_event() {
    let fixture = Fixture::new(json!({ "invocations": [{ "nth": 1, "do": "hang" }] })).await;
    let instance = fixture.launch().await;
    let mut first: Pin<Box<dyn Future<Output = Reply>>> = Box::pin(invoke(&instance, "1"));
    let second = async {
        fixture.busy().await;
        invoke(&instance, "2").await
    };
    tokio::select! {
        reply = &mut first => panic!("it hangs: {reply:?}"),
        reply = second => assert_eq!(brief(reply), Some(answered(409, r#"{"message":"the instance is busy"}"#))),
    }
}

#[tokio::test]
async fn a_log_holds_the_invocations_and_ends_with_the_instance() {
    let written = json!({ "stdout": ["out"], "stderr": ["err"] });
    let fixture = Fixture::new(json!({ "logs": [{ "do": written }] })).await;
    let instance = fixture.launch().await;
    let headers =
        "authorization: Bearer secret\r\nlambda-runtime-aws-request-id: r-1\r\nx-amz-log-type: Tail\r\n";
    let (_, head, _) = send(&instance, INVOCATIONS, headers, "1").await.expect("an answer");
    assert!(
        head.contains("x-amz-log-result: U1RBUlQgUmVxdWVzdElkOiByLTEK"),
        "START RequestId: r-1 in {head}"
    );
    let mut lines = fixture.backend.logs(&CallContext::default(), "i-1", 0).await.expect("a log");
    fixture.terminate("i-1").await;
    let mut seen = Vec::new();
    while let Some(line) = std::future::poll_fn(|cx| lines.as_mut().poll_next(cx)).await {
        seen.push(line.line);
    }
    assert_eq!(seen[..4], ["START RequestId: r-1", "out", "err", "END RequestId: r-1"]);
    assert!(seen[4].starts_with("REPORT RequestId: r-1\tDuration: "), "{seen:?}");
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn a_script_can_be_changed_while_it_is_followed() {
    let fixture = Fixture::new(json!({ "invocations": [{ "do": { "answer": { "body": "first" } } }] })).await;
    let (address, token) = fixture.control();
    let ask = async |line: &str, body: &str| brief(send_to(&address, line, &token, body).await);
    let instance = fixture.launch().await;
    assert_eq!(brief(invoke(&instance, "1").await), Some(answered(200, "first")));
    let next = "[[invocations]]\nnth = 1\n\n[invocations.do.answer]\nbody = 'next'\n";
    let followed = Some(answered(200, "the script is followed from its beginning\n"));
    assert_eq!(ask("PUT /script", next).await, followed);
    assert_eq!(brief(invoke(&instance, "1").await), Some(answered(200, "next")));
    assert_eq!(brief(invoke(&instance, "1").await), Some(answered(200, "1")));
    let counts = "[preparations]\n\n[launches]\n\n[invocations]\nf = 2\n\n[terminations]\n\n";
    assert_eq!(ask("GET /counts", "").await, Some(answered(200, counts)));
    let (status, shown) = ask("GET /script", "").await.expect("an answer");
    let shown: Value = toml::from_str(&shown).expect("TOML");
    let rule = json!([{ "nth": 1, "do": { "answer": { "body": "next" } } }]);
    assert_eq!((status, &shown["invocations"]), (200, &rule));
    assert_eq!(ask("DELETE /script", "").await, followed);
    assert_eq!(brief(invoke(&instance, "1").await), Some(answered(200, "first")));
}

#[tokio::test]
async fn a_change_that_is_not_understood_changes_nothing() {
    let fixture = Fixture::new(json!({})).await;
    let (address, token) = fixture.control();
    for (line, token, body, status, message) in [
        ("PUT /script", "", "", 401, "the token is missing or wrong\n"),
        ("PUT /script", token.as_str(), "seed = 'x'", 400, "invalid type: string \"x\", expected u64"),
        ("PUT /script", &token, "script = 'other.toml'", 400, "a script cannot name another script"),
        ("PATCH /script", &token, "", 405, "/script has no PATCH"),
        ("GET /", &token, "", 404, "there are /script, /counts and /instances/{handle}/exit"),
        ("POST /instances/i-1/exit", &token, "", 404, "there is no instance i-1"),
    ] {
        let (found, text) = brief(send_to(&address, line, token, body).await).expect("an answer");
        assert!(found == status && text.contains(message), "{line}: {found} {text}");
    }
    fixture.backend.shutdown(&CallContext::default()).await.expect("shut down");
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_instance_ends_when_the_control_api_is_told_to() {
    let fixture = Fixture::new(json!({})).await;
    let (address, token) = fixture.control();
    let _instance = fixture.launch().await;
    let reply = send_to(&address, "POST /instances/i-1/exit", &token, "status = 3").await;
    assert_eq!(brief(reply), Some(answered(200, "i-1 has ended\n")));
    assert_eq!(
        *fixture.told.0.0.lock().expect("no panic"),
        [r#"EXITED i-1 {"exit.status": "3", "reason": "the script says so"}"#]
    );
}

#[test]
fn a_script_may_be_a_file_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("faults.toml");
    let load = |more: Value| {
        let mut config = json!({ "script": path });
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let config: Config = serde_json::from_value(config).expect("a valid configuration");
        config.load().map_err(|error| error.to_string())
    };
    let refused = |more| load(more).expect_err("unfit");
    assert!(refused(json!({})).contains("cannot read the script"), "{}", refused(json!({})));
    std::fs::write(&path, "seed = 7\n[[invocations]]\nnth = 2\ndo = 'crush'\n").expect("written");
    let mistyped = refused(json!({}));
    assert!(mistyped.contains("line 4") && mistyped.contains("unknown variant `crush`"), "{mistyped}");
    std::fs::write(&path, "seed = 7").expect("written");
    assert!(refused(json!({ "seed": 8 })).contains("set nothing beside it"));
    assert_eq!(load(json!({})).expect("fit"), Config { seed: 7, ..Config::default() });
}

#[test]
fn a_mistyped_script_is_refused_with_what_exists() {
    let refused = |config: Value| serde_json::from_value::<Config>(config).expect_err("mistyped").to_string();
    assert_eq!(
        refused(json!({ "launch_delay": 1 })),
        "unknown field `launch_delay`, expected one of `script`, `seed`, `prepare_delay_ms`, `launch_delay_ms`, \
         `answer_delay_ms`, `check_token`, `preparations`, `launches`, `invocations`, `logs`, `terminations`"
    );
    assert_eq!(
        refused(json!({ "terminations": [{ "nth": 1, "do": "crash" }] })),
        "unknown variant `crash`, expected one of `delay`, `fail`, `hang`"
    );
    assert_eq!(
        refused(json!({ "launches": [{ "nth": 0, "do": "hang" }] })),
        "invalid value: integer `0`, expected a nonzero u64"
    );
    assert_eq!(refused(json!({ "launches": [{ "probability": 2, "do": "hang" }] })), "2 is not from 0 to 1");
    assert_eq!(
        refused(json!({ "launch_delay_ms": "1s" })),
        "expected a number of milliseconds, or the least and the most: [500, 2000]"
    );
}
