//! What there is to say of an instance: lines of its log, and records for those who subscribed to telemetry.
//!
//! The records are those of the Telemetry API's schema 2022-12-13
//! (<https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>), with the fields that AWS
//! has added to it since. Which of them are written to a log in JSON is a matter of their level
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>).

use std::fmt::Write;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::clock;
use crate::config::SystemLogLevel;
use crate::extensions::Interest;

/// One record.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "record")]
pub(crate) enum Record<'a> {
    #[serde(rename = "platform.initStart", rename_all = "camelCase")]
    InitStart {
        initialization_type: &'a str,
        phase: InitPhase,
        function_name: &'a str,
        function_version: &'a str,
        /// Empty if the instance has none.
        #[serde(skip_serializing_if = "str::is_empty")]
        instance_id: &'a str,
        /// In bytes.
        instance_max_memory: u64,
    },
    #[serde(rename = "platform.initRuntimeDone", rename_all = "camelCase")]
    InitRuntimeDone {
        initialization_type: &'a str,
        phase: InitPhase,
        #[serde(flatten)]
        verdict: Verdict<'a>,
    },
    #[serde(rename = "platform.initReport", rename_all = "camelCase")]
    InitReport {
        initialization_type: &'a str,
        phase: InitPhase,
        #[serde(flatten)]
        verdict: Verdict<'a>,
        metrics: InitMetrics,
    },
    #[serde(rename = "platform.extension")]
    Extension(ExtensionState<'a>),
    #[serde(rename = "platform.telemetrySubscription")]
    TelemetrySubscription { name: &'a str, state: &'a str, types: &'a [Category] },
    /// Of the Logs API alone.
    #[serde(rename = "platform.logsSubscription")]
    LogsSubscription { name: &'a str, state: &'a str, types: &'a [Category] },
    #[serde(rename = "platform.start", rename_all = "camelCase")]
    Start {
        request_id: &'a str,
        function_arn: &'a str,
        version: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracing: Option<Tracing<'a>>,
    },
    #[serde(rename = "platform.runtimeDone", rename_all = "camelCase")]
    RuntimeDone {
        request_id: &'a str,
        #[serde(flatten)]
        verdict: Verdict<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracing: Option<Tracing<'a>>,
        spans: Vec<Span>,
        metrics: RuntimeMetrics,
    },
    /// What the log says of an invocation that the function did not get to answer. Of the Logs API alone.
    #[serde(rename = "platform.fault")]
    Fault(&'a str),
    /// Of the Logs API alone.
    #[serde(rename = "platform.end", rename_all = "camelCase")]
    End { request_id: &'a str },
    #[serde(rename = "platform.report", rename_all = "camelCase")]
    Report {
        request_id: &'a str,
        metrics: ReportMetrics,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracing: Option<Tracing<'a>>,
        #[serde(flatten)]
        verdict: Verdict<'a>,
    },
    #[serde(rename = "platform.logsDropped", rename_all = "camelCase")]
    LogsDropped { reason: &'a str, dropped_records: u64, dropped_bytes: u64 },
    #[serde(rename = "function")]
    Function(Said<'a>),
    #[serde(rename = "extension")]
    Extensions(Said<'a>),
}

/// How far an extension is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtensionState<'a> {
    pub(crate) name: &'a str,
    pub(crate) state: &'a str,
    pub(crate) events: &'a [Interest],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_type: Option<&'a str>,
}

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Category {
    Platform,
    Function,
    Extension,
}

/// In which phase of an instance a process has its init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InitPhase {
    Init,
    /// After the end of an earlier process.
    Invoke,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict<'a> {
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_type: Option<&'a str>,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Success,
    Error,
    Timeout,
}

/// The trace that an invocation belongs to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Tracing<'a> {
    #[serde(rename = "type")]
    header: &'static str,
    value: &'a str,
}

/// A part of an invocation's time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    /// When it began.
    pub(crate) start: Moment,
    pub(crate) duration_ms: Milliseconds,
}

/// Milliseconds since 1970; written as RFC 3339 says, if anybody reads the record at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) u64);

/// Written to the microsecond, as AWS does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Milliseconds(pub(crate) Duration);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitMetrics {
    pub(crate) duration_ms: Milliseconds,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuntimeMetrics {
    pub(crate) duration_ms: Milliseconds,
    pub(crate) produced_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ReportMetrics {
    #[serde(rename = "durationMs")]
    pub(crate) duration: Milliseconds,
    #[serde(rename = "billedDurationMs")]
    pub(crate) billed_ms: u64,
    #[serde(rename = "memorySizeMB")]
    pub(crate) memory_mb: u32,
    #[serde(rename = "maxMemoryUsedMB")]
    pub(crate) max_memory_mb: u64,
    /// Set on the first invocation after an init phase of its own.
    #[serde(rename = "initDurationMs", skip_serializing_if = "Option::is_none")]
    pub(crate) init: Option<Milliseconds>,
}

/// A line of a function or an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said<'a> {
    Text(&'a str),
    /// In a log that is in JSON: an object, if the line is one.
    Json(&'a str),
}

impl Record<'_> {
    /// The line of a log in text. Most records have none. (To write to a string cannot fail.)
    pub(crate) fn text(&self) -> Option<String> {
        Some(match self {
            Self::InitReport { phase, verdict, metrics, .. } if verdict.status != Status::Success => {
                let (phase, duration) = (phase.name(), metrics.duration_ms.get());
                let mut line = format!("INIT_REPORT Init Duration: {duration:.2} ms\tPhase: {phase}");
                verdict.write(&mut line, "\t");
                line
            }
            Self::Extension(ExtensionState { name, state, events, error_type }) => {
                let events: Vec<_> = events.iter().map(|event| event.name()).collect();
                let mut line =
                    format!("EXTENSION\tName: {name}\tState: {state}\tEvents: [{}]", events.join(","));
                if let Some(error_type) = error_type {
                    let _ = write!(line, "\tError Type: {error_type}");
                }
                line
            }
            Self::TelemetrySubscription { name, state, types } => {
                subscription("TELEMETRY", name, state, types)
            }
            Self::LogsSubscription { name, state, types } => subscription("LOGS", name, state, types),
            Self::Start { request_id, version, .. } => {
                format!("START RequestId: {request_id} Version: {version}")
            }
            Self::Fault(text) => (*text).to_owned(),
            Self::End { request_id } => format!("END RequestId: {request_id}"),
            Self::Report { request_id, metrics, verdict, .. } => metrics.line(request_id, *verdict),
            _ => return None,
        })
    }

    /// The record with its time, as it is delivered and as it is written to a log in JSON.
    pub(crate) fn json(&self, unix_ms: u64) -> String {
        #[derive(Serialize)]
        struct Timed<'a> {
            time: String,
            #[serde(flatten)]
            record: &'a Record<'a>,
        }
        // Nothing in a record has keys that are no text, which is all that could go wrong.
        serde_json::to_string(&Timed { time: clock::rfc_3339(unix_ms), record: self }).unwrap_or_default()
    }

    /// What it is worth in a log in JSON; `None` if it is not written to one.
    pub(crate) fn level(&self) -> Option<SystemLogLevel> {
        use SystemLogLevel::{Debug, Info, Warn};
        let unless_failed = |verdict: &Verdict<'_>, good| match verdict.status {
            Status::Success => good,
            Status::Error | Status::Timeout => Warn,
        };
        Some(match self {
            Self::InitStart { .. } => Debug,
            Self::InitReport { initialization_type, verdict, .. } => {
                unless_failed(verdict, if *initialization_type == "on-demand" { Debug } else { Info })
            }
            Self::InitRuntimeDone { verdict, .. } | Self::RuntimeDone { verdict, .. } => {
                unless_failed(verdict, Debug)
            }
            Self::Report { verdict, .. } => unless_failed(verdict, Info),
            Self::Extension(ExtensionState { error_type: None, .. })
            | Self::TelemetrySubscription { .. }
            | Self::LogsSubscription { .. }
            | Self::Start { .. } => Info,
            Self::Extension(_) | Self::Fault(_) | Self::LogsDropped { .. } => Warn,
            Self::End { .. } | Self::Function(_) | Self::Extensions(_) => return None,
        })
    }

    pub(crate) fn category(&self) -> Category {
        match self {
            Self::Function(_) => Category::Function,
            Self::Extensions(_) => Category::Extension,
            _ => Category::Platform,
        }
    }
}

impl Verdict<'_> {
    pub(crate) const SUCCESS: Self = Self { status: Status::Success, error_type: None };

    fn write(&self, line: &mut String, separator: &str) {
        let _ = write!(line, "{separator}Status: {}", self.status.name());
        if let Some(error_type) = self.error_type {
            let _ = write!(line, "\tError Type: {error_type}");
        }
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

impl InitPhase {
    fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Invoke => "invoke",
        }
    }
}

impl<'a> Tracing<'a> {
    pub(crate) fn of(value: &'a str) -> Self {
        Self { header: "X-Amzn-Trace-Id", value }
    }
}

impl ReportMetrics {
    /// Since August 2025 the init phase is billed as well.
    pub(crate) fn new(
        duration: Duration,
        init: Option<Duration>,
        memory_mb: u32,
        max_memory_bytes: u64,
    ) -> Self {
        let billed = (duration + init.unwrap_or_default()).as_nanos().div_ceil(1_000_000);
        Self {
            duration: Milliseconds(duration),
            billed_ms: u64::try_from(billed).unwrap_or(u64::MAX),
            memory_mb,
            max_memory_mb: max_memory_bytes.div_ceil(1024 * 1024),
            init: init.map(Milliseconds),
        }
    }

    /// The last line of an invocation.
    fn line(&self, request_id: &str, verdict: Verdict<'_>) -> String {
        let mut line = format!(
            "REPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
             Max Memory Used: {} MB\t",
            self.duration.get(),
            self.billed_ms,
            self.memory_mb,
            self.max_memory_mb,
        );
        if let Some(init) = self.init {
            let _ = write!(line, "Init Duration: {:.2} ms\t", init.get());
        }
        match verdict.status {
            Status::Success => {}
            // It has no other type than that.
            Status::Timeout => Verdict { error_type: None, ..verdict }.write(&mut line, ""),
            Status::Error => verdict.write(&mut line, ""),
        }
        line
    }
}

impl Milliseconds {
    fn get(self) -> f64 {
        self.0.as_secs_f64() * 1000.0
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&clock::rfc_3339(self.0))
    }
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.get() * 1000.0).round() / 1000.0)
    }
}

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = match self {
            Self::Text(line) => line,
            Self::Json(line) => match serde_json::from_str(line) {
                Ok(serde_json::Value::Object(object)) => return object.serialize(serializer),
                _ => line,
            },
        };
        serializer.collect_str(&format_args!("{line}\n"))
    }
}

