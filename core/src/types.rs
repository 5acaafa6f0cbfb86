//! The values that travel between host and backend.
//!
//! Every struct here is an ordinary Rust struct; `wire_struct!` also writes its `#[repr(C)]` twin and the
//! conversions, so that authors never meet the binary form. Their fields are frozen for the life of a major
//! version: what is optional and new travels in `meta`.

use std::collections::BTreeMap;

use crate::abi::wire_struct;
use crate::{Capabilities, EventKind, LogStreamKind, Protocol, State};

/// Free-form facts by name, for what the interface has no field for. Names are lower case with dots.
pub type Meta = BTreeMap<String, String>;

wire_struct! {
    /// Travels with every call: who asked, and how long the host is willing to wait.
    pub struct CallContext / AbiCallContext {
        /// The request that caused the call, for the backend's logs; empty when the host acts on its own.
        pub request_id: String,
        /// Milliseconds that the host waits for the answer; 0 means that it waits without limit.
        pub budget_ms: u64,
        /// Room for what later versions add.
        pub meta: Meta,
    }

    /// The host, as told to a backend when it is created.
    pub struct HostInfo / AbiHostInfo {
        /// The installation: stable across restarts. Label everything you create with it.
        pub owner: String,
        /// This host process: new at every start. What carries `owner` but another epoch is an orphan.
        pub epoch: String,
        /// Version of the host, for logs.
        pub version: String,
        /// Base URL from which instances on other machines fetch code
        /// (`GET {artifacts_url}/{sha256}`), where the host serves it.
        pub artifacts_url: Option<String>,
        /// Bearer token for `artifacts_url`.
        pub artifacts_token: Option<String>,
        /// A directory of the backend's own, on the host's machine. It exists and survives restarts.
        pub state_dir: String,
        /// Room for what later versions add.
        pub meta: Meta,
    }

    /// What a backend says of itself. Constant for its life.
    pub struct BackendInfo / AbiBackendInfo {
        /// Short name, as in `export_backend!`.
        pub name: String,
        /// Version of the backend, not of the interface.
        pub version: String,
        /// Optional operations that it implements.
        pub capabilities: Capabilities,
        /// For people: engine version, address, …. Two entries are for the host alone: it passes requests for
        /// `/_hearth/backend/{path}` on to `admin.endpoint`, as `/{path}` (the forms of [`Instance::endpoint`]), with
        /// `admin.token` as the bearer.
        pub meta: Meta,
    }

    /// Code or a layer, as the host keeps it: immutable, named by its digest, both packed and unpacked.
    pub struct Artifact / AbiArtifact {
        /// SHA-256 of the zip file, in lower-case hexadecimal.
        pub sha256: String,
        /// Size of the zip file in bytes.
        pub size: u64,
        /// The zip file on the host's machine.
        pub zip_path: String,
        /// The same, unpacked, on the host's machine. Checked when it was deployed: nothing in it points
        /// outside. Mount it read-only or copy it; never write to it.
        pub dir_path: String,
    }

    /// A container image and what is to be run in it, for functions of package type `Image`.
    pub struct Image / AbiImage {
        /// As given by the user, with tag or digest.
        pub uri: String,
        /// Replaces the image's own entry point unless empty.
        pub entry_point: Vec<String>,
        /// Replaces the image's own command unless empty.
        pub command: Vec<String>,
        /// Replaces the image's own working directory.
        pub working_directory: Option<String>,
    }

    /// Everything that makes an instance. Two launches with the same `deploy_id` differ only in
    /// `instance_id`, `token`, `secret_env` and the log stream's name in `env`.
    pub struct LaunchSpec / AbiLaunchSpec {
        /// Made by the host, unique for ever: letters, digits and hyphens, at most 63.
        pub instance_id: String,
        /// Name of the function.
        pub function: String,
        /// `$LATEST` or a number.
        pub version: String,
        /// Unqualified ARN of the function; it carries account and region.
        pub function_arn: String,
        /// Digest of code, layers, image and every setting that shapes an instance: 43 characters of
        /// URL-safe base64.
        pub deploy_id: String,
        /// Name of the runtime (`python3.13`); empty for an image.
        pub runtime: String,
        /// Handler as the user gave it; empty for an image without one.
        pub handler: String,
        /// `x86_64` or `arm64`.
        pub architecture: String,
        /// Memory limit in MiB.
        pub memory_mb: u32,
        /// Size of /tmp in MiB.
        pub ephemeral_storage_mb: u32,
        /// The function's own timeout, for one invocation.
        pub timeout_ms: u64,
        /// Limit of the init phase; after it the instance is handed over all the same and repeats its init
        /// inside the first invocation, as AWS does.
        pub init_timeout_ms: u64,
        /// Invocations that the instance may serve at once; 1 unless the user says otherwise.
        pub slots: u32,
        /// Environment of the function: the user's variables and those of Lambda's that the host knows. The
        /// backend adds those that depend on the place (`LAMBDA_TASK_ROOT`, `PATH`,
        /// `AWS_LAMBDA_RUNTIME_API`, …).
        pub env: Meta,
        /// Credentials, kept apart so that a backend can store them as secrets. They are part of the
        /// function's environment as well.
        pub secret_env: Meta,
        /// The image, for a function of package type `Image`.
        pub image: Option<Image>,
        /// The code, for a function of package type `Zip`.
        pub code: Option<Artifact>,
        /// Layers in the order in which they are merged into /opt: later ones win.
        pub layers: Vec<Artifact>,
        /// Whoever sends an invocation to the instance must present this (docs/instance-protocol.md).
        pub token: String,
        /// The function's tags, with the prefix `tag.`; `log.system_level` (`DEBUG`, `INFO` or `WARN`) for a
        /// function whose log is in JSON; and room for what later versions add.
        pub meta: Meta,
    }

    /// A launched instance, ready to be invoked.
    pub struct Instance / AbiInstance {
        /// Names the instance to this backend; opaque to the host, which keeps it across restarts.
        pub handle: String,
        /// Where invocations go: `host:port`, `http://host:port` or `unix:///path`.
        pub endpoint: String,
        /// What the endpoint speaks.
        pub protocol: Protocol,
        /// For people: `container.id`, `pod.name`, `process.id`, …; `init.duration_ms` where it is known. One entry
        /// is for the host, too: an instance with an `init.outcome` other than `ready` (`failed`, `timed_out`; why, in
        /// `init.error`) does not count as provisioned concurrency.
        pub meta: Meta,
    }

    /// An instance, as found by `inspect` and `list`.
    pub struct InstanceStatus / AbiInstanceStatus {
        /// As answered by `launch`.
        pub handle: String,
        /// What it is doing, as far as the backend can tell.
        pub state: State,
        /// As in the launch specification.
        pub function: String,
        /// As in the launch specification.
        pub deploy_id: String,
        /// The installation that launched it.
        pub owner: String,
        /// The host process that launched it.
        pub epoch: String,
        /// For people.
        pub meta: Meta,
    }

    /// What an instance uses.
    pub struct InstanceStats / AbiInstanceStats {
        /// Resident memory in bytes, of all its processes.
        pub memory_bytes: u64,
        /// Highest resident memory seen, in bytes; 0 if unknown.
        pub memory_peak_bytes: u64,
        /// Processor time used since launch, in nanoseconds.
        pub cpu_ns: u64,
        /// For people.
        pub meta: Meta,
    }

    /// What `reap` did.
    pub struct ReapReport / AbiReapReport {
        /// Handles of the orphans that are gone.
        pub removed: Vec<String>,
        /// Those that could not be removed, each with the reason: `handle: reason`.
        pub failed: Vec<String>,
    }

    /// One line that a function or its runtime wrote.
    pub struct LogLine / AbiLogLine {
        /// Where it came from.
        pub stream: LogStreamKind,
        /// Milliseconds since 1970.
        pub unix_ms: u64,
        /// Without its newline.
        pub line: String,
    }

    /// Something that happened to an instance without the host asking for it.
    pub struct Event / AbiEvent {
        /// What happened.
        pub kind: EventKind,
        /// The instance.
        pub handle: String,
        /// Why, for people: `reason`, `exit.status`, `exit.signal`, `oom`.
        pub meta: Meta,
    }

    /// How far `prepare` has come; sent any number of times.
    pub struct Progress / AbiProgress {
        /// The deploy that is being prepared.
        pub deploy_id: String,
        /// What is being done, for people: `pulling public.ecr.aws/lambda/python:3.13`.
        pub step: String,
        /// Units done, in bytes where that makes sense.
        pub done: u64,
        /// Units in all; 0 if unknown.
        pub total: u64,
    }
}

