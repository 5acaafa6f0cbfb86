//! Quotas of a namespace. A pod counts until it is gone, unless it has ended.

use serde_json::Value;

use super::Quantity;
use crate::failure::Failure;
use crate::resource::{PODS, QUOTAS};
use crate::store::Store;

pub(super) fn check(store: &Store, namespace: &str, pod: &Value, name: &str) -> Result<(), Failure> {
    for (key, quota) in store.list(&QUOTAS, Some(namespace)) {
        let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
        let hard: Vec<(&str, Quantity, &Value)> =
            hard.filter_map(|(name, limit)| Some((known(name)?, Quantity::of(limit)?, limit))).collect();
        for (resource, _, _) in &hard {
            let without = unspecified(pod, resource);
            if !without.is_empty() {
                let why =
                    format!("failed quota: {}: must specify {resource} for: {}", key.name, without.join(","));
                return Err(Failure::forbidden(&PODS, name, &why));
            }
        }
        for (resource, limit, text) in hard {
            let used: Quantity = store
                .list(&PODS, Some(namespace))
                .filter(|(_, other)| {
                    !matches!(other["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
                })
                .map(|(_, other)| usage(other, resource))
                .sum();
            let wanted = usage(pod, resource);
            if used + wanted > limit {
                let text = text.as_str().unwrap_or("");
                let why = format!(
                    "exceeded quota: {}, requested: {resource}={}, used: {resource}={}, limited: {resource}={text}",
                    key.name,
                    print(resource, wanted),
                    print(resource, used),
                );
                return Err(Failure::forbidden(&PODS, name, &why));
            }
        }
    }
    Ok(())
}

/// Quotas that concern pods; `cpu` and `memory` are short for the requests.
fn known(name: &str) -> Option<&str> {
    match name {
        "count/pods" => Some("pods"),
        "cpu" => Some("requests.cpu"),
        "memory" => Some("requests.memory"),
        "pods" | "limits.cpu" | "limits.memory" | "requests.cpu" | "requests.memory" => Some(name),
        _ => None,
    }
}

fn unspecified<'a>(pod: &'a Value, resource: &str) -> Vec<&'a str> {
    let Some((kind, of)) = resource.split_once('.') else { return Vec::new() };
    let lists =
        ["initContainers", "containers"].into_iter().filter_map(|it| pod["spec"][it].as_array()).flatten();
    lists.filter(|it| it["resources"][kind][of].is_null()).filter_map(|it| it["name"].as_str()).collect()
}

/// Init containers run before the others: the larger of the two counts.
fn usage(pod: &Value, resource: &str) -> Quantity {
    let Some((kind, of)) = resource.split_once('.') else { return Quantity::parse("1").unwrap_or_default() };
    let amounts = |list: &str| {
        let all: Vec<Quantity> = pod["spec"][list]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| Quantity::of(&it["resources"][kind][of]))
            .collect();
        all
    };
    let at_once: Quantity = amounts("containers").into_iter().sum();
    amounts("initContainers").into_iter().fold(at_once, Ord::max)
}

fn print(resource: &str, amount: Quantity) -> String {
    let (units, binary) = (amount.units(), resource.ends_with("memory"));
    if resource.ends_with("cpu") && !amount.thousandths().is_multiple_of(1000) {
        return format!("{}m", amount.thousandths());
    }
    for (suffix, size) in [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if binary && units > 0 && units.is_multiple_of(size) {
            return format!("{}{suffix}", units / size);
        }
    }
    units.to_string()
}
