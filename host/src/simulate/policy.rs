//! Names of keep-alive policies.

use std::time::Duration;

use hearth_pool::KeepAlive;

use super::quantity::{duration_text, parse_duration};

/// What may be asked for.
pub(crate) const KNOWN: &str =
    "ttl:10m (any length of time), ttl:never, hybrid-histogram, greedy-dual, level-cost:0.0025 (any price)";

/// Cold seconds that a GB kept for a second is worth, if nothing is said.
const PRICE: f64 = 0.0025;

/// What `all` stands for.
const ALL: [&str; 13] = [
    "ttl:1m",
    "ttl:5m",
    "ttl:10m",
    "ttl:20m",
    "ttl:1h",
    "ttl:2h",
    "hybrid-histogram",
    "greedy-dual",
    "level-cost:0.03",
    "level-cost:0.01",
    "level-cost:0.0025",
    "level-cost:0.001",
    "level-cost:0.0003",
];

/// Reads a list of policies, `all` among them for those that are usually compared.
///
/// `greedy-dual` ends nothing unless there is a budget, and is compared only then.
pub(super) fn parse_all(texts: &[String], has_budget: bool) -> Result<Vec<KeepAlive>, String> {
    let all = || ALL.into_iter().chain(has_budget.then_some("greedy-dual")).collect();
    let names = texts.iter().flat_map(|text| if text == "all" { all() } else { vec![text.as_str()] });
    names.map(parse).collect()
}

/// Reads one policy.
pub(crate) fn parse(text: &str) -> Result<KeepAlive, String> {
    match text.split_once(':').unwrap_or((text, "")) {
        ("ttl", "never") => Ok(KeepAlive::Ttl(Duration::MAX)),
        ("ttl", time) => Ok(KeepAlive::Ttl(parse_duration(time)?)),
        ("hybrid-histogram", "") => Ok(KeepAlive::HybridHistogram),
        ("greedy-dual", "") => Ok(KeepAlive::GreedyDual),
        ("level-cost", "") => Ok(KeepAlive::LevelCost { price: PRICE }),
        ("level-cost", price) => {
            let price = price.parse().ok().filter(|price: &f64| price.is_finite() && 0.0 < *price);
            Ok(KeepAlive::LevelCost {
                price: price.ok_or_else(|| format!("`{text}`: the price must be above 0"))?,
            })
        }
        _ => Err(format!("`{text}` is no keep-alive policy; there are {KNOWN}")),
    }
}

/// Writes a policy as it is read.
pub(super) fn name(keep_alive: &KeepAlive) -> String {
    match keep_alive {
        KeepAlive::Ttl(Duration::MAX) => "ttl:never".to_owned(),
        KeepAlive::Ttl(time) => format!("ttl:{}", duration_text(*time)),
        KeepAlive::HybridHistogram => "hybrid-histogram".to_owned(),
        KeepAlive::GreedyDual => "greedy-dual".to_owned(),
        KeepAlive::LevelCost { price } => format!("level-cost:{price}"),
    }
}

/// What policies that differ only in their settings have in common.
pub(super) fn family(name: &str) -> &str {
    name.split_once(':').map_or(name, |(family, _)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written_the_same_way() {
        for text in ["ttl:10m", "ttl:90s", "ttl:never", "hybrid-histogram", "greedy-dual", "level-cost:0.003"]
        {
            assert_eq!(parse(text).map(|policy| name(&policy)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn all_stands_for_several_and_an_unknown_one_is_told_what_there_is() {
        let [all, one] = ["all", "ttl:3m"].map(str::to_owned);
        assert_eq!(parse_all(&[all.clone(), one], false).unwrap().len(), ALL.len() + 1);
        assert_eq!(parse_all(&[all], true).unwrap().last(), Some(&KeepAlive::GreedyDual));
        let problem = parse("lru").unwrap_err();
        assert_eq!(problem, format!("`lru` is no keep-alive policy; there are {KNOWN}"));
    }
}
