//! Responses that are streamed.

use std::num::NonZeroU64;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::BodyExt;

use crate::support::{Answer, Bench, hasty, invocation};

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// Begins to stream, does what the row says, and ends.
fn runtime(middle: &str) -> String {
    format!(
        r#"
while True:
    id, event, _ = next_invocation()
    if event.get("plain"):
        respond(id, "plain")
        continue
    print("begins", flush=True)
    begin_stream(id)
    chunk("one ")
    {}
    print("status", end_stream(TRAILERS), flush=True)
"#,
        middle.replace('\n', "\n    ")
    )
    .replace("TRAILERS", r#""" if "trailers" not in event else event["trailers"]"#)
}

fn error_of(answer: &Answer) -> (Option<&str>, Option<String>) {
    let body = answer.header("lambda-runtime-function-error-body").map(|body| BASE64.decode(body).unwrap());
    (answer.header(ERROR_TYPE), body.map(|body| String::from_utf8(body).unwrap()))
}

#[tokio::test]
async fn bytes_arrive_while_the_function_still_runs_and_the_tail_comes_at_the_end() {
    let bench = Bench::python(&runtime("open('gate').read()\nchunk('two')")).await;
    let gate = bench.gate("gate");
    let mut host = bench.host().await;
    let mut response = host.stream(invocation("1", "{}")).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "one ");
    let mut second = bench.host().await;
    assert_eq!(second.invoke("2", "{}").await.status, 409, "it is busy until the end");
    std::fs::write(gate, "go").unwrap();
    let rest = Answer::rest(response).await;
    assert_eq!((rest.text(), error_of(&rest)), ("two", (None, None)));
    assert_eq!(rest.tail()[..2], ["START RequestId: 1 Version: $LATEST", "begins"]);
    bench.written("status 202").await;
    let (mut host, event) = (bench.host().await, r#"{"plain":true}"#);
    assert_eq!(host.invoke("3", event).await.text(), r#""plain""#);
    let plain = Answer::rest(host.stream(invocation("4", event)).await).await;
    assert_eq!(plain.text(), r#""plain""#, "a runtime that does not stream is answered whole");
}

#[tokio::test]
async fn a_stream_that_ends_badly_says_so_in_its_trailers() {
    let fault = |kind: &str, message: &str| {
        let body = format!(r#"{{"errorType":"{kind}","errorMessage":"RequestId: 1 Error: {message}"}}"#);
        (kind.to_owned(), body)
    };
    for (middle, error) in [
        ("time.sleep(3600)", fault("Sandbox.Timedout", "Task timed out after 1.00 seconds")),
        ("os._exit(3)", fault("Runtime.ExitError", "Runtime exited with error: exit status 3")),
        (
            "api.sock.close(); time.sleep(3600)",
            fault("Runtime.TruncatedResponse", "the runtime broke off its response"),
        ),
    ] {
        let bench = Bench::python(&runtime(middle)).await;
        let mut host = bench.host().await;
        let answer = Answer::rest(
            host.stream(if middle.starts_with("time") { hasty("1", "{}") } else { invocation("1", "{}") })
                .await,
        )
        .await;
        assert_eq!(answer.text(), "one ", "{middle}");
        let (kind, body) = error_of(&answer);
        assert_eq!((kind.unwrap(), body.unwrap()), (&*error.0, error.1), "{middle}");
        assert!(answer.tail().iter().any(|line| line.starts_with("REPORT")), "{middle}");
        if !middle.starts_with("api") {
            let again = bench.host().await.invoke("2", r#"{"plain":true}"#).await;
            assert_eq!(again.text(), r#""plain""#, "{middle}");
        }
    }
}

#[tokio::test]
async fn an_error_of_the_function_after_the_first_byte_reaches_either_kind_of_caller() {
    let body = BASE64.encode(r#"{"errorType":"E","errorMessage":"m"}"#);
    let trailers =
        format!(r"Lambda-Runtime-Function-Error-Type: E\r\nLambda-Runtime-Function-Error-Body: {body}\r\n");
    let event = format!(r#"{{"trailers":"{trailers}"}}"#);
    let bench = Bench::python(&runtime("chunk('two')")).await;
    let mut host = bench.host().await;
    let streamed = Answer::rest(host.stream(invocation("1", &event)).await).await;
    let expected = r#"{"errorType":"E","errorMessage":"m"}"#;
    assert_eq!((streamed.text(), error_of(&streamed)), ("one two", (Some("E"), Some(expected.to_owned()))));
    let whole = host.invoke("2", &event).await;
    assert_eq!((whole.text(), whole.header("x-amz-function-error")), (expected, Some("Unhandled")));
    let well = host.invoke("3", "{}").await;
    assert_eq!((well.text(), well.header("x-amz-function-error")), ("one two", None));
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_changes_nothing_for_the_function() {
    let bench =
        Bench::python(&runtime("open('gate').read()\nfor _ in range(100): chunk('x' * 100000)")).await;
    let gate = bench.gate("gate");
    let mut leaving = bench.host().await;
    let mut response = leaving.stream(invocation("1", "{}")).await;
    response.body_mut().frame().await.unwrap().unwrap();
    drop((response, leaving));
    std::fs::write(gate, "go").unwrap();
    bench.written("END RequestId: 1").await;
    bench.written("status 202").await;
    assert_eq!(bench.host().await.invoke("2", r#"{"plain":true}"#).await.text(), r#""plain""#);
}

#[tokio::test]
async fn a_stream_over_the_limit_is_cut_off_and_the_runtime_told() {
    let bench =
        Bench::python_with(&runtime("chunk('two')\nchunk('three')"), |config| config.stream.limit = 7).await;
    let mut host = bench.host().await;
    let answer = Answer::rest(host.stream(invocation("1", "{}")).await).await;
    assert!("one two".starts_with(answer.text()), "{}", answer.text());
    assert_eq!(error_of(&answer).0, Some("Function.ResponseSizeTooLarge"));
    bench.written("status 413").await;
}

#[tokio::test]
async fn a_stream_behind_its_first_bytes_goes_no_faster_than_the_rate() {
    let mebibyte = 1024 * 1024;
    let runtime = runtime("for _ in range(7): chunk('x' * 1048576)");
    let bench =
        Bench::python_with(&runtime, |config| config.stream.rate = NonZeroU64::new(4 * mebibyte)).await;
    let mut host = bench.host().await;
    let answer = Answer::rest(host.stream(invocation("1", "{}")).await).await;
    assert_eq!((answer.body.len() as u64, error_of(&answer).0), (7 * mebibyte + 4, None));
    let report = bench.lines().into_iter().find(|line| line.starts_with("REPORT")).unwrap();
    let duration = report.split_once("Duration: ").unwrap().1.split_once(" ms").unwrap().0;
    assert!(duration.parse::<f64>().unwrap() >= 250.0, "{report}");
}

#[tokio::test]
async fn a_host_that_does_not_read_slows_the_function() {
    let stuck = "
import select
sent = 0
while select.select([], [api.sock], [], 0.3)[1]:
    sent += api.sock.send(b'10000\\r\\n' + b'x' * 65536 + b'\\r\\n') and 65536
    if sent > 100_000_000: break
print('stuck before 100 MB:', sent < 100_000_000, flush=True)
open('gate').read()
";
    // What was sent in part is not completed: the stream is broken off once it is known to be stuck.
    let bench = Bench::python(&runtime(&format!("{stuck}os._exit(0)"))).await;
    let _gate = bench.gate("gate");
    let mut host = bench.host().await;
    let response = host.stream(invocation("1", "{}")).await;
    bench.written("stuck before 100 MB: True").await;
    drop(response);
}

#[tokio::test]
async fn a_streamed_response_is_only_given_to_those_who_read_trailers() {
    let bench = Bench::python("next_invocation()").await;
    let mut host = bench.host().await;
    for (mode, status) in [("streaming", 400), ("sideways", 400)] {
        let mut request = invocation("1", "{}");
        request.headers_mut().insert("hearth-response-mode", mode.parse().unwrap());
        assert_eq!(host.send(request).await.status, status, "{mode}");
    }
}
