//! What the program is told: arguments and environment as `aws-lambda-rie` takes them, and a few of its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearth_rie::{
    Admission, Confinement, Defaults, Function, InstanceConfig, LogFormat, Observer, Program, StreamRules,
};

const USAGE: &str = "usage: rie [--runtime-interface-emulator-address HOST:PORT] [--runtime-api-address HOST:PORT] \
                     [BOOTSTRAP [ARGUMENT…] [HANDLER]]";

/// Everything that the program is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) runtime_api: SocketAddr,
    /// How long an invocation may go on once the program is to end: `HEARTH_RIE_GRACE_MS`.
    pub(crate) grace: Duration,
    command: Vec<OsString>,
    directory: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    /// `HEARTH_RIE_TOKEN`: whoever does not present it is refused.
    token: Option<String>,
    /// `HEARTH_RIE_INIT_MS`.
    init_limit: Duration,
    timeout: Duration,
    /// `HEARTH_RIE_MEMORY_MB`: the function is killed when it uses more.
    memory_limit: Option<u64>,
    /// `HEARTH_RIE_STREAM_LIMIT` in bytes, and `HEARTH_RIE_STREAM_RATE` in bytes per second.
    stream: StreamRules,
    /// `HEARTH_RIE_FREEZE`: 1 to stop the function between invocations, which AWS's emulator does not.
    freeze: bool,
    /// `AWS_LAMBDA_LOG_FORMAT`, and `HEARTH_RIE_SYSTEM_LOG_LEVEL`, which Lambda does not tell the function.
    log_format: LogFormat,
    slots: usize,
    function: Function,
}

impl Settings {
    pub(crate) fn of_process() -> Result<Self, String> {
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let executable = |path: &Path| path.is_file();
        Self::parse(
            std::env::args_os().skip(1).collect(),
            &std::env::vars_os().collect(),
            directory,
            executable,
        )
    }

    /// `is_file` looks for the bootstraps that images have.
    fn parse(
        mut arguments: Vec<OsString>,
        environment: &BTreeMap<OsString, OsString>,
        directory: PathBuf,
        is_file: impl Fn(&Path) -> bool,
    ) -> Result<Self, String> {
        let listen = option(&mut arguments, "--runtime-interface-emulator-address")?;
        let runtime_api = option(&mut arguments, "--runtime-api-address")?;
        // What is left of the options of AWS's emulator means nothing here.
        option(&mut arguments, "--log-level")?;
        arguments.retain(|argument| argument != "--enable-init-caching");
        if let Some(unknown) = arguments.first().filter(|first| first.as_encoded_bytes().starts_with(b"-")) {
            return Err(format!("{} is not an option that is known here; {USAGE}", unknown.display()));
        }
        let (command, directory, handler) = command(arguments, directory, is_file);
        let text = |name: &str| environment.get(OsStr::new(name)).and_then(|value| value.to_str());
        let number = |name: &str, default: u64| match text(name).filter(|value| !value.is_empty()) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| format!("{name} is {value}, which is not a number")),
        };
        let function = Function {
            name: text("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("test_function").to_owned(),
            version: text("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or("$LATEST").to_owned(),
            memory_mb: number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 3008)?.try_into().unwrap_or(u32::MAX),
            account_id: None,
        };
        Ok(Self {
            listen: address(listen, "0.0.0.0:8080")?,
            runtime_api: address(runtime_api, "127.0.0.1:9001")?,
            grace: Duration::from_millis(number("HEARTH_RIE_GRACE_MS", 9000)?),
            token: text("HEARTH_RIE_TOKEN").filter(|token| !token.is_empty()).map(str::to_owned),
            init_limit: Duration::from_millis(number("HEARTH_RIE_INIT_MS", 10_000)?),
            memory_limit: Some(number("HEARTH_RIE_MEMORY_MB", 0)? * 1024 * 1024).filter(|limit| *limit > 0),
            timeout: Duration::from_secs(number("AWS_LAMBDA_FUNCTION_TIMEOUT", 300)?),
            stream: StreamRules {
                limit: number("HEARTH_RIE_STREAM_LIMIT", StreamRules::default().limit)?,
                rate: NonZeroU64::new(number("HEARTH_RIE_STREAM_RATE", 0)?),
            },
            freeze: text("HEARTH_RIE_FREEZE") == Some("1"),
            log_format: LogFormat::of(text("AWS_LAMBDA_LOG_FORMAT"), text("HEARTH_RIE_SYSTEM_LOG_LEVEL")),
            slots: number("AWS_LAMBDA_MAX_CONCURRENCY", 1)?.try_into().unwrap_or(1),
            command,
            directory,
            environment: environment_of_function(environment, &function, handler),
            function,
        })
    }

    pub(crate) fn into_instance(mut self, observer: Arc<dyn Observer>) -> InstanceConfig {
        // Like AWS's emulator this one makes up what an invocation does not say, unless it is Hearth's.
        let defaults = self.token.is_none().then(|| Defaults {
            invoked_function_arn: format!(
                "arn:aws:lambda:us-east-1:012345678912:function:{}",
                self.function.name
            ),
            timeout: self.timeout,
        });
        InstanceConfig {
            program: Program {
                path: self.command.remove(0).into(),
                arguments: self.command,
                environment: self.environment.into_iter().collect(),
                directory: self.directory,
                confinement: Confinement::default(),
            },
            function: self.function,
            slots: self.slots,
            init_limit: self.init_limit,
            memory_limit: self.memory_limit,
            extensions: Some("/opt/extensions".into()),
            stream: self.stream,
            listen: self.listen,
            runtime_api: self.runtime_api,
            admission: self.token.map_or(Admission::Anyone, Admission::Bearer),
            defaults,
            freeze: self.freeze,
            log_format: self.log_format,
            observer,
        }
    }
}

