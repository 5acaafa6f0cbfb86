//! Quotas of a namespace. A pod counts until it is gone, unless it has ended.

use serde_json::{Value, json};

use super::Quantity;
use crate::failure::Failure;
use crate::resource::{PODS, QUOTAS};
use crate::store::{Key, Store};

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
            let used = used(store, namespace, resource);
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

/// What the pods of a namespace use up of a resource.
fn used(store: &Store, namespace: &str, resource: &str) -> Quantity {
    let counts = |pod: &Value| !matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    let pods = store.list(&PODS, Some(namespace)).filter(|(_, pod)| counts(pod));
    pods.map(|(_, pod)| usage(pod, resource)).sum()
}

/// Keeps the statuses of all quotas up to date.
pub(crate) fn count(store: &mut Store) {
    let quotas: Vec<(Key, Value)> =
        store.list(&QUOTAS, None).map(|(key, it)| (key.clone(), (**it).clone())).collect();
    for (key, mut quota) in quotas {
        let hard = quota["spec"]["hard"].clone();
        let names = hard.as_object().into_iter().flatten().map(|(name, _)| name);
        let amount = |name: &String| {
            known(name).map_or_else(|| "0".to_owned(), |it| print(it, used(store, &key.namespace, it)))
        };
        let used: Value = names.map(|name| (name.clone(), json!(amount(name)))).collect();
        quota["status"] = json!({"hard": hard, "used": used});
        store.put(key, quota);
    }
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
