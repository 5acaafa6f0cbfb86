//! Which runtimes there are, by their names on Lambda.

use std::fmt;

/// A runtime that this backend can provide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Runtime {
    /// With the version that was asked for: `3.13`.
    Python(String),
    /// With the major version that was asked for: `22`.
    Node(String),
    /// The function brings its own `bootstrap`.
    Provided,
}

impl Runtime {
    /// `None` for those that cannot be provided.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(minor) = name.strip_prefix("python3.").filter(|minor| digits(minor)) {
            return Some(Self::Python(format!("3.{minor}")));
        }
        let node = name.strip_prefix("nodejs").map(|rest| rest.strip_suffix(".x").unwrap_or(rest));
        if let Some(major) = node.filter(|major| digits(major)) {
            return Some(Self::Node(major.to_owned()));
        }
        (name == "provided" || name.starts_with("provided.")).then_some(Self::Provided)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Python(version) => write!(f, "Python {version}"),
            Self::Node(version) => write!(f, "Node.js {version}"),
            Self::Provided => f.write_str("an own bootstrap"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_runtime_says_what_it_needs() {
        for (name, runtime) in [
            ("python3.13", Some(Runtime::Python("3.13".into()))),
            ("nodejs22.x", Some(Runtime::Node("22".into()))),
            ("provided.al2023", Some(Runtime::Provided)),
            ("provided", Some(Runtime::Provided)),
            ("python2.7", None),
            ("python3.", None),
            ("nodejs", None),
            ("java21", None),
            ("", None),
        ] {
            assert_eq!(Runtime::parse(name), runtime, "{name}");
        }
    }
}