/// Takes `--name value` or `--name=value` out of the arguments before the bootstrap.
fn option(arguments: &mut Vec<OsString>, name: &str) -> Result<Option<String>, String> {
    let mut place = 0;
    while let Some(argument) = arguments.get(place).map(|argument| argument.to_string_lossy().into_owned()) {
        if let Some(value) = argument.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            arguments.remove(place);
            return Ok(Some(value.to_owned()));
        }
        if argument == name {
            arguments.remove(place);
            if place == arguments.len() {
                return Err(format!("{name} needs a value; {USAGE}"));
            }
            return Ok(Some(arguments.remove(place).to_string_lossy().into_owned()));
        }
        if !argument.starts_with('-') {
            break;
        }
        let takes_a_value = argument.ends_with("-address") || argument.ends_with("-level");
        place += 1 + usize::from(takes_a_value);
    }
    Ok(None)
}

fn address(given: Option<String>, default: &str) -> Result<SocketAddr, String> {
    let text = given.unwrap_or_else(|| default.to_owned());
    let numbers =
        text.strip_prefix("localhost:").map_or_else(|| text.clone(), |port| format!("127.0.0.1:{port}"));
    let numbers = if numbers.starts_with(':') { format!("0.0.0.0{numbers}") } else { numbers };
    numbers.parse().map_err(|_| format!("{text} is not an address of the form HOST:PORT, with numbers"))
}

/// What to start and where, and the handler if there is one: by AWS's emulator it is the last argument.
fn command(
    arguments: Vec<OsString>,
    directory: PathBuf,
    is_file: impl Fn(&Path) -> bool,
) -> (Vec<OsString>, PathBuf, Option<OsString>) {
    const OF_CODE: &str = "/var/task/bootstrap";
    if arguments.is_empty() {
        let places = [OF_CODE, "/opt/bootstrap", "/var/runtime/bootstrap"];
        let found = places.into_iter().find(|path| is_file(Path::new(path))).unwrap_or(OF_CODE);
        return (vec![found.into()], PathBuf::from("/var/task"), None);
    }
    let handler = (arguments.len() > 1).then(|| arguments.last().cloned()).flatten();
    (arguments, directory, handler)
}

