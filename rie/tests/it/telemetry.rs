//! Subscribers to telemetry: what they get, when, and what they may ask for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hearth_rie::{InitOutcome, LogFormat, Origin, SystemLogLevel};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Bench, hasty, python};

/// An extension that subscribes and writes every record that it gets into its log, behind a mark. With types
/// that do not include its own log, or it would be told of telling.
const SUBSCRIBER: &str = r#"
import http.client, http.server, json, os, sys, threading
name = os.path.basename(sys.argv[0])
def call(method, path, body=None, **headers):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    headers = {"Lambda-Extension-" + key: value for key, value in headers.items()}
    api.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = api.getresponse()
    return response.status, response.headers, response.read().decode()
class Inbox(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        records = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for record in records:
            print("record", json.dumps(record), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
inbox = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
threading.Thread(target=inbox.serve_forever, daemon=True).start()
def subscription(types=("platform", "function"), **changes):
    uri = f"http://sandbox.localdomain:{inbox.server_port}"
    return {"schemaVersion": "2022-12-13", "types": types, "buffering": {"timeoutMs": 25}, "destination": {"protocol": "HTTP", "URI": uri}} | changes
def register(*events):
    return call("POST", "/2020-01-01/extension/register", {"events": events}, Name=name)[1]["Lambda-Extension-Identifier"]
def subscribe(id, body, path="/2022-07-01/telemetry"):
    return call("PUT", path, body, Identifier=id)
def follow(id):
    while True:
        event = json.loads(call("GET", "/2020-01-01/extension/event/next", Identifier=id)[2])
        if event["eventType"] == "SHUTDOWN":
            break
"#;

const RUNTIME: &str = r#"
print("loading", flush=True)
while True:
    id, event, _ = next_invocation()
    print("serving", id, flush=True)
    if event == "crash": os._exit(7)
    if event == "hang": time.sleep(3600)
    if event == "fail":
        fail(id, {"errorType": "Function.Own", "errorMessage": "m"})
    else:
        respond(id, event)
"#;

fn folder(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subscriber");
    fs::write(&path, format!("#!{} -u\n{SUBSCRIBER}\n{script}", python().display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn bench(extensions: &TempDir, format: LogFormat) -> Bench {
    let bench = Bench::python_with(RUNTIME, |config| {
        config.extensions = Some(extensions.path().to_owned());
        config.init_limit = Duration::from_secs(60);
        config.log_format = format;
    });
    bench.await
}

/// The records that the subscriber got so far.
fn records(bench: &Bench) -> Vec<Value> {
    let lines = bench.seen.lines.lock().unwrap();
    let told = lines.iter().filter(|(origin, _)| *origin == Origin::Extension);
    told.filter_map(|(_, line)| serde_json::from_str(line.strip_prefix("record ")?).ok()).collect()
}

/// Each as its type and what is worth knowing of it.
fn summary(records: &[Value]) -> Vec<String> {
    let of = |record: &Value| {
        let (kind, content) = (record["type"].as_str().unwrap(), &record["record"]);
        if let Some(line) = content.as_str() {
            return format!("{kind} {}", line.trim_end());
        }
        let words = ["state", "requestId", "phase", "status", "errorType"].map(|key| content[key].as_str());
        words.into_iter().flatten().fold(kind.to_owned(), |text, word| text + " " + word)
    };
    records.iter().map(of).collect()
}

#[tokio::test]
async fn a_subscriber_gets_everything_from_the_beginning_of_the_init_to_the_end() {
    let extensions = folder(
        "id = register('INVOKE', 'SHUTDOWN')\nstatus, _, body = subscribe(id, subscription())\nprint(status, body)\nfollow(id)",
    );
    let bench = bench(&extensions, LogFormat::Text).await;
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Ready);
    bench.host().await.invoke("1", r#""x""#).await;
    bench.host().await.invoke("2", r#""fail""#).await;
    bench.instance.shutdown(Duration::from_secs(60)).await;
    assert!(bench.lines().contains(&"200 \"OK\"".to_owned()), "{:?}", bench.lines());
    let records = records(&bench);
    let mut summary = summary(&records);
    // What the runtime prints in its init goes another way than the end of the init.
    let place = summary.iter().position(|record| record == "function loading").unwrap();
    assert!(place < summary.iter().position(|record| record == "platform.start 1").unwrap());
    summary.remove(place);
    assert_eq!(
        summary,
        [
            "platform.initStart init",
            "platform.telemetrySubscription Subscribed",
            "platform.extension Ready",
            "platform.initRuntimeDone init success",
            "platform.initReport init success",
            "platform.start 1",
            "function serving 1",
            "platform.runtimeDone 1 success",
            "platform.report 1 success",
            "platform.start 2",
            "function serving 2",
            "platform.runtimeDone 2 error Function.Own",
            "platform.report 2 success",
        ]
    );
    let report = &records.iter().find(|record| record["type"] == "platform.report").unwrap()["record"];
    assert_eq!(report["metrics"]["memorySizeMB"], 128);
    assert!(report["metrics"]["initDurationMs"].as_f64().unwrap() > 0.0, "{report}");
    let done = &records.iter().find(|record| record["type"] == "platform.runtimeDone").unwrap()["record"];
    let spans: Vec<_> = done["spans"].as_array().unwrap().iter().map(|span| &span["name"]).collect();
    assert_eq!(spans, ["responseLatency", "responseDuration"]);
    assert_eq!(done["metrics"]["producedBytes"], 3);
}

#[tokio::test]
async fn a_subscription_outlives_the_process_and_a_second_one_says_so() {
    let extensions =
        folder("id = register('SHUTDOWN')\nsubscribe(id, subscription(['platform']))\nfollow(id)");
    let bench = bench(&extensions, LogFormat::Text).await;
    bench.instance.ready().await;
    let mut host = bench.host().await;
    host.invoke("1", r#""crash""#).await;
    host.send(hasty("2", r#""hang""#)).await;
    host.invoke("3", r#""x""#).await;
    bench.instance.shutdown(Duration::from_secs(60)).await;
    let records = records(&bench);
    let summary = summary(&records);
    for expected in [
        "platform.runtimeDone 1 error Runtime.ExitError",
        "platform.report 1 error Runtime.ExitError",
        "platform.initStart invoke",
        "platform.telemetrySubscription Already subscribed",
        "platform.initReport invoke success",
        "platform.report 2 timeout",
        "platform.report 3 success",
    ] {
        assert!(summary.iter().any(|record| record == expected), "{expected} in {summary:#?}");
    }
    assert!(!summary.iter().any(|record| record.starts_with("function")), "{summary:#?}");
}

#[tokio::test]
async fn the_older_api_has_its_own_records() {
    let extensions = folder(
        "id = register('SHUTDOWN')\nprint(subscribe(id, subscription(schemaVersion='2021-03-18'), '/2020-08-15/logs')[0])\nfollow(id)",
    );
    let bench = bench(&extensions, LogFormat::Text).await;
    bench.instance.ready().await;
    bench.host().await.invoke("1", r#""crash""#).await;
    bench.instance.shutdown(Duration::from_secs(60)).await;
    let summary = summary(&records(&bench));
    for expected in [
        "platform.logsSubscription Subscribed",
        "platform.fault RequestId: 1 Error: Runtime exited with error: exit status 7\nRuntime.ExitError",
        "platform.end 1",
    ] {
        assert!(summary.iter().any(|record| record == expected), "{expected} in {summary:#?}");
    }
    assert!(!summary.iter().any(|record| record.starts_with("platform.init")), "{summary:#?}");
}

#[tokio::test]
async fn records_come_over_tcp_one_a_line() {
    let extensions = folder(
        r#"
import socketserver
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            print("record", line.decode().strip(), flush=True)
lines = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lines)
threading.Thread(target=lines.serve_forever, daemon=True).start()
id = register('SHUTDOWN')
subscribe(id, subscription(destination={"protocol": "TCP", "port": lines.server_address[1]}))
follow(id)
"#,
    );
    let bench = bench(&extensions, LogFormat::Text).await;
    bench.instance.ready().await;
    bench.host().await.invoke("1", r#""x""#).await;
    bench.until(|| summary(&records(&bench)).contains(&"platform.report 1 success".to_owned())).await;
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused_as_on_aws() {
    let extensions = folder(
        r#"
def attempt(*arguments, **headers):
    status, _, body = call("PUT", *arguments, **headers)
    body = json.loads(body)
    print("answer", json.dumps([status] + ([body["errorType"], body["errorMessage"]] if isinstance(body, dict) else [body])))
telemetry = "/2022-07-01/telemetry"
attempt(telemetry, subscription())
attempt(telemetry, subscription(), Identifier="me")
attempt(telemetry, subscription(), Identifier="6a2d4a1c-3f0c-4f5c-9c39-6c7a27ff8c35")
id = register("INVOKE")
attempt(telemetry, subscription([], destination={"protocol": "HTTP", "URI": "http://sandbox.localdomain"}), Identifier=id)
attempt("/2020-08-15/logs", subscription(schemaVersion="2020-08-15"), Identifier=id)
attempt(telemetry, subscription(), Identifier=id)
call("GET", "/2020-01-01/extension/event/next", Identifier=id)
attempt("/2020-08-15/logs", subscription(schemaVersion="2020-08-15"), Identifier=id)
follow(id)
"#,
    );
    let bench = bench(&extensions, LogFormat::Text).await;
    bench.instance.ready().await;
    bench.host().await.invoke("1", r#""x""#).await;
    let answers = || -> Vec<Value> {
        let lines = bench.lines();
        lines.iter().filter_map(|line| serde_json::from_str(line.strip_prefix("answer ")?).ok()).collect()
    };
    bench.until(|| answers().len() == 7).await;
    assert_eq!(
        answers(),
        [
            json!([
                403,
                "Extension.MissingExtensionIdentifier",
                "Missing Lambda-Extension-Identifier header"
            ]),
            json!([403, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"]),
            json!([403, "Extension.UnknownExtensionIdentifier", "Unknown Lambda-Extension-Identifier"]),
            json!([400, "ValidationError", "types should not be empty; URI port is not provided"]),
            json!([200, "OK"]),
            json!([400, "ValidationError", "extension subscriber is subscribed to the Logs API already"]),
            json!([403, "Logs.SubscriptionClosed", "Logs API subscription is closed already"]),
        ]
    );
}

#[tokio::test]
async fn a_log_in_json_has_records_for_lines() {
    let bench =
        Bench::python_with(RUNTIME, |config| config.log_format = LogFormat::Json(SystemLogLevel::Info));
    let bench = bench.await;
    bench.instance.ready().await;
    let mut host = bench.host().await;
    let types = |answer: &crate::support::Answer| -> Vec<String> {
        let of = |line: &String| match serde_json::from_str::<Value>(line) {
            Ok(record) => format!("{} {}", record["type"].as_str().unwrap(), record["record"]["status"]),
            Err(_) => line.clone(),
        };
        answer.tail().iter().map(of).collect()
    };
    let first = host.invoke("1", r#""x""#).await;
    let start = "platform.start null";
    assert_eq!(types(&first), ["loading", start, "serving 1", r#"platform.report "success""#]);
    let second = host.invoke("2", r#""crash""#).await;
    let expected = [
        start,
        "serving 2",
        "platform.fault null",
        r#"platform.runtimeDone "error""#,
        r#"platform.report "error""#,
    ];
    assert_eq!(types(&second), expected);
}
