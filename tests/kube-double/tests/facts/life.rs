//! Facts 1 to 15: the life of a pod.

use serde_json::{Value, json};

use crate::cluster::{Cluster, path, pod, unschedulable, willing, with};
use crate::recorded;
use crate::stream::{Watch, recorded_short, short};

/// The pod is made and the stream of its events, up to the one for which `holds` says so, is in short as expected, and
/// as recorded up to there.
#[track_caller]
fn check(cluster: &Cluster, pod: &Value, recording: &str, expected: &[&str], last: impl Fn(&Value) -> bool) {
    let mut watch = Watch::of_pod(cluster, pod["metadata"]["name"].as_str().unwrap());
    cluster.make("pods", pod);
    let events = short(&watch.until(last));
    assert_eq!(events, expected, "ours is on the left");
    if let Some(recorded) = recorded_short(&format!("02-failures/{recording}.watch.ndjson")) {
        assert_eq!(events[..], recorded[..events.len()], "{recording}: ours is on the left");
    }
}

fn is_phase(event: &Value, phase: &str) -> bool {
    event["object"]["status"]["phase"] == *phase
}

fn waits_for(event: &Value, reason: &str) -> bool {
    event["object"]["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == *reason
}

const CREATED: [&str; 3] = [
    "ADDED Pending",
    "MODIFIED Pending PS=T",
    "MODIFIED Pending CR=F(ContainersNotReady) I=T PRTSC=F R=F(ContainersNotReady) \
     fn[waiting ContainerCreating]",
];

fn after_creation<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&CREATED[..], rest].concat()
}

#[test]
fn fact_01_a_post_answers_the_whole_object_with_its_defaults() {
    let cluster = Cluster::start();
    let request = recorded::text("01-happy/create.request.json");
    let request = request.map_or_else(|| pod("a", "true"), |text| serde_json::from_str(&text).unwrap());
    let answer = cluster.post(&path("pods"), &request);
    assert_eq!(answer.status, 201);
    let made = answer.json();
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["status"], json!({"phase": "Pending", "qosClass": "Burstable"}));
    assert_eq!(made["spec"]["nodeName"], Value::Null);
    assert_eq!(made["spec"]["schedulerName"], "default-scheduler");
    assert_eq!(made["spec"]["containers"][0]["terminationMessagePath"], "/dev/termination-log");
    let time = made["metadata"]["creationTimestamp"].as_str().unwrap();
    assert_eq!(time.len(), "2026-01-01T00:00:00Z".len(), "whole seconds");
    if let Some(recorded) = recorded::text("01-happy/create.response.json") {
        let recorded: Value = serde_json::from_str(&recorded).unwrap();
        assert_eq!(made["spec"], recorded["response"]["body"]["spec"], "ours is on the left");
    }
}

#[test]
fn fact_02_the_added_event_is_the_object_that_the_post_answers() {
    let cluster = Cluster::start();
    let mut watch = Watch::of_pod(&cluster, "a");
    let made = cluster.make("pods", &unschedulable("a"));
    let event = watch.next().unwrap();
    assert_eq!(event, json!({"type": "ADDED", "object": made}));
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let mut later = Watch::open(&cluster, &path(&format!("pods?watch=1&resourceVersion={version}")));
    assert_eq!(later.next().unwrap()["type"], "MODIFIED", "from the version of the answer there is no ADDED");
}

#[test]
fn fact_03_scheduling_is_one_event() {
    let cluster = Cluster::start();
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster.make("pods", &willing("a"));
    let events = watch.until(|event| event["type"] == "MODIFIED");
    let bound = &events.last().unwrap()["object"];
    assert_eq!(bound["spec"]["nodeName"], "labnode");
    assert_eq!(bound["status"]["conditions"].as_array().unwrap().len(), 1);

    let hungry =
        with(pod("big", "true"), "/spec/containers/0/resources", json!({"requests": {"memory": "500Gi"}}));
    let expected = ["ADDED Pending", "MODIFIED Pending PS=F(Unschedulable)"];
    check(&cluster, &hungry, "unschedulable-memory", &expected, |event| event["type"] == "MODIFIED");
    let refused = cluster.get(&path("pods/big")).json();
    assert_eq!(refused["spec"]["nodeName"], Value::Null);
    assert_eq!(refused["status"]["hostIP"], Value::Null);
}

