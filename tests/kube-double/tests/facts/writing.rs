//! Facts 32 to 38: writing, and what is refused.

use serde_json::{Value, json};

use crate::cluster::{Answer, Call, Cluster, path, pod, unschedulable, willing, with};
use crate::recorded;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/fnlab/leases";

#[test]
fn fact_32_patches_by_content_type() {
    let cluster = Cluster::start();
    cluster.make(
        "pods",
        &with(unschedulable("err-a"), "/metadata/annotations", json!({"gone": "1", "stays": "1"})),
    );
    let pod = path("pods/err-a");
    let merged = cluster.merge(&pod, &json!({"metadata": {"annotations": {"gone": null}}})).object();
    assert_eq!(merged["metadata"]["annotations"], json!({"stays": "1"}));
    let strategic =
        cluster.patch("strategic-merge", &pod, &json!({"metadata": {"labels": {"extra": "1"}}})).object();
    assert_eq!(strategic["metadata"]["labels"], json!({"app": "fn", "extra": "1"}));
    let add = json!([{"op": "add", "path": "/metadata/annotations/lambda.example.com~1function", "value": "hello"}]);
    let patched = cluster.patch("json", &pod, &add).object();
    assert_eq!(patched["metadata"]["annotations"]["lambda.example.com/function"], "hello");
    let plain = Call {
        method: "PATCH",
        path: &pod,
        body: b"{\"metadata\": {\"labels\": {\"a\": \"b\"}}}".to_vec(),
        ..Call::default()
    };
    recorded::same("03-errors/415-patch-content-type.json", 415, &cluster.call(&plain));
    let env = json!({"spec": {"containers": [{"name": "fn", "env": [{"name": "A", "value": "B"}]}]}});
    let immutable = cluster.patch("strategic-merge", &pod, &env);
    assert_eq!(immutable.status, 422);
    assert_eq!(immutable.json()["details"]["causes"][0]["reason"], "FieldValueForbidden");
    let ignored = cluster.merge(&pod, &json!({"status": {"phase": "Failed"}})).object();
    assert_eq!(ignored["status"]["phase"], "Pending");
    let before = cluster.get(&pod).object();
    let unchanged = cluster.merge(&pod, &json!({"metadata": {"labels": {"extra": "1"}}})).object();
    assert_eq!(before["metadata"]["resourceVersion"], unchanged["metadata"]["resourceVersion"]);

    cluster.make("pods", &with(willing("d-term"), "/spec/terminationGracePeriodSeconds", json!(4)));
    cluster.wait_for_phase("d-term", "Running");
    cluster
        .merge(&path("pods/d-term"), &json!({"metadata": {"finalizers": ["lambda.example.com/y"]}}))
        .object();
    cluster.delete(&path("pods/d-term")).object();
    let more = json!({"metadata": {"finalizers": ["lambda.example.com/x"]}});
    let refused = cluster.merge(&path("pods/d-term"), &more);
    recorded::same("03-errors/422-finalizer-on-terminating.json", 422, &refused);
    applying(&cluster);
}

/// Server-side apply: fields have owners.
fn applying(cluster: &Cluster) {
    let apply = |query: &str, data: &Value| {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "feat-ssa"}, "data": data});
        let path = path(&format!("configmaps/feat-ssa{query}"));
        let (content_type, body) = ("application/apply-patch+yaml", object.to_string().into());
        cluster.call(&Call { method: "PATCH", path: &path, content_type, body, ..Call::default() })
    };
    let (a, b) = ("?fieldManager=backend-a", "?fieldManager=backend-b");
    let recorded = |name: &str, status: u16, answer: &Answer| {
        recorded::same(&format!("04-features/{name}.json"), status, answer);
    };
    recorded("ssa-1-create", 201, &apply(a, &json!({"a": "1"})));
    recorded("ssa-2-same", 200, &apply(a, &json!({"a": "1"})));
    recorded("ssa-3-conflict", 409, &apply(b, &json!({"a": "2"})));
    recorded("ssa-4-force", 200, &apply(&format!("{b}&force=true"), &json!({"a": "2"})));
    recorded("ssa-5-no-manager", 422, &apply("", &json!({"a": "1"})));
    recorded("ssa-6-drop-field", 200, &apply(b, &Value::Null));
}

