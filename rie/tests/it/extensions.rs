//! Extensions: processes of their own, or a part of the runtime's, that are told of every invocation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hearth_rie::{InitOutcome, Origin};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Bench, hasty, python};

/// What every scripted extension begins with. It writes what it is told into its log.
const PREAMBLE: &str = r#"
import http.client, json, os, sys, time
name = os.path.basename(sys.argv[0])
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, **headers):
    headers = {"Lambda-Extension-" + key.replace("_", "-"): value for key, value in headers.items()}
    api.request(method, "/2020-01-01/extension/" + path, json.dumps(body) if body is not None else None, headers)
    response = api.getresponse()
    return response.status, response.headers, json.loads(response.read() or "null")
def register(*events):
    status, headers, body = call("POST", "register", {"events": events}, Name=name, Accept_Feature="accountId")
    return headers["Lambda-Extension-Identifier"], body
def next_event():
    return call("GET", "event/next", Identifier=id)[2]
def say(*words):
    print(*words, flush=True)
"#;

const FOLLOWER: &str = r#"
id, body = register("INVOKE", "SHUTDOWN")
say("registered", json.dumps(body))
while True:
    event = next_event()
    say(event["eventType"], event.get("requestId") or event["shutdownReason"], event["deadlineMs"] > 0)
    if event["eventType"] == "SHUTDOWN":
        break
"#;

const RUNTIME: &str = r#"
while True:
    id, event, _ = next_invocation()
    if event == "crash":
        os._exit(7)
    if event == "hang":
        time.sleep(3600)
    respond(id, event)
"#;

