//! What an extension asks for when it subscribes
//! (<https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html>).

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use crate::platform::{Category, Record};
use crate::telemetry::buffer::Limits;

/// By which of the two it subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Telemetry,
    /// The older one.
    Logs,
}

/// What an extension is to be sent, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) api: Api,
    pub(crate) types: Vec<Category>,
    pub(crate) limits: Limits,
    pub(crate) destination: Destination,
    /// The first schema of the Logs API has no `platform.runtimeDone`.
    has_runtime_done: bool,
}

/// Where batches go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A POST for each, with a JSON array.
    Http { address: SocketAddr, path: String },
    /// One connection, with a record on each line.
    Tcp(SocketAddr),
}

impl Api {
    /// As in the names of its errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Telemetry => "Telemetry",
            Self::Logs => "Logs",
        }
    }

    /// The one that has this record, if the other has not.
    pub(super) fn only_of(record: &Record<'_>) -> Option<Self> {
        match record {
            Record::InitStart { .. }
            | Record::InitRuntimeDone { .. }
            | Record::InitReport { .. }
            | Record::TelemetrySubscription { .. } => Some(Self::Telemetry),
            Record::LogsSubscription { .. } | Record::Fault(_) | Record::End { .. } => Some(Self::Logs),
            _ => None,
        }
    }

    fn schemas(self) -> &'static [&'static str] {
        match self {
            Self::Telemetry => &["2025-01-29", "2022-12-13", "2022-07-01"],
            Self::Logs => &["2021-03-18", Self::FIRST_LOGS_SCHEMA],
        }
    }

    const FIRST_LOGS_SCHEMA: &'static str = "2020-08-15";
}

impl Subscription {
    /// Reads the body of a request. An error says all that is wrong with it.
    pub(crate) fn parse(api: Api, body: &[u8]) -> Result<Self, String> {
        let request: Request = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut problems = Vec::new();
        let schema = request.schema_version.unwrap_or_default();
        if !api.schemas().contains(&&*schema) {
            problems.push(format!("schemaVersion should be one of {}", api.schemas().join(", ")));
        }
        if request.types.is_empty() {
            problems.push("types should not be empty".to_owned());
        }
        let mut types = Vec::new();
        for word in &request.types {
            match Category::deserialize(word) {
                Ok(category) => types.push(category),
                Err(_) => {
                    problems.push(format!("{word} is not a type: platform, function and extension are"));
                }
            }
        }
        let limits = request.buffering.limits(api, &mut problems);
        let destination = request.destination.parse(&mut problems);
        match destination {
            Some(destination) if problems.is_empty() => {
                let has_runtime_done = schema != Api::FIRST_LOGS_SCHEMA;
                Ok(Self { api, types, limits, destination, has_runtime_done })
            }
            _ => Err(problems.join("; ")),
        }
    }

    pub(super) fn covers(&self, record: &Record<'_>) -> bool {
        let is_known = self.has_runtime_done || !matches!(record, Record::RuntimeDone { .. });
        is_known && self.covers_kind(record.category(), Api::only_of(record))
    }