#[test]
fn fact_33_a_claim_has_one_winner() {
    let cluster = Cluster::start();
    let warm = with(willing("feat-claim"), "/metadata/labels", json!({"app": "fn", "pool": "warm"}));
    cluster.make("pods", &warm);
    cluster.wait_for_phase("feat-claim", "Running");
    let pod = path("pods/feat-claim");
    let version = cluster.get(&pod).object()["metadata"]["resourceVersion"].clone();
    let claim = |by: &str| json!({"metadata": {"resourceVersion": version, "labels": {"pool": "claimed", "owner": by}}});
    cluster.merge(&pod, &claim("backend-a")).object();
    recorded::same(
        "04-features/claim-2-merge-patch-lost.json",
        409,
        &cluster.merge(&pod, &claim("backend-b")),
    );
    let test = json!([
        {"op": "test", "path": "/metadata/labels/pool", "value": "warm"},
        {"op": "replace", "path": "/metadata/labels/pool", "value": "claimed"},
    ]);
    recorded::same("04-features/claim-3-json-patch-lost.json", 422, &cluster.patch("json", &pod, &test));
    let stranger = json!({"metadata": {"uid": "00000000-0000-0000-0000-000000000000", "labels": {"x": "y"}}});
    let refused = cluster.merge(&pod, &stranger);
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (422, Some("Invalid")));
    assert_eq!(refused.json()["details"]["causes"].as_array().unwrap().len(), 2, "it is told twice");
    cluster.delete(&format!("{pod}?gracePeriodSeconds=30")).object();
    let late = cluster.merge(&pod, &json!({"metadata": {"labels": {"x": "1"}}})).object();
    assert!(late["metadata"]["deletionTimestamp"].is_string(), "a terminating pod can still be claimed");
}

#[test]
fn fact_34_put_with_and_without_a_version() {
    let cluster = Cluster::start();
    let made = cluster.make("pods", &unschedulable("err-a"));
    let pod = path("pods/err-a");
    cluster.merge(&pod, &json!({"metadata": {"labels": {"touched": "1"}}})).object();
    recorded::same("03-errors/409-conflict-put-stale-resourceversion.json", 409, &cluster.put(&pod, &made));
    let mut blind = with(cluster.get(&pod).object(), "/metadata/labels/mine", json!("2"));
    blind["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(cluster.put(&pod, &blind).object()["metadata"]["labels"]["mine"], "2");
    let gone = cluster.put(&path("pods/gone"), &with(made, "/metadata/name", json!("gone")));
    recorded::same("03-errors/404-put-pod.json", 404, &gone);

    let lease = |holder: &str, version: Option<&Value>| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "lambda-backend", "resourceVersion": version},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15,
                     "renewTime": "2026-11-23T17:00:00.000000Z", "leaseTransitions": 0},
        })
    };
    let made = cluster.post(LEASES, &lease("backend-a", None)).object();
    assert_eq!(made["spec"]["renewTime"], "2026-11-23T17:00:00.000000Z");
    recorded::same(
        "04-features/lease-2-create-again.json",
        409,
        &cluster.post(LEASES, &lease("backend-b", None)),
    );
    let named = format!("{LEASES}/lambda-backend");
    let first = Some(&made["metadata"]["resourceVersion"]);
    cluster.put(&named, &with(lease("backend-a", first), "/spec/leaseTransitions", json!(1))).object();
    recorded::same(
        "04-features/lease-4-stale-put.json",
        409,
        &cluster.put(&named, &lease("backend-b", first)),
    );
    let blind = cluster.put(&named, &lease("backend-c", None));
    recorded::same("04-features/lease-5-put-without-resourceversion.json", 422, &blind);
}