#[test]
fn fact_04_the_first_status_of_the_kubelet_has_five_conditions_and_each_container() {
    let cluster = Cluster::start_lifelike();
    let mut watch = Watch::of_pod(&cluster, "a");
    let init = json!([{"name": "fetch-code", "image": "lab.local/busybox:1", "command": ["sleep", "0.3"]}]);
    cluster.make("pods", &with(willing("a"), "/spec/initContainers", init));
    let events = watch.until(|event| event["object"]["status"]["hostIP"].is_string());
    let status = &events.last().unwrap()["object"]["status"];
    let kinds: Vec<_> = status["conditions"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(
        kinds,
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    );
    assert_eq!(status["conditions"][0].get("lastProbeTime"), Some(&Value::Null), "a null is on the wire");
    for list in ["initContainerStatuses", "containerStatuses"] {
        let container = &status[list][0];
        assert_eq!(container["state"], json!({"waiting": {"reason": "PodInitializing"}}));
        assert_eq!((&container["lastState"], &container["imageID"]), (&json!({}), &json!("")));
    }
    assert!(status["startTime"].is_string());
    assert_eq!(status["hostIPs"][0]["ip"], status["hostIP"]);
}

#[test]
fn fact_05_intermediate_events_may_be_missing() {
    let cluster = Cluster::start();
    cluster.fault(&json!({"kind": "mergeEvents", "seed": 7, "percent": 100}));
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster.make("pods", &pod("a", "true"));
    let events = watch.until(|event| is_phase(event, "Succeeded"));
    let versions: Vec<u64> = events
        .iter()
        .map(|it| it["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(versions.is_sorted(), "{versions:?}");
    assert!(events.len() < 6, "{:#?}", short(&events));
}

#[test]
fn fact_06_the_address_comes_with_the_sandbox_and_stays() {
    let cluster = Cluster::start();
    let stuck = with(pod("stuck", "true"), "/spec/containers/0/image", json!("lab.local/none:1"));
    cluster.make("pods", &stuck);
    let is_refused = |pod: &Value| !pod["status"]["podIP"].is_null();
    let stuck = cluster.wait_for(&path("pods/stuck"), "an address", is_refused);
    assert_eq!(stuck["status"]["phase"], "Pending");
    cluster.make("pods", &pod("done", "exit 1"));
    assert!(cluster.wait_for_phase("done", "Failed")["status"]["podIP"].is_string());
}

#[test]
fn fact_07_running_is_not_ready() {
    let cluster = Cluster::start_lifelike();
    let server = "exec python3 -m http.server 8080";
    let probed = |name: &str, port: u16| {
        let probe = json!({"tcpSocket": {"port": port}, "periodSeconds": 1});
        with(pod(name, server), "/spec/containers/0/readinessProbe", probe)
    };
    let running = "MODIFIED Running PRTSC=T ip fn[running]";
    let expected = after_creation(&[running]);
    check(&cluster, &probed("never", 9), "readiness-never", &expected, |event| is_phase(event, "Running"));
    let plain = after_creation(&["MODIFIED Running CR=T PRTSC=T R=T ip fn[running ready]"]);
    check(&cluster, &willing("plain"), "exit0-never", &plain, |event| is_phase(event, "Running"));
    let mut watch = Watch::of_pod(&cluster, "ready");
    cluster.make("pods", &probed("ready", 8080));
    let events = watch.until(|event| event["object"]["status"]["containerStatuses"][0]["ready"] == true);
    assert_eq!(short(&events).last().unwrap(), "MODIFIED Running CR=T R=T ip fn[running ready]");

    let live = json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1});
    let restarted = with(pod("live", "exec sleep 60"), "/spec/containers/0/livenessProbe", live);
    cluster.make("pods", &with(restarted, "/spec/restartPolicy", json!("Always")));
    let first = cluster.wait_for_phase("live", "Running");
    let has_restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    let second = cluster.wait_for(&path("pods/live"), "a restart", has_restarted);
    assert_eq!(first["status"]["podIP"], second["status"]["podIP"], "it restarts in place");
    assert_eq!(second["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 137);
}

#[test]
fn fact_08_the_status_trails_reality_by_one_step() {
    let cluster = Cluster::start_with(&["--kubelet-delay-ms", "600"]);
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster.make("pods", &pod("a", "exec python3 -m http.server 8080"));
    let events = watch.until(|event| is_phase(event, "Running"));
    let address = events.last().unwrap()["object"]["status"]["podIP"].as_str().unwrap().to_owned();
    let port = std::net::TcpStream::connect((address.as_str(), 8080));
    assert!(port.is_ok(), "the port is open by the time that the phase is Running");
}

#[test]
fn fact_09_the_phase_may_skip_running_and_turns_after_the_containers() {
    let cluster = Cluster::start_lifelike();
    let failing = pod("f-exit1", "echo boom >&2; echo 'fatal: no handler' > /dev/termination-log; exit 1");
    let expected = after_creation(&[
        "MODIFIED Pending CR=F(PodFailed) PRTSC=T R=F(PodFailed) ip fn[terminated Error 1]",
        "MODIFIED Failed PRTSC=F ip fn[terminated Error 1]",
    ]);
    check(&cluster, &failing, "exit1-never", &expected, |event| is_phase(event, "Failed"));
    let expected = after_creation(&[
        "MODIFIED Running CR=T PRTSC=T R=T ip fn[running ready]",
        "MODIFIED Running CR=F(PodCompleted) I=T(PodCompleted) R=F(PodCompleted) ip fn[terminated Completed 0]",
        "MODIFIED Succeeded PRTSC=F ip fn[terminated Completed 0]",
    ]);
    check(&cluster, &pod("f-exit0", "sleep 1"), "exit0-never", &expected, |event| {
        is_phase(event, "Succeeded")
    });
}

#[test]
fn fact_10_the_restart_policy_says_what_ends() {
    let cluster = Cluster::start_lifelike();
    let failing =
        json!([{"name": "fetch-code", "image": "lab.local/busybox:1", "command": ["sh", "-c", "exit 22"]}]);
    let never = with(pod("f-init", "true"), "/spec/initContainers", failing);
    let expected = [
        "ADDED Pending",
        "MODIFIED Pending PS=T",
        "MODIFIED Pending CR=F(ContainersNotReady) I=F(ContainersNotInitialized) PRTSC=F R=F(ContainersNotReady) \
         fetch-code[waiting PodInitializing] fn[waiting PodInitializing]",
        "MODIFIED Pending CR=F(PodFailed) PRTSC=T R=F(PodFailed) ip fetch-code[terminated Error 22] \
         fn[waiting PodInitializing]",
        "MODIFIED Failed PRTSC=F ip fetch-code[terminated Error 22] fn[waiting PodInitializing]",
    ];
    check(&cluster, &never, "init-fails-never", &expected, |event| is_phase(event, "Failed"));

    let crashing = with(pod("f-crash", "echo boom; exit 1"), "/spec/restartPolicy", json!("Always"));
    let expected = after_creation(&[
        "MODIFIED Running PRTSC=T ip fn[terminated Error 1]",
        "MODIFIED Running ip fn[terminated Error 1 x1]",
        "MODIFIED Running ip fn[waiting CrashLoopBackOff x1]",
        "MODIFIED Running ip fn[terminated Error 1 x2]",
        "MODIFIED Running ip fn[waiting CrashLoopBackOff x2]",
    ]);
    let is_second = |event: &Value| {
        waits_for(event, "CrashLoopBackOff")
            && event["object"]["status"]["containerStatuses"][0]["restartCount"] == 2
    };
    check(&cluster, &crashing, "crashloop-always", &expected, is_second);
}

#[test]
fn fact_11_what_cannot_start_is_pending_until_its_cause_has_gone() {
    let cluster = Cluster::start_lifelike();
    let of_image =
        |name: &str, image: &str| with(pod(name, "true"), "/spec/containers/0/image", json!(image));
    let expected = |reason: &str| {
        let line = format!("MODIFIED Pending PRTSC=T ip fn[waiting {reason}]");
        CREATED.iter().map(|it| (*it).to_owned()).chain([line]).collect::<Vec<_>>()
    };
    let check = |pod: &Value, recording: &str, reason: &str| {
        let lines = expected(reason);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check(&cluster, pod, recording, &lines, |event| waits_for(event, reason));
    };
    check(&of_image("gone", "lab.local/none:1"), "image-not-found", "ErrImagePull");
    cluster.wait_for(&path("pods/gone"), "a pause", |pod| {
        waits_for(&json!({"object": pod}), "ImagePullBackOff")
    });
    check(&of_image("bad", "Bad_Name::x"), "image-invalid-name", "InvalidImageName");
    let never =
        with(of_image("never", "lab.local/none:1"), "/spec/containers/0/imagePullPolicy", json!("Never"));
    check(&never, "image-never", "ErrImageNeverPull");
    let root = with(pod("root", "true"), "/spec/securityContext", json!({"runAsNonRoot": true}));
    check(&root, "run-as-non-root", "CreateContainerConfigError");

    let secret = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}}]);
    let waiting = with(willing("secret"), "/spec/containers/0/env", secret);
    check(&waiting, "secret-env-missing", "CreateContainerConfigError");
    cluster.make("secrets", &json!({"metadata": {"name": "s"}, "stringData": {"a": "1"}}));
    cluster.wait_for_phase("secret", "Running");
}