    pub(super) fn covers_kind(&self, category: Category, only_in: Option<Api>) -> bool {
        self.types.contains(&category) && only_in.is_none_or(|api| api == self.api)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    schema_version: Option<String>,
    #[serde(default)]
    types: Vec<serde_json::Value>,
    #[serde(default)]
    buffering: Buffering,
    #[serde(default)]
    destination: Place,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Buffering {
    max_items: Option<usize>,
    max_bytes: Option<usize>,
    timeout_ms: Option<usize>,
}

#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    protocol: String,
    #[serde(rename = "URI")]
    uri: Option<String>,
    port: Option<u16>,
}

impl Buffering {
    fn limits(&self, api: Api, problems: &mut Vec<String>) -> Limits {
        let mut within = |name: &str, given: Option<usize>, bounds: RangeInclusive<usize>, default| {
            let value = given.unwrap_or(default);
            if !bounds.contains(&value) {
                let (least, most) = bounds.into_inner();
                problems.push(format!("{name} should be between {least} and {most}, and is {value}"));
            }
            value
        };
        let most_items = if api == Api::Telemetry { 1_000 } else { 10_000 };
        Limits {
            max_items: within("maxItems", self.max_items, 1_000..=10_000, most_items),
            max_bytes: within("maxBytes", self.max_bytes, 262_144..=1_048_576, 262_144),
            timeout: Duration::from_millis(
                within("timeoutMs", self.timeout_ms, 25..=30_000, 1_000).try_into().unwrap_or(30_000),
            ),
        }
    }
}

impl Place {
    /// Records only ever leave for the instance itself: its names, on Lambda and here, all mean this machine.
    fn parse(&self, problems: &mut Vec<String>) -> Option<Destination> {
        const NAMES: [&str; 4] = ["sandbox.localdomain", "sandbox", "localhost", "127.0.0.1"];
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let uri = self.uri.as_deref().map(str::parse::<Uri>);
        let mut say = |problem: &str| {
            problems.push(problem.to_owned());
            None
        };
        match (&*self.protocol, uri, self.port) {
            ("HTTP", Some(Ok(uri)), _) => match (uri.scheme_str(), uri.host(), uri.port_u16()) {
                (Some("http"), Some(host), _) if !NAMES.contains(&host) => {
                    say("URI host should be sandbox.localdomain")
                }
                (Some("http"), Some(_), Some(port)) => {
                    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
                    Some(Destination::Http { address: here(port), path })
                }
                (Some("http"), Some(_), None) => say("URI port is not provided"),
                _ => say("URI should be of the form http://sandbox.localdomain:PORT"),
            },
            ("HTTP", None | Some(Err(_)), _) => {
                say("URI should be of the form http://sandbox.localdomain:PORT")
            }
            ("TCP", _, Some(port)) => Some(Destination::Tcp(here(port))),
            ("TCP", Some(Ok(uri)), None) if uri.port_u16().is_some() => {
                uri.port_u16().map(here).map(Destination::Tcp)
            }
            ("TCP", _, None) => say("port is not provided"),
            _ => say("protocol should be HTTP or TCP"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_on_aws() {
        let body = br#"{"schemaVersion": "2022-12-13", "types": ["platform", "function"], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/in?a=b"}}"#;
        let subscription = Subscription::parse(Api::Telemetry, body).unwrap();
        let limits = Limits { max_items: 1000, max_bytes: 262_144, timeout: Duration::from_secs(1) };
        let destination =
            Destination::Http { address: "127.0.0.1:8080".parse().unwrap(), path: "/in?a=b".to_owned() };
        assert_eq!(
            subscription,
            Subscription {
                api: Api::Telemetry,
                types: vec![Category::Platform, Category::Function],
                limits,
                destination,
                has_runtime_done: true
            }
        );
    }

    #[test]
    fn a_port_is_enough_for_tcp() {
        for destination in
            [r#"{"protocol": "TCP", "port": 99}"#, r#"{"protocol": "TCP", "URI": "tcp://sandbox:99"}"#]
        {
            let body = format!(
                r#"{{"schemaVersion": "2020-08-15", "types": ["extension"], "destination": {destination}}}"#
            );
            let subscription = Subscription::parse(Api::Logs, body.as_bytes()).unwrap();
            assert_eq!(subscription.destination, Destination::Tcp("127.0.0.1:99".parse().unwrap()));
            assert!(!subscription.has_runtime_done);
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let http = |uri: &str| format!(r#""destination": {{"protocol": "HTTP", "URI": "{uri}"}}"#);
        let (good, version) = (http("http://sandbox:1"), r#""schemaVersion": "2022-07-01""#);
        for (body, problems) in [
            (
                format!(r#"{{{version}, "types": [], {}}}"#, http("http://sandbox.localdomain")),
                "types should not be empty; URI port is not provided",
            ),
            (
                format!(r#"{{"schemaVersion": "2020-08-15", "types": ["function"], {good}}}"#),
                "schemaVersion should be one of 2025-01-29, 2022-12-13, 2022-07-01",
            ),
            (
                format!(r#"{{{version}, "types": ["metrics", "platform"], {good}}}"#),
                r#""metrics" is not a type: platform, function and extension are"#,
            ),
            (
                format!(
                    r#"{{{version}, "types": ["platform"], {good}, "buffering": {{"maxItems": 1, "maxBytes": 1, "timeoutMs": 30001}}}}"#
                ),
                "maxItems should be between 1000 and 10000, and is 1; maxBytes should be between 262144 and 1048576, and is 1; \
                 timeoutMs should be between 25 and 30000, and is 30001",
            ),
            (
                format!(r#"{{{version}, "types": ["platform"], {}}}"#, http("http://example.com:80")),
                "URI host should be sandbox.localdomain",
            ),
            (
                format!(r#"{{{version}, "types": ["platform"], {}}}"#, http("https://sandbox:80")),
                "URI should be of the form http://sandbox.localdomain:PORT",
            ),
            (
                format!(r#"{{{version}, "types": ["platform"], "destination": {{"protocol": "UDP"}}}}"#),
                "protocol should be HTTP or TCP",
            ),
            (
                format!(r#"{{{version}, "types": ["platform"], "destination": {{"protocol": "TCP"}}}}"#),
                "port is not provided",
            ),
        ] {
            assert_eq!(Subscription::parse(Api::Telemetry, body.as_bytes()).unwrap_err(), problems);
        }
        assert!(Subscription::parse(Api::Telemetry, b"not json").is_err());
    }
}
