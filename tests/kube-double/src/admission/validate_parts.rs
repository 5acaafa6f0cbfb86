//! What is wrong with the parts of a pod that containers share: volumes, ports, probes, tolerations, affinities, users.

use serde_json::Value;

use super::Quantity;
use super::validate::{is_dns_label, is_qualified_name};
use crate::failure::Cause;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
     and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const PROBES: [&str; 3] = ["readinessProbe", "livenessProbe", "startupProbe"];
const HANDLERS: [&str; 4] = ["httpGet", "tcpSocket", "exec", "grpc"];

fn list<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    object[name].as_array().into_iter().flatten().enumerate()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or("")
}

fn duplicate(field: String, value: &str) -> Cause {
    Cause { reason: "FieldValueDuplicate", message: format!("Duplicate value: {value:?}"), field }
}

pub(super) fn label(field: String, name: &str) -> Option<Cause> {
    match name {
        "" => Some(Cause::required(field, "")),
        name if name.len() > 63 => {
            Some(Cause::invalid(field, &format!("{name:?}"), "must be no more than 63 characters"))
        }
        name if !is_dns_label(name) => Some(Cause::invalid(field, &format!("{name:?}"), LABEL)),
        _ => None,
    }
}

pub(super) fn volumes(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for (at, volume) in list(spec, "volumes") {
        let path = format!("spec.volumes[{at}]");
        let name = text(volume, "name");
        causes.extend(label(format!("{path}.name"), name));
        if names.contains(&name) {
            causes.push(duplicate(format!("{path}.name"), name));
        }
        names.push(name);
        let kinds: Vec<&str> = volume
            .as_object()
            .into_iter()
            .flatten()
            .map(|(kind, _)| kind.as_str())
            .filter(|it| *it != "name")
            .collect();
        if let [_, second, ..] = kinds[..] {
            causes.push(Cause::forbidden(
                format!("{path}.{second}"),
                "may not specify more than 1 volume type",
            ));
        }
        for (kind, field) in [("secret", "secretName"), ("configMap", "name")] {
            if volume[kind].is_object() && text(&volume[kind], field).is_empty() {
                causes.push(Cause::required(format!("{path}.{kind}.{field}"), ""));
            }
        }
        let limit = &volume["emptyDir"]["sizeLimit"];
        if Quantity::of(limit).is_some_and(Quantity::is_negative) {
            let why = "SizeLimit field must be a valid resource quantity";
            causes.push(Cause::forbidden(format!("{path}.emptyDir.sizeLimit"), why));
        }
    }
    causes
}

pub(super) fn mounts(container: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut targets: Vec<&str> = Vec::new();
    for (at, mount) in list(container, "volumeMounts") {
        let path = format!("{path}.volumeMounts[{at}]");
        let target = text(mount, "mountPath");
        if target.is_empty() {
            causes.push(Cause::required(format!("{path}.mountPath"), ""));
        } else if targets.contains(&target) {
            causes.push(Cause::invalid(
                format!("{path}.mountPath"),
                &format!("{target:?}"),
                "must be unique",
            ));
        }
        targets.push(target);
        let inner = text(mount, "subPath");
        if inner.starts_with('/') {
            let why = "must be a relative path";
            causes.push(Cause::invalid(format!("{path}.subPath"), &format!("{inner:?}"), why));
        } else if inner.split('/').any(|part| part == "..") {
            causes.push(Cause::invalid(
                format!("{path}.subPath"),
                &format!("{inner:?}"),
                "must not contain '..'",
            ));
        }
    }
    causes
}

pub(super) fn variables(container: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (at, variable) in list(container, "env") {
        if variable["valueFrom"].is_object() && !text(variable, "value").is_empty() {
            let why = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(format!("{path}.env[{at}].valueFrom"), "\"\"", why));
        }
    }
    causes
}

fn is_port(port: &Value) -> bool {
    port.as_u64().is_some_and(|it| (1..=65535).contains(&it))
}

pub(super) fn ports(container: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for (at, port) in list(container, "ports") {
        let path = format!("{path}.ports[{at}]");
        if !is_port(&port["containerPort"]) {
            let (value, why) = (port["containerPort"].to_string(), "must be between 1 and 65535, inclusive");
            causes.push(Cause::invalid(format!("{path}.containerPort"), &value, why));
        }
        let name = text(port, "name");
        if name.len() > 15 {
            let why = "must be no more than 15 characters";
            causes.push(Cause::invalid(format!("{path}.name"), &format!("{name:?}"), why));
        }
        if !name.is_empty() && names.contains(&name) {
            causes.push(duplicate(format!("{path}.name"), name));
        }
        names.push(name);
    }
    causes
}