#[test]
fn fact_12_some_causes_are_in_events_alone() {
    let cluster = Cluster::start();
    let volumes = json!([{"name": "s", "secret": {"secretName": "s"}}]);
    let mount = json!([{"name": "s", "mountPath": "/s"}]);
    let waiting =
        with(with(pod("a", "cat /s/a"), "/spec/volumes", volumes), "/spec/containers/0/volumeMounts", mount);
    cluster.make("pods", &waiting);
    cluster.fault(&json!({"kind": "slowPull", "image": "lab.local/busybox:1", "seconds": 2}));
    cluster.make("pods", &willing("slow"));
    let has_event = |pod: &str, reason: &str| {
        let query = format!("events?fieldSelector=involvedObject.name%3D{pod},reason%3D{reason}");
        cluster
            .wait_for(&path(&query), reason, |list| list["items"].as_array().is_some_and(|it| !it.is_empty()))
    };
    let event = has_event("a", "FailedMount");
    assert_eq!(
        event["items"][0]["message"],
        "MountVolume.SetUp failed for volume \"s\" : secret \"s\" not found"
    );
    has_event("slow", "Pulling");
    for pod in ["a", "slow"] {
        let status = cluster.get(&path(&format!("pods/{pod}"))).json()["status"].take();
        assert_eq!(
            status["containerStatuses"][0]["state"],
            json!({"waiting": {"reason": "ContainerCreating"}})
        );
    }
    assert!(cluster.get(&path("pods/a")).json()["status"]["podIP"].is_null());
    cluster.make("secrets", &json!({"metadata": {"name": "s"}, "stringData": {"a": "content"}}));
    cluster.wait_for_phase("a", "Succeeded");
    assert_eq!(cluster.get(&path("pods/a/log")).body, b"content");
}

