//! More exchanges as they were recorded, and parts of pods that the API does not take by its published rules.

use serde_json::{Value, json};

use crate::cluster::{Answer, Call, Cluster, path, pod, unschedulable, willing, with};
use crate::recorded;

/// A place in a pod, what is wrong there, and the field and the reason that the API names.
fn wrong_parts() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let term = |expression: Value| {
        let terms = json!([{"matchExpressions": [expression]}]);
        let required = json!({"nodeSelectorTerms": terms});
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})
    };
    vec![
        ("/spec/volumes", json!([{"name": "A"}]), "spec.volumes[0].name", "Invalid"),
        ("/spec/volumes", json!([{"name": "a"}, {"name": "a"}]), "spec.volumes[1].name", "Duplicate"),
        (
            "/spec/volumes",
            json!([{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}]),
            "spec.volumes[0].secret",
            "Forbidden",
        ),
        (
            "/spec/volumes",
            json!([{"name": "a", "secret": {}}]),
            "spec.volumes[0].secret.secretName",
            "Required",
        ),
        ("/spec/tolerations", json!([{"operator": "Is"}]), "spec.tolerations[0].operator", "NotSupported"),
        ("/spec/tolerations", json!([{"operator": "Equal"}]), "spec.tolerations[0].operator", "Invalid"),
        (
            "/spec/tolerations",
            json!([{"key": "a", "effect": "No"}]),
            "spec.tolerations[0].effect",
            "NotSupported",
        ),
        ("/spec/securityContext", json!({"runAsUser": -1}), "spec.securityContext.runAsUser", "Invalid"),
        ("/spec/activeDeadlineSeconds", json!(0), "spec.activeDeadlineSeconds", "Invalid"),
        ("/spec/terminationGracePeriodSeconds", json!(-1), "spec.terminationGracePeriodSeconds", "Invalid"),
        (
            "/spec/affinity",
            term(json!({"key": "kubernetes.io/arch", "operator": "In"})),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]\
             .matchExpressions[0].values",
            "Required",
        ),
        ("/spec/containers/0/name", json!("Fn"), "spec.containers[0].name", "Invalid"),
        ("/spec/containers/0/image", json!(" a"), "spec.containers[0].image", "Invalid"),
        (
            "/spec/containers/0/ports",
            json!([{"containerPort": 0}]),
            "spec.containers[0].ports[0].containerPort",
            "Invalid",
        ),
        (
            "/spec/containers/0/readinessProbe",
            json!({"periodSeconds": 1}),
            "spec.containers[0].readinessProbe",
            "Required",
        ),
        (
            "/spec/containers/0/livenessProbe",
            json!({"tcpSocket": {"port": 70_000}}),
            "spec.containers[0].livenessProbe.tcpSocket.port",
            "Invalid",
        ),
        ("/metadata/annotations", json!({"bad key!": ""}), "metadata.annotations", "Invalid"),
    ]
}

#[test]
fn parts_of_a_pod_that_are_wrong_are_named() {
    let cluster = Cluster::start();
    for (pointer, value, field, reason) in wrong_parts() {
        let answer = cluster.post(&path("pods"), &with(pod("bad-x", "true"), pointer, value));
        let cause = &answer.json()["details"]["causes"][0];
        let told = (cause["field"].as_str().unwrap_or(""), cause["reason"].as_str().unwrap_or(""));
        assert_eq!(told, (field, &*format!("FieldValue{reason}")), "{}", answer.json());
    }
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"a b": ""}});
    let refused = cluster.post(&path("secrets"), &secret);
    assert_eq!(
        (refused.status, &refused.json()["details"]["causes"][0]["field"]),
        (422, &json!("data[a b]"))
    );
}

#[test]
fn classes_that_a_pod_names_must_be_there() {
    let cluster = Cluster::start();
    let of_class =
        |field: &str, class: &str| with(unschedulable("a"), &format!("/spec/{field}"), json!(class));
    for field in ["priorityClassName", "runtimeClassName"] {
        let refused = cluster.post(&path("pods"), &of_class(field, "nope"));
        assert_eq!((refused.status, &refused.json()["reason"]), (403, &json!("Forbidden")), "{field}");
    }
    let made = cluster.make("pods", &of_class("priorityClassName", "system-node-critical"));
    assert_eq!(made["spec"]["priority"], 2_000_001_000);
}

#[test]
fn what_is_not_there_or_not_so_is_refused_as_recorded() {
    let cluster = Cluster::start();
    let check = |name: &str, status: u16, answer: &Answer| {
        recorded::same(&format!("03-errors/{name}.json"), status, answer);
    };
    check("404-delete-pod", 404, &cluster.delete(&path("pods/gone")));
    check("404-secret", 404, &cluster.delete(&path("secrets/gone")));
    check(
        "404-patch-pod",
        404,
        &cluster.merge(&path("pods/gone"), &json!({"metadata": {"labels": {"a": "b"}}})),
    );
    let nowhere = cluster.post("/api/v1/namespaces/no-such-ns/pods", &pod("x", "true"));
    check("404-create-in-missing-namespace", 404, &nowhere);
    let body = pod("bad-x", "true").to_string().into();
    let plain =
        Call { method: "POST", path: &path("pods"), content_type: "text/plain", body, ..Call::default() };
    check("415-post-content-type", 415, &cluster.call(&plain));
    cluster.make("pods", &with(unschedulable("err-a"), "/metadata/labels", json!({"pool": "cold"})));
    check("409-already-exists", 409, &cluster.post(&path("pods"), &pod("err-a", "true")));
    let stale = json!({"metadata": {"resourceVersion": "1", "labels": {"claimed-by": "b"}}});
    check("409-conflict-merge-patch-resourceversion", 409, &cluster.merge(&path("pods/err-a"), &stale));
    let test = json!([{"op": "test", "path": "/metadata/labels/pool", "value": "warm"}]);
    check("422-json-patch-test-failed", 422, &cluster.patch("json", &path("pods/err-a"), &test));
    let version = json!({"preconditions": {"resourceVersion": "1"}});
    let refused = cluster.delete_with(&path("pods/err-a"), &version);
    assert_eq!((refused.status, &refused.json()["details"]["kind"]), (409, &json!("Pod")));
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    let never = with(pod("rsz3", "true"), "/spec/containers/0/resizePolicy", policy);
    check("422-resize-policy-never", 422, &cluster.post(&path("pods"), &never));
    cluster.account("norights", &json!([]));
    let brief = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 60}});
    check("422-token-too-short", 422, &cluster.post(&path("serviceaccounts/norights/token"), &brief));
}

