//! Facts 16 to 25: how objects go.

use std::net::TcpStream;
use std::time::Duration;

use hearth_tests::{Stopwatch, wait_until};
use serde_json::{Value, json};

use crate::cluster::{Cluster, LIMIT, path, pod, unschedulable, willing, with};
use crate::recorded;
use crate::stream::{Watch, recorded_short, short};

const RUNNING: &str = "MODIFIED Running CR=T PRTSC=T R=T ip fn[running ready]";

/// The events from the moment that the pod runs, in short, and as recorded.
#[track_caller]
fn check(cluster: &Cluster, pod: &Value, recording: &str, expected: &[&str], delete: impl Fn()) {
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    let mut watch = Watch::of_pod(cluster, &name);
    cluster.make("pods", pod);
    let mut events = watch.until(|event| event["object"]["status"]["phase"] == "Running");
    let count = events.len();
    delete();
    events.extend(watch.until_deleted());
    let events = short(&events);
    assert_eq!(events[count - 1], RUNNING);
    assert_eq!(events[count..], *expected, "ours is on the left");
    if let Some(recorded) = recorded_short(&format!("02-failures/{recording}.watch.ndjson")) {
        assert_eq!(events, recorded, "{recording}: ours is on the left");
    }
}

#[test]
fn fact_16_a_deletion_with_grace_leaves_the_status_alone_until_the_end() {
    let cluster = Cluster::start_lifelike();
    let delete = |name: &'static str| {
        let cluster = &cluster;
        move || {
            let answer = cluster.delete(&path(&format!("pods/{name}"))).object();
            assert_eq!((&answer["kind"], &answer["metadata"]["generation"]), (&json!("Pod"), &json!(2)));
            assert_eq!(answer["status"]["phase"], "Running");
        }
    };
    let expected = [
        "MODIFIED Running ip fn[running ready] grace 8",
        "MODIFIED Failed CR=F(PodFailed) PRTSC=F R=F(PodFailed) ip fn[terminated Error 3] grace 8",
        "MODIFIED Failed ip fn[terminated Error 3] grace 0",
        "DELETED Failed ip fn[terminated Error 3] grace 0",
    ];
    let pod_3 = pod("d-exit3", "trap 'exit 3' TERM; while true; do sleep 0.05; done");
    let pod_3 = with(
        with(pod_3, "/spec/terminationGracePeriodSeconds", json!(8)),
        "/spec/restartPolicy",
        json!("Always"),
    );
    check(&cluster, &pod_3, "terminating-sigterm-exit3", &expected, delete("d-exit3"));

    let hook = json!({"preStop": {"exec": {"command": ["sleep", "1"]}}});
    let hooked = with(willing("d-hook"), "/spec/containers/0/lifecycle", hook);
    let hooked = with(hooked, "/spec/terminationGracePeriodSeconds", json!(10));
    let expected = [
        "MODIFIED Running ip fn[running ready] grace 10",
        "MODIFIED Succeeded CR=F(PodCompleted) I=T(PodCompleted) PRTSC=F R=F(PodCompleted) ip \
         fn[terminated Completed 0] grace 10",
        "MODIFIED Succeeded ip fn[terminated Completed 0] grace 0",
        "DELETED Succeeded ip fn[terminated Completed 0] grace 0",
    ];
    let ending = Stopwatch::start();
    check(&cluster, &hooked, "terminating-prestop", &expected, delete("d-hook"));
    assert!(ending.elapsed() >= Duration::from_secs(1), "the hook has its time");
}