#[test]
fn fact_13_how_a_container_ended() {
    let cluster = Cluster::start();
    let absent = with(pod("absent", ""), "/spec/containers/0/command", json!(["/no/such/binary"]));
    for (pod, phase, reason, code) in [
        (pod("good", "true"), "Succeeded", "Completed", 0),
        (pod("bad", "echo why > /dev/termination-log; exit 3"), "Failed", "Error", 3),
        (pod("killed", "exec sleep 60"), "Failed", "Error", 137),
        (absent, "Failed", "StartError", 128),
    ] {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        cluster.make("pods", &pod);
        if name == "killed" {
            // Number 1 of a container cannot kill itself.
            cluster.wait_for_phase(&name, "Running");
            cluster.fault(&json!({"kind": "killPod", "namespace": "fnlab", "pod": name}));
        }
        let status = cluster.wait_for_phase(&name, phase)["status"].take();
        let terminated = &status["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(
            (&terminated["reason"], &terminated["exitCode"]),
            (&json!(reason), &json!(code)),
            "{name}"
        );
        assert_eq!(terminated.get("signal"), None);
        if name == "bad" {
            assert_eq!(terminated["message"], "why\n");
        }
    }
}

#[test]
fn fact_14_out_of_memory_depends_on_who_dies() {
    let cluster = Cluster::start();
    let eat = "python3 -c 'x = bytearray(200 << 20)'";
    let (first, child) = (pod("first", &format!("exec {eat}")), pod("child", &format!("{eat}; exit 0")));
    cluster.make("pods", &first);
    cluster.make("pods", &child);
    let told = |name: &str, phase: &str| {
        let status = cluster.wait_for_phase(name, phase)["status"].take();
        let terminated = &status["containerStatuses"][0]["state"]["terminated"];
        (terminated["reason"].clone(), terminated["exitCode"].clone())
    };
    assert_eq!(told("first", "Failed"), (json!("OOMKilled"), json!(137)));
    if std::path::Path::new("/sys/fs/cgroup/memory").exists() {
        assert_eq!(told("child", "Succeeded"), (json!("OOMKilled"), json!(0)), "only the child died");
    } else {
        assert_eq!(
            told("child", "Failed"),
            (json!("OOMKilled"), json!(137)),
            "the container dies as a whole"
        );
    }
}

