//! Settings: read once from flags, environment and file, checked, and passed on as values.
//!
//! The flag wins over the `HEARTH_…` variable, that over the file, that over the default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hearth_pool::{KeepAlive, MemoryMib, QueuePolicy, ScaleOut};
use serde::Deserialize;

use crate::api::access::Access;
use crate::aws;
use crate::event_queue;
use crate::simulate::policy;

mod credentials;
mod endpoints;

/// Lambda has no smaller function: a budget below it holds none.
const SMALLEST_FUNCTION: MemoryMib = MemoryMib(128);

/// Everything that the host needs to know, checked.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where the Lambda API listens.
    pub listen: String,
    /// Name or path of the backend.
    pub backend: String,
    /// Where functions and code are kept.
    pub data_dir: PathBuf,
    /// Folders to look for backends in, before all others.
    pub plugin_dirs: Vec<PathBuf>,
    /// The account of callers whose credentials do not name one: 12 digits.
    pub account_id: String,
    /// The region of callers whose credentials do not name one.
    pub region: String,
    /// Whether `listen` may be an address that other machines reach, although whoever reaches it may call.
    pub allow_anonymous: bool,
    /// Who may call.
    pub access: Access,
    /// How the pool decides.
    pub pool: hearth_pool::Config,
    /// How long an invocation waits for an instance.
    pub queue_timeout: Duration,
    /// How often and how long asynchronous invocations are tried.
    pub events: event_queue::Policy,
    /// Where other AWS services are, and who calls them.
    pub aws: aws::Settings,
    /// How long invocations under way may go on once the host was told to stop.
    pub shutdown_grace: Duration,
    /// How long an instance has between being asked to end and being killed.
    pub terminate_grace: Duration,
    /// How long an instance is unused until it is paused; nothing if none is.
    pub pause_idle_after: Option<Duration>,
    /// Added to the environment of every function.
    pub function_env: BTreeMap<String, String>,
    /// The backend's own settings, as JSON; empty for its defaults.
    pub backend_config: String,
    /// SHA-256 that the backend's file must have, in hexadecimal.
    pub backend_sha256: Option<String>,
    /// Whether the backend runs in a process of its own.
    pub isolate_backend: bool,
    /// How long functions' logs are kept; nothing if they are not.
    pub keep_logs: Option<Duration>,
    /// Where everything that the pool is told is written down, if anywhere.
    pub record: Option<PathBuf>,
}

/// Flags of `hearth`, each also an environment variable.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// Backend that runs the functions: process, docker, k8s, mock, or the path of a plugin's .so
    #[arg(long, env = "HEARTH_BACKEND", value_name = "NAME|PATH", global = true)]
    pub backend: Option<String>,

    /// Address of the Lambda API [default: 127.0.0.1:3001]
    #[arg(long, env = "HEARTH_LISTEN", value_name = "HOST:PORT", global = true)]
    pub listen: Option<String>,

    /// Where functions and their code are kept [default: ~/.local/share/hearth]
    #[arg(long, env = "HEARTH_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,

    /// Settings file (TOML); see examples/hearth.toml
    #[arg(long, env = "HEARTH_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// Folder to look for backends in, before the usual ones; may be given more than once
    #[arg(long = "plugin-dir", env = "HEARTH_PLUGIN_DIR", value_name = "DIR", global = true)]
    pub plugin_dirs: Vec<PathBuf>,

    /// Listen on an address that other machines reach, although whoever reaches it may run code here
    #[arg(long, env = "HEARTH_ALLOW_ANONYMOUS", global = true)]
    pub allow_anonymous: bool,

    /// Serve only requests that are signed with a key of this file, which is like ~/.aws/credentials
    #[arg(long = "credentials", env = "HEARTH_CREDENTIALS", value_name = "FILE", global = true)]
    pub credentials: Option<PathBuf>,

    /// Run the backend in a process of its own, so that whatever ends it costs only the backend
    #[arg(long, env = "HEARTH_ISOLATE_BACKEND")]
    pub isolate_backend: bool,

    /// Write down everything that the pool is told, for `hearth simulate --replay FILE`
    #[arg(long, env = "HEARTH_RECORD", value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// The environment, as far as the host looks at it: the process's own, or a map in tests.
pub trait Environment {
    /// The value of a variable, if it is set and is UTF-8.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Why the settings cannot be used. The message names the setting and where it came from.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// The file, as written by people.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<String>,
    backend: Option<String>,
    data_dir: Option<PathBuf>,
    plugin_dirs: Vec<PathBuf>,
    allow_anonymous: bool,
    credentials: Option<PathBuf>,
    account_id: Option<String>,
    region: Option<String>,
    shutdown_grace_seconds: Option<f64>,
    terminate_grace_seconds: Option<f64>,
    function_env: BTreeMap<String, String>,
    backend_sha256: Option<String>,
    isolate_backend: bool,
    record: Option<PathBuf>,
    pool: PoolSection,
    events: EventsSection,
    logs: LogsSection,
    backends: BTreeMap<String, toml::Table>,
}

