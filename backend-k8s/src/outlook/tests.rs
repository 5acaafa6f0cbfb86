//! What a real cluster was recorded to tell of pods, in the order in which it did.
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them so")]

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::Value;

use super::*;

/// Beside the repository, where it is present: the recordings that the excerpt is from.
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference/k8s");
const EXCERPT: &str = include_str!("recorded.ndjson");

fn excerpt(stream: &str) -> Vec<Value> {
    let events = EXCERPT.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["stream"] == stream).collect()
}

fn recorded(stream: &str) -> Option<Vec<Value>> {
    let text = fs::read_to_string(Path::new(RECORDINGS).join(format!("{stream}.watch.ndjson"))).ok()?;
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    Some(events.filter(|event| event["type"] != "BOOKMARK").collect())
}

/// The stages that a stream of events tells of, each change once.
fn stages(events: Vec<Value>) -> String {
    let mut told = String::new();
    for mut event in events {
        for container in event["object"]["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
            // As every pod of ours calls it.
            container["name"] = FUNCTION.into();
        }
        let pod: Pod = serde_json::from_value(event["object"].take()).unwrap();
        let Outlook { address, stage } = read(&pod);
        let place = address.map_or(String::new(), |address| format!(" at {address}"));
        let line = match stage {
            Stage::Ended(end) => {
                let facts = end.meta.iter().map(|(name, value)| format!("{name}={value}"));
                format!("ended ({:?}: {}){place}\n", end.kind, facts.collect::<Vec<_>>().join(", "))
            }
            other => format!("{other:?}{place}\n").to_lowercase(),
        };
        if !told.ends_with(&line) {
            told += &line;
        }
    }
    told
}

#[track_caller]
fn check(stream: &str, expected: &Expect) {
    let excerpt = excerpt(stream);
    assert!(!excerpt.is_empty(), "the excerpt has no {stream}");
    expected.assert_eq(&stages(excerpt.clone()));
    if let Some(recorded) = recorded(stream) {
        assert_eq!(stages(recorded), stages(excerpt), "the excerpt of {stream} is not what was recorded");
    }
}

#[test]
fn a_pod_that_comes_up_and_is_deleted() {
    check(
        "01-happy/happy",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        starting(none) at 10.77.0.52
        running at 10.77.0.52
        ended (EXITED: reason=somebody deleted its pod) at 10.77.0.52
    "#]],
    );
    check(
        "02-failures/deleted-by-other-client",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        running at 10.77.0.74
        ended (EXITED: reason=somebody deleted its pod) at 10.77.0.74
    "#]],
    );
    check(
        "02-failures/evicted-by-api",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        running at 10.77.0.71
        ended (EXITED: reason=its pod was evicted: EvictionByEvictionAPI: Eviction API: evicting) at 10.77.0.71
    "#]],
    );
}

#[test]
fn a_pod_whose_image_cannot_be_had() {
    check(
        "02-failures/image-not-found",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: reason=ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "127.0.0.1:5555/none:1": failed to resolve reference "127.0.0.1:5555/none:1": 127.0.0.1:5555/none:1: not found) at 10.77.0.54
        ended (EXITED: reason=ImagePullBackOff: Back-off pulling image "127.0.0.1:5555/none:1": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "127.0.0.1:5555/none:1": failed to resolve reference "127.0.0.1:5555/none:1": 127.0.0.1:5555/none:1: not found) at 10.77.0.54
        ended (EXITED: reason=ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "127.0.0.1:5555/none:1": failed to resolve reference "127.0.0.1:5555/none:1": 127.0.0.1:5555/none:1: not found) at 10.77.0.54
        ended (EXITED: reason=ImagePullBackOff: Back-off pulling image "127.0.0.1:5555/none:1": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "127.0.0.1:5555/none:1": failed to resolve reference "127.0.0.1:5555/none:1": 127.0.0.1:5555/none:1: not found) at 10.77.0.54
    "#]],
    );
    check(
        "02-failures/image-never",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: reason=ErrImageNeverPull: Container image "lab.local/none:1" is not present with pull policy of Never) at 10.77.0.55
    "#]],
    );
    check(
        "02-failures/image-invalid-name",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: reason=InvalidImageName: Failed to apply default image tag "NOT A VALID/Image:::name": couldn't parse image name "NOT A VALID/Image:::name": invalid reference format: repository name (Image) must be lowercase) at 10.77.0.59
    "#]],
    );
}