/// The whole environment goes on, but for what is meant for the emulator.
fn environment_of_function(
    own: &BTreeMap<OsString, OsString>,
    function: &Function,
    handler: Option<OsString>,
) -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<OsString, OsString> = [
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/Functions"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_VERSION", &function.version),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("TZ", ":UTC"),
    ]
    .map(|(name, value)| (OsString::from(name), OsString::from(value)))
    .into();
    let meant_for_function = |name: &OsStr| !name.as_encoded_bytes().starts_with(b"HEARTH_RIE_");
    all.extend(
        own.iter()
            .filter(|(name, _)| meant_for_function(name))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let handler = own.get(OsStr::new("AWS_LAMBDA_FUNCTION_HANDLER")).cloned().or(handler);
    all.extend(handler.map(|handler| (OsString::from("_HANDLER"), handler)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], environment: &[(&str, &str)], files: &[&str]) -> Result<Settings, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let is_file = |path: &Path| files.iter().any(|file| path == Path::new(file));
        Settings::parse(arguments.iter().map(OsString::from).collect(), &environment, "/here".into(), is_file)
    }

    fn shown(settings: &Settings) -> String {
        let command: Vec<_> = settings.command.iter().map(|part| part.display().to_string()).collect();
        let handler =
            settings.environment.get(OsStr::new("_HANDLER")).map(|handler| handler.display().to_string());
        let (directory, listen) = (settings.directory.display(), settings.listen);
        format!(
            "{} in {directory} on {listen} {}, handler {handler:?}",
            command.join(" "),
            settings.runtime_api
        )
    }

    #[test]
    fn the_command_line_is_that_of_the_emulator_of_aws() {
        let all = ["/var/task/bootstrap", "/opt/bootstrap", "/var/runtime/bootstrap"];
        for (arguments, files, expected) in [
            (
                &[][..],
                &all[..],
                "/var/task/bootstrap in /var/task on 0.0.0.0:8080 127.0.0.1:9001, handler None",
            ),
            (&[], &all[1..], "/opt/bootstrap in /var/task on 0.0.0.0:8080 127.0.0.1:9001, handler None"),
            (&[], &[], "/var/task/bootstrap in /var/task on 0.0.0.0:8080 127.0.0.1:9001, handler None"),
            (&["/boot"], &[], "/boot in /here on 0.0.0.0:8080 127.0.0.1:9001, handler None"),
            (
                &["/python", "-m", "awslambdaric", "app.handler"],
                &[],
                "/python -m awslambdaric app.handler in /here on 0.0.0.0:8080 127.0.0.1:9001, handler Some(\"app.handler\")",
            ),
            (
                &[
                    "--log-level",
                    "debug",
                    "--runtime-interface-emulator-address=127.0.0.1:1",
                    "--runtime-api-address",
                    "localhost:2",
                    "/boot",
                    "--log-level",
                ],
                &[],
                "/boot --log-level in /here on 127.0.0.1:1 127.0.0.1:2, handler Some(\"--log-level\")",
            ),
        ] {
            assert_eq!(shown(&parse(arguments, &[], files).unwrap()), expected);
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said_in_one_line() {
        for (arguments, environment, message) in [
            (&["--runtime-api-address"][..], &[][..], "--runtime-api-address needs a value; usage: "),
            (&["--runtime-api-address", "x", "b"], &[], "x is not an address of the form HOST:PORT"),
            (&["--verbose", "b"], &[], "--verbose is not an option that is known here; usage: "),
            (
                &["b"],
                &[("AWS_LAMBDA_FUNCTION_TIMEOUT", "soon")],
                "AWS_LAMBDA_FUNCTION_TIMEOUT is soon, which is not a number",
            ),
        ] {
            let error = parse(arguments, environment, &[]).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn what_is_meant_for_the_emulator_does_not_reach_the_function() {
        let environment = [
            ("HEARTH_RIE_TOKEN", "secret"),
            ("OWN", "1"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("_HANDLER", "h"),
        ];
        let settings = parse(&["b"], &environment, &[]).unwrap();
        assert_eq!(settings.token.as_deref(), Some("secret"));
        let names: Vec<_> = settings.environment.keys().map(|name| name.to_str().unwrap()).collect();
        assert!(names.contains(&"OWN") && names.contains(&"_HANDLER"));
        assert!(!names.iter().any(|name| name.starts_with("HEARTH")), "{names:?}");
        assert_eq!(settings.function.name, "f");
    }
}
