//! For those who write backends: the conformance kit on ours, and on one that was begun a moment ago.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hearth_tests::{NewFunction, wait_until, zip_of};
use serde_json::Value;

use crate::support::{LIMIT, launch, leave_out};

/// `hearth backend …`, with the emulator to be found as `rie`.
fn backend(args: &[&str]) -> Output {
    launch().command().env("PATH", path()).arg("backend").args(args).output().unwrap()
}

/// The folder of `hearth`, where `rie` is as well, and those of the system.
fn path() -> String {
    let command = launch().command();
    let beside = Path::new(command.get_program()).parent().unwrap().to_owned();
    format!("{}:/usr/local/bin:/usr/bin:/bin", beside.display())
}

/// The checks of a backend that did not pass, as `name: why`, and how many there were in all.
pub(crate) fn unmet(args: &[&str]) -> (Vec<String>, usize) {
    let output = backend(&[&["check", "--json", "--soak", "2"], args].concat());
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said()));
    let checks = report["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["outcome"] == "failed");
    let failed: Vec<_> = failed.map(|check| format!("{}: {}", check["name"], check["why"])).collect();
    assert_eq!(output.status.success(), failed.is_empty(), "{failed:?}");
    (failed, checks.iter().filter(|check| check["outcome"] == "passed").count())
}

#[test]
fn the_process_backend_conforms() {
    let (failed, passed) = unmet(&["process"]);
    assert_eq!((failed, passed), (vec![], 20));
}

#[test]
fn the_mock_conforms_as_far_as_it_can() {
    let (failed, passed) = unmet(&["mock"]);
    assert_eq!(failed, Vec::<String>::new());
    assert!(passed >= 17, "{passed}");
}

#[test]
fn they_conform_in_a_process_of_their_own_too() {
    for (backend, most) in [("process", 20), ("mock", 17)] {
        let (failed, passed) = unmet(&[backend, "--isolate"]);
        assert_eq!(failed, Vec::<String>::new());
        assert!(passed >= most, "{backend}: {passed}");
    }
}

#[test]
fn a_new_project_builds_and_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    begin("my-own", &project);
    let library = build(&project).join("libhearth_backend_my_own.so");
    let (failed, passed) = unmet(&[library.to_str().unwrap()]);
    assert_eq!(failed, Vec::<String>::new());
    assert!(passed >= 11, "{passed}");
}

#[test]
fn the_smallest_example_is_small_and_conforms() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/backend-minimal");
    let source = fs::read_to_string(example.join("src/lib.rs")).unwrap();
    assert!(source.lines().count() <= 120);
    assert!(source.contains("#![forbid(unsafe_code)]"));
    let library = build(&example).join("libhearth_backend_minimal.so");
    assert_eq!(unmet(&[library.to_str().unwrap()]).0, Vec::<String>::new());
}

#[test]
fn the_sandboxing_example_conforms_and_tells_of_ends_and_lines() {
    if let Err(why) = bubblewrap() {
        return leave_out("examples/backend-bubblewrap", &why);
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/backend-bubblewrap");
    assert!(fs::read_to_string(example.join("src/lib.rs")).unwrap().contains("#![forbid(unsafe_code)]"));
    let library = build(&example).join("libhearth_backend_bubblewrap.so");
    let library = library.to_str().unwrap();
    let (failed, passed) = unmet(&[library]);
    assert_eq!((failed, passed), (vec![], 18));

    let host = launch().backend(library).env("PATH", path()).start().unwrap();
    let client = host.client();
    let zip = zip_of(&[("bootstrap", SANDBOXED)]).unwrap();
    let (name, runtime, handler) = ("sandboxed", "provided.al2023", "any");
    client.create(NewFunction { name, runtime, handler, zip: &zip, timeout_seconds: 20 }).unwrap();
    let answer = client.invoke(name, b"{}").unwrap();
    assert_eq!(answer.text(), r#"{"files": ["/var/task/bootstrap"], "pids": "few"}"#);
    let instances = client.instances().unwrap();
    let process = instances[0]["metadata"]["process.id"].as_str().unwrap();
    assert!(Command::new("kill").args(["-KILL", process]).status().unwrap().success());
    let gone = || client.instances().unwrap().is_empty().then_some(());
    wait_until("the host to be told that the instance has gone", LIMIT, gone).unwrap();
    // The host keeps lines a moment after they were written, and is told of an end by another way.
    let logs = || client.send("GET", "/_hearth/functions/sandboxed/logs", &[], b"").unwrap().text();
    let said = || logs().contains("said by the function").then_some(());
    wait_until("the function's line to be in its log", LIMIT, said).unwrap_or_else(|_| panic!("{}", logs()));
}

/// Answers with what it sees of the machine.
const SANDBOXED: &str = r#"#!/usr/bin/python3
import glob, json, os, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
while True:
    with urllib.request.urlopen(f"{api}/next") as event:
        request = event.headers["Lambda-Runtime-Aws-Request-Id"]
    print("said by the function", flush=True)
    files = glob.glob("/var/task/*") + glob.glob("/home/*") + glob.glob("/root/*") + glob.glob("/tmp/*")
    pids = "few" if sum(name.isdigit() for name in os.listdir("/proc")) < 6 else "many"
    answer = json.dumps({"files": files, "pids": pids}).encode()
    urllib.request.urlopen(f"{api}/{request}/response", answer).close()
"#;

/// Installs bubblewrap, if it is not there and can be.
fn bubblewrap() -> Result<(), String> {
    let runs = |program: &str, args: &[&str]| {
        let output =
            Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
        let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        if output.status.success() { Ok(()) } else { Err(format!("{program}: {complaint}")) }
    };
    if runs("bwrap", &["--version"]).is_err() {
        runs("apt-get", &["install", "--yes", "--no-install-recommends", "bubblewrap"])?;
    }
    runs("bwrap", &["--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true"])
}

/// `hearth backend new`.
pub(crate) fn begin(name: &str, project: &Path) {
    let written = backend(&["new", name, "--path", project.to_str().unwrap()]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
}

/// Builds a project beside the files of Hearth's own build, so that little is left to build.
fn build(project: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    build_with(Command::new(env!("CARGO")).arg("build"), project, target)
}

/// Builds a project with the versions of Hearth's own build.
pub(crate) fn build_with(cargo: &mut Command, project: &Path, target: &Path) -> PathBuf {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    fs::copy(lock, project.join("Cargo.lock")).unwrap();
    cargo.args(["--quiet", "--offline", "--target-dir"]).arg(target).current_dir(project);
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug")
}

#[test]
fn what_cannot_be_checked_or_begun_is_said_in_one_line() {
    let here = tempfile::tempdir().unwrap();
    let taken = here.path().to_str().unwrap();
    for (args, message) in [
        (&["check", "nonesuch"][..], "hearth: there is no backend `nonesuch`"),
        (&["check", "/etc/passwd"], "it is not a shared library"),
        (
            &["check", "mock", "--runtime", "java21"],
            "there is no function for the runtime java21 here: provided.*, python* and nodejs* are known",
        ),
        (&["check", "mock", "--config", "/no/such.toml"], "cannot read the settings file /no/such.toml"),
        (&["new", "My_Own"], "`My_Own` cannot be the name of a backend: use lower-case letters"),
        (&["new", "own", "--path", taken], "exists already; choose another place with --path"),
    ] {
        let output = backend(args);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!output.status.success() && said.contains(message), "{args:?}: {said}");
    }
}
