//! One row for each way in which an invocation can end.

use std::time::Duration;

use crate::support::{Bench, hasty, invocation};

/// A runtime, and what it makes of a series of invocations with the ids 1, 2, ….
struct Row {
    name: &'static str,
    runtime: &'static str,
    answers: &'static [Expected],
}

/// A body, and whether it is an error.
enum Expected {
    Returned(&'static str),
    Failed(&'static str),
}

use Expected::{Failed, Returned};

const ROWS: &[Row] = &[
    Row {
        name: "the handler returns",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    respond(id, {"event": event})
"#,
        answers: &[Returned(r#"{"event": {"n": 1}}"#), Returned(r#"{"event": {"n": 2}}"#)],
    },
    Row {
        name: "the handler raises",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    fail(id, {"errorMessage": "Handler fails", "errorType": "Exception"})
"#,
        answers: &[
            Failed(r#"{"errorMessage": "Handler fails", "errorType": "Exception"}"#),
            Failed(r#"{"errorMessage": "Handler fails", "errorType": "Exception"}"#),
        ],
    },
    Row {
        name: "the init reports an error",
        runtime: r#"
call("POST", "init/error", '{"errorType": "Exception", "requestId": ""}')
sys.exit(1)
"#,
        answers: &[
            Failed(r#"{"errorType": "Exception", "requestId": ""}"#),
            Failed(r#"{"errorType": "Exception", "requestId": ""}"#),
        ],
    },
    Row {
        name: "the runtime exits with status 0 in its init",
        runtime: "sys.exit(0)",
        answers: &[
            Failed(
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited without providing a reason"}"#,
            ),
            Failed(
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 2 Error: Runtime exited without providing a reason"}"#,
            ),
        ],
    },
    Row {
        name: "the runtime exits with another status in its init",
        runtime: "sys.exit(127)",
        answers: &[Failed(
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: exit status 127"}"#,
        )],
    },
    Row {
        name: "a segmentation fault in the init",
        runtime: "os.kill(os.getpid(), signal.SIGSEGV)",
        answers: &[Failed(
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: signal: segmentation fault"}"#,
        )],
    },
    Row {
        name: "the handler exits with status 0",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    if event["n"] == 1: sys.exit(0)
    respond(id, "again")
"#,
        answers: &[
            Failed(
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited without providing a reason"}"#,
            ),
            Returned(r#""again""#),
        ],
    },
    Row {
        name: "the handler exits with another status, after a good invocation",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    if event["n"] == 2: sys.exit(3)
    respond(id, event["n"])
"#,
        answers: &[
            Returned("1"),
            Failed(
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 2 Error: Runtime exited with error: exit status 3"}"#,
            ),
            Returned("3"),
        ],
    },
    Row {
        name: "the handler is killed",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    if event["n"] == 1: os.kill(os.getpid(), signal.SIGKILL)
    respond(id, "again")
"#,
        answers: &[
            Failed(
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: signal: killed"}"#,
            ),
            Returned(r#""again""#),
        ],
    },
    Row {
        name: "the handler aborts",
        runtime: r#"
next_invocation()
os.abort()
"#,
        answers: &[Failed(
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: signal: aborted"}"#,
        )],
    },
    Row {
        name: "the handler takes too long, keeps its files and loses its globals",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    if event["n"] == 1:
        open("kept", "w").write("some-content")
        written = True
        while True: time.sleep(1)
    respond(id, {"file": open("kept").read(), "global": "written" in globals()})
"#,
        answers: &[
            Failed(
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 1.00 seconds"}"#,
            ),
            Returned(r#"{"file": "some-content", "global": false}"#),
        ],
    },
    Row {
        name: "the handler does not hear a polite signal when it takes too long",
        runtime: r#"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    id, event, _ = next_invocation()
    if event["n"] == 1:
        while True: pass
    respond(id, "again")
"#,
        answers: &[
            Failed(
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 1.00 seconds"}"#,
            ),
            Returned(r#""again""#),
        ],
    },
    Row {
        name: "the response is too large, and the runtime is told so",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    if event["n"] == 1:
        status, _, body = respond(id, "x" * (6 * 1024 * 1024 + 99))
        refused = [status, json.loads(body)]
    else:
        respond(id, refused)
"#,
        answers: &[
            Failed(
                r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#,
            ),
            Returned(
                r#"[413, {"errorMessage": "Exceeded maximum allowed payload size (6291556 bytes).", "errorType": "RequestEntityTooLarge"}]"#,
            ),
        ],
    },
    Row {
        name: "the response is sent with the last breath",
        runtime: r#"
while True:
    id, event, _ = next_invocation()
    body = json.dumps(event)
    api.sock.sendall(f"POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    os._exit(1)
"#,
        answers: &[Returned(r#"{"n": 1}"#), Returned(r#"{"n": 2}"#)],
    },
    Row {
        name: "the runtime asks again instead of answering",
        runtime: r#"
while True:
    first, _, _ = next_invocation()
    second, _, _ = next_invocation()
    respond(second, first == second)
"#,
        answers: &[Returned("true"), Returned("true")],
    },
    Row {
        name: "the runtime exits between two invocations",
        runtime: r#"
id, event, _ = next_invocation()
respond(id, os.getpid() > 0)
"#,
        answers: &[Returned("true"), Returned("true"), Returned("true")],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_an_invocation_is_answered_as_aws_answers_it() {
    for row in ROWS {
        let bench = Bench::python(row.runtime).await;
        bench.instance.ready().await;
        let mut host = bench.host().await;
        for (number, expected) in (1..).zip(row.answers) {
            let (id, event) = (number.to_string(), format!(r#"{{"n":{number}}}"#));
            let times_out =
                matches!(expected, Failed(body) if body.contains("Task timed out after 1.00 seconds"));
            let request = if times_out { hasty(&id, &event) } else { invocation(&id, &event) };
            let answer = host.send(request).await;
            let context = format!("{}, invocation {number}: {:?}", row.name, bench.lines());
            assert_eq!(answer.status, 200, "{context}");
            let (body, error) = match expected {
                Returned(body) => (body, None),
                Failed(body) => (body, Some("Unhandled")),
            };
            assert_eq!(answer.text(), *body, "{context}");
            assert_eq!(answer.header("x-amz-function-error"), error, "{context}");
            assert_eq!(answer.header("hearth-instance"), Some("reusable"), "{context}");
            assert_eq!(
                answer.header("lambda-runtime-aws-request-id"),
                Some(&*number.to_string()),
                "{context}"
            );
        }
        bench.instance.shutdown(Duration::from_secs(1)).await;
    }
}