#[test]
fn fact_35_times_of_leases_data_of_secrets_and_limits() {
    let cluster = Cluster::start();
    for (time, recording) in [
        ("2026-11-23T17:00:08Z", "lease-6-seconds-time"),
        ("2026-11-23T17:00:08.123456789Z", "lease-7-nano-time"),
    ] {
        let lease = json!({"metadata": {"name": "lb"}, "spec": {"holderIdentity": "a", "renewTime": time}});
        recorded::same(&format!("04-features/{recording}.json"), 400, &cluster.post(LEASES, &lease));
    }
    let secret = json!({
        "metadata": {"name": "feat-s", "labels": {"app": "fn"}}, "type": "Opaque", "stringData": {"A": "one"},
        "data": {"B": "dHdv"},
    });
    let made = cluster.post(&path("secrets"), &secret);
    assert_eq!(made.json()["data"], json!({"A": "b25l", "B": "dHdv"}));
    recorded::same("04-features/secret-create.json", 201, &made);
    let bad = json!({"metadata": {"name": "feat-bad"}, "data": {"A": "not base64!"}});
    recorded::same("04-features/secret-bad-base64.json", 400, &cluster.post(&path("secrets"), &bad));
    cluster.make(
        "secrets",
        &json!({"metadata": {"name": "feat-imm"}, "immutable": true, "stringData": {"A": "1"}}),
    );
    let refused = cluster.merge(&path("secrets/feat-imm"), &json!({"stringData": {"A": "2"}}));
    recorded::same("04-features/secret-immutable-patch.json", 422, &refused);

    let of_size =
        |name: &str, size: usize| json!({"metadata": {"name": name}, "stringData": {"k": "x".repeat(size)}});
    cluster.make("secrets", &of_size("large", 1 << 20));
    let huge = cluster.post(&path("secrets"), &of_size("huge", (1 << 20) + 1));
    recorded::same("03-errors/422-secret-too-large.json", 422, &huge);
    let map = |size: usize| json!({"metadata": {"name": "huge"}, "data": {"k": "x".repeat(size)}});
    let huge = cluster.post(&path("configmaps"), &map((1 << 20) + 1));
    recorded::same("03-errors/422-configmap-too-large.json", 422, &huge);
    let enormous = cluster.post(&path("configmaps"), &map(3_200_000));
    recorded::same("03-errors/413-body-too-large.json", 413, &enormous);
    let annotated = with(pod("bad-x", "true"), "/metadata/annotations", json!({"a": "x".repeat(262_144)}));
    recorded::same("03-errors/422-annotations-too-long.json", 422, &cluster.post(&path("pods"), &annotated));
    let labelled = with(pod("bad-x", "true"), "/metadata/labels/fn", json!("x".repeat(64)));
    recorded::same("03-errors/422-label-value-too-long.json", 422, &cluster.post(&path("pods"), &labelled));
}