#[test]
fn fact_17_the_last_event_has_a_version_of_its_own() {
    let cluster = Cluster::start();
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster
        .make("pods", &with(unschedulable("a"), "/metadata/finalizers", json!(["lambda.example.com/drain"])));
    cluster.delete(&path("pods/a")).object();
    cluster.merge(&path("pods/a"), &json!({"metadata": {"finalizers": null}})).object();
    let events = watch.until_deleted();
    let [.., before, last] = &events[..] else { panic!("{events:?}") };
    let version = |event: &Value| -> u64 {
        event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    assert!(version(last) > version(before));
    assert_eq!(last["object"]["metadata"]["finalizers"], json!(["lambda.example.com/drain"]));

    let mut watch = Watch::of_pod(&cluster, "b");
    cluster.make("pods", &unschedulable("b"));
    let answer = cluster.delete(&path("pods/b")).object();
    assert_eq!(watch.until_deleted().last().unwrap()["object"], answer);
}

#[test]
fn fact_18_a_deletion_without_grace_is_no_proof_of_death() {
    let cluster = Cluster::start();
    let mut watch = Watch::of_pod(&cluster, "a");
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let server =
        with(pod("a", "exec python3 -m http.server 8080"), "/spec/containers/0/readinessProbe", probe);
    cluster.make("pods", &server);
    let events = watch.until(|event| event["object"]["status"]["containerStatuses"][0]["ready"] == true);
    let address = events.last().unwrap()["object"]["status"]["podIP"].as_str().unwrap().to_owned();
    cluster.delete(&path("pods/a?gracePeriodSeconds=0")).object();
    assert_eq!(cluster.get(&path("pods/a")).status, 404);
    assert_eq!(
        short(&watch.until_deleted()),
        [
            "MODIFIED Running CR=T PRTSC=T I=T PS=T R=T ip fn[running ready] grace 0",
            "DELETED Running ip fn[running ready] grace 0"
        ]
        .map(|line| line.replace("CR=T PRTSC=T I=T PS=T R=T", "CR=T I=T PRTSC=T PS=T R=T"))
    );
    let dying = Stopwatch::start();
    let connect =
        || TcpStream::connect_timeout(&format!("{address}:8080").parse().unwrap(), Duration::from_secs(1));
    assert!(connect().is_ok(), "the process lives on: it ignores SIGTERM");
    cluster.make("pods", &willing("a"));
    wait_until("the port to close", LIMIT, || connect().err()).unwrap();
    assert!(dying.elapsed() > Duration::from_secs(1), "SIGKILL comes two seconds later");
}

#[test]
fn fact_19_some_pods_go_at_once_whatever_the_grace() {
    let cluster = Cluster::start_lifelike();
    for pod in [unschedulable("unscheduled"), pod("ended", "exit 1")] {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        cluster.make("pods", &pod);
        if name == "ended" {
            cluster.wait_for_phase(&name, "Failed");
        }
        let answer = cluster.delete(&path(&format!("pods/{name}?gracePeriodSeconds=30"))).object();
        assert_eq!(answer["metadata"]["deletionGracePeriodSeconds"], 0);
        assert_eq!(cluster.get(&path(&format!("pods/{name}"))).status, 404);
    }
    let mut watch = Watch::of_pod(&cluster, "pulling");
    let pulling = with(pod("pulling", "true"), "/spec/containers/0/image", json!("lab.local/none:1"));
    cluster.make("pods", &pulling);
    watch.until(|event| event["object"]["status"]["podIP"].is_string());
    cluster.delete(&path("pods/pulling?gracePeriodSeconds=30")).object();
    let events = short(&watch.until_deleted());
    assert_eq!(
        events[events.len() - 3..],
        [
            "MODIFIED Failed CR=F(PodFailed) PRTSC=F R=F(PodFailed) ip fn[terminated ContainerStatusUnknown 137] grace 30",
            "MODIFIED Failed ip fn[terminated ContainerStatusUnknown 137] grace 0",
            "DELETED Failed ip fn[terminated ContainerStatusUnknown 137] grace 0",
        ]
    );
}

#[test]
fn fact_20_a_repeated_deletion_only_shortens() {
    let cluster = Cluster::start();
    let stubborn = pod("a", "trap '' TERM; while true; do sleep 0.05; done");
    let mut watch = Watch::of_pod(&cluster, "a");
    let made = cluster.make("pods", &stubborn);
    cluster.wait_for_phase("a", "Running");
    let grace = |query: &str| {
        let answer = cluster.delete(&path(&format!("pods/a{query}"))).object();
        answer["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap()
    };
    assert_eq!(grace("?gracePeriodSeconds=20"), 20);
    assert_eq!(grace("?gracePeriodSeconds=30"), 20, "a longer one changes nothing");
    assert_eq!(grace("?gracePeriodSeconds=5"), 5);
    let stale = json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    let refused = cluster.delete_with(&path("pods/a"), &stale);
    assert_eq!((refused.status, &refused.json()["details"]["kind"]), (409, &json!("Pod")));
    // A body beats the query as a whole.
    let both =
        cluster.delete_with(&path("pods/a?gracePeriodSeconds=0"), &json!({"gracePeriodSeconds": 4})).object();
    assert_eq!(both["metadata"]["deletionGracePeriodSeconds"], 4);
    assert_eq!(grace("?gracePeriodSeconds=0"), 0);
    assert_eq!(cluster.delete(&path("pods/a")).status, 404);
    let graces: Vec<Value> = watch
        .until_deleted()
        .into_iter()
        .map(|mut event| event["object"]["metadata"]["deletionGracePeriodSeconds"].take())
        .filter(|it| !it.is_null())
        .collect();
    assert_eq!(graces, [20, 5, 4, 0, 0]);
    assert!(made["metadata"]["uid"].is_string());
}

#[test]
fn fact_21_a_name_is_taken_until_its_pod_has_gone() {
    let cluster = Cluster::start();
    let first =
        cluster.make("pods", &with(willing("d-again"), "/spec/terminationGracePeriodSeconds", json!(5)));
    let again = willing("d-again");
    let refused = cluster.post(&path("pods"), &again);
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (409, Some("AlreadyExists")));
    cluster.wait_for_phase("d-again", "Running");
    let mut watch = Watch::of_pod(&cluster, "d-again");
    cluster.delete(&path("pods/d-again")).object();
    recorded::same(
        "03-errors/409-already-exists-terminating.json",
        409,
        &cluster.post(&path("pods"), &again),
    );
    watch.until_deleted();
    let second = cluster.make("pods", &again);
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(watch.next().unwrap()["type"], "ADDED", "it comes on the same watch");
}

#[test]
fn fact_22_an_eviction_tells_its_reason_first_and_may_be_refused() {
    let cluster = Cluster::start_lifelike();
    let evict = |name: &str| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        cluster.post(&path(&format!("pods/{name}/eviction")), &eviction)
    };
    let expected = [
        "MODIFIED Running DT=T(EvictionByEvictionAPI) ip fn[running ready]",
        "MODIFIED Running ip fn[running ready] grace 5",
        "MODIFIED Succeeded CR=F(PodCompleted) I=T(PodCompleted) PRTSC=F R=F(PodCompleted) ip \
         fn[terminated Completed 0] grace 5",
        "MODIFIED Succeeded ip fn[terminated Completed 0] grace 0",
        "DELETED Succeeded ip fn[terminated Completed 0] grace 0",
    ];
    let mut watch = Watch::of_pod(&cluster, "d-evict");
    cluster.make("pods", &with(willing("d-evict"), "/spec/terminationGracePeriodSeconds", json!(5)));
    let mut events = watch.until(|event| event["object"]["status"]["phase"] == "Running");
    let count = events.len();
    recorded::same("04-features/eviction-201.json", 201, &evict("d-evict"));
    events.extend(watch.until_deleted());
    assert_eq!(short(&events)[count..], expected);

    let guarded = with(willing("pdb-a"), "/metadata/labels", json!({"app": "guarded"}));
    cluster.make("pods", &guarded);
    cluster.wait_for_phase("pdb-a", "Running");
    let budget = json!({
        "metadata": {"name": "pdb"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    });
    cluster.post("/apis/policy/v1/namespaces/fnlab/poddisruptionbudgets", &budget).object();
    recorded::same("03-errors/429-eviction-pdb.json", 429, &evict("pdb-a"));
}

#[test]
fn fact_23_pods_of_a_lost_node_terminate_for_ever() {
    let cluster = Cluster::start();
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster.make("pods", &with(willing("a"), "/spec/terminationGracePeriodSeconds", json!(5)));
    watch.until(|event| event["object"]["status"]["phase"] == "Running");
    cluster.fault(&json!({"kind": "loseNode", "afterMs": 200, "tolerationMs": 200}));
    let events = watch.until(|event| !event["object"]["metadata"]["deletionTimestamp"].is_null());
    let lines = short(&events);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].contains("R=F"), "{}", lines[0]);
    assert_eq!(lines[1], "MODIFIED Running DT=T(DeletionByTaintManager) ip fn[running ready]");
    assert_eq!(lines[2], "MODIFIED Running ip fn[running ready] grace 5");
    let logs = cluster.get(&path("pods/a/log"));
    assert_eq!((logs.status, &logs.json()["reason"]), (500, &Value::Null));
    assert_eq!(cluster.delete(&path("pods/a")).object()["status"]["phase"], "Running", "nobody confirms");
    cluster.delete(&path("pods/a?gracePeriodSeconds=0")).object();
    assert_eq!(cluster.get(&path("pods/a")).status, 404);
}

