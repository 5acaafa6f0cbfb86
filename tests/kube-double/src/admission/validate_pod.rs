//! What is wrong with a pod, or with a change of one.

use serde_json::Value;

use super::{Quantity, defaults, validate_parts as parts};
use crate::failure::Cause;

const VARIABLE: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
/// What may change in the spec of a pod that is there.
const MAY_CHANGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
     tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";
const QOS_FORBIDDEN: &str = "Pod QOS Class may not change as a result of resizing";

pub(super) fn causes(pod: &Value) -> Vec<Cause> {
    let spec = &pod["spec"];
    let mut causes = Vec::new();
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::required("spec.containers", ""));
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or("");
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        let known = ["Always", "OnFailure", "Never"];
        causes.push(Cause::unsupported("spec.restartPolicy", policy, &known));
    }
    let mut names: Vec<&str> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("spec.{list}[{at}]");
            causes.extend(container_causes(container, &path, spec));
            let name = container["name"].as_str().unwrap_or("");
            if names.contains(&name) {
                let message = format!("Duplicate value: {name:?}");
                causes.push(Cause { reason: "FieldValueDuplicate", message, field: format!("{path}.name") });
            }
            names.push(name);
        }
    }
    causes.extend(parts::volumes(spec));
    causes.extend(parts::users(&spec["securityContext"], "spec.securityContext"));
    causes.extend(parts::tolerations(spec));
    causes.extend(parts::affinity(spec));
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|it| it < 0) {
        let value = spec["terminationGracePeriodSeconds"].to_string();
        causes.push(Cause::invalid(
            "spec.terminationGracePeriodSeconds",
            &value,
            "must be greater than or equal to 0",
        ));
    }
    if spec["activeDeadlineSeconds"].as_i64().is_some_and(|it| it < 1) {
        let value = spec["activeDeadlineSeconds"].to_string();
        let why = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid("spec.activeDeadlineSeconds", &value, why));
    }
    causes
}

fn container_causes(container: &Value, path: &str, spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(parts::label(format!("{path}.name"), container["name"].as_str().unwrap_or("")));
    match container["image"].as_str().unwrap_or("") {
        "" => causes.push(Cause::required(format!("{path}.image"), "")),
        image if image.trim() != image => {
            let why = "must not have leading or trailing whitespace";
            causes.push(Cause::invalid(format!("{path}.image"), &format!("{image:?}"), why));
        }
        _ => {}
    }
    causes.extend(parts::ports(container, path));
    causes.extend(parts::variables(container, path));
    causes.extend(parts::mounts(container, path));
    causes.extend(parts::probes(container, path));
    causes.extend(parts::users(&container["securityContext"], &format!("{path}.securityContext")));
    for (at, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        let name = variable["name"].as_str().unwrap_or("");
        let is_fit = |c: u8| (0x20..0x7f).contains(&c) && c != b'=';
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.env[{at}].name"), ""));
        } else if !name.bytes().all(is_fit) {
            causes.push(Cause::invalid(format!("{path}.env[{at}].name"), &format!("{name:?}"), VARIABLE));
        }
    }
    for (at, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let wanted = &mount["name"];
        if !spec["volumes"].as_array().is_some_and(|it| it.iter().any(|volume| volume["name"] == *wanted)) {
            let name = wanted.as_str().unwrap_or("");
            causes.push(Cause::not_found(format!("{path}.volumeMounts[{at}].name"), name));
        }
    }
    causes.extend(resource_causes(container, path));
    for policy in container["resizePolicy"].as_array().into_iter().flatten() {
        if policy["restartPolicy"] == "RestartContainer" && spec["restartPolicy"] == "Never" {
            let why = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            causes.push(Cause::invalid(format!("{path}.resizePolicy"), "\"RestartContainer\"", why));
        }
    }
    causes
}

fn resource_causes(container: &Value, path: &str) -> Vec<Cause> {
    let resources = &container["resources"];
    let mut causes = Vec::new();
    for kind in ["limits", "requests"] {
        for (name, amount) in resources[kind].as_object().into_iter().flatten() {
            if Quantity::of(amount).is_some_and(Quantity::is_negative) {
                let field = format!("{path}.resources.{kind}[{name}]");
                let why = "must be greater than or equal to 0";
                causes.push(Cause::invalid(field, &amount.to_string(), why));
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        if let (Some(asked), Some(most)) = (Quantity::of(request), Quantity::of(limit))
            && asked > most
        {
            let why =
                format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or(""));
            causes.push(Cause::invalid(format!("{path}.resources.requests"), &request.to_string(), &why));
        }
    }
    causes
}

/// What a change of the object itself may not touch. `status` is not looked at.
pub(super) fn immutable_spec(before: &Value, after: &Value) -> Vec<Cause> {
    let (old, new) = (without_mutable(&before["spec"]), without_mutable(&after["spec"]));
    if old == new { Vec::new() } else { vec![Cause::forbidden("spec", MAY_CHANGE)] }
}

fn without_mutable(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
            spec.remove(field);
        }
        for (_, list) in
            spec.iter_mut().filter(|(name, _)| matches!(name.as_str(), "containers" | "initContainers"))
        {
            for container in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                container.remove("image");
            }
        }
    }
    spec
}

/// What a change of resources may not do.
pub(super) fn resize_causes(before: &Value, after: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let lists = |pod: &Value| pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    for (at, new) in lists(after).iter().enumerate() {
        causes.extend(resource_causes(new, &format!("spec.containers[{at}]")));
    }
    let class = defaults::qos(before);
    if class != defaults::qos(after) {
        causes.push(Cause::invalid("spec", &format!("{class:?}"), QOS_FORBIDDEN));
    }
    for (at, (old, new)) in lists(before).iter().zip(&lists(after)).enumerate() {
        let limit = |container: &Value| Quantity::of(&container["resources"]["limits"]["memory"]);
        let mut policies = new["resizePolicy"].as_array().into_iter().flatten();
        let restarts =
            policies.any(|it| it["resourceName"] == "memory" && it["restartPolicy"] == "RestartContainer");
        if limit(new) < limit(old) && !restarts {
            let why = "memory limits cannot be decreased unless resizePolicy is RestartContainer";
            causes.push(Cause::forbidden(format!("spec.containers[{at}].resources.limits[memory]"), why));
        }
    }
    causes
}

pub(super) fn warnings(pod: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in pod["spec"][list].as_array().into_iter().flatten().enumerate() {
            let mut seen: Vec<&str> = Vec::new();
            for (place, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
                let name = variable["name"].as_str().unwrap_or("");
                if seen.contains(&name) {
                    warnings.push(format!(
                        "spec.{list}[{at}].env[{place}]: hides previous definition of {name:?}, which may be dropped \
                         when using apply"
                    ));
                }
                seen.push(name);
            }
        }
    }
    warnings
}
