//! The instance protocol, beyond the outcomes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use crate::support::{Bench, Host, TOKEN, hasty, invocation};

/// Prints and answers; waits for a byte from the named pipe that the event names.
const WAITER: &str = r#"
while True:
    id, event, headers = next_invocation()
    print("got", id, flush=True)
    if "gate" in event: open(event["gate"]).read()
    respond(id, event.get("value"))
"#;

fn with_header(name: &'static str, value: Option<&'static str>) -> Request<Full<Bytes>> {
    let mut request = invocation("1", "{}");
    request.headers_mut().remove(name);
    if let Some(value) = value {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_request_without_what_the_protocol_asks_for_is_refused_and_not_run() {
    let bench = Bench::python(WAITER).await;
    let mut host = bench.host().await;
    for (name, value, status) in [
        ("authorization", None, 401),
        ("authorization", Some("Bearer another"), 401),
        ("lambda-runtime-aws-request-id", None, 400),
        ("lambda-runtime-invoked-function-arn", None, 400),
        ("hearth-timeout-ms", None, 400),
        ("hearth-timeout-ms", Some("0"), 400),
        ("hearth-timeout-ms", Some("soon"), 400),
        ("x-amz-client-context", Some("%"), 400),
    ] {
        let answer = host.send(with_header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value:?}: {}", answer.text());
    }
    let too_large = " ".repeat(6 * 1024 * 1024 + 101);
    assert_eq!(host.invoke("1", &too_large).await.status, 413);
    assert_eq!(host.send(Request::get("/").body(Full::default()).unwrap()).await.status, 404);
    let get = Request::get("/2015-03-31/functions/function/invocations").body(Full::default()).unwrap();
    assert_eq!(host.send(get).await.status, 405);
    assert!(!bench.lines().iter().any(|line| line.starts_with("START")), "{:?}", bench.lines());
}

#[tokio::test]
async fn readiness_answers_when_the_init_phase_has_ended_and_only_with_the_token() {
    let bench = Bench::python(WAITER).await;
    let mut host = bench.host().await;
    let ask = |token: &str| {
        let request = Request::get("/_hearth/instance").header("authorization", format!("Bearer {token}"));
        request.body(Full::default()).unwrap()
    };
    assert_eq!(host.send(ask("another")).await.status, 401);
    let answer = host.send(ask(TOKEN)).await;
    let begin = r#"{"protocol":1,"init":{"outcome":"ready","duration_ms":"#;
    assert!(answer.text().starts_with(begin), "{}", answer.text());
    assert!(bench.instance.ready().await.duration > Duration::ZERO);
}

#[tokio::test]
async fn the_tail_has_start_end_and_report_and_the_init_only_once() {
    let bench = Bench::python(WAITER).await;
    bench.instance.ready().await;
    let mut host = bench.host().await;
    let report = "REPORT RequestId: 1\tDuration: # ms\tBilled Duration: # ms\tMemory Size: 128 MB\tMax Memory Used: # MB\t";
    let first = host.invoke("1", "{}").await;
    assert_eq!(
        first.tail(),
        [
            "START RequestId: 1 Version: $LATEST",
            "got 1",
            "END RequestId: 1",
            &format!("{report}Init Duration: # ms\t")
        ],
    );
    assert_eq!(host.invoke("1", "{}").await.tail()[3], report);
    let untold = host.send(with_header("x-amz-log-type", None)).await;
    assert_eq!(untold.header("x-amz-log-result"), None);
}

#[tokio::test]
async fn the_runtime_gets_what_the_host_passes_on() {
    let runtime = r#"
while True:
    id, event, headers = next_invocation()
    respond(id, [[name, value] for name, value in headers.items() if name.startswith("Lambda-") or name == "Content-Type"])
"#;
    let bench = Bench::python(runtime).await;
    let mut host = bench.host().await;
    let mut request = invocation("an-id", "{}");
    for (name, value) in [
        ("x-amzn-trace-id", "Root=1-2-3"),
        ("x-amz-client-context", "eyJhIjoxfQ=="),
        ("lambda-runtime-cognito-identity", "{}"),
        ("lambda-runtime-aws-tenant-id", "tenant"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let before = unix_ms();
    let answer = host.send(request).await;
    let mut headers: Vec<(String, String)> = serde_json::from_slice(&answer.body).unwrap();
    let place = headers.iter().position(|(name, _)| name == "Lambda-Runtime-Deadline-Ms").unwrap();
    let deadline: u64 = headers.remove(place).1.parse().unwrap();
    assert!((before + 3_600_000..=unix_ms() + 3_600_000).contains(&deadline));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        headers,
        [
            pair("Content-Type", "application/json"),
            pair("Lambda-Runtime-Aws-Request-Id", "an-id"),
            pair("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:f"),
            pair("Lambda-Runtime-Trace-Id", "Root=1-2-3"),
            pair("Lambda-Runtime-Cognito-Identity", "{}"),
            pair("Lambda-Runtime-Aws-Tenant-Id", "tenant"),
            pair("Lambda-Runtime-Client-Context", r#"{"a":1}"#),
        ]
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "the deadline that the function sees is compared with the clock"
)]
fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[tokio::test]
async fn a_second_event_is_refused_while_the_first_runs_and_a_caller_that_leaves_changes_nothing() {
    let bench = Bench::python(WAITER).await;
    let gate = bench.gate("gate");
    let mut leaving = bench.host().await;
    let first = tokio::spawn(async move { leaving.invoke("1", r#"{"gate":"gate"}"#).await.status });
    bench.written("got 1").await;
    let mut host = bench.host().await;
    let refused = host.invoke("2", "{}").await;
    assert_eq!((refused.status.as_u16(), refused.header("x-amz-function-error")), (409, None));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(host.invoke("3", "{}").await.status, 409);
    std::fs::write(gate, "go").unwrap();
    bench.written("END RequestId: 1").await;
    assert_eq!(host.invoke("4", r#"{"value":"free"}"#).await.text(), r#""free""#);
}

#[tokio::test]
async fn an_instance_with_two_slots_runs_two_invocations_at_once_and_refuses_the_third() {
    let runtime = r#"
def poll():
    api = connect()
    while True:
        id, event, _ = next_invocation(api)
        print("got", id, flush=True)
        if "gate" in event: open(event["gate"]).read()
        respond(id, id, api)
threads = [threading.Thread(target=poll) for _ in range(2)]
for thread in threads: thread.start()
"#;
    let bench = Bench::python_with(runtime, |config| config.slots = 2).await;
    let gates = [bench.gate("a"), bench.gate("b")];
    let (mut one, mut two, mut three) = (bench.host().await, bench.host().await, bench.host().await);
    let first = tokio::spawn(async move { one.invoke("1", r#"{"gate":"a"}"#).await.text().to_owned() });
    bench.written("got 1").await;
    let second = tokio::spawn(async move { two.invoke("2", r#"{"gate":"b"}"#).await.text().to_owned() });
    bench.written("got 2").await;
    assert_eq!(three.invoke("3", "{}").await.status, 409);
    std::fs::write(&gates[1], "go").unwrap();
    assert_eq!(second.await.unwrap(), r#""2""#);
    assert_eq!(three.invoke("4", "{}").await.text(), r#""4""#);
    std::fs::write(&gates[0], "go").unwrap();
    assert_eq!(first.await.unwrap(), r#""1""#);
}

#[tokio::test]
async fn a_timeout_beside_another_invocation_lets_the_other_end_first() {
    let runtime = r#"
def poll():
    api = connect()
    while True:
        id, event, _ = next_invocation(api)
        print("got", id, flush=True)
        if "gate" in event: open(event["gate"]).read()
        respond(id, [id, os.getpid()], api)
for _ in range(2): threading.Thread(target=poll).start()
"#;
    let bench = Bench::python_with(runtime, |config| config.slots = 2).await;
    let (gate, _never) = (bench.gate("gate"), bench.gate("never"));
    let (mut one, mut two, mut three) = (bench.host().await, bench.host().await, bench.host().await);
    let first = tokio::spawn(async move { one.invoke("1", r#"{"gate":"gate"}"#).await.text().to_owned() });
    bench.written("got 1").await;
    let timed_out = two.send(hasty("2", r#"{"gate":"never"}"#)).await;
    assert!(timed_out.text().contains("Sandbox.Timedout"), "{}", timed_out.text());
    let next = tokio::spawn(async move { three.invoke("3", "{}").await.text().to_owned() });
    std::fs::write(&gate, "go").unwrap();
    let first: (String, u32) = serde_json::from_str(&first.await.unwrap()).unwrap();
    let next: (String, u32) = serde_json::from_str(&next.await.unwrap()).unwrap();
    assert_eq!((&*first.0, &*next.0), ("1", "3"));
    assert_ne!(first.1, next.1, "the process is another one");
}

#[tokio::test]
async fn an_instance_that_ends_lets_the_invocation_end_first_and_takes_no_more() {
    let bench = Bench::python(WAITER).await;
    let gate = bench.gate("gate");
    let (mut one, mut two) = (bench.host().await, bench.host().await);
    let first = tokio::spawn(async move { one.invoke("1", r#"{"gate":"gate","value":"done"}"#).await });
    bench.written("got 1").await;
    // Far longer than the invocation: it ends with that, and not with the grace period.
    let ending = bench.instance.shutdown(Duration::from_secs(3600));
    let host = async {
        // The first poll of the other future has closed the door: they run on one thread.
        tokio::task::yield_now().await;
        assert_eq!(two.invoke("2", "{}").await.status, 410);
        std::fs::write(gate, "go").unwrap();
    };
    tokio::join!(ending, host);
    assert_eq!(first.await.unwrap().text(), r#""done""#);
    let deaths = bench.seen.deaths.lock().unwrap().clone();
    assert_eq!(deaths, [(hearth_rie::Exit::Signal(15), false)]);
}

#[tokio::test]
async fn an_invocation_that_outlives_the_grace_period_is_killed_with_its_instance() {
    let bench = Bench::python(WAITER).await;
    let _never = bench.gate("never");
    let mut host: Host = bench.host().await;
    let first = tokio::spawn(async move { host.invoke("1", r#"{"gate":"never"}"#).await });
    bench.written("got 1").await;
    bench.instance.shutdown(Duration::ZERO).await;
    assert!(first.await.unwrap().text().contains("signal: killed"));
}