#[test]
fn pods_of_a_node_without_an_object_are_collected() {
    let cluster = Cluster::start_with(&["--orphans-ms", "300"]);
    let mut watch = Watch::of_pod(&cluster, "a");
    cluster.make("pods", &with(willing("a"), "/spec/nodeName", json!("no-such-node")));
    let events = short(&watch.until_deleted());
    assert_eq!(
        events,
        [
            "ADDED Pending",
            "MODIFIED Failed DT=T(DeletionByPodGC)",
            "MODIFIED Failed grace 0",
            "DELETED Failed grace 0"
        ]
    );
    if let Some(recorded) = recorded_short("02-failures/node-never-existed.watch.ndjson") {
        assert_eq!(events, recorded, "ours is on the left");
    }
}

#[test]
fn fact_24_deletions_of_other_kinds_answer_a_status_and_of_collections_what_was_there() {
    let cluster = Cluster::start();
    let secret =
        cluster.make("secrets", &json!({"metadata": {"name": "feat-imm"}, "stringData": {"k": "v"}}));
    let answer = cluster.delete(&path("secrets/feat-imm"));
    assert_eq!(answer.json()["details"]["uid"], secret["metadata"]["uid"]);
    recorded::same("04-features/secret-delete.json", 200, &answer);
    for name in ["dc-0", "dc-1"] {
        cluster.make("pods", &with(willing(name), "/metadata/labels", json!({"dc": "1"})));
        cluster.wait_for_phase(name, "Running");
    }
    let list = cluster.delete(&path("pods?labelSelector=dc%3D1")).object();
    assert_eq!(list["kind"], "PodList");
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert!(items.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null()));
    cluster.wait_for_absence(&path("pods/dc-0"));
}

