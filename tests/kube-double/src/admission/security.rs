//! `PodSecurity`: what the level of a namespace forbids. Of the levels, `restricted` is told in full; `baseline` looks at
//! what shares the host.

use serde_json::Value;

use crate::failure::Failure;
use crate::resource::PODS;

/// Volumes that the restricted level permits.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn check(level: &str, pod: &Value, name: &str) -> Result<(), Failure> {
    let violations = match level {
        "restricted" => [shared(pod), restricted(pod)].concat(),
        "baseline" => shared(pod),
        _ => Vec::new(),
    };
    if violations.is_empty() {
        return Ok(());
    }
    let why = format!("violates PodSecurity \"{level}:latest\": {}", violations.join(", "));
    Err(Failure::forbidden(&PODS, name, &why))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().filter_map(|it| pod["spec"][it].as_array()).flatten()
}

/// `container "a"` or `containers "a", "b"`, of those that do not hold to it.
fn offenders(pod: &Value, holds: impl Fn(&Value) -> bool) -> Option<String> {
    let names: Vec<String> =
        containers(pod).filter(|it| !holds(it)).map(|it| it["name"].to_string()).collect();
    match &names[..] {
        [] => None,
        [one] => Some(format!("container {one}")),
        many => Some(format!("containers {}", many.join(", "))),
    }
}

fn shared(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let spec = &pod["spec"];
    let namespaces: Vec<_> =
        ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|it| spec[it] == true).collect();
    if !namespaces.is_empty() {
        found.push(format!(
            "host namespaces ({})",
            namespaces.iter().map(|it| format!("{it}=true")).collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(who) = offenders(pod, |it| it["securityContext"]["privileged"] != true) {
        found.push(format!("privileged ({who} must not set securityContext.privileged=true)"));
    }
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    for volume in volumes.filter(|it| it["hostPath"].is_object()) {
        found.push(format!("hostPath volumes (volume {})", volume["name"]));
    }
    found
}

fn restricted(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let of_pod = &pod["spec"]["securityContext"];
    if let Some(who) = offenders(pod, |it| it["securityContext"]["allowPrivilegeEscalation"] == false) {
        found.push(format!(
            "allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"
        ));
    }
    if let Some(who) = offenders(pod, drops_all) {
        found.push(format!(
            "unrestricted capabilities ({who} must set securityContext.capabilities.drop=[\"ALL\"])"
        ));
    }
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flatten().map(|(kind, _)| kind.as_str());
        if let Some(kind) = kinds.filter(|kind| *kind != "name").find(|kind| !VOLUMES.contains(kind)) {
            found.push(format!(
                "restricted volume types (volume {} uses restricted volume type {kind:?})",
                volume["name"]
            ));
        }
    }
    let runs_as_other = |it: &Value| {
        let own = &it["securityContext"]["runAsNonRoot"];
        *own == true || (own.is_null() && of_pod["runAsNonRoot"] == true)
    };
    if let Some(who) = offenders(pod, runs_as_other) {
        found.push(format!("runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)"));
    }
    if of_pod["runAsUser"] == 0 {
        found.push("runAsUser=0 (pod must not set runAsUser=0)".to_owned());
    }
    if let Some(who) = offenders(pod, |it| it["securityContext"]["runAsUser"] != 0) {
        found.push(format!("runAsUser=0 ({who} must not set runAsUser=0)"));
    }
    let is_confined = |context: &Value| {
        matches!(context["seccompProfile"]["type"].as_str(), Some("RuntimeDefault" | "Localhost"))
    };
    let confines = |it: &Value| {
        let own = &it["securityContext"];
        is_confined(own) || (own["seccompProfile"].is_null() && is_confined(of_pod))
    };
    if let Some(who) = offenders(pod, confines) {
        found.push(format!(
            "seccompProfile (pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \
             \"Localhost\")"
        ));
    }
    found
}

fn drops_all(container: &Value) -> bool {
    let capabilities = &container["securityContext"]["capabilities"];
    let drops = capabilities["drop"].as_array().is_some_and(|it| it.iter().any(|it| it == "ALL"));
    let adds = capabilities["add"].as_array().into_iter().flatten();
    drops && adds.into_iter().all(|it| it == "NET_BIND_SERVICE")
}