/// Section `[pool]` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PoolSection {
    account_concurrency: Option<u32>,
    memory_budget_mb: Option<u64>,
    when_full: Option<WhenFull>,
    queue_timeout_seconds: Option<f64>,
    max_waiters: Option<u32>,
    scale_out: Option<ScaleOutName>,
    keep_alive: Option<String>,
    keep_alive_seconds: Option<f64>,
    launches_at_once: Option<u32>,
    pause_idle_after_seconds: Option<f64>,
}

/// Section `[events]` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventsSection {
    retry_delays_seconds: Option<Vec<f64>>,
    max_age_seconds: Option<f64>,
}

/// Section `[logs]` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogsSection {
    enabled: Option<bool>,
    keep_days: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WhenFull {
    Wait,
    Refuse,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScaleOutName {
    Eager,
    CostAware,
}

impl HostConfig {
    /// Merges flags (which clap has merged with the environment), file and defaults.
    pub fn load(flags: &Flags, environment: &impl Environment) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        Self::merge(flags, file, environment)
    }

    fn merge(flags: &Flags, file: File, environment: &impl Environment) -> Result<Self, ConfigError> {
        let backend = flags.backend.clone().or(file.backend).unwrap_or_else(|| "process".to_owned());
        let mut plugin_dirs = flags.plugin_dirs.clone();
        plugin_dirs.extend(file.plugin_dirs);
        let config = Self {
            listen: flags.listen.clone().or(file.listen).unwrap_or_else(|| "127.0.0.1:3001".to_owned()),
            data_dir: flags
                .data_dir
                .clone()
                .or(file.data_dir)
                .unwrap_or_else(|| default_data_dir(environment)),
            plugin_dirs,
            allow_anonymous: flags.allow_anonymous || file.allow_anonymous,
            access: credentials::read(flags.credentials.as_deref().or(file.credentials.as_deref()))?,
            account_id: file.account_id.unwrap_or_else(|| "000000000000".to_owned()),
            region: file.region.unwrap_or_else(|| "us-east-1".to_owned()),
            queue_timeout: seconds("pool.queue_timeout_seconds", file.pool.queue_timeout_seconds, 60.0)?,
            // Docker and Kubernetes kill 10 and 30 seconds after SIGTERM: there must be time left to clean up.
            shutdown_grace: seconds("shutdown_grace_seconds", file.shutdown_grace_seconds, 8.0)?,
            terminate_grace: seconds("terminate_grace_seconds", file.terminate_grace_seconds, 2.0)?,
            pause_idle_after: file.pool.pause_idle_after()?,
            events: file.events.into_policy()?,
            aws: endpoints::read(environment)?,
            keep_logs: file.logs.age()?,
            function_env: file.function_env,
            backend_config: backend_config(&backend, &file.backends)?,
            backend_sha256: file.backend_sha256,
            isolate_backend: flags.isolate_backend || file.isolate_backend,
            record: flags.record.clone().or(file.record),
            pool: file.pool.into_config()?,
            backend,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.account_id.len() != 12 || !self.account_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ConfigError(format!("account_id: `{}` is not 12 digits", self.account_id)));
        }
        let listens = self.listen.parse::<SocketAddr>().is_ok()
            || self
                .listen
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !listens {
            return Err(ConfigError(format!(
                "listen: `{}` is not HOST:PORT, as in 127.0.0.1:3001 (port 0 picks a free one)",
                self.listen
            )));
        }
        if let Some(MemoryMib(budget)) = self.pool.memory_budget.filter(|budget| *budget < SMALLEST_FUNCTION)
        {
            return Err(ConfigError(format!(
                "pool.memory_budget_mb: {budget} is less than one instance of the smallest function, which has {}",
                SMALLEST_FUNCTION.0
            )));
        }
        hearth_pool::Pool::new(self.pool.clone())
            .map(drop)
            .map_err(|error| ConfigError(format!("pool.{}: {}", error.setting, error.problem)))
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!("cannot read the settings file {}: {error}", path.display()))
        })?;
        toml::from_str(&text).map_err(|error| {
            ConfigError(format!("settings file {}: {}", path.display(), error.to_string().trim_end()))
        })
    }
}

