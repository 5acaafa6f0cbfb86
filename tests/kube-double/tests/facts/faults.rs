//! What a test can make go wrong, and how it ends.

use std::net::TcpStream;
use std::time::Duration;

use hearth_tests::{Stopwatch, wait_until};
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT, path, pod, willing, with};
use crate::stream::{Watch, short};

fn mend(cluster: &Cluster) {
    cluster.admin("DELETE", "/_double/faults", "");
}

fn reason(pod: &Value) -> &str {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or("")
}

#[test]
fn calls_are_counted_by_verb_and_resource() {
    let cluster = Cluster::start();
    cluster.admin("DELETE", "/_double/calls", "");
    cluster.make("pods", &willing("a"));
    cluster.get(&path("pods/a"));
    cluster.get(&path("pods/a"));
    cluster.get(&path("pods/a/log"));
    cluster.get(&path("pods?watch=1&timeoutSeconds=0"));
    let calls = cluster.admin("GET", "/_double/calls", "");
    assert_eq!(calls, json!({"create pods": 1, "get pods": 2, "get pods/log": 1, "watch pods": 1}));
}

#[test]
fn an_api_that_is_gone_cuts_and_refuses_connections_while_pods_live_on() {
    let cluster = Cluster::start();
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let server = pod("a", "exec python3 -m http.server 8080");
    cluster.make("pods", &with(server, "/spec/containers/0/readinessProbe", probe));
    let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    let ready = cluster.wait_for(&path("pods/a"), "it to be ready", is_ready);
    let mut watch = Watch::of_pod(&cluster, "a");
    let gone = Stopwatch::start();
    cluster.fault(&json!({"kind": "apiGone", "seconds": 1}));
    assert_eq!(watch.next(), None, "the watch breaks off");
    assert!(TcpStream::connect(&cluster.api).is_err());
    let address = ready["status"]["podIP"].as_str().unwrap();
    assert!(TcpStream::connect((address, 8080)).is_ok());
    wait_until("the API to be back", LIMIT, || TcpStream::connect(&cluster.api).ok()).unwrap();
    assert!(gone.elapsed() >= Duration::from_secs(1));
    assert_eq!(cluster.get(&path("pods/a")).object()["metadata"]["uid"], ready["metadata"]["uid"]);
}

#[test]
fn a_slow_api_takes_its_time_for_each_call() {
    let cluster = Cluster::start();
    cluster.fault(&json!({"kind": "slow", "seconds": 0.5}));
    let waiting = Stopwatch::start();
    cluster.get(&path("pods"));
    assert!(waiting.elapsed() >= Duration::from_millis(500));
    mend(&cluster);
    let waiting = Stopwatch::start();
    cluster.get(&path("pods"));
    assert!(waiting.elapsed() < Duration::from_millis(500));
}

#[test]
fn watches_end_after_a_while_or_for_want_of_history() {
    let cluster = Cluster::start();
    let open = Watch::of_pod(&cluster, "a");
    let watching = Stopwatch::start();
    cluster.fault(&json!({"kind": "cutWatches", "everyMs": 300}));
    assert_eq!(open.rest(), [] as [Value; 0]);
    assert!(watching.elapsed() < LIMIT / 2);
    mend(&cluster);
    let before = cluster.make("pods", &willing("a"))["metadata"]["resourceVersion"].clone();
    cluster.wait_for_phase("a", "Running");
    cluster.fault(&json!({"kind": "compact"}));
    let query = format!("pods?watch=1&resourceVersion={}", before.as_str().unwrap());
    let events = Watch::open(&cluster, &path(&query)).rest();
    assert_eq!((events.len(), &events[0]["object"]["code"]), (1, &json!(410)));
}