pub(super) fn probes(container: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for kind in PROBES {
        let probe = &container[kind];
        if !probe.is_object() {
            continue;
        }
        let path = format!("{path}.{kind}");
        let handlers: Vec<&str> = HANDLERS.into_iter().filter(|it| probe[it].is_object()).collect();
        match handlers[..] {
            [] => causes.push(Cause::required(path.clone(), "must specify a handler type")),
            [_, second, ..] => {
                causes.push(Cause::forbidden(
                    format!("{path}.{second}"),
                    "may not specify more than 1 handler type",
                ));
            }
            [one] => {
                let port = &probe[one]["port"];
                if port.is_number() && !is_port(port) {
                    let why = "must be between 1 and 65535, inclusive";
                    causes.push(Cause::invalid(format!("{path}.{one}.port"), &port.to_string(), why));
                }
            }
        }
        if kind != "readinessProbe" && probe["successThreshold"].as_i64().is_some_and(|it| it > 1) {
            let value = probe["successThreshold"].to_string();
            causes.push(Cause::invalid(format!("{path}.successThreshold"), &value, "must be 1"));
        }
    }
    causes
}

pub(super) fn users(context: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        if context[field].as_i64().is_some_and(|it| it < 0) {
            let why = "must be between 0 and 2147483647, inclusive";
            causes.push(Cause::invalid(format!("{path}.{field}"), &context[field].to_string(), why));
        }
    }
    let profile = &context["seccompProfile"];
    let kind = text(profile, "type");
    if profile.is_object() && !matches!(kind, "RuntimeDefault" | "Localhost" | "Unconfined") {
        let known = ["Localhost", "RuntimeDefault", "Unconfined"];
        causes.push(Cause::unsupported(format!("{path}.seccompProfile.type"), kind, &known));
    }
    causes
}

pub(super) fn tolerations(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (at, toleration) in list(spec, "tolerations") {
        let path = format!("spec.tolerations[{at}]");
        let (operator, key) = (text(toleration, "operator"), text(toleration, "key"));
        if !matches!(operator, "" | "Equal" | "Exists") {
            causes.push(Cause::unsupported(format!("{path}.operator"), operator, &["Equal", "Exists"]));
        }
        if key.is_empty() && operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(Cause::invalid(format!("{path}.operator"), &format!("{operator:?}"), why));
        }
        if operator == "Exists" && !text(toleration, "value").is_empty() {
            let why = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(format!("{path}.operator"), &toleration["value"].to_string(), why));
        }
        if !key.is_empty() && !is_qualified_name(key) {
            causes.push(Cause::invalid(format!("{path}.key"), &format!("{key:?}"), "is no qualified name"));
        }
        let effect = text(toleration, "effect");
        if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            causes.push(Cause::unsupported(format!("{path}.effect"), effect, &known));
        }
    }
    causes
}

pub(super) fn affinity(spec: &Value) -> Vec<Cause> {
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    if !required.is_object() {
        return Vec::new();
    }
    if required["nodeSelectorTerms"].as_array().is_none_or(Vec::is_empty) {
        return vec![Cause::required(path, "must have at least one node selector term")];
    }
    let mut causes = Vec::new();
    for (at, term) in list(required, "nodeSelectorTerms") {
        for (place, expression) in list(term, "matchExpressions") {
            let path = format!("{path}[{at}].matchExpressions[{place}]");
            let (operator, key) = (text(expression, "operator"), text(expression, "key"));
            let count = expression["values"].as_array().map_or(0, Vec::len);
            match operator {
                "In" | "NotIn" if count == 0 => {
                    let why = "must be specified when `operator` is 'In' or 'NotIn'";
                    causes.push(Cause::required(format!("{path}.values"), why));
                }
                "Exists" | "DoesNotExist" if count > 0 => {
                    let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    causes.push(Cause::forbidden(format!("{path}.values"), why));
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
                _ => {
                    let why = "not a valid selector operator";
                    causes.push(Cause::invalid(format!("{path}.operator"), &format!("{operator:?}"), why));
                }
            }
            if !is_qualified_name(key) {
                causes.push(Cause::invalid(
                    format!("{path}.key"),
                    &format!("{key:?}"),
                    "is no qualified name",
                ));
            }
        }
    }
    causes
}
