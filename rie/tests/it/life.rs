//! The life of the process: its init, its limits, its end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hearth_rie::{Exit, InitOutcome};

use crate::support::{Bench, hasty};

/// Fails in its first init, and works from the second on.
const SECOND_TIME_LUCKY: &str = r#"
if not os.path.exists("been-here"):
    open("been-here", "w").close()
    FIRST_TIME
while True:
    id, event, _ = next_invocation()
    respond(id, "lucky")
"#;

#[tokio::test]
async fn a_failed_init_is_told_and_repeated_inside_the_first_invocation() {
    for (first_time, outcome) in [
        (
            r#"call("POST", "init/error", '{"errorType":"E","errorMessage":"m"}'); sys.exit(1)"#,
            InitOutcome::Failed { reason: "E: m".into() },
        ),
        ("sys.exit(3)", InitOutcome::Failed { reason: "Runtime exited with error: exit status 3".into() }),
        ("time.sleep(3600)", InitOutcome::TimedOut),
    ] {
        let runtime = SECOND_TIME_LUCKY.replace("FIRST_TIME", first_time);
        // Long enough for the first process to leave its mark before it is killed, on a busy machine too.
        let limit = Duration::from_secs(if outcome == InitOutcome::TimedOut { 5 } else { 60 });
        let bench = Bench::python_with(&runtime, |config| config.init_limit = limit).await;
        let init = bench.instance.ready().await;
        assert_eq!(init.outcome, outcome, "{first_time}");
        let answer = bench.host().await.invoke("1", "{}").await;
        assert_eq!(answer.text(), r#""lucky""#, "{first_time}");
        let tail = answer.tail();
        assert!(!tail.last().unwrap().contains("Init Duration"), "{tail:?}");
        // As on AWS: what the failed init had to say stands before the invocation that repeats it.
        let place = |begin: &str| tail.iter().position(|line| line.starts_with(begin)).unwrap();
        assert!(place("INIT_REPORT") < place("START"), "{tail:?}");
    }
}

#[tokio::test]
async fn an_init_that_hangs_twice_ends_with_the_timeout_of_the_invocation() {
    let limit = Duration::from_millis(100);
    let bench = Bench::python_with("time.sleep(3600)", |config| config.init_limit = limit).await;
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::TimedOut);
    let mut host = bench.host().await;
    for id in ["1", "2"] {
        let answer = host.send(hasty(id, "{}")).await;
        assert!(answer.text().contains("Task timed out after 1.00 seconds"), "{}", answer.text());
        let tail = answer.tail();
        let phases: Vec<_> = tail.iter().filter_map(|line| line.split_once("\tPhase: ")).collect();
        let expected: &[_] = if id == "1" {
            &["init\tStatus: timeout", "invoke\tStatus: timeout"]
        } else {
            &["invoke\tStatus: timeout"]
        };
        assert_eq!(phases.iter().map(|(_, phase)| *phase).collect::<Vec<_>>(), expected, "{tail:?}");
        let [.., start, fault, _, report] = &*tail else { panic!("{tail:?}") };
        assert_eq!(*start, format!("START RequestId: {id} Version: $LATEST"));
        assert_eq!(*fault, format!("{id} Task timed out after 1.00 seconds"));
        assert!(report.ends_with("\tStatus: timeout"), "{tail:?}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_the_answer_and_breaks_the_instance() {
    let bench = Bench::with(vec!["/no/such/bootstrap".into()], |_| {}).await;
    let reason = "Couldn't find valid bootstrap(s): [/no/such/bootstrap]";
    assert_eq!(bench.instance.ready().await.outcome, InitOutcome::Failed { reason: reason.into() });
    let answer = bench.host().await.invoke("1", "{}").await;
    assert_eq!(
        answer.text(),
        format!(
            r#"{{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: 1 Error: {reason}"}}"#
        )
    );
    assert_eq!(answer.header("hearth-instance"), Some("broken"));
}

#[tokio::test]
async fn a_process_that_uses_too_much_memory_is_killed_its_children_counted() {
    let runtime = r#"
hog = "x = bytearray(200 * 1024 * 1024); import time; time.sleep(3600)"
while True:
    id, event, _ = next_invocation()
    if id == "1":
        import subprocess
        subprocess.run([sys.executable, "-c", hog])
    respond(id, "small again")
"#;
    let bench = Bench::python_with(runtime, |config| config.memory_limit = Some(100 * 1024 * 1024)).await;
    bench.instance.ready().await;
    let mut host = bench.host().await;
    let answer = host.invoke("1", "{}").await;
    assert_eq!(
        answer.text(),
        r#"{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: 1 Error: Runtime exited with error: signal: killed"}"#
    );
    let report = answer.tail().pop().unwrap();
    assert!(report.ends_with("Status: error\tError Type: Runtime.OutOfMemory"), "{report}");
    assert_eq!(*bench.seen.deaths.lock().unwrap(), [(Exit::Signal(9), true)]);
    assert!(bench.instance.memory_peak() > 0);
    assert_eq!(host.invoke("2", "{}").await.text(), r#""small again""#);
}

#[tokio::test]
async fn the_runtime_api_refuses_what_is_out_of_order_as_aws_does() {
    let runtime = r#"
def attempt(*arguments):
    status, _, body = call(*arguments)
    try: body = json.loads(body)
    except ValueError: body = body.decode()
    return [status, body]
seen = [attempt("POST", "invocation/none/response", "{}")]
id, _, _ = next_invocation()
seen += [attempt("POST", "init/error", "{}"), attempt("POST", "invocation/other/error", "{}")]
respond(id, None)
seen += [attempt("POST", f"invocation/{id}/response", "{}"), attempt("POST", f"invocation/{id}/error", "{}")]
seen += [attempt("GET", "restore/next"), attempt("POST", "invocation/next"), attempt("GET", "../ping")]
id, _, _ = next_invocation()
call("POST", f"invocation/{id}/response", "?", {"Lambda-Runtime-Function-Response-Mode": "sideways"})
id, _, _ = next_invocation()
respond(id, seen)
next_invocation()
"#;
    let bench = Bench::python(runtime).await;
    let mut host = bench.host().await;
    assert_eq!(host.invoke("1", "{}").await.text(), "null");
    assert!(host.invoke("2", "{}").await.text().contains("Runtime.InvalidResponseModeHeader"));
    let refused = |status: u16, error_type: &str, message: &str| serde_json::json!([status, {"errorMessage": message, "errorType": error_type}]);
    let order = |from: &str, to: &str| {
        let why = "failed for runtime. Error: State transition is not allowed";
        refused(403, "InvalidStateTransition", &format!("State transition from {from} to {to} {why}"))
    };
    let seen: Vec<serde_json::Value> = serde_json::from_slice(&host.invoke("3", "{}").await.body).unwrap();
    assert_eq!(
        seen,
        [
            refused(400, "InvalidRequestID", "Invalid request ID"),
            order("Running", "InitError"),
            refused(400, "InvalidRequestID", "Invalid request ID"),
            order("RuntimeResponseSentState", "InvocationResponse"),
            order("RuntimeResponseSentState", "InvocationErrorResponse"),
            serde_json::json!([404, "404 page not found\n"]),
            serde_json::json!([405, ""]),
            serde_json::json!([404, "404 page not found\n"]),
        ]
    );
}

#[tokio::test]
async fn dropping_an_instance_kills_the_process_and_its_children() {
    let runtime = r#"
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
while True:
    id, event, _ = next_invocation()
    respond(id, [os.getpid(), child.pid])
"#;
    let bench = Bench::python(runtime).await;
    let pids: Vec<u32> = serde_json::from_slice(&bench.host().await.invoke("1", "{}").await.body).unwrap();
    let alive = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    assert!(pids.iter().all(alive));
    drop(bench);
    // The kill is sent as soon as the supervisor's task is dropped, which the runtime does when it gets to it.
    while pids.iter().any(alive) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_private_tmp_is_the_instances_own_and_survives_the_process_as_its_hosts_do() {
    let runtime = r#"
while True:
    id, event, _ = next_invocation()
    if id == "1":
        open("/tmp/mine", "w").write("kept")
        os._exit(1)
    import socket
    respond(id, [open("/tmp/mine").read(), socket.gethostbyname("sandbox.localdomain")])
"#;
    let tmp = tempfile::tempdir_in("/var/tmp").unwrap();
    let hosts = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    fs::write(hosts.path(), "127.0.0.7 sandbox.localdomain\n").unwrap();
    let (tmp_path, hosts_path) = (tmp.path().to_owned(), hosts.path().to_owned());
    let bench = Bench::python_with(runtime, |config| {
        config.program.confinement.private_tmp = Some(tmp_path);
        config.program.confinement.hosts = Some(hosts_path);
        config.program.confinement.open_files = Some(512);
        config.program.directory = "/".into();
    })
    .await;
    if let InitOutcome::Failed { reason } = bench.instance.ready().await.outcome {
        assert!(reason.contains("not permitted"), "{reason}");
        println!("skipped: this machine does not allow mount namespaces");
        return;
    }
    let mut host = bench.host().await;
    assert!(host.invoke("1", "{}").await.text().contains("exit status 1"));
    assert_eq!(host.invoke("2", "{}").await.text(), r#"["kept", "127.0.0.7"]"#);
    assert!(tmp.path().join("mine").exists());
    assert!(!Path::new("/tmp/mine").exists());
}

#[tokio::test]
async fn nothing_of_the_environment_is_inherited_and_the_limits_hold() {
    let runtime = r#"
import resource
while True:
    id, event, _ = next_invocation()
    respond(id, [sorted(os.environ), resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE), os.getpgrp() == os.getpid()])
"#;
    let bench = Bench::python_with(runtime, |config| {
        config.program.confinement.open_files = Some(512);
        config.program.environment.push(("LC_CTYPE".into(), "C.UTF-8".into()));
    })
    .await;
    let answer = bench.host().await.invoke("1", "{}").await;
    let expected = r#"[["AWS_LAMBDA_RUNTIME_API", "LC_CTYPE", "PATH"], [512, 512], [0, 0], true]"#;
    assert_eq!(answer.text(), expected);
}

/// Waits until the process is stopped, or until it is not.
async fn stopped(process: i32, wanted: bool) {
    loop {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        if (stat.rsplit_once(") ").unwrap().1.starts_with('T')) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_instance_is_frozen_between_invocations_and_thaws_for_the_next_and_for_its_end() {
    let runtime = r#"
signal.signal(signal.SIGTERM, lambda *_: (print("goodbye", flush=True), os._exit(0)))
while True:
    id, event, _ = next_invocation()
    respond(id, event)
"#;
    let bench = Bench::python_with(runtime, |config| config.freeze = true).await;
    bench.instance.ready().await;
    let process = bench.instance.process_id().unwrap();
    let mut host = bench.host().await;
    for event in ["1", "2"] {
        stopped(process, true).await;
        assert_eq!(host.invoke("id", event).await.text(), event);
    }
    stopped(process, true).await;
    bench.instance.shutdown(Duration::from_secs(60)).await;
    assert_eq!(bench.lines().last().unwrap(), "goodbye");
}

#[tokio::test]
async fn what_is_paused_stays_so_whatever_comes_until_it_is_resumed() {
    let runtime = "while True:\n    id, event, _ = next_invocation()\n    respond(id, event)\n";
    let bench = Bench::python_with(runtime, |config| config.freeze = true).await;
    bench.instance.ready().await;
    let process = bench.instance.process_id().unwrap();
    stopped(process, true).await;
    bench.instance.pause();
    let mut host = bench.host().await;
    let mut answer = std::pin::pin!(host.invoke("id", "1"));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut answer).await;
    assert!(early.is_err(), "{early:?}");
    bench.instance.resume();
    assert_eq!(answer.await.text(), "1");
}