#[test]
fn what_is_made_is_answered_as_recorded() {
    let cluster = Cluster::start();
    let check = |name: &str, answer: &Answer| {
        recorded::same(&format!("04-features/{name}.json"), 201, answer);
    };
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "feat-cm"},
        "data": {"index.py": "def handler(e, c): return e\n"}, "binaryData": {"b.bin": "AAECAw=="},
    });
    check("configmap-create", &cluster.post(&path("configmaps"), &map));
    let untyped = json!({
        "metadata": {"name": "bad-x"}, "spec": {"containers": [{"name": "c", "image": "lab.local/busybox:1"}]},
    });
    check("post-without-kind", &cluster.post(&path("pods"), &untyped));
    check("dry-run", &cluster.post(&path("pods?dryRun=All"), &pod("feat-dry", "true")));
    let named = |answer: Answer| {
        let name = answer.json()["metadata"]["name"].as_str().unwrap().to_owned();
        assert_eq!(name.len(), "fn-hello-".len() + 5, "{name}");
        assert!(name.starts_with("fn-hello-"), "{name}");
    };
    let mut prefixed = unschedulable("x");
    prefixed["metadata"] = json!({"generateName": "fn-hello-"});
    named(cluster.post(&path("pods"), &prefixed));
    let twice = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let warned = cluster.post(&path("pods"), &with(pod("dup-x", "true"), "/spec/containers/0/env", twice));
    let warning = "299 - \"spec.containers[0].env[1]: hides previous definition of \\\"A\\\", which may be dropped when \
                   using apply\"";
    assert_eq!(warned.header("warning"), Some(warning));
    check("warning-header", &warned);
    check("secret-immutable-create", &{
        let secret = json!({"metadata": {"name": "feat-imm"}, "immutable": true, "stringData": {"A": "1"}});
        cluster.post(&path("secrets"), &secret)
    });
}

#[test]
fn reviews_answer_as_recorded() {
    let cluster = Cluster::start();
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    let token = cluster.account("norights", &rules);
    let review = |attributes: Value| {
        let body = json!({"spec": {"resourceAttributes": attributes}}).to_string().into();
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        cluster.call(&Call { method: "POST", path, body, token: Some(&token), ..Call::default() })
    };
    let may =
        |verb: &str| review(json!({"namespace": "fnlab", "verb": verb, "group": "", "resource": "pods"}));
    let allowed = may("list");
    assert_eq!(
        allowed.json()["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by RoleBinding \"lister/fnlab\" of Role \"lister\" to \
               ServiceAccount \"norights/fnlab\""})
    );
    recorded::same("04-features/ssar-allowed.json", 201, &allowed);
    recorded::same("04-features/ssar-denied.json", 201, &may("create"));
    let log =
        json!({"namespace": "fnlab", "verb": "get", "group": "", "resource": "pods", "subresource": "log"});
    recorded::same("04-features/ssar-subresource.json", 201, &review(log));
    let create = Call {
        method: "POST",
        path: &path("pods"),
        token: Some(&token),
        body: b"{}".to_vec(),
        ..Call::default()
    };
    recorded::same("03-errors/403-rbac-create.json", 403, &cluster.call(&create));
    let list = Call { method: "GET", path: &path("pods"), token: Some(&token), ..Call::default() };
    assert_eq!(cluster.call(&list).status, 200);
}

#[test]
fn metadata_alone_is_answered_as_recorded() {
    let cluster = Cluster::start();
    for number in 0..5 {
        cluster.make(
            "pods",
            &with(unschedulable(&format!("page-{number}")), "/metadata/labels", json!({"set": "paging"})),
        );
    }
    let partial = |path: &str, kind: &str| {
        let accept = format!("application/json;as={kind};g=meta.k8s.io;v=v1");
        cluster.call(&Call { method: "GET", path, accept: &accept, ..Call::default() })
    };
    let one = partial(&path("pods/page-0"), "PartialObjectMetadata");
    recorded::same("05-watch-list/get-metadata-only.json", 200, &one);
    let list = partial(&path("pods?limit=1"), "PartialObjectMetadataList");
    assert_eq!(list.json()["items"][0]["kind"], "PartialObjectMetadata");
    recorded::same("05-watch-list/list-metadata-only.json", 200, &list);
    for health in ["livez", "readyz"] {
        let call = Call { method: "GET", path: &format!("/{health}"), token: Some(""), ..Call::default() };
        recorded::same(&format!("04-features/{health}.json"), 200, &cluster.call(&call));
    }
    assert_eq!(cluster.get("/version").object()["gitVersion"], "v1.33.13");
    cluster.make("pods", &willing("later"));
}
