//! The container of an instance, as the engine is asked to make it.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, PortBinding, ResourcesUlimits,
};
use hearth_containers::emulator::{self, Emulator};
use hearth_containers::runtimes;
use hearth_core::{HostInfo, LaunchSpec};

use crate::config::{Config, Cpu, Tmp};
use crate::images::Image;
use crate::labels;
use crate::network::{PORT, Route};
use crate::users::{PROCESSES, User};

/// Where a container has Hearth's emulator.
pub(crate) const EMULATOR: &str = "/var/hearth";
/// Where it has the code and the layers.
pub(crate) const TASK: &str = "/var/task";
pub(crate) const OPT: &str = "/opt";

const MIB: i64 = 1024 * 1024;
/// Memory, in MiB, that comes with a whole processor on Lambda.
const MEMORY_OF_ONE_CPU: i64 = 1769;
const SHARES_OF_ONE_CPU: i64 = 1024;
/// Everything that decides how a container is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) spec: &'a LaunchSpec,
    pub(crate) config: &'a Config,
    pub(crate) host: &'a HostInfo,
    pub(crate) image: &'a Image,
    pub(crate) emulator: Emulator,
    /// Whom it runs as, where the configuration does not say.
    pub(crate) user: Option<&'a User>,
    pub(crate) route: &'a Route,
    pub(crate) ports: Ports,
}

/// Where the emulator listens inside the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// For invocations.
    pub(crate) invocations: u16,
    /// For the function's process.
    pub(crate) runtime_api: u16,
}

impl Ports {
    /// Those in a network of the container's own.
    pub(crate) const USUAL: Self = Self { invocations: PORT, runtime_api: 9001 };
}

impl Plan<'_> {
    pub(crate) fn body(&self, mounts: Vec<Mount>) -> ContainerCreateBody {
        let (entry_point, command) = self.command();
        let ports = matches!(self.route, Route::Published { .. }).then(|| vec![self.port()]);
        ContainerCreateBody {
            image: Some(self.image.id.clone()),
            entrypoint: Some(entry_point).filter(|words| !words.is_empty()),
            cmd: Some(command),
            env: Some(self.environment()),
            labels: Some(labels::of_instance(self.host, self.spec)),
            working_dir: self.spec.image.as_ref().and_then(|image| image.working_directory.clone()),
            user: self
                .user
                .map(User::name)
                .or_else(|| self.config.user.clone())
                .filter(|user| !user.is_empty()),
            // Without it, what is in `port_bindings` is not published.
            exposed_ports: ports,
            host_config: Some(self.host_config(mounts)),
            ..ContainerCreateBody::default()
        }
    }

    /// Entry point and command. Hearth's emulator takes the image's own as its arguments; AWS's bootstraps do without
    /// their own emulator when they find another one.
    fn command(&self) -> (Vec<String>, Vec<String>) {
        let Self { spec, image, .. } = *self;
        let (entry_point, command) = match &spec.image {
            Some(own) => (or(&own.entry_point, &image.entry_point), or(&own.command, &image.command)),
            None => (image.entry_point.clone(), vec![spec.handler.clone()]),
        };
        if self.emulator == Emulator::Image {
            return (entry_point, command);
        }
        let mut words = vec![format!("{EMULATOR}/{}", emulator::NAME)];
        if self.ports != Ports::USUAL {
            words.push(format!("--runtime-interface-emulator-address=127.0.0.1:{}", self.ports.invocations));
            words.push(format!("--runtime-api-address=127.0.0.1:{}", self.ports.runtime_api));
        }
        if spec.image.is_some() {
            words.extend(emulator::without_emulator(entry_point).chain(command));
        } else if !runtimes::brings_bootstrap(&spec.runtime) {
            words.push(emulator::BOOTSTRAP.to_owned());
        }
        (words, Vec::new())
    }

    fn environment(&self) -> Vec<String> {
        let Self { spec, config, .. } = *self;
        let mut all = config.environment.clone();
        all.extend(spec.env.clone());
        all.extend(spec.secret_env.clone());
        let memory_mb = (config.tmp == Tmp::Tmpfs).then_some(spec.memory_mb);
        all.extend(self.emulator.environment(spec, config.freeze, memory_mb));
        all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn host_config(&self, mounts: Vec<Mount>) -> HostConfig {
        let Self { spec, config, route, .. } = *self;
        let memory = i64::from(spec.memory_mb);
        let tmp = i64::from(spec.ephemeral_storage_mb);
        // What is in a tmpfs counts as memory of the container.
        let limit = MIB * if config.tmp == Tmp::Tmpfs { memory + tmp } else { memory };
        let tmpfs = (config.tmp == Tmp::Tmpfs).then(|| {
            let options = format!("rw,exec,nosuid,nodev,mode=1777,size={tmp}m");
            HashMap::from([("/tmp".to_owned(), options)])
        });
        let (shares, quota) = match config.cpu {
            Cpu::Shares => (Some((memory * SHARES_OF_ONE_CPU / MEMORY_OF_ONE_CPU).max(2)), None),
            Cpu::Quota => (None, Some(memory * 1_000_000_000 / MEMORY_OF_ONE_CPU)),
        };
        // What extensions listen on for telemetry has that name on Lambda.
        let extra = ["host.docker.internal:host-gateway", "sandbox.localdomain:127.0.0.1"];
        let extra = extra.into_iter().map(str::to_owned).chain(config.extra_hosts.clone());
        HostConfig {
            memory: Some(limit),
            // As much as without swap: Lambda has none.
            memory_swap: Some(limit),
            cpu_shares: shares,
            nano_cpus: quota,
            pids_limit: Some(config.pids),
            ulimits: Some(self.ulimits()),
            tmpfs,
            mounts: Some(mounts),
            readonly_rootfs: Some(config.read_only_root),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            network_mode: Some(config.network.clone()),
            port_bindings: match route {
                Route::Published { bind, .. } => Some([(self.port(), Some(vec![any_port(bind)]))].into()),
                _ => None,
            },
            extra_hosts: Some(extra.collect()),
            dns: Some(config.dns.clone()).filter(|servers| !servers.is_empty()),
            log_config: Some(bounded_log()),
            ..HostConfig::default()
        }
    }

    fn ulimits(&self) -> Vec<ResourcesUlimits> {
        let mut all = self.config.ulimits.clone();
        // Whoever chooses the user knows how many share it.
        if self.user.is_some() {
            let (name, bounds) = PROCESSES;
            all.entry(name.to_owned()).or_insert(bounds);
        }
        all.iter().map(limits).collect()
    }

    fn port(&self) -> String {
        format!("{}/tcp", self.ports.invocations)
    }
}