fn folder(extensions: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in extensions {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!{} -u\n{PREAMBLE}\n{script}", python().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

async fn bench(runtime: &str, extensions: &Path) -> Bench {
    Bench::python_with(runtime, |config| {
        config.extensions = Some(extensions.to_owned());
        config.init_limit = Duration::from_secs(60);
        config.function.account_id = Some("000000000000".to_owned());
        config.program.environment.push(("_HANDLER".into(), "app.handler".into()));
    })
    .await
}

/// What extensions wrote.
fn said(bench: &Bench) -> Vec<String> {
    let lines = bench.seen.lines.lock().unwrap();
    lines.iter().filter(|(origin, _)| *origin == Origin::Extension).map(|(_, line)| line.clone()).collect()
}

#[tokio::test]
async fn an_extension_is_told_of_invocations_and_of_the_end() {
    let extensions = folder(&[("follower", FOLLOWER)]);
    fs::write(extensions.path().join("notes.txt"), "not an executable").unwrap();
    let bench = bench(RUNTIME, extensions.path()).await;
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Ready);
    let mut host = bench.host().await;
    for id in ["1", "2"] {
        assert_eq!(host.invoke(id, r#""x""#).await.text(), r#""x""#);
    }
    bench.instance.shutdown(Duration::from_secs(60)).await;
    let identity = json!({"accountId": "000000000000", "functionName": "f", "functionVersion": "$LATEST", "handler": "app.handler"});
    let lines = said(&bench);
    let registered: Value = serde_json::from_str(lines[0].strip_prefix("registered ").unwrap()).unwrap();
    assert_eq!(registered, identity);
    assert_eq!(lines[1..], ["INVOKE 1 True", "INVOKE 2 True", "SHUTDOWN spindown True"]);
}

#[tokio::test]
async fn the_init_ends_when_the_last_extension_asks_for_an_event() {
    let extensions = folder(&[(
        "late",
        r#"
id, _ = register("INVOKE")
open(os.environ["GATE"]).read()
say("through the gate")
while True:
    next_event()
"#,
    )]);
    let gate = extensions.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let path = gate.clone();
    let runtime = format!("print('asks', flush=True)\n{RUNTIME}");
    let bench = Bench::python_with(&runtime, |config| {
        config.extensions = Some(extensions.path().to_owned());
        config.init_limit = Duration::from_secs(60);
        config.program.environment.push(("GATE".into(), path.into()));
    })
    .await;
    bench.written("asks").await;
    let mut ready = std::pin::pin!(bench.instance.ready());
    let early = tokio::select! {
        // By the time this looks, both may have happened: that it was let through is what counts then.
        biased;
        written = tokio::task::spawn_blocking(move || fs::write(gate, "go")) => {
            written.unwrap().unwrap();
            None
        }
        init = &mut ready => Some(init),
    };
    assert_eq!(early, None, "the extension has not asked yet");
    assert_eq!(ready.await.outcome, InitOutcome::Ready);
    assert_eq!(said(&bench), ["through the gate"]);
}

#[tokio::test]
async fn a_slow_extension_delays_the_next_event_and_not_the_answer() {
    let extensions = folder(&[(
        "slow",
        r#"
id, _ = register("INVOKE")
while True:
    event = next_event()
    say("busy with", event["requestId"])
    open(os.environ["GATE"]).read()
    say("done with", event["requestId"])
"#,
    )]);
    let gate = extensions.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let runtime = RUNTIME.replace("    respond", "    print('got', id, flush=True)\n    respond");
    let path = gate.clone();
    let bench = Bench::python_with(&runtime, |config| {
        config.extensions = Some(extensions.path().to_owned());
        config.init_limit = Duration::from_secs(60);
        config.program.environment.push(("GATE".into(), path.into()));
    })
    .await;
    bench.instance.ready().await;
    let mut host = bench.host().await;
    assert_eq!(host.invoke("1", r#""x""#).await.text(), r#""x""#, "while the extension is still busy");
    let open = async {
        bench.written("busy with 1").await;
        // On another thread: the instance runs on this one.
        tokio::task::spawn_blocking(move || fs::write(gate, "go")).await.unwrap().unwrap();
    };
    let second = async { host.invoke("2", r#""y""#).await };
    let (answer, ()) = tokio::join!(second, open);
    assert_eq!(answer.text(), r#""y""#);
    let lines = bench.lines();
    let place = |wanted: &str| lines.iter().position(|line| line == wanted).unwrap();
    assert!(place("done with 1") < place("got 2"), "{lines:?}");
}

#[tokio::test]
async fn an_extension_that_crashes_or_reports_an_error_ends_the_sandbox() {
    for (last_act, error_type, message) in [
        ("sys.exit(3)", "Extension.Crash", "exit status 3"),
        (
            r#"call("POST", "exit/error", {}, Identifier=id, Function_Error_Type="Own.Error"); time.sleep(3600)"#,
            "Extension.ExitError",
            "Own.Error",
        ),
    ] {
        let script = format!(
            "id, _ = register('INVOKE')\nwhile True:\n    if next_event()['requestId'] == '1':\n        {last_act}\n"
        );
        let extensions = folder(&[("fragile", &script), ("follower", FOLLOWER)]);
        let bench = bench(RUNTIME, extensions.path()).await;
        bench.instance.ready().await;
        let mut host = bench.host().await;
        let answer = host.invoke("1", r#""hang""#).await;
        let error: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(error["errorType"], error_type);
        assert_eq!(error["errorMessage"], format!("RequestId: 1 Error: {message}"));
        assert_eq!(answer.header("x-amz-function-error"), Some("Unhandled"));
        assert_eq!(host.invoke("2", r#""again""#).await.text(), r#""again""#);
        let failures = said(&bench).iter().filter(|line| *line == "SHUTDOWN failure True").count();
        assert_eq!(failures, 1, "{:?}", said(&bench));
    }
}

#[tokio::test]
async fn an_init_that_an_extension_spoils_has_failed() {
    for (script, reason) in [
        ("sys.exit(3)", "Extension.Crash: exit status 3"),
        ("sys.exit(0)", "Extension.Crash: exit code 0"),
        (
            r#"
id, _ = register()
call("POST", "init/error", {}, Identifier=id, Function_Error_Type="Own.Init")
time.sleep(3600)
"#,
            "Extension.InitError: Own.Init",
        ),
    ] {
        let extensions = folder(&[("broken", script)]);
        let bench = bench(RUNTIME, extensions.path()).await;
        assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Failed { reason: reason.to_owned() });
    }
}

#[tokio::test]
async fn an_extension_that_cannot_be_started_fails_the_init() {
    let extensions = folder(&[("broken", "")]);
    let path = extensions.path().join("broken");
    fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    let bench = bench(RUNTIME, extensions.path()).await;
    let why = format!("fork/exec {}: no such file or directory", path.display());
    let reason = format!("Extension.LaunchError: {why}");
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Failed { reason });
    let answer = bench.host().await.invoke("1", "null").await;
    let error: Value = serde_json::from_slice(&answer.body).unwrap();
    let message = format!("RequestId: 1 Error: {why}");
    assert_eq!(error, json!({"errorType": "Extension.LaunchError", "errorMessage": message}));
    let line = "EXTENSION\tName: broken\tState: LaunchError\tEvents: []\tError Type: Extension.LaunchError";
    assert!(bench.lines().contains(&line.to_owned()), "{:?}", bench.lines());
}

#[tokio::test]
async fn an_extension_that_does_not_end_is_killed_when_its_time_is_up() {
    let extensions = folder(&[(
        "stubborn",
        r#"
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
id, _ = register("SHUTDOWN")
left = next_event()["deadlineMs"] - time.time() * 1000
say("told in time", 0 < left <= 2000)
time.sleep(3600)
"#,
    )]);
    let bench = bench(RUNTIME, extensions.path()).await;
    bench.instance.ready().await;
    let processes = bench.instance.own_processes();
    assert_eq!(processes.len(), 2);
    bench.instance.shutdown(Duration::from_millis(2500)).await;
    assert_eq!(said(&bench), ["told in time True"]);
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "it is gone");
    }
}

#[tokio::test]
async fn extensions_of_a_function_that_serves_several_at_once_are_not_told_of_invocations() {
    let extensions = folder(&[(
        "curious",
        r#"
status, _, body = call("POST", "register", {"events": ["INVOKE"]}, Name=name)
say(status, body["errorType"])
id, _ = register("SHUTDOWN")
next_event()
"#,
    )]);
    let bench = Bench::python_with(RUNTIME, |config| {
        config.extensions = Some(extensions.path().to_owned());
        config.slots = 2;
    });
    let bench = bench.await;
    bench.written("403 Extension.InvalidEventType").await;
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Ready);
}

#[tokio::test]
async fn extensions_are_told_why_a_sandbox_is_reset() {
    let extensions = folder(&[("follower", FOLLOWER)]);
    let bench = bench(RUNTIME, extensions.path()).await;
    bench.instance.ready().await;
    let mut host = bench.host().await;
    assert!(host.invoke("1", r#""crash""#).await.text().contains("exit status 7"));
    bench.written("SHUTDOWN failure True").await;
    assert!(host.invoke("2", "null").await.text().contains("null"));
    assert!(host.send(hasty("3", r#""hang""#)).await.text().contains("Task timed out after 1.00 seconds"));
    bench.written("SHUTDOWN timeout True").await;
}

#[tokio::test]
async fn calls_of_extensions_that_are_out_of_order_are_refused() {
    let extensions = folder(&[(
        "wrong",
        r#"
import uuid
def attempt(*arguments, **headers):
    status, _, body = call(*arguments, **headers)
    say(status, body["errorType"])
attempt("POST", "register", {"events": ["INVOKE"]})
attempt("POST", "register", {"events": ["BIRTHDAY"]}, Name=name)
attempt("POST", "register", [1], Name=name)
attempt("POST", "register", {"events": ["SHUTDOWN"]}, Name="somebody-else")
attempt("GET", "event/next")
attempt("GET", "event/next", Identifier="me")
attempt("GET", "event/next", Identifier=str(uuid.uuid4()))
id, _ = register("INVOKE")
attempt("POST", "register", {"events": ["INVOKE"]}, Name=name)
attempt("POST", "init/error", {}, Identifier=id)
next_event()
attempt("POST", "init/error", {}, Identifier=id, Function_Error_Type="Late.Error")
attempt("POST", "register", {"events": ["INVOKE"]}, Name="late")
next_event()
"#,
    )]);
    let bench = bench(RUNTIME, extensions.path()).await;
    bench.instance.ready().await;
    bench.host().await.invoke("1", "null").await;
    bench.written("403 Extension.RegistrationClosed").await;
    assert_eq!(
        said(&bench),
        [
            "403 Extension.InvalidExtensionName",
            "403 Extension.InvalidEventType",
            "403 InvalidRequestFormat",
            "403 Extension.InvalidEventType",
            "403 Extension.MissingExtensionIdentifier",
            "403 Extension.InvalidExtensionIdentifier",
            "403 Extension.UnknownExtensionIdentifier",
            "403 Extension.InvalidExtensionState",
            "403 Extension.MissingHeader",
            "403 Extension.InvalidExtensionState",
            "403 Extension.RegistrationClosed",
        ]
    );
}

#[tokio::test]
async fn a_part_of_the_runtime_can_be_an_extension() {
    let runtime = r#"
def extension(method, path, body, headers):
    connection = connect()
    connection.request(method, "/2020-01-01/extension/" + path, body, headers)
    response = connection.getresponse()
    return response.headers, response.read()
headers, _ = extension("POST", "register", '{"events": ["INVOKE"]}', {"Lambda-Extension-Name": "inside"})
identity = {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
def follow():
    while True:
        event = json.loads(extension("GET", "event/next", None, identity)[1])
        print("inside saw", event["requestId"], flush=True)
threading.Thread(target=follow, daemon=True).start()
while True:
    id, event, _ = next_invocation()
    respond(id, event)
"#;
    let bench = Bench::python(runtime).await;
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Ready);
    let mut host = bench.host().await;
    for id in ["1", "2"] {
        host.invoke(id, "null").await;
        bench.written(&format!("inside saw {id}")).await;
    }
}

#[tokio::test]
async fn the_memory_of_extensions_counts() {
    let extensions = folder(&[(
        "hog",
        r#"
id, _ = register("INVOKE")
if next_event()["requestId"] == "1":
    hog = bytearray(200 * 1024 * 1024)
    time.sleep(3600)
next_event()
"#,
    )]);
    let bench = Bench::python_with(RUNTIME, |config| {
        config.extensions = Some(extensions.path().to_owned());
        config.memory_limit = Some(100 * 1024 * 1024);
    });
    let bench = bench.await;
    bench.instance.ready().await;
    let answer = bench.host().await.invoke("1", r#""hang""#).await;
    assert!(answer.text().contains("Runtime.OutOfMemory"), "{}", answer.text());
    assert_eq!(bench.host().await.invoke("2", r#""again""#).await.text(), r#""again""#);
}
