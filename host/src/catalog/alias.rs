//! Aliases: names for versions that can be moved.

use super::function::VersionName;

/// A name for one version, or for two that share the invocations.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// Unique in the function.
    pub name: String,
    /// Where invocations go.
    pub version: VersionName,
    /// Another version that is given a share of them.
    pub routing: Option<Route>,
    /// For people.
    pub description: String,
    /// Changes with every change: a random UUID.
    pub revision_id: String,
}

/// A share of an alias's invocations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// Who gets it.
    pub version: VersionName,
    /// From 0 to 1.
    pub weight: f64,
}

impl Alias {
    /// The version that serves an invocation; `draw` is evenly spread over all numbers.
    pub fn choose(&self, draw: u32) -> VersionName {
        match self.routing {
            Some(route) if f64::from(draw) < route.weight * (f64::from(u32::MAX) + 1.0) => route.version,
            Some(_) | None => self.version,
        }
    }

    /// Whether it sends invocations to this version.
    pub fn refers_to(&self, version: VersionName) -> bool {
        self.version == version || self.routing.is_some_and(|route| route.version == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(weight: f64) -> Alias {
        Alias {
            name: "live".into(),
            version: VersionName::Number(1),
            routing: Some(Route { version: VersionName::Number(2), weight }),
            description: String::new(),
            revision_id: String::new(),
        }
    }

    #[test]
    fn a_weight_is_the_share_of_the_draws_that_go_to_the_other_version() {
        for (weight, draw, chosen) in
            [(0.0, 0, 1), (0.25, 0x3fff_ffff, 2), (0.25, 0x4000_0000, 1), (1.0, u32::MAX, 2)]
        {
            assert_eq!(alias(weight).choose(draw), VersionName::Number(chosen), "{weight} {draw:x}");
        }
    }
}
