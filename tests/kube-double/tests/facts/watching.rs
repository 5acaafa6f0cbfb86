//! Facts 26 to 31: lists and watches.

use std::time::Duration;

use hearth_tests::Stopwatch;
use serde_json::{Value, json};

use crate::cluster::{Cluster, path, unschedulable, with};
use crate::recorded;
use crate::stream::Watch;

fn labelled(name: &str, labels: &Value) -> Value {
    with(unschedulable(name), "/metadata/labels", labels.clone())
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|it| it["metadata"]["name"].as_str().unwrap()).collect()
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

/// Type, name and version of each event.
fn told(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    events.iter().map(|it| (text(&it["type"]), text(&it["object"]["metadata"]["name"]))).collect()
}

#[test]
fn fact_26_pages_of_a_list_are_of_one_moment() {
    let cluster = Cluster::start();
    recorded::same(
        "05-watch-list/list-empty.json",
        200,
        &cluster.get(&path("pods?labelSelector=set=nothing")),
    );
    let elsewhere = cluster.get("/api/v1/namespaces/no-such-ns/pods");
    recorded::same("03-errors/200-list-in-missing-namespace.json", 200, &elsewhere);
    for number in 0..5 {
        cluster.make("pods", &labelled(&format!("page-{number}"), &json!({"set": "paging"})));
    }
    let page =
        |rest: &str| cluster.get(&path(&format!("pods?labelSelector=set%3Dpaging&limit=2{rest}"))).object();
    let first = page("");
    assert_eq!(names(&first), ["page-0", "page-1"]);
    assert_eq!(
        (&first["items"][0]["kind"], &first["metadata"]["remainingItemCount"]),
        (&Value::Null, &Value::Null)
    );
    cluster.delete(&path("pods/page-4")).object();
    cluster.make("pods", &labelled("page-5", &json!({"set": "paging"})));
    let next = |page: &Value| format!("&continue={}", page["metadata"]["continue"].as_str().unwrap());
    let second = page(&next(&first));
    let third = page(&next(&second));
    assert_eq!((names(&second), names(&third)), (vec!["page-2", "page-3"], vec!["page-4"]));
    assert_eq!((version(&first), &third["metadata"]["continue"]), (version(&third), &Value::Null));
    let unselected = cluster.get(&path("pods?limit=1")).object();
    assert_eq!(unselected["metadata"]["remainingItemCount"], 4);

    cluster.admin("POST", "/_double/faults", r#"{"kind": "compact"}"#);
    let late = cluster.get(&path(&format!("pods?labelSelector=set%3Dpaging&limit=2{}", next(&first))));
    recorded::same("03-errors/410-continue-expired.json", 410, &late);
    let rest = page(&next(&late.json()));
    assert_eq!(names(&rest), ["page-2", "page-3"]);
    let by_set = "pods?labelSelector=set%20in%20(paging,other),!pool&fieldSelector=status.phase%3DPending,spec.nodeName%3D";
    assert_eq!(names(&cluster.get(&path(by_set)).object()).len(), 5);
}

#[test]
fn fact_27_a_watch_tells_what_comes_after_its_version() {
    let cluster = Cluster::start();
    let made = [
        cluster.make("pods", &labelled("w-0", &json!({}))),
        cluster.make("pods", &labelled("w-1", &json!({}))),
    ];
    let is_told = |pod: &Value| pod["status"]["conditions"][0]["type"] == "PodScheduled";
    for name in ["w-0", "w-1"] {
        cluster.wait_for(&path(&format!("pods/{name}")), "the scheduler", is_told);
    }
    let list = cluster.get(&path("pods")).object();
    let events =
        |query: &str| Watch::open(&cluster, &path(&format!("pods?watch=1&timeoutSeconds=1{query}"))).rest();
    let added = [("ADDED".to_owned(), "w-0".to_owned()), ("ADDED".to_owned(), "w-1".to_owned())];
    assert_eq!(told(&events("")), added);
    assert_eq!(told(&events("&resourceVersion=0")), added);
    assert_eq!(told(&events(&format!("&resourceVersion={}", version(&list)))), []);
    let mut watch = Watch::open(&cluster, &path(&format!("pods?watch=1&resourceVersion={}", version(&list))));
    let patch =
        |labels: &Value| cluster.merge(&path("pods/w-0"), &json!({"metadata": {"labels": labels}})).object();
    patch(&json!({"a": "1"}));
    patch(&json!({"a": "1"}));
    cluster.make("secrets", &json!({"metadata": {"name": "between"}}));
    patch(&json!({"a": "2"}));
    let [first, second] = [watch.next().unwrap(), watch.next().unwrap()];
    assert_eq!(first["object"]["metadata"]["labels"]["a"], "1");
    assert_eq!(second["object"]["metadata"]["labels"]["a"], "2", "a write that changes nothing is no event");
    let gap: Vec<u64> = [&first, &second].iter().map(|it| version(&it["object"]).parse().unwrap()).collect();
    assert_eq!(gap[1] - gap[0], 2, "numbers are shared by all kinds");
    assert!(made.iter().all(|pod| version(pod) < version(&list)));
    let legacy = Watch::open(&cluster, "/api/v1/watch/namespaces/fnlab/pods/w-0?timeoutSeconds=1").rest();
    assert_eq!(told(&legacy), added[..1]);
}

#[test]
fn fact_28_a_selector_turns_changes_into_comings_and_goings() {
    let cluster = Cluster::start();
    let from = version(&cluster.get(&path("pods")).object());
    let watch = |pool: &str| {
        let query = format!("pods?watch=1&labelSelector=pool%3D{pool}&resourceVersion={from}");
        Watch::open(&cluster, &path(&query))
    };
    let (mut warm, mut claimed) = (watch("warm"), watch("claimed"));
    cluster.make("pods", &labelled("w-2", &json!({"set": "lab"})));
    let label = |pool: &str| {
        let patch = json!({"metadata": {"labels": {"pool": pool}}});
        version(&cluster.merge(&path("pods/w-2"), &patch).object())
    };
    label("warm");
    let claim = label("claimed");
    let left = warm.until_deleted();
    assert_eq!(left[0]["type"], "ADDED");
    let gone = &left.last().unwrap()["object"];
    assert_eq!(gone["metadata"]["labels"]["pool"], "warm", "the old labels");
    assert_eq!(version(gone), claim, "and the new version");
    cluster.delete(&path("pods/w-2")).object();
    let entered = claimed.until_deleted();
    assert_eq!(entered[0]["type"], "ADDED");
    assert_eq!(version(&entered[0]["object"]), claim);
}

#[test]
fn fact_29_versions_that_are_too_old_or_not_there_yet() {
    let cluster = Cluster::start();
    let error = Watch::open(&cluster, &path("pods?watch=1&resourceVersion=1&timeoutSeconds=5")).rest();
    assert_eq!(error.len(), 1, "one event, and the stream ends");
    assert_eq!(error[0]["type"], "ERROR");
    assert_eq!(
        (&error[0]["object"]["code"], &error[0]["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    let exact = cluster.get(&path("pods?resourceVersion=1&resourceVersionMatch=Exact"));
    recorded::same("03-errors/410-list-exact.json", 410, &exact);
    let waiting = Stopwatch::start();
    let future = cluster.get(&path("pods?resourceVersion=999999999"));
    assert!(waiting.elapsed() >= Duration::from_secs(3));
    assert_eq!((future.status, future.header("retry-after")), (504, Some("1")));
    assert_eq!(future.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    let silent =
        Watch::open(&cluster, &path("pods?watch=1&resourceVersion=999999999&timeoutSeconds=1")).rest();
    assert_eq!(silent, [] as [Value; 0]);
    recorded::same(
        "03-errors/400-resourceversion.json",
        400,
        &cluster.get(&path("pods?resourceVersion=abc")),
    );
    let watch = cluster.get(&path("pods?watch=1&resourceVersion=abc"));
    recorded::same("03-errors/500-watch-resourceversion.json", 500, &watch);
}

#[test]
fn fact_30_a_watch_ends_cleanly_and_bookmarks_have_nulls() {
    let cluster = Cluster::start();
    let watching = Stopwatch::start();
    let query = "pods?watch=1&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=1005";
    let answer = cluster.get(&path(query));
    assert!((3..5).contains(&watching.elapsed().as_secs()), "{:?}", watching.elapsed());
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, Some("chunked")));
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let bookmarks: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!bookmarks.is_empty());
    for mut bookmark in bookmarks {
        bookmark["object"]["metadata"]["resourceVersion"].take();
        let expected = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": null, "creationTimestamp": null},
            "spec": {"containers": null}, "status": {},
        });
        assert_eq!(bookmark, json!({"type": "BOOKMARK", "object": expected}));
    }
    for (query, recording) in [
        ("sendInitialEvents=true&timeoutSeconds=2", "watch-send-initial-events-bad"),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "watch-send-initial-events"),
    ] {
        let refused = cluster.get(&path(&format!("pods?watch=1&{query}")));
        recorded::same(&format!("05-watch-list/{recording}.json"), 422, &refused);
    }
}

#[test]
fn fact_31_fields_of_pods_that_can_be_selected_by() {
    let cluster = Cluster::start();
    cluster.make("pods", &labelled("a", &json!({})));
    for (field, expected) in [
        ("metadata.name=a", 1),
        ("metadata.namespace=fnlab", 1),
        ("spec.nodeName=", 1),
        ("spec.restartPolicy=Never", 1),
        ("spec.schedulerName=other", 0),
        ("spec.serviceAccountName=default", 1),
        ("spec.hostNetwork=false", 1),
        ("status.phase=Running", 0),
        ("status.podIP=", 1),
        ("status.nominatedNodeName=", 1),
    ] {
        let query = format!("pods?fieldSelector={}", field.replace('=', "%3D"));
        let list = cluster.get(&path(&query)).object();
        assert_eq!(names(&list).len(), expected, "{field}");
    }
    for (query, recording) in [
        ("pods?fieldSelector=spec.foo=bar", "400-field-selector"),
        ("pods?watch=1&fieldSelector=spec.foo=bar", "400-watch-field-selector"),
        ("pods?fieldSelector=metadata.name", "400-field-selector-syntax"),
    ] {
        recorded::same(&format!("03-errors/{recording}.json"), 400, &cluster.get(&path(query)));
    }
}
