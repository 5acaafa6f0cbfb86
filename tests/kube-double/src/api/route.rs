//! From a path to what it names.

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::resource::Resource;

/// A path has no more parts that matter: the last one keeps its slashes.
const MOST_PARTS: usize = 9;

#[derive(Debug)]
pub(super) enum Route {
    Objects(&'static Resource, Target),
    Review(Review),
    Plain(&'static str),
    Document(Value),
    UnknownResource,
    Nowhere,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Review {
    Access,
    Rules,
}

/// Which objects of a kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// Empty for the whole cluster.
    pub(crate) namespace: String,
    /// Empty for a collection.
    pub(crate) name: String,
    /// What follows the name, without the first slash.
    pub(crate) rest: String,
    /// Under the old path of watches.
    pub(super) is_watch: bool,
}

impl Target {
    pub(super) fn subresource(&self) -> &str {
        self.rest.split('/').next().unwrap_or("")
    }

    pub(super) fn qualified_by_subresource(&self, resource: &Resource) -> String {
        match self.subresource() {
            "" => resource.plural.to_owned(),
            subresource => format!("{}/{subresource}", resource.plural),
        }
    }
}

impl Route {
    pub(super) fn parse(path: &str) -> Self {
        let parts: Vec<String> = path
            .trim_start_matches('/')
            .splitn(MOST_PARTS, '/')
            .map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match &parts[..] {
            ["livez" | "readyz" | "healthz", ..] => Self::Plain("ok"),
            ["version"] => Self::Document(version()),
            ["api" | "apis"] | ["api" | "apis", ""] => Self::Document(discovery(parts[0])),
            ["api", version, rest @ ..] => Self::in_group("", version, rest, path),
            ["apis", group, version, rest @ ..] => Self::in_group(group, version, rest, path),
            _ => Self::Nowhere,
        }
    }

    fn in_group(group: &str, version: &str, rest: &[&str], path: &str) -> Self {
        match (group, rest) {
            ("authorization.k8s.io", ["selfsubjectaccessreviews"]) => return Self::Review(Review::Access),
            ("authorization.k8s.io", ["selfsubjectrulesreviews"]) => return Self::Review(Review::Rules),
            _ if !Resource::is_group(group, version) => return Self::Nowhere,
            (_, [] | [""]) => return Self::Document(resources(group, version)),
            _ => {}
        }
        let (is_watch, rest) = match rest {
            ["watch", rest @ ..] => (true, rest),
            _ => (false, rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, ..] if !matches!(*plural, "status" | "finalize") => {
                (*namespace, &rest[2..])
            }
            _ => ("", rest),
        };
        let [plural, rest @ ..] = rest else { return Self::UnknownResource };
        let Some(resource) = Resource::named(group, version, plural) else { return Self::UnknownResource };
        let name = rest.first().copied().unwrap_or("");
        let target = Target {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            rest: remainder(path, rest).to_owned(),
            is_watch,
        };
        Self::Objects(resource, target)
    }

    /// What a caller does, as roles name it.
    pub(super) fn verb(&self, method: &Method, query: &Query) -> &'static str {
        let (is_collection, is_watch) = match self {
            Self::Objects(_, target) => (target.name.is_empty(), target.is_watch),
            _ => (false, false),
        };
        match *method {
            Method::GET if is_watch || (is_collection && query.is_watch()) => "watch",
            Method::GET if is_collection => "list",
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if is_collection => "deletecollection",
            Method::DELETE => "delete",
            _ => "other",
        }
    }

    /// As calls are counted.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Objects(resource, target) => target.qualified_by_subresource(resource),
            Self::Review(Review::Access) => "selfsubjectaccessreviews".to_owned(),
            Self::Review(Review::Rules) => "selfsubjectrulesreviews".to_owned(),
            Self::Plain(_) | Self::Document(_) => "documents".to_owned(),
            Self::UnknownResource | Self::Nowhere => "unknown".to_owned(),
        }
    }
}

/// The path after the name, as it was written: what goes to a pod is not decoded.
fn remainder<'a>(path: &'a str, rest: &[&str]) -> &'a str {
    if rest.len() < 2 {
        return "";
    }
    let path = path.trim_start_matches('/');
    let before = path.splitn(MOST_PARTS, '/').count() - (rest.len() - 1);
    path.splitn(before + 1, '/').last().unwrap_or("")
}

/// The query of a call, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |it: &str| percent_decode_str(&it.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|it| !it.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "true" | "True" | "t"))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.is_true("watch")
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "emulationMajor": "1", "emulationMinor": "33",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "32",
        "gitVersion": "v1.33.13", "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24.11", "compiler": "gc",
        "platform": "linux/amd64",
    })
}

fn discovery(which: &str) -> Value {
    if which == "api" {
        return json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []});
    }
    let mut groups: Vec<Value> = Vec::new();
    for group in Resource::all().map(|it| it.group).filter(|it| !it.is_empty()) {
        let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
        let entry = json!({"name": group, "versions": [version], "preferredVersion": version});
        if !groups.contains(&entry) {
            groups.push(entry);
        }
    }
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn resources(group: &str, version: &str) -> Value {
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let of_group = Resource::all().filter(|it| it.group == group);
    let list: Vec<Value> = of_group
        .map(|it| {
            json!({"name": it.plural, "singularName": it.kind.to_lowercase(), "namespaced": it.namespaced,
                   "kind": it.kind, "verbs": verbs})
        })
        .collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_what_it_names() {
        for (path, expected) in [
            ("/api/v1/namespaces/lab/pods", "pods lab  "),
            ("/api/v1/namespaces/lab/pods/a", "pods lab a "),
            ("/api/v1/namespaces/lab/pods/a/log", "pods lab a log"),
            (
                "/api/v1/namespaces/lab/pods/a:8080/proxy/2015-03-31/functions/f%20g/x/y",
                "pods lab a:8080 proxy/2015-03-31/functions/f%20g/x/y",
            ),
            ("/api/v1/pods", "pods   "),
            ("/api/v1/nodes/labnode", "nodes  labnode "),
            ("/api/v1/namespaces/lab", "namespaces  lab "),
            ("/apis/coordination.k8s.io/v1/namespaces/lab/leases/x", "leases lab x "),
            ("/api/v1/namespaces/lab/podz", "unknown resource"),
            ("/apis/lambda.example.com/v1/functions", "nowhere"),
        ] {
            let found = match Route::parse(path) {
                Route::Objects(resource, target) => {
                    format!("{} {} {} {}", resource.plural, target.namespace, target.name, target.rest)
                }
                Route::UnknownResource => "unknown resource".to_owned(),
                Route::Nowhere => "nowhere".to_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{path}");
        }
    }
}
