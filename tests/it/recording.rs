//! What the host records, and what the simulator makes of it.

use std::fs;
use std::path::{Path, PathBuf};

use hearth_tests::{Host, Launch, wait_until};
use serde_json::{Value, json};

use crate::support::{ECHO, LIMIT, deploy, launch};

/// A host over the mock backend whose second launch fails, told to record.
struct Recorded {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Recorded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("recording.jsonl");
        Self { folder, file }
    }

    /// With what is not recorded: the backend and its faults.
    fn launch(&self) -> Launch {
        let settings = self.folder.path().join("hearth.toml");
        let faults = "launches = [{ nth = 2, do = { fail = { message = 'no room on this machine' } } }]";
        fs::write(&settings, format!("[backends.mock]\n{faults}\n")).unwrap();
        launch().backend("mock").args(["--config", settings.to_str().unwrap()])
    }
}

/// Two invocations of one function, on one instance; one of another, whose launch fails.
fn use_it(host: &Host) {
    let client = host.client();
    deploy(&client, "one", ECHO);
    deploy(&client, "other", ECHO);
    for _ in 0..2 {
        assert_eq!(client.invoke("one", b"[1]").unwrap().text(), "[1]");
    }
    let failed = client.invoke("other", b"[1]").unwrap();
    assert!(failed.text().contains("no room on this machine"), "{}", failed.text());
}

/// What `hearth simulate --replay` says of it, in JSON and in words.
fn replay(file: &Path) -> (Value, String) {
    let say = |flag: &str| {
        let ended =
            launch().args(["simulate", "--replay", file.to_str().unwrap(), flag]).run_to_end().unwrap();
        assert!(ended.status.success(), "{}", ended.output);
        ended.output
    };
    (serde_json::from_str(&say("--json")).unwrap(), say("--effects"))
}

/// What the pool asked for, in order, without the times.
fn effects(told: &str) -> Vec<&str> {
    let kinds = ["Launch {", "Grant {", "Refuse {", "Terminate {"];
    let kind = |line: &str| kinds.into_iter().find(|kind| line.contains(kind));
    told.lines().filter_map(kind).map(|kind| &kind[..kind.len() - 2]).collect()
}

#[test]
fn a_recording_replays_with_the_effects_that_the_host_had() {
    let recorded = Recorded::new();
    let host = recorded.launch().args(["--record", recorded.file.to_str().unwrap()]).start().unwrap();
    use_it(&host);
    let ended = host.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.output);
    let (summary, told) = replay(&recorded.file);
    for (figure, expected) in [
        ("launches", json!(2)),
        ("cold_starts", json!(1)),
        ("warm_starts", json!(1)),
        ("refusals", json!(1)),
        ("terminations", json!(1)),
        ("is_cut_off", json!(false)),
    ] {
        assert_eq!(summary[figure], expected, "{figure} in {summary}");
    }
    assert_eq!(effects(&told), ["Launch", "Grant", "Grant", "Launch", "Refuse", "Terminate"], "{told}");
    assert!(told.contains("reason: LaunchFailed("), "{told}");
}

/// The variable says it too. What was noted is on the disk within a second.
#[test]
fn a_host_that_is_killed_leaves_a_recording_that_can_be_replayed() {
    let recorded = Recorded::new();
    let host = recorded.launch().env("HEARTH_RECORD", recorded.file.to_str().unwrap()).start().unwrap();
    use_it(&host);
    let is_written = || fs::read_to_string(&recorded.file).unwrap().contains("launch_failed").then_some(());
    wait_until("what happened to be written", LIMIT, is_written).unwrap();
    host.kill().unwrap();
    let (summary, told) = replay(&recorded.file);
    assert_eq!((&summary["launches"], &summary["refusals"]), (&json!(2), &json!(1)), "{summary}");
    assert_eq!(effects(&told), ["Launch", "Grant", "Grant", "Launch", "Refuse"], "{told}");

    let whole = fs::read(&recorded.file).unwrap();
    fs::write(&recorded.file, &whole[..whole.len() - 4]).unwrap();
    let (summary, told) = replay(&recorded.file);
    assert_eq!(summary["is_cut_off"], json!(true), "{summary}");
    assert!(told.contains("the last line of the recording was cut off, and is left out"), "{told}");
}

#[test]
fn a_place_that_cannot_be_recorded_to_is_named() {
    let refused =
        launch().backend("mock").args(["--record", "/proc/nowhere.jsonl"]).start().unwrap_err().to_string();
    assert!(refused.contains("cannot record to /proc/nowhere.jsonl: "), "{refused}");
}