#[test]
fn a_pod_that_is_killed_tells_what_killed_it() {
    let cluster = Cluster::start();
    for (kind, reason) in [("killPod", "Error"), ("oomPod", "OOMKilled")] {
        let name = kind.to_lowercase();
        cluster.make("pods", &willing(&name));
        cluster.wait_for_phase(&name, "Running");
        cluster.fault(&json!({"kind": kind, "namespace": "fnlab", "pod": name}));
        let status = cluster.wait_for_phase(&name, "Failed")["status"].take();
        let terminated = &status["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((&terminated["reason"], &terminated["exitCode"]), (&json!(reason), &json!(137)));
    }
    cluster.make("pods", &willing("evicted"));
    cluster.wait_for_phase("evicted", "Running");
    cluster.fault(&json!({"kind": "evictPod", "namespace": "fnlab", "pod": "evicted"}));
    assert_eq!(cluster.wait_for_phase("evicted", "Failed")["status"]["reason"], "Evicted");
}

#[test]
fn images_configurations_nodes_and_addresses_can_fail_and_be_mended() {
    let cluster = Cluster::start_with(&["--back-off-ms", "200"]);
    for (fault, expected) in [
        (
            json!({"kind": "failPull", "image": "lab.local/busybox:1", "message": "no such host"}),
            "ErrImagePull",
        ),
        (json!({"kind": "configError", "message": "no such key"}), "CreateContainerConfigError"),
        (json!({"kind": "noAddresses"}), "ContainerCreating"),
    ] {
        cluster.fault(&fault);
        let name = fault["kind"].as_str().unwrap().to_lowercase();
        cluster.make("pods", &willing(&name));
        let waits = |pod: &Value| reason(pod) == expected && pod["status"]["phase"] == "Pending";
        cluster.wait_for(&path(&format!("pods/{name}")), expected, waits);
        mend(&cluster);
        cluster.wait_for_phase(&name, "Running");
    }
    cluster.fault(&json!({"kind": "unschedulable"}));
    cluster.make("pods", &willing("unscheduled"));
    let is_refused = |pod: &Value| pod["status"]["conditions"][0]["reason"] == "Unschedulable";
    cluster.wait_for(&path("pods/unscheduled"), "a refusal", is_refused);
    mend(&cluster);
    cluster.wait_for_phase("unscheduled", "Running");
}

#[test]
fn what_is_denied_is_refused_and_reviews_say_so() {
    let cluster = Cluster::start();
    let allowed = |verb: &str, resource: &str| {
        let attributes = json!({"namespace": "fnlab", "verb": verb, "resource": resource});
        let review = json!({"spec": {"resourceAttributes": attributes}});
        let answer = cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).object();
        answer["status"]["allowed"].as_bool().unwrap()
    };
    assert!(allowed("create", "pods"));
    cluster.fault(&json!({"kind": "deny", "verb": "create", "resource": "pods"}));
    assert!(!allowed("create", "pods") && allowed("list", "pods"));
    assert_eq!(cluster.post(&path("pods"), &willing("a")).status, 403);
    mend(&cluster);
    assert_eq!(cluster.post(&path("pods"), &willing("a")).status, 201);
}

#[test]
fn a_node_that_is_found_again_goes_on_where_it_was() {
    let cluster = Cluster::start();
    cluster.make("pods", &willing("a"));
    cluster.wait_for_phase("a", "Running");
    cluster.fault(&json!({"kind": "loseNode", "afterMs": 60_000}));
    cluster.delete(&path("pods/a")).object();
    cluster.make("pods", &willing("b"));
    assert_eq!(cluster.get(&path("pods/a")).status, 200, "nobody confirms");
    cluster.fault(&json!({"kind": "findNode"}));
    cluster.wait_for_absence(&path("pods/a"));
    cluster.wait_for_phase("b", "Running");
}

#[test]
fn a_fault_that_nobody_knows_is_refused() {
    let cluster = Cluster::start();
    let mut stream = TcpStream::connect(&cluster.admin).unwrap();
    let body = r#"{"kind": "earthquake"}"#;
    let head = "POST /_double/faults HTTP/1.1\r\nHost: double\r\nConnection: close\r\n";
    std::io::Write::write_all(
        &mut stream,
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
    )
    .unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("earthquake"), "{answer}");
}

#[test]
fn merged_events_keep_the_first_and_the_last() {
    let cluster = Cluster::start();
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster.fault(&json!({"kind": "mergeEvents", "seed": 1, "percent": 100}));
    cluster.make("pods", &willing("a"));
    let events = watch.until(|event| event["object"]["status"]["phase"] == "Running");
    let lines = short(&events);
    assert_eq!(lines.first().unwrap(), "ADDED Pending");
    assert!(lines.last().unwrap().ends_with("fn[running ready]"), "{lines:#?}");
}