fn or(own: &[String], of_image: &[String]) -> Vec<String> {
    if own.is_empty() { of_image.to_vec() } else { own.to_vec() }
}

fn limits((name, (soft, hard)): (&String, &(i64, i64))) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) }
}

fn any_port(address: &str) -> PortBinding {
    PortBinding { host_ip: Some(address.to_owned()), host_port: Some("0".to_owned()) }
}

/// An instance may live long, and nobody reads all that it wrote.
fn bounded_log() -> HostConfigLogConfig {
    let bounds = [("max-size", "10m"), ("max-file", "1")];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(bounds.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;
    use crate::users::Users;

    fn spec() -> LaunchSpec {
        LaunchSpec {
            function: "f".into(),
            version: "$LATEST".into(),
            deploy_id: "d".into(),
            runtime: "python3.13".into(),
            handler: "app.handler".into(),
            architecture: "x86_64".into(),
            memory_mb: 1769,
            ephemeral_storage_mb: 512,
            timeout_ms: 2_500,
            init_timeout_ms: 10_000,
            slots: 1,
            env: [("NAME".into(), "value".into())].into(),
            token: "secret".into(),
            ..LaunchSpec::default()
        }
    }

    fn image() -> Image {
        Image {
            id: "sha256:1".into(),
            entry_point: vec!["/lambda-entrypoint.sh".into()],
            command: Vec::new(),
        }
    }

    fn body(spec: &LaunchSpec, config: &Config, image: &Image, route: &Route) -> ContainerCreateBody {
        let host = HostInfo { owner: "o".into(), epoch: "e".into(), ..HostInfo::default() };
        let ports = match route {
            Route::Host { .. } => Ports { invocations: 41, runtime_api: 42 },
            _ => Ports::USUAL,
        };
        let emulator = config.emulator;
        let user = Users::default().take();
        let user = config.user.is_none().then_some(&user);
        Plan { spec, config, host: &host, image, emulator, user, route, ports }.body(Vec::new())
    }

    fn words(spec: &LaunchSpec, config: &Config, image: &Image) -> String {
        let body = body(spec, config, image, &Route::Direct);
        [body.entrypoint.unwrap_or_default(), body.cmd.unwrap_or_default()].concat().join(" ")
    }

    #[test]
    fn the_emulator_stands_in_front_of_what_the_image_would_start() {
        let hearth = Config::default();
        let own = Config { emulator: Emulator::Image, ..Config::default() };
        let provided = LaunchSpec { runtime: "provided.al2023".into(), ..spec() };
        let of_image = |entry_point: &[&str], command: &[&str]| {
            let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
            let image = hearth_core::Image {
                entry_point: words(entry_point),
                command: words(command),
                ..Default::default()
            };
            LaunchSpec { runtime: String::new(), handler: String::new(), image: Some(image), ..spec() }
        };
        let with_command = Image { command: vec!["app.handler".into()], ..image() };
        let with_emulator = Image {
            entry_point: vec!["/usr/local/bin/aws-lambda-rie".into(), "/bootstrap".into()],
            ..image()
        };
        for (spec, config, image, expected) in [
            (spec(), &hearth, image(), "/var/hearth/rie /var/runtime/bootstrap"),
            (provided.clone(), &hearth, image(), "/var/hearth/rie"),
            (
                of_image(&[], &[]),
                &hearth,
                with_command.clone(),
                "/var/hearth/rie /lambda-entrypoint.sh app.handler",
            ),
            (of_image(&["/e"], &["c"]), &hearth, with_command.clone(), "/var/hearth/rie /e c"),
            (of_image(&[], &[]), &hearth, with_emulator, "/var/hearth/rie /bootstrap"),
            (spec(), &own, image(), "/lambda-entrypoint.sh app.handler"),
            (of_image(&[], &["other"]), &own, with_command, "/lambda-entrypoint.sh other"),
        ] {
            assert_eq!(words(&spec, config, &image), expected);
        }
    }

    #[test]
    fn a_container_is_confined_as_a_function_on_lambda_is() {
        let body = body(&spec(), &Config::default(), &image(), &Route::Direct);
        let mut shown = serde_json::to_value(body).unwrap();
        shown.sort_all_objects();
        let shown = serde_json::to_string_pretty(&shown).unwrap();
        expect_file!["container/confined.json"].assert_eq(&shown);
    }

    #[test]
    fn whoever_chooses_the_user_chooses_the_limit_of_processes() {
        let of = |config: Config| {
            let body = body(&spec(), &config, &image(), &Route::Direct);
            let limits = body.host_config.unwrap().ulimits.unwrap();
            let processes = limits.iter().filter(|limit| limit.name.as_deref() == Some("nproc"));
            (body.user, processes.map(|limit| limit.hard.unwrap()).collect::<Vec<_>>())
        };
        let user = |name: &str| Some(name.to_owned());
        assert_eq!(of(Config::default()), (user("993:990"), vec![742]));
        assert_eq!(of(Config { user: user("1:2"), ..Config::default() }), (user("1:2"), vec![]));
        assert_eq!(of(Config { user: user(""), ..Config::default() }), (None, vec![]));
        let ulimits = [("nproc".to_owned(), (5, 6))].into();
        assert_eq!(of(Config { ulimits, ..Config::default() }), (user("993:990"), vec![6]));
    }

    #[test]
    fn memory_and_processors_are_what_the_settings_say() {
        let config = Config { tmp: Tmp::Disk, cpu: Cpu::Quota, ..Config::default() };
        let spec = LaunchSpec { memory_mb: 128, ..spec() };
        let of = |config: &Config| body(&spec, config, &image(), &Route::Direct).host_config.unwrap();
        let quota = of(&config);
        assert_eq!(
            (quota.memory, quota.nano_cpus, quota.cpu_shares),
            (Some(128 * MIB), Some(72_357_263), None)
        );
        assert_eq!(quota.tmpfs, None);
        let shares = of(&Config::default());
        assert_eq!((shares.memory, shares.nano_cpus, shares.cpu_shares), (Some(640 * MIB), None, Some(74)));
    }

    #[test]
    fn a_port_is_published_only_where_it_is_needed() {
        let config = Config::default();
        let published = Route::Published { bind: "127.0.0.1".into(), connect: "127.0.0.1".into() };
        let body_of = |route: &Route| body(&spec(), &config, &image(), route);
        let ports = body_of(&published);
        assert_eq!(ports.exposed_ports, Some(vec!["8080/tcp".to_owned()]));
        let bindings =
            ports.host_config.unwrap().port_bindings.unwrap().remove("8080/tcp").flatten().unwrap();
        assert_eq!(bindings, [any_port("127.0.0.1")]);
        let direct = body_of(&Route::Direct);
        assert_eq!((direct.exposed_ports, direct.host_config.unwrap().port_bindings), (None, None));
        let on_host = body_of(&Route::Host { address: "127.0.0.1".into() }).entrypoint.unwrap();
        let addresses =
            ["--runtime-interface-emulator-address=127.0.0.1:41", "--runtime-api-address=127.0.0.1:42"];
        assert_eq!(on_host[1..3], addresses);
    }
}