impl BackendInfo {
    /// What a backend says of itself, with nothing for people.
    pub fn new(name: &str, version: &str, capabilities: Capabilities) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), capabilities, meta: Meta::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Wire;
    use crate::{BackendError, ErrorKind};

    fn check<T: Wire + Clone + PartialEq + std::fmt::Debug>(value: &T) {
        assert_eq!(&T::from_abi(value.clone().into_abi()), value);
    }

    fn meta() -> Meta {
        Meta::from([
            ("a.name".to_owned(), "its value: \u{fc}, \"\", \0".to_owned()),
            (String::new(), String::new()),
        ])
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn spec() -> LaunchSpec {
        let artifact = |name: &str| Artifact {
            sha256: name.repeat(64),
            size: u64::MAX,
            zip_path: format!("/data/{name}.zip"),
            dir_path: format!("/data/{name}"),
        };
        LaunchSpec {
            instance_id: text("i-1"),
            function: text("f"),
            version: text("$LATEST"),
            function_arn: text("arn:aws:lambda:us-east-1:000000000000:function:f"),
            deploy_id: "d".repeat(43),
            runtime: text("python3.13"),
            handler: text("app.handler"),
            architecture: text("arm64"),
            memory_mb: 128,
            ephemeral_storage_mb: 512,
            timeout_ms: 3_000,
            init_timeout_ms: 10_000,
            slots: 1,
            env: meta(),
            secret_env: Meta::new(),
            image: Some(Image {
                uri: text("python:3.13"),
                entry_point: vec![text("/bin/sh"), String::new()],
                command: Vec::new(),
                working_directory: None,
            }),
            code: Some(artifact("a")),
            layers: vec![artifact("b"), artifact("c")],
            token: text("secret"),
            meta: meta(),
        }
    }

    #[test]
    fn every_value_that_travels_arrives_as_it_was_sent() {
        check(&spec());
        check(&LaunchSpec::default());
        check(&CallContext { request_id: text("r"), budget_ms: u64::MAX, meta: meta() });
        check(&HostInfo {
            owner: text("o"),
            artifacts_url: Some(text("http://h")),
            meta: meta(),
            ..HostInfo::default()
        });
        check(&BackendInfo::new("mock", "1.0.0", Capabilities::LIST | Capabilities::from_bits(1 << 63)));
        check(&Instance {
            handle: text("h"),
            endpoint: text("e"),
            protocol: Protocol::AWS_RIE,
            meta: meta(),
        });
        check(&InstanceStatus {
            handle: text("h"),
            state: State::PAUSED,
            meta: meta(),
            ..InstanceStatus::default()
        });
        check(&InstanceStats { memory_bytes: 1, memory_peak_bytes: 2, cpu_ns: 3, meta: meta() });
        check(&ReapReport { removed: vec![text("a")], failed: vec![text("b: reason")] });
        check(&LogLine { stream: LogStreamKind::STDERR, unix_ms: 1, line: text("line") });
        check(&Event { kind: EventKind::from_number(99), handle: text("h"), meta: meta() });
        check(&Progress { deploy_id: text("d"), step: text("pulling"), done: 1, total: 2 });
        check(
            &BackendError::new(ErrorKind::CONFIG, "m")
                .retryable()
                .with_meta("a", "b")
                .caused_by(&std::fmt::Error),
        );
    }

    #[test]
    fn what_is_nobodys_business_is_not_shown() {
        let shown =
            format!("{:?}", LaunchSpec { secret_env: Meta::from([(text("KEY"), text("hush"))]), ..spec() });
        assert!(shown.contains("token: <hidden>") && shown.contains("secret_env: <hidden>"), "{shown}");
        assert!(
            shown.contains("python3.13") && !shown.contains("hush") && !shown.contains("\"secret\""),
            "{shown}"
        );
    }
}