fn subscription(api: &str, name: &str, state: &str, types: &[Category]) -> String {
    let types: Vec<_> = types.iter().map(|category| format!("{category:?}")).collect();
    format!("{api}\tName: {name}\tState: {state}\tTypes: [{}]", types.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn report(init: Option<u64>, status: Status, error_type: Option<&'static str>) -> Record<'static> {
        let metrics = ReportMetrics::new(
            Duration::from_micros(3010),
            init.map(Duration::from_micros),
            128,
            36 * MIB - 1,
        );
        let verdict = Verdict { status, error_type };
        Record::Report { request_id: "id", metrics, tracing: Some(Tracing::of("Root=1")), verdict }
    }

    #[test]
    fn reports_look_as_on_aws() {
        let billed = |ms: u32| {
            format!(
                "REPORT RequestId: id\tDuration: 3.01 ms\tBilled Duration: {ms} ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
            )
        };
        for (record, line) in [
            (report(None, Status::Success, None), billed(4)),
            (
                report(Some(110_100), Status::Success, None),
                format!("{}Init Duration: 110.10 ms\t", billed(114)),
            ),
            (
                report(None, Status::Timeout, Some("Sandbox.Timedout")),
                format!("{}Status: timeout", billed(4)),
            ),
            (
                report(None, Status::Error, Some("Runtime.ExitError")),
                format!("{}Status: error\tError Type: Runtime.ExitError", billed(4)),
            ),
        ] {
            assert_eq!(record.text(), Some(line));
        }
    }

    fn init(phase: InitPhase, status: Status, error_type: Option<&'static str>) -> Record<'static> {
        Record::InitReport {
            initialization_type: "on-demand",
            phase,
            verdict: Verdict { status, error_type },
            metrics: InitMetrics { duration_ms: Milliseconds(Duration::from_micros(150_790)) },
        }
    }

    #[test]
    fn other_lines_look_as_on_aws() {
        use Category::{Extension, Function, Platform};
        let extension = |error_type| {
            Record::Extension(ExtensionState {
                name: "agent",
                state: "Ready",
                events: &[Interest::Invoke, Interest::Shutdown],
                error_type,
            })
        };
        for (record, line) in [
            (init(InitPhase::Init, Status::Success, None), None),
            (
                init(InitPhase::Init, Status::Timeout, None),
                Some("INIT_REPORT Init Duration: 150.79 ms\tPhase: init\tStatus: timeout"),
            ),
            (
                init(InitPhase::Invoke, Status::Error, Some("Runtime.UserCodeSyntaxError")),
                Some(
                    "INIT_REPORT Init Duration: 150.79 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.UserCodeSyntaxError",
                ),
            ),
            (
                Record::TelemetrySubscription {
                    name: "datadog-agent",
                    state: "Subscribed",
                    types: &[Platform, Function, Extension],
                },
                Some(
                    "TELEMETRY\tName: datadog-agent\tState: Subscribed\tTypes: [Platform, Function, Extension]",
                ),
            ),
            (extension(None), Some("EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE,SHUTDOWN]")),
            (
                extension(Some("Extension.Crash")),
                Some(
                    "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\tError Type: Extension.Crash",
                ),
            ),
        ] {
            assert_eq!(record.text().as_deref(), line);
        }
    }

    /// The expected ones were written by AWS, but for the times.
    #[test]
    fn records_have_the_shape_of_those_of_aws() {
        let spans = vec![Span {
            name: "responseLatency",
            start: Moment(1_716_222_585_008),
            duration_ms: Milliseconds(Duration::from_micros(2215)),
        }];
        let metrics =
            RuntimeMetrics { duration_ms: Milliseconds(Duration::from_micros(11_185)), produced_bytes: 40 };
        for (record, json) in [
            (
                Record::Start {
                    request_id: "id",
                    function_arn: "arn:f",
                    version: "$LATEST",
                    tracing: Some(Tracing::of("Root=1")),
                },
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"platform.start","record":{"requestId":"id","functionArn":"arn:f","version":"$LATEST","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}}"#,
            ),
            (
                Record::RuntimeDone {
                    request_id: "id",
                    verdict: Verdict::SUCCESS,
                    tracing: None,
                    spans,
                    metrics,
                },
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"platform.runtimeDone","record":{"requestId":"id","status":"success","spans":[{"name":"responseLatency","start":"2024-05-20T16:29:45.008Z","durationMs":2.215}],"metrics":{"durationMs":11.185,"producedBytes":40}}}"#,
            ),
            (
                report(Some(463_512), Status::Error, Some("Runtime.OutOfMemory")),
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"platform.report","record":{"requestId":"id","metrics":{"durationMs":3.01,"billedDurationMs":467,"memorySizeMB":128,"maxMemoryUsedMB":36,"initDurationMs":463.512},"tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"},"status":"error","errorType":"Runtime.OutOfMemory"}}"#,
            ),
            (
                init(InitPhase::Init, Status::Timeout, None),
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"timeout","metrics":{"durationMs":150.79}}}"#,
            ),
            (
                Record::Function(Said::Text(r#"{"a":1}"#)),
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"function","record":"{\"a\":1}\n"}"#,
            ),
            (
                Record::Function(Said::Json(r#"{"a":1}"#)),
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"function","record":{"a":1}}"#,
            ),
            (
                Record::Extensions(Said::Json("not an object")),
                r#"{"time":"2024-05-20T16:29:45.008Z","type":"extension","record":"not an object\n"}"#,
            ),
        ] {
            assert_eq!(record.json(1_716_222_585_008), json);
        }
    }
}