#[test]
fn fact_25_dependents_go_with_their_owners() {
    let cluster = Cluster::start();
    let owned_by = |name: &str, owner: &Value| {
        let reference = json!({
            "apiVersion": "v1", "kind": "Pod", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        });
        json!({"metadata": {"name": name, "ownerReferences": [reference]}, "stringData": {"k": "v"}})
    };
    let owner = cluster.make("pods", &unschedulable("owner"));
    cluster.make("secrets", &owned_by("owned", &owner));
    assert_eq!(cluster.get(&path("secrets/owned")).status, 200);
    cluster.delete(&path("pods/owner")).object();
    cluster.wait_for_absence(&path("secrets/owned"));

    let nobody = json!({"metadata": {"name": "never-was", "uid": "00000000-0000-0000-0000-000000000009"}});
    let dangling = cluster.post(&path("secrets"), &owned_by("gcd-x", &nobody));
    recorded::same("04-features/owner-reference-dangling-accepted.json", 201, &dangling);
    cluster.wait_for_absence(&path("secrets/gcd-x"));
    let nameless =
        cluster.post(&path("secrets"), &owned_by("gcd-y", &json!({"metadata": {"name": "x", "uid": ""}})));
    recorded::same("04-features/owner-reference-no-uid.json", 422, &nameless);

    let owner = cluster.make("pods", &unschedulable("orphaning"));
    cluster.make("secrets", &owned_by("gc-or", &owner));
    cluster.delete(&path("pods/orphaning?propagationPolicy=Orphan")).object();
    recorded::same("04-features/delete-orphan-secret-after.json", 200, &cluster.get(&path("secrets/gc-or")));

    let owner = cluster.make("pods", &unschedulable("gc-fg"));
    cluster.make("secrets", &owned_by("foreground", &owner));
    let mut watch = Watch::of_pod(&cluster, "gc-fg");
    let answer =
        cluster.delete(&path("pods/gc-fg?propagationPolicy=Foreground&gracePeriodSeconds=0")).object();
    assert_eq!(answer["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let last = watch.until_deleted().pop().unwrap();
    assert_eq!(last["object"]["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(cluster.get(&path("secrets/foreground")).status, 404);
}