#[test]
fn fact_15_the_node_ends_pods_whose_objects_stay() {
    let cluster = Cluster::start_lifelike();
    let volumes = json!([{"name": "s", "emptyDir": {"sizeLimit": "5Mi"}}]);
    let mount = json!([{"name": "s", "mountPath": "/s"}]);
    let script = "sleep 1; head -c 20971520 /dev/zero > /s/x; exec sleep 60";
    let greedy =
        with(with(pod("e-edir", script), "/spec/volumes", volumes), "/spec/containers/0/volumeMounts", mount);
    let expected = after_creation(&[
        "MODIFIED Running CR=T PRTSC=T R=T ip fn[running ready]",
        "MODIFIED Failed Evicted CR=F(PodFailed) PRTSC=F R=F(PodFailed) ip fn[terminated Error 137]",
    ]);
    check(&cluster, &greedy, "emptydir-over-limit", &expected, |event| is_phase(event, "Failed"));

    let script = "sleep 1; head -c 20971520 /dev/zero > /f; exec sleep 60";
    let limits = json!({"limits": {"ephemeral-storage": "5Mi", "memory": "64Mi"}});
    let untidy = with(pod("e-eph", script), "/spec/containers/0/resources", limits);
    check(&cluster, &untidy, "ephemeral-storage-over-limit", &expected, |event| is_phase(event, "Failed"));

    let late = with(pod("d-deadline", "exec sleep 60"), "/spec/activeDeadlineSeconds", json!(1));
    let expected = after_creation(&[
        "MODIFIED Running CR=T PRTSC=T R=T ip fn[running ready]",
        "MODIFIED Running CR=F(PodFailed) R=F(PodFailed) ip fn[running ready]",
        "MODIFIED Failed DeadlineExceeded PRTSC=F ip fn[terminated Error 137]",
    ]);
    check(&cluster, &late, "active-deadline", &expected, |event| is_phase(event, "Failed"));
}
