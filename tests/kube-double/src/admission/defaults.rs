//! What the API adds to objects that leave it out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Letters of generated names: none that make words, or that look alike.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

pub(crate) fn random_suffix() -> String {
    let mut bytes = [0; 5];
    // A name that is not random is merely likelier to be taken.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// Fills in a pod as a server of 1.33 does.
pub(super) fn complete_pod(pod: &mut Value) {
    pod["metadata"]["generation"] = json!(1);
    pod["status"] = json!({"phase": "Pending", "qosClass": qos(pod)});
    let spec = &mut pod["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("serviceAccountName", json!("default")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
        ("priority", json!(0)),
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
    ] {
        default(spec, field, value);
    }
    spec["serviceAccount"] = spec["serviceAccountName"].clone();
    tolerate_lost_nodes(spec);
    for container in containers(spec) {
        complete_container(container);
    }
    for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
        complete_volume(volume);
    }
    drop_nulls(spec);
}

fn default(object: &mut Value, field: &str, value: Value) {
    if object[field].is_null() {
        object[field] = value;
    }
}

fn containers(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let spec = spec.as_object_mut().into_iter().flatten();
    let lists = spec.filter(|(name, _)| matches!(name.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

fn tolerate_lost_nodes(spec: &mut Value) {
    if !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    let Some(tolerations) = spec["tolerations"].as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covers = |it: &Value| {
            (it["key"] == key || it["key"].is_null())
                && (it["effect"] == "NoExecute" || it["effect"].is_null())
        };
        if !tolerations.iter().any(covers) {
            tolerations.push(
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
            );
        }
    }
}

fn complete_container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or("");
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    let is_floating = matches!(tag, None | Some("latest")) && !image.contains('@');
    default(container, "resources", json!({}));
    default(container, "terminationMessagePath", json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "imagePullPolicy", json!(if is_floating { "Always" } else { "IfNotPresent" }));
    request_what_is_limited(&mut container["resources"]);
    for port in container["ports"].as_array_mut().into_iter().flatten() {
        default(port, "protocol", json!("TCP"));
    }
    for variable in container["env"].as_array_mut().into_iter().flatten() {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
            reference.entry("apiVersion").or_insert_with(|| json!("v1"));
        }
    }
    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
        if container[probe].is_object() {
            complete_probe(&mut container[probe]);
        }
    }
    drop_nulls(container);
}

/// A limit is also the request of who asks for nothing.
fn request_what_is_limited(resources: &mut Value) {
    let limits = resources["limits"].as_object().cloned().unwrap_or_default();
    for (name, limit) in limits {
        default(&mut resources["requests"], &name, limit);
    }
    drop_nulls(resources);
}

fn complete_probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        default(probe, field, json!(value));
    }
    if probe["httpGet"].is_object() {
        default(&mut probe["httpGet"], "path", json!("/"));
        default(&mut probe["httpGet"], "scheme", json!("HTTP"));
    }
    drop_nulls(probe);
}

fn complete_volume(volume: &mut Value) {
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if volume[kind].is_object() {
            default(&mut volume[kind], "defaultMode", json!(420));
            for item in volume[kind]["items"].as_array_mut().into_iter().flatten() {
                if let Some(reference) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
                    reference.entry("apiVersion").or_insert_with(|| json!("v1"));
                }
            }
            drop_nulls(&mut volume[kind]);
        }
    }
    // No source at all is an empty folder.
    if volume.as_object().is_some_and(|it| it.len() == 1) {
        volume["emptyDir"] = json!({});
    }
    drop_nulls(volume);
}

/// Looking at a field that is not there leaves a null behind.
fn drop_nulls(object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
}

/// Guaranteed if every container's requests are its limits, for both resources; best effort if nobody asks anything.
pub(super) fn qos(pod: &Value) -> &'static str {
    let spec = &pod["spec"];
    let lists = ["initContainers", "containers"];
    let all: Vec<&Value> = lists.iter().filter_map(|it| spec[it].as_array()).flatten().collect();
    let amount =
        |container: &Value, kind: &str, name: &str| super::Quantity::of(&container["resources"][kind][name]);
    let asks = |container: &&Value, name: &str| {
        amount(container, "limits", name).is_some() || amount(container, "requests", name).is_some()
    };
    let is_guaranteed = |container: &&Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(container, "limits", name);
            limit.is_some()
                && amount(container, "requests", name).is_none_or(|request| Some(request) == limit)
        })
    };
    if !all.iter().any(|it| asks(it, "cpu") || asks(it, "memory")) {
        "BestEffort"
    } else if all.iter().all(is_guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Tokens are mounted into every container unless the pod says no.
pub(super) fn mount_account(pod: &mut Value) {
    const AT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let spec = &mut pod["spec"];
    if spec["automountServiceAccountToken"] == false {
        return;
    }
    let has_mount = |container: &Value| {
        container["volumeMounts"].as_array().is_some_and(|it| it.iter().any(|it| it["mountPath"] == AT))
    };
    let name = format!("kube-api-access-{}", random_suffix());
    let mut is_used = false;
    for container in containers(spec).filter(|container| !has_mount(container)) {
        push(&mut container["volumeMounts"], json!({"name": name, "readOnly": true, "mountPath": AT}));
        is_used = true;
    }
    if is_used {
        push(
            &mut spec["volumes"],
            json!({"name": name, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ]}}),
        );
    }
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => *list = json!([item]),
    }
}

/// Texts become data; the kind of a secret has a default.
pub(super) fn complete_secret(secret: &mut Value) {
    let Some(object) = secret.as_object_mut() else { return };
    let texts = object.remove("stringData").unwrap_or_default();
    for (name, text) in texts.as_object().into_iter().flatten() {
        let data = object.entry("data").or_insert_with(|| json!({}));
        data[name] = json!(BASE64_STANDARD.encode(text.as_str().unwrap_or("")));
    }
    object.entry("type").or_insert_with(|| json!("Opaque"));
}