impl PoolSection {
    fn into_config(self) -> Result<hearth_pool::Config, ConfigError> {
        let defaults = hearth_pool::Config::default();
        let keep_alive = self.keep_alive()?;
        let max_waiters = self.max_waiters.unwrap_or(10_000);
        Ok(hearth_pool::Config {
            account_concurrency: self.account_concurrency.unwrap_or(defaults.account_concurrency),
            memory_budget: self.memory_budget_mb.map(MemoryMib),
            queue: match self.when_full.unwrap_or(WhenFull::Wait) {
                WhenFull::Wait => QueuePolicy::Wait { max_waiters },
                WhenFull::Refuse => QueuePolicy::Refuse,
            },
            scale_out: match self.scale_out.unwrap_or(ScaleOutName::Eager) {
                ScaleOutName::Eager => ScaleOut::Eager,
                ScaleOutName::CostAware => ScaleOut::CostAware,
            },
            keep_alive,
            launches_at_once: self.launches_at_once.unwrap_or(defaults.launches_at_once),
            ..defaults
        })
    }

    fn pause_idle_after(&self) -> Result<Option<Duration>, ConfigError> {
        let after = |given| seconds("pool.pause_idle_after_seconds", Some(given), 0.0);
        self.pause_idle_after_seconds.map(after).transpose()
    }

    /// A policy by its name, or a time to live in seconds: not both.
    fn keep_alive(&self) -> Result<KeepAlive, ConfigError> {
        match (&self.keep_alive, self.keep_alive_seconds) {
            (Some(name), None) => {
                policy::parse(name).map_err(|problem| ConfigError(format!("pool.keep_alive: {problem}")))
            }
            (Some(name), Some(_)) => Err(ConfigError(format!(
                "pool.keep_alive_seconds: pool.keep_alive is `{name}` already; give one of the two"
            ))),
            (None, given) => Ok(KeepAlive::Ttl(seconds("pool.keep_alive_seconds", given, 600.0)?)),
        }
    }
}

impl EventsSection {
    fn into_policy(self) -> Result<event_queue::Policy, ConfigError> {
        let defaults = event_queue::Policy::default();
        let delays = self.retry_delays_seconds.map(|delays| {
            delays.into_iter().map(|delay| seconds("events.retry_delays_seconds", Some(delay), 0.0)).collect()
        });
        Ok(event_queue::Policy {
            retry_delays: delays.transpose()?.unwrap_or(defaults.retry_delays),
            max_age: seconds("events.max_age_seconds", self.max_age_seconds, defaults.max_age.as_secs_f64())?,
            ..defaults
        })
    }
}

impl LogsSection {
    fn age(&self) -> Result<Option<Duration>, ConfigError> {
        let days = self.keep_days.unwrap_or(7.0);
        let age = Duration::try_from_secs_f64(days * 24.0 * 3600.0)
            .map_err(|_| ConfigError(format!("logs.keep_days: {days} is not a length of time in days")))?;
        Ok(self.enabled.unwrap_or(true).then_some(age))
    }
}

fn seconds(setting: &str, given: Option<f64>, default: f64) -> Result<Duration, ConfigError> {
    let value = given.unwrap_or(default);
    Duration::try_from_secs_f64(value)
        .map_err(|_| ConfigError(format!("{setting}: {value} is not a length of time in seconds")))
}