#[test]
fn fact_36_many_causes_are_forbidden() {
    let cluster = Cluster::start();
    let refused = |name: &str, answer: &Answer| {
        recorded::same(&format!("03-errors/403-{name}.json"), 403, answer);
    };
    let token = cluster.account("norights", &json!([]));
    let as_account = |method: &str, path: &str| {
        cluster.call(&Call { method, path, token: Some(&token), ..Call::default() })
    };
    refused("rbac-list", &as_account("GET", &path("pods?labelSelector=app=fn")));
    refused("rbac-watch", &as_account("GET", &path("pods?watch=1")));
    refused("rbac-delete", &as_account("DELETE", &path("pods/whatever")));
    refused("rbac-log", &as_account("GET", &path("pods/whatever/log")));
    refused("rbac-cluster-scope", &as_account("GET", "/api/v1/pods"));
    refused("rbac-missing-namespace", &as_account("GET", "/api/v1/namespaces/no-such-ns/pods"));
    let anonymous = Call { method: "GET", path: &path("pods"), token: Some(""), ..Call::default() };
    refused("anonymous", &cluster.call(&anonymous));

    let account = with(pod("bad-x", "true"), "/spec/serviceAccountName", json!("nope"));
    refused("serviceaccount-missing", &cluster.post(&path("pods"), &account));
    let restricted = json!({
        "metadata": {"name": "fnlab-restricted", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    cluster.post("/api/v1/namespaces", &restricted).object();
    let there = "/api/v1/namespaces/fnlab-restricted/pods";
    refused("pod-security", &cluster.post(there, &pod("psa", "true")));
    let least = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    cluster.post(there, &with(pod("psa-ok", "true"), "/spec/containers/0/securityContext", least)).object();
    terminating_namespace(&cluster);
    quotas(&cluster);
}

fn terminating_namespace(cluster: &Cluster) {
    cluster.post("/api/v1/namespaces", &json!({"metadata": {"name": "fnlab-term"}})).object();
    let there = "/api/v1/namespaces/fnlab-term";
    let held = with(unschedulable("held"), "/metadata/finalizers", json!(["lambda.example.com/x"]));
    cluster.post(&format!("{there}/pods"), &held).object();
    cluster.delete(there).object();
    let late = cluster.post(&format!("{there}/pods"), &pod("late", "true"));
    recorded::same("03-errors/403-namespace-terminating.json", 403, &late);
    cluster.wait_for(&format!("{there}/pods/held"), "its end", |pod| {
        !pod["metadata"]["deletionTimestamp"].is_null()
    });
    cluster.merge(&format!("{there}/pods/held"), &json!({"metadata": {"finalizers": null}})).object();
    cluster.wait_for_absence(there);
}

fn quotas(cluster: &Cluster) {
    cluster.post("/api/v1/namespaces", &json!({"metadata": {"name": "fnlab-quota"}})).object();
    let there = "/api/v1/namespaces/fnlab-quota";
    let quota = |hard: Value| json!({"metadata": {"name": "cap"}, "spec": {"hard": hard}});
    let pods = format!("{there}/pods");
    let refused = |name: &str, pod: &Value| {
        recorded::same(&format!("03-errors/403-quota-{name}.json"), 403, &cluster.post(&pods, pod));
    };
    cluster.post(&format!("{there}/resourcequotas"), &quota(json!({"limits.memory": "128Mi"}))).object();
    refused("must-specify", &with(pod("q0", "true"), "/spec/containers/0/resources", json!({})));
    let limit = json!({"limits": {"memory": "512Mi"}});
    refused("memory", &with(pod("q1", "true"), "/spec/containers/0/resources", limit));
    cluster.merge(&format!("{there}/resourcequotas/cap"), &json!({"spec": {"hard": null}})).object();
    cluster.merge(&format!("{there}/resourcequotas/cap"), &json!({"spec": {"hard": {"pods": "1"}}})).object();
    cluster.post(&pods, &pod("done", "true")).object();
    cluster.wait_for(&format!("{pods}/done"), "its end", |pod| pod["status"]["phase"] == "Succeeded");
    let stubborn = pod("qt1", "trap '' TERM; while true; do sleep 0.05; done");
    cluster.post(&pods, &with(stubborn, "/spec/terminationGracePeriodSeconds", json!(30))).object();
    cluster.wait_for(&format!("{pods}/qt1"), "it to run", |pod| pod["status"]["phase"] == "Running");
    refused("pods", &pod("q3", "true"));
    cluster.delete(&format!("{pods}/qt1")).object();
    let counted = cluster.post(&pods, &pod("qt2", "true"));
    recorded::same("03-errors/403-quota-terminating-counts.json", 403, &counted);
}

#[test]
fn fact_37_some_bodies_are_no_status() {
    let cluster = Cluster::start();
    let nowhere = cluster.get("/apis/lambda.example.com/v1/functions");
    assert_eq!((nowhere.status, nowhere.body.as_slice()), (404, &b"404 page not found\n"[..]));
    recorded::same("03-errors/404-unknown-path.json", 404, &nowhere);
    cluster.fault(&json!({"kind": "tooManyRequests", "count": 1}));
    let busy = cluster.get(&path("pods"));
    assert_eq!(busy.header("retry-after"), Some("1"));
    recorded::same("03-errors/429-priority-and-fairness.json", 429, &busy);
    assert_eq!(cluster.get(&path("pods")).status, 200);
    let stranger = Call { method: "GET", path: &path("pods"), token: Some("nobody"), ..Call::default() };
    let unknown = cluster.call(&stranger);
    assert_eq!(unknown.json().get("details"), None);
    recorded::same("03-errors/401-bad-token.json", 401, &unknown);
}

#[test]
fn fact_38_unknown_fields_and_bad_values() {
    let cluster = Cluster::start();
    let unknown = |name: &str| {
        let pod = with(pod(name, "true"), "/spec/bogus", json!(1));
        with(pod, "/spec/containers/0/imagepullpolicy", json!("Always"))
    };
    let warned = cluster.post(&path("pods"), &unknown("warned"));
    let warnings: Vec<_> =
        warned.headers.iter().filter(|(name, _)| name == "warning").map(|(_, it)| it).collect();
    assert!(warnings.contains(&&"299 - \"unknown field \\\"spec.bogus\\\"\"".to_owned()), "{warnings:?}");
    assert_eq!((warnings.len(), warned.object()["spec"].get("bogus")), (2, None));
    let strict = cluster.post(&path("pods?fieldValidation=Strict"), &unknown("strict-x"));
    assert_eq!((strict.status, strict.json()["reason"].as_str()), (400, Some("BadRequest")));
    let dry = cluster.post(&path("pods?dryRun=All"), &pod("feat-dry", "true"));
    assert_eq!((dry.status, &dry.json()["metadata"]["resourceVersion"]), (201, &Value::Null));
    assert_eq!(cluster.get(&path("pods/feat-dry")).status, 404);
    let bad = |pointer: &str, value: Value| with(pod("bad-x", "true"), pointer, value);
    let first = "/spec/containers/0";
    for (recording, status, pod) in [
        (
            "400-memory-quantity",
            400,
            bad(&format!("{first}/resources"), json!({"limits": {"memory": "128 MB"}})),
        ),
        ("400-namespace-mismatch", 400, bad("/metadata/namespace", json!("other"))),
        ("400-wrong-kind", 400, bad("/kind", json!("Pdo"))),
        ("422-env-name", 422, bad(&format!("{first}/env"), json!([{"name": "1BAD NAME=", "value": "x"}]))),
        ("422-label-key", 422, bad("/metadata/labels/bad key!", json!("x"))),
        ("422-label-value", 422, bad("/metadata/labels/fn", json!("my function!"))),
        ("422-memory-negative", 422, bad(&format!("{first}/resources/limits"), json!({"memory": "-1"}))),
        ("422-no-containers", 422, bad("/spec/containers", json!([]))),
        ("422-pod-name", 422, bad("/metadata/name", json!("Bad_Name"))),
        ("422-pod-name-too-long", 422, bad("/metadata/name", json!("a".repeat(254)))),
        ("422-request-over-limit", 422, bad(&format!("{first}/resources"), over_limit())),
        ("422-restart-policy", 422, bad("/spec/restartPolicy", json!("Sometimes"))),
        (
            "422-volume-mount",
            422,
            bad(&format!("{first}/volumeMounts"), json!([{"name": "nope", "mountPath": "/x"}])),
        ),
    ] {
        recorded::same(&format!("03-errors/{recording}.json"), status, &cluster.post(&path("pods"), &pod));
    }
    let broken = Call {
        method: "POST",
        path: &path("pods"),
        body: b"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",".to_vec(),
        ..Call::default()
    };
    recorded::same("03-errors/400-malformed-json.json", 400, &cluster.call(&broken));
    for (query, recording, status) in [
        ("pods?limit=abc", "400-limit", 400),
        ("pods?labelSelector=a%20b%20c", "400-label-selector", 400),
        ("pods?resourceVersionMatch=Exact", "422-resourceversionmatch-without-resourceversion", 422),
        ("pods/gone", "404-get-pod", 404),
        ("podz", "404-unknown-resource", 404),
    ] {
        recorded::same(&format!("03-errors/{recording}.json"), status, &cluster.get(&path(query)));
    }
    let html = Call { method: "GET", path: &path("pods"), accept: "text/html", ..Call::default() };
    recorded::same("03-errors/406-accept.json", 406, &cluster.call(&html));
    recorded::same("03-errors/405-method.json", 405, &cluster.post(&path("pods/gone"), &pod("gone", "true")));
}

fn over_limit() -> Value {
    json!({"requests": {"memory": "256Mi"}, "limits": {"memory": "128Mi"}})
}
