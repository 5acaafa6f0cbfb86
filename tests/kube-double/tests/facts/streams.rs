//! More streams of events as they were recorded.

use serde_json::{Value, json};

use crate::cluster::{Cluster, path, pod, willing, with};
use crate::stream::{Watch, recorded_short, short};

const CREATED: [&str; 3] = [
    "ADDED Pending",
    "MODIFIED Pending PS=T",
    "MODIFIED Pending CR=F(ContainersNotReady) I=T PRTSC=F R=F(ContainersNotReady) \
     fn[waiting ContainerCreating]",
];
const RUNNING: &str = "MODIFIED Running CR=T PRTSC=T R=T ip fn[running ready]";

/// The events of a pod up to the last one that is expected, in short, and as recorded.
#[track_caller]
fn check(cluster: &Cluster, recording: &str, pod: &Value, expected: &[&str], query: Option<&str>) {
    let name = pod["metadata"]["name"].as_str().unwrap();
    let mut watch = Watch::of_pod(cluster, name);
    cluster.make("pods", pod);
    let mut events = Vec::new();
    for line in CREATED.iter().chain(expected) {
        events.push(watch.next().unwrap_or_default());
        assert_eq!(short(&events).last().unwrap(), line, "{recording}: ours is on the left");
        if let Some(query) = query.filter(|_| *line == RUNNING) {
            cluster.delete(&path(&format!("pods/{name}{query}"))).object();
        }
    }
    if let Some(recorded) = recorded_short(&format!("02-failures/{recording}.watch.ndjson")) {
        assert_eq!(short(&events)[..], recorded[..events.len()], "{recording}: ours is on the left");
    }
}

#[test]
fn commands_and_memory_that_fail() {
    let cluster = Cluster::start_lifelike();
    let absent = with(pod("f-nocmd", ""), "/spec/containers/0/command", json!(["/no/such/binary"]));
    let ended = |how: &str| {
        [
            format!("MODIFIED Pending CR=F(PodFailed) PRTSC=T R=F(PodFailed) ip fn[terminated {how}]"),
            format!("MODIFIED Failed PRTSC=F ip fn[terminated {how}]"),
        ]
    };
    let expected = ended("StartError 128");
    check(&cluster, "command-not-found", &absent, &expected.each_ref().map(String::as_str), None);
    let eats = pod("f-oom1", "exec tail /dev/zero");
    let expected = ended("OOMKilled 137");
    check(&cluster, "oom-killed-pid1", &eats, &expected.each_ref().map(String::as_str), None);
}

#[test]
fn deletions_of_running_pods() {
    let cluster = Cluster::start_lifelike();
    let ended = |how: &str, grace: u32| {
        let (phase, conditions) = if how.ends_with(" 0") {
            ("Succeeded", "CR=F(PodCompleted) I=T(PodCompleted) PRTSC=F R=F(PodCompleted)")
        } else {
            ("Failed", "CR=F(PodFailed) PRTSC=F R=F(PodFailed)")
        };
        vec![
            RUNNING.to_owned(),
            format!("MODIFIED Running ip fn[running ready] grace {grace}"),
            format!("MODIFIED {phase} {conditions} ip fn[terminated {how}] grace {grace}"),
            format!("MODIFIED {phase} ip fn[terminated {how}] grace 0"),
            format!("DELETED {phase} ip fn[terminated {how}] grace 0"),
        ]
    };
    let with_grace = |pod: Value, grace: u32| with(pod, "/spec/terminationGracePeriodSeconds", json!(grace));
    let slow = pod("d-slow", "trap 'sleep 0.5; exit 0' TERM; while true; do sleep 0.05; done");
    for (recording, pod, grace, how) in [
        ("terminating-sigterm-ignored", with_grace(pod("d-ignore", "exec sleep 60"), 3), 3, "Error 137"),
        ("terminating-sigterm-slow", with_grace(slow, 8), 8, "Completed 0"),
        ("deleted-by-other-client", with_grace(willing("d-other"), 30), 30, "Completed 0"),
    ] {
        let expected = ended(how, grace);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&cluster, recording, &pod, &expected, Some(""));
    }
}

#[test]
fn secrets_that_come_late_or_need_not_come() {
    let cluster = Cluster::start_lifelike();
    let secret = |optional: bool| json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "a", "optional": optional}}}]);
    let optional = with(willing("e-optional"), "/spec/containers/0/env", secret(true));
    check(&cluster, "secret-env-optional", &optional, &[RUNNING], None);
    cluster.make("secrets", &json!({"metadata": {"name": "none"}, "stringData": {"other": "1"}}));
    let keyless = with(pod("e-key", "true"), "/spec/containers/0/env", secret(false));
    let waits = "MODIFIED Pending PRTSC=T ip fn[waiting CreateContainerConfigError]";
    check(&cluster, "secret-env-key-missing", &keyless, &[waits], None);
}

#[test]
fn probes_that_fail() {
    let cluster = Cluster::start_lifelike();
    let probe = json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2});
    let startup = with(pod("f-startup", "exec sleep 60"), "/spec/containers/0/startupProbe", probe.clone());
    let expected = [
        "MODIFIED Running PRTSC=T ip fn[running]",
        "MODIFIED Running CR=F(PodFailed) R=F(PodFailed) ip fn[terminated Error 137]",
        "MODIFIED Failed PRTSC=F ip fn[terminated Error 137]",
    ];
    // The recording has the sandbox end one event earlier: a kubelet merges as it likes.
    let mut watch = Watch::of_pod(&cluster, "f-startup");
    cluster.make("pods", &startup);
    let events = watch.until(|event| event["object"]["status"]["phase"] == "Failed");
    assert_eq!(short(&events)[3..], expected);

    let live = with(pod("f-live", "exec sleep 60"), "/spec/containers/0/livenessProbe", probe);
    let live = with(live, "/spec/restartPolicy", json!("Always"));
    let mut watch = Watch::of_pod(&cluster, "f-live");
    cluster.make("pods", &live);
    let has_restarted =
        |event: &Value| event["object"]["status"]["containerStatuses"][0]["restartCount"] == 1;
    let events = short(&watch.until(has_restarted));
    assert_eq!(events.last().unwrap(), "MODIFIED Running CR=T R=T ip fn[running ready x1]");
}

#[test]
fn a_double_that_is_killed_leaves_no_process_behind() {
    let cluster = Cluster::start();
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let server =
        with(pod("a", "exec python3 -m http.server 8080"), "/spec/containers/0/readinessProbe", probe);
    cluster.make("pods", &server);
    let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    let ready = cluster.wait_for(&path("pods/a"), "it to be ready", is_ready);
    let address = ready["status"]["podIP"].as_str().unwrap().to_owned();
    cluster.kill();
    let is_gone = || {
        let routes = std::fs::read_to_string("/proc/net/route").unwrap();
        let octets: std::net::Ipv4Addr = address.parse().unwrap();
        let hex = format!("{:08X}", u32::from_le_bytes(octets.octets()));
        (!routes.contains(&hex)).then_some(())
    };
    hearth_tests::wait_until("the pod's network to go", crate::cluster::LIMIT, is_gone).unwrap();
}