#[test]
fn a_pod_that_no_node_takes() {
    check(
        "02-failures/unschedulable-memory",
        &expect![[r#"
        unscheduled(none)
        unscheduled(some("unschedulable: 0/1 nodes are available: 1 insufficient memory. preemption: 0/1 nodes are available: 1 no preemption victims found for incoming pod."))
    "#]],
    );
}

#[test]
fn a_secret_that_is_made_later_than_its_pod() {
    check(
        "02-failures/secret-env-missing",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        starting(some("createcontainerconfigerror: secret \"not-there\" not found")) at 10.77.0.84
        running at 10.77.0.84
    "#]],
    );
}

#[test]
fn a_pod_that_ends_by_itself() {
    check(
        "02-failures/command-not-found",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: exit.status=128, reason=its container cannot be started: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/no/such/binary": stat /no/such/binary: no such file or directory: unknown) at 10.77.0.65
    "#]],
    );
    check(
        "02-failures/init-fails-never",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: reason=its init container failed with exit status 22) at 10.77.0.62
    "#]],
    );
    check(
        "02-failures/exit1-never",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: exit.status=1, reason=its container ended) at 10.77.0.60
    "#]],
    );
    check(
        "02-failures/crashloop-always",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (EXITED: exit.status=1, reason=its container ended) at 10.77.0.61
        ended (EXITED: reason=CrashLoopBackOff: back-off 10s restarting failed container=fn pod=f-crash_fnlab(fb8f0dd3-0612-44fe-b414-795aaf45e944)) at 10.77.0.61
        ended (EXITED: exit.status=1, reason=its container ended) at 10.77.0.61
        ended (EXITED: reason=CrashLoopBackOff: back-off 20s restarting failed container=fn pod=f-crash_fnlab(fb8f0dd3-0612-44fe-b414-795aaf45e944)) at 10.77.0.61
        ended (EXITED: exit.status=1, reason=its container ended) at 10.77.0.61
    "#]],
    );
}

#[test]
fn a_pod_that_uses_more_than_it_may() {
    check(
        "02-failures/oom-killed-pid1",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        ended (OOM: exit.signal=killed, reason=it used more memory than it may) at 10.77.0.66
    "#]],
    );
    check(
        "02-failures/oom-child-only",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        running at 10.77.0.88
        ended (EXITED: exit.status=0, reason=its container ended) at 10.77.0.88
    "#]],
    );
    check(
        "02-failures/emptydir-over-limit",
        &expect![[r#"
        unscheduled(none)
        starting(none)
        running at 10.77.0.89
        ended (EXITED: reason=its node ended it: Evicted: Usage of EmptyDir volume "s" exceeds the limit "5Mi".) at 10.77.0.89
    "#]],
    );
    check(
        "02-failures/active-deadline",
        &expect![[r#"
            unscheduled(none)
            starting(none)
            running at 10.77.0.80
            ended (EXITED: reason=its node ended it: DeadlineExceeded: Pod was active on the node longer than the specified deadline) at 10.77.0.80
        "#]],
    );
}

#[test]
fn a_pod_whose_node_is_lost() {
    check(
        "02-failures/node-lost",
        &expect![[r#"
        starting(none)
        running at 10.77.0.251
        ended (EXITED: reason=its node is not heard of any more) at 10.77.0.251
        ended (EXITED: reason=its pod was evicted: DeletionByTaintManager: Taint manager: deleting due to NoExecute taint) at 10.77.0.251
    "#]],
    );
    check(
        "02-failures/node-object-deleted",
        &expect![[r#"
        starting(none)
        ended (EXITED: reason=its pod ended)
        ended (EXITED: reason=its pod was evicted: DeletionByPodGC: PodGC: node no longer exists)
    "#]],
    );
}