fn default_data_dir(environment: &impl Environment) -> PathBuf {
    let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    environment
        .get("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(home)
        .map_or_else(|| PathBuf::from(".hearth"), |data| data.join("hearth"))
}

/// The section `[backends.<name>]` of a settings file, as JSON; empty if there is none.
pub fn backend_section(path: &Path, name: &str) -> Result<String, ConfigError> {
    backend_config(name, &File::read(path)?.backends)
}

/// The section `[backends.<name>]` of the chosen backend; for one that is given by path, the name in
/// `libhearth_backend_<name>.so`.
fn backend_config(backend: &str, sections: &BTreeMap<String, toml::Table>) -> Result<String, ConfigError> {
    let file_name = Path::new(backend).file_name().and_then(|name| name.to_str()).unwrap_or(backend);
    let name =
        file_name.trim_start_matches("libhearth_backend_").trim_end_matches(std::env::consts::DLL_SUFFIX);
    let section = sections.iter().find(|(section, _)| section.replace('-', "_") == name.replace('-', "_"));
    match section {
        Some((section, table)) => serde_json::to_string(table)
            .map_err(|error| ConfigError(format!("backends.{section} cannot be written as JSON: {error}"))),
        None => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Environment for BTreeMap<&str, &str> {
        fn get(&self, name: &str) -> Option<String> {
            BTreeMap::get(self, name).map(|value| (*value).to_owned())
        }
    }

    fn load(file: &str) -> Result<HostConfig, ConfigError> {
        let file = toml::from_str(file).map_err(|error| ConfigError(error.to_string()))?;
        HostConfig::merge(&Flags::default(), file, &BTreeMap::from([("HOME", "/home/me")]))
    }

    #[test]
    fn defaults_serve_on_loopback_with_processes() {
        let config = load("").unwrap();
        assert_eq!(config.listen, "127.0.0.1:3001");
        assert_eq!(config.backend, "process");
        assert_eq!(config.data_dir, Path::new("/home/me/.local/share/hearth"));
        assert_eq!(config.backend_config, "");
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let flags = Flags { backend: Some("mock".into()), ..Flags::default() };
        let file = toml::from_str("backend = 'docker'\nlisten = '127.0.0.1:0'").unwrap();
        let config = HostConfig::merge(&flags, file, &BTreeMap::new()).unwrap();
        assert_eq!((config.backend.as_str(), config.listen.as_str()), ("mock", "127.0.0.1:0"));
    }

    #[test]
    fn a_keep_alive_policy_is_chosen_by_name() {
        let keep_alive = |file: &str| load(&format!("[pool]\n{file}")).map(|config| config.pool.keep_alive);
        for (file, policy) in [
            ("", KeepAlive::Ttl(Duration::from_secs(600))),
            ("keep_alive_seconds = 1.5", KeepAlive::Ttl(Duration::from_millis(1500))),
            ("keep_alive = 'ttl:20m'", KeepAlive::Ttl(Duration::from_secs(1200))),
            ("keep_alive = 'hybrid-histogram'", KeepAlive::HybridHistogram),
            ("keep_alive = 'greedy-dual'", KeepAlive::GreedyDual),
            ("keep_alive = 'level-cost:0.01'", KeepAlive::LevelCost { price: 0.01 }),
        ] {
            assert_eq!(keep_alive(file).unwrap(), policy, "{file}");
        }
        for (file, message) in [
            (
                "keep_alive = 'lru'".to_owned(),
                format!("pool.keep_alive: `lru` is no keep-alive policy; there are {}", policy::KNOWN),
            ),
            (
                "keep_alive = 'level-cost:-1'".to_owned(),
                "pool.keep_alive: `level-cost:-1`: the price must be above 0".to_owned(),
            ),
            (
                "keep_alive = 'greedy-dual'\nkeep_alive_seconds = 60.0".to_owned(),
                "pool.keep_alive_seconds: pool.keep_alive is `greedy-dual` already; give one of the two"
                    .to_owned(),
            ),
        ] {
            assert_eq!(keep_alive(&file).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_chosen_backend_gets_its_own_section() {
        let sections = "[backends.mock]\nlaunch_delay_ms = 5\n[backends.my-own]\nsocket = 'x'\n";
        let of = |backend: &str| load(&format!("backend = '{backend}'\n{sections}")).unwrap().backend_config;
        assert_eq!(of("mock"), r#"{"launch_delay_ms":5}"#);
        assert_eq!(of("/opt/libhearth_backend_my_own.so"), r#"{"socket":"x"}"#);
        assert_eq!(of("process"), "");
    }

    #[test]
    fn what_cannot_hold_is_refused_by_name() {
        for (file, message) in [
            ("account_id = '12'", "account_id: `12` is not 12 digits"),
            (
                "listen = 'here'",
                "listen: `here` is not HOST:PORT, as in 127.0.0.1:3001 (port 0 picks a free one)",
            ),
            (
                "shutdown_grace_seconds = -1.0",
                "shutdown_grace_seconds: -1 is not a length of time in seconds",
            ),
            (
                "[pool]\nmemory_budget_mb = 127",
                "pool.memory_budget_mb: 127 is less than one instance of the smallest function, which has 128",
            ),
            (
                "[pool]\nmax_waiters = 0",
                "pool.max_waiters: must be at least 1: even the first instance takes time to start",
            ),
            ("[logs]\nkeep_days = -1.0", "logs.keep_days: -1 is not a length of time in days"),
            ("[pool]\naccount_concurrency = 0", "pool.account_concurrency: must be at least 1"),
            ("[pool]\nlaunches_at_once = 0", "pool.launches_at_once: must be at least 1"),
            (
                "[pool]\nkeep_alive_seconds = -1.0",
                "pool.keep_alive_seconds: -1 is not a length of time in seconds",
            ),
            (
                "[pool]\nqueue_timeout_seconds = nan",
                "pool.queue_timeout_seconds: NaN is not a length of time in seconds",
            ),
        ] {
            assert_eq!(load(file).unwrap_err().to_string(), message);
        }
        let unknown = load("lisen = 'x'").unwrap_err().to_string();
        assert!(unknown.contains("unknown field `lisen`"), "{unknown}");
    }
}
