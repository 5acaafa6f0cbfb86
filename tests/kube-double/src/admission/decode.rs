//! From the bytes of a request to an object of a kind: typed by the same definitions that clients use, so that a field
//! that they do not know is found out.

use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core, networking::v1 as networking,
    node::v1 as node, policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Quantity;
use crate::failure::Failure;
use crate::resource::Resource;

/// What became of a body.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) object: Value,
    /// Paths of fields that the kind does not have. They are not in the object.
    pub(crate) unknown: Vec<String>,
}

/// Reads a body as an object of this kind.
pub(crate) fn object(resource: &Resource, body: &[u8]) -> Result<Decoded, Failure> {
    let value: Value = serde_json::from_slice(body).map_err(|_| unreadable(resource, body))?;
    let kind = value["kind"].as_str().unwrap_or(resource.kind).to_owned();
    if kind != resource.kind {
        let why = format!(
            "no kind {kind:?} is registered for version {:?} in scheme \"pkg/runtime/scheme.go:110\"",
            resource.api_version()
        );
        return Err(Failure::undecodable(resource, &kind, &why));
    }
    typed(resource, value)
}

/// The same for what a patch or an update makes of an object.
pub(crate) fn typed(resource: &Resource, mut value: Value) -> Result<Decoded, Failure> {
    let refuse = |why: &str| Err(Failure::undecodable(resource, resource.kind, why));
    if let Some(why) = unfit_value(resource, &value) {
        return refuse(&why);
    }
    value["kind"] = json!(resource.kind);
    value["apiVersion"] = json!(resource.api_version());
    // The definitions have it, and every server writes it as null in a body without one.
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.retain(|name, it| name != "creationTimestamp" || !it.is_null());
    }
    let object = match round_trip(resource, value.clone()) {
        Ok(object) => object,
        Err(error) => return refuse(&format!("json: cannot unmarshal: {error}")),
    };
    let mut unknown = Vec::new();
    find_lost(&value, &object, "", &mut unknown);
    Ok(Decoded { object, unknown })
}

fn unreadable(resource: &Resource, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let start: String = text.chars().take(30).collect();
    Failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: \
         unexpected end of JSON input ({start} ...)",
        resource.kind
    ))
}

fn round_trip(resource: &Resource, value: Value) -> Result<Value, serde_json::Error> {
    match resource.kind {
        "Pod" => through::<core::Pod>(value),
        "Secret" => through::<core::Secret>(value),
        "ConfigMap" => through::<core::ConfigMap>(value),
        "ServiceAccount" => through::<core::ServiceAccount>(value),
        "ResourceQuota" => through::<core::ResourceQuota>(value),
        "Event" => through::<core::Event>(value),
        "Service" => through::<core::Service>(value),
        "Namespace" => through::<core::Namespace>(value),
        "Node" => through::<core::Node>(value),
        "Lease" => keeping_times(value, through::<coordination::Lease>),
        "PodDisruptionBudget" => through::<policy::PodDisruptionBudget>(value),
        "Role" => through::<rbac::Role>(value),
        "RoleBinding" => through::<rbac::RoleBinding>(value),
        "ClusterRole" => through::<rbac::ClusterRole>(value),
        "ClusterRoleBinding" => through::<rbac::ClusterRoleBinding>(value),
        "NetworkPolicy" => through::<networking::NetworkPolicy>(value),
        "Deployment" => through::<apps::Deployment>(value),
        "PriorityClass" => through::<scheduling::PriorityClass>(value),
        "RuntimeClass" => through::<node::RuntimeClass>(value),
        _ => Ok(value),
    }
}

fn through<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

/// Times of leases stay as they were sent.
fn keeping_times(
    value: Value,
    convert: impl Fn(Value) -> Result<Value, serde_json::Error>,
) -> Result<Value, serde_json::Error> {
    let sent = value["spec"].clone();
    let mut object = convert(value)?;
    for field in ["acquireTime", "renewTime"] {
        if sent[field].is_string() {
            object["spec"][field] = sent[field].clone();
        }
    }
    Ok(object)
}

/// Fields of `sent` that did not make it, by path. Nulls are no fields.
fn find_lost(sent: &Value, kept: &Value, path: &str, lost: &mut Vec<String>) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (name, value) in sent.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match kept.get(name) {
                    Some(kept) => find_lost(value, kept, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) => {
            for (at, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                find_lost(sent, kept, &format!("{path}[{at}]"), lost);
            }
        }
        _ => {}
    }
}

/// What decoding itself refuses: quantities, base64, times.
fn unfit_value(resource: &Resource, value: &Value) -> Option<String> {
    match resource.kind {
        "Pod" => unfit_quantity(value),
        "Secret" => value["data"].as_object()?.values().filter_map(Value::as_str).find_map(unfit_base64),
        "Lease" => ["acquireTime", "renewTime"].iter().find_map(|it| unfit_time(value["spec"][it].as_str()?)),
        _ => None,
    }
}

fn unfit_quantity(pod: &Value) -> Option<String> {
    let containers =
        ["initContainers", "containers"].iter().filter_map(|it| pod["spec"][it].as_array()).flatten();
    let lists = containers.flat_map(|it| [&it["resources"]["limits"], &it["resources"]["requests"]]);
    let sizes =
        pod["spec"]["volumes"].as_array().into_iter().flatten().map(|it| &it["emptyDir"]["sizeLimit"]);
    let mut all = lists.filter_map(Value::as_object).flat_map(|it| it.values()).chain(sizes);
    let is_unfit = |it: &&Value| it.as_str().is_some_and(|text| Quantity::parse(text).is_none());
    all.find(is_unfit).map(|_| {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned()
    })
}

fn unfit_base64(text: &str) -> Option<String> {
    let is_letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    match text.bytes().position(|c| !is_letter(c)) {
        Some(at) => Some(format!("illegal base64 data at input byte {at}")),
        None if !text.len().is_multiple_of(4) => {
            Some(format!("illegal base64 data at input byte {}", text.len() / 4 * 4))
        }
        None => None,
    }
}

fn unfit_time(text: &str) -> Option<String> {
    const LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";
    let (_, fraction) = text.split_at_checked(19)?;
    let digits = fraction.strip_prefix('.').map_or(0, |it| it.bytes().take_while(u8::is_ascii_digit).count());
    let why = match digits {
        6 => return None,
        0..6 => format!("cannot parse {fraction:?} as \".000000\""),
        _ => format!("cannot parse {:?} as \"Z07:00\"", &fraction[7..]),
    };
    Some(format!("parsing time {text:?} as {LAYOUT:?}: {why}"))
}
