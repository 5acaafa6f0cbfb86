//! The pod of an instance, as the API server is asked to make it.

use std::collections::BTreeMap;

use hearth_containers::emulator::{self, Emulator};
use hearth_containers::runtimes;
use hearth_core::{BackendError, ErrorKind, HostInfo, LaunchSpec, Result};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HostAlias,
    LocalObjectReference, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
    PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, Secret, SecretKeySelector,
    SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::config::{Config, Cpu, OwnPod, Pull, Tmp};
use crate::labels;
use crate::placement::Placement;

/// Where emulators listen.
pub(crate) const PORT: u16 = 8080;
/// The container that the function runs in, and the one that fetches its code.
pub(crate) const FUNCTION: &str = "function";
pub(crate) const FETCH: &str = "fetch";

/// Where a pod has Hearth's emulator, the code and the layers, and where they are in what is fetched.
const PLACES: [(&str, &str); 3] = [(BIN, "/var/hearth"), (TASK, "/var/task"), (OPT, "/opt")];
pub(crate) const BIN: &str = "bin";
pub(crate) const TASK: &str = "task";
pub(crate) const OPT: &str = "opt";

/// The volume that is fetched into, and where whoever fetches has it.
const PARCEL: &str = "parcel";
const FETCHED: &str = "/var/parcel";
const FETCH_SCRIPT: &str = include_str!("pod/fetch.sh");
/// Whom the init container runs as if functions run as whom their image says.
const FETCHES_AS: (i64, i64) = (993, 990);
/// How long a pod that somebody else ends has for the invocation that it serves.
const GRACE_SECONDS: i64 = 10;

/// Memory, in MiB, that comes with a whole processor on Lambda.
const MEMORY_OF_ONE_CPU: u32 = 1769;
/// What such a function asks of a node, in thousandths of a processor: most instances have nothing to do most of the
/// time, and what they ask decides their shares when they have.
const SHARE_OF_ONE_CPU: u32 = 250;

/// Everything that decides how a pod is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) spec: &'a LaunchSpec,
    pub(crate) config: &'a Config,
    pub(crate) host: &'a HostInfo,
    /// The host's own pod, if it is in the same namespace.
    pub(crate) owner: Option<&'a OwnPod>,
    pub(crate) placement: &'a Placement,
    pub(crate) emulator: Emulator,
    /// What is fetched before it starts, if anything.
    pub(crate) fetch: Option<&'a Fetch>,
}

/// What an init container fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) url: String,
    pub(crate) token: String,
    /// Of all of it, in hexadecimal.
    pub(crate) sha256: String,
    /// What is in it: some of [`BIN`], [`TASK`] and [`OPT`].
    pub(crate) folders: Vec<&'static str>,
}

impl Fetch {
    /// What tells whoever fetches.
    fn environment(&self) -> Vec<EnvVar> {
        let told = [
            ("HEARTH_RIE_FETCH_URL", &*self.url),
            ("HEARTH_RIE_FETCH_TOKEN", &self.token),
            ("HEARTH_RIE_FETCH_SHA256", &self.sha256),
            ("HEARTH_RIE_FETCH_TO", FETCHED),
        ];
        told.map(|(name, value)| variable(name, value)).to_vec()
    }
}

/// The image that a function is to run in.
pub(crate) fn image(spec: &LaunchSpec, config: &Config) -> Result<String> {
    if let Some(image) = &spec.image {
        return Ok(image.uri.clone());
    }
    if let Some(image) = config.images.get(&spec.runtime) {
        return Ok(image.clone());
    }
    let image = runtimes::image(&spec.runtime).ok_or_else(|| {
        BackendError::new(
            ErrorKind::SPEC_REJECTED,
            format!(
                "there is no image for the runtime {0}: name one in [backends.k8s.images], \"{0}\" = \"…\"",
                spec.runtime
            ),
        )
    })?;
    Ok(format!("{}/{image}", config.image_prefix))
}

impl Plan<'_> {
    pub(crate) fn pod(&self) -> Result<Pod> {
        let (whole, placement) = (labels::of_instance(self.host, self.spec), self.placement);
        let owner = self.owner.map(|own| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: own.name.clone(),
            uid: own.uid.clone(),
            ..OwnerReference::default()
        });
        Ok(Pod {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                labels: Some(labels::as_labels(&whole)),
                annotations: Some(placement.annotations.clone().into_iter().chain(whole).collect()),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(self.pod_spec()?),
            status: None,
        })
    }

    /// What nobody but the instance is to know, owned by the pod and gone with it.
    pub(crate) fn secret(&self, pod: &Pod) -> Secret {
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: self.name.to_owned(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            ..OwnerReference::default()
        };
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                labels: pod.metadata.labels.clone(),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            string_data: Some(self.secrets()),
            immutable: Some(true),
            ..Secret::default()
        }
    }

    fn pod_spec(&self) -> Result<PodSpec> {
        let Self { config, placement, .. } = *self;
        let secrets = placement.pull_secrets.iter();
        let secrets = secrets.map(|name| LocalObjectReference { name: name.clone() });
        let user = user(config)?;
        Ok(PodSpec {
            restart_policy: Some("Never".to_owned()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            service_account_name: placement.service_account.clone(),
            image_pull_secrets: Some(secrets.collect()),
            priority_class_name: placement.priority_class.clone(),
            runtime_class_name: placement.runtime_class.clone(),
            node_selector: Some(placement.node_selector.clone()),
            tolerations: Some(placement.tolerations.clone()),
            affinity: Some(architecture(&self.spec.architecture)),
            // What extensions listen on for telemetry has that name on Lambda.
            host_aliases: Some(vec![HostAlias {
                ip: "127.0.0.1".to_owned(),
                hostnames: Some(vec!["sandbox.localdomain".to_owned()]),
            }]),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: user.map(|(user, _)| user),
                run_as_group: user.map(|(_, group)| group),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            volumes: Some(self.volumes()),
            init_containers: self
                .fetch
                .filter(|_| !self.fetches_itself())
                .map(|fetch| vec![self.fetcher(fetch)]),
            containers: vec![self.function()?],
            ..PodSpec::default()
        })
    }

    fn function(&self) -> Result<Container> {
        let Self { spec, config, .. } = *self;
        let (command, arguments) = self.command();
        let words = |words: Vec<String>| {
            (!words.is_empty()).then(|| words.iter().map(|word| literal(word)).collect::<Vec<_>>())
        };
        Ok(Container {
            name: FUNCTION.to_owned(),
            image: Some(image(spec, config)?),
            image_pull_policy: Some(self.pull_policy()),
            command: words(command),
            args: words(arguments),
            working_dir: spec.image.as_ref().and_then(|image| image.working_directory.clone()),
            env: Some(self.environment()),
            ports: Some(vec![ContainerPort { container_port: PORT.into(), ..ContainerPort::default() }]),
            resources: Some(self.resources()),
            security_context: Some(SecurityContext {
                read_only_root_filesystem: Some(config.read_only_root),
                ..confined()
            }),
            volume_mounts: Some(self.mounts()),
            ..Container::default()
        })
    }

    fn fetcher(&self, fetch: &Fetch) -> Container {
        let (user, group) = FETCHES_AS;
        let script = || ["sh", "-c", &literal(FETCH_SCRIPT)].map(str::to_owned).to_vec();
        Container {
            name: FETCH.to_owned(),
            image: Some(self.config.init_image.clone()),
            image_pull_policy: Some(self.pull_policy()),
            command: self.config.init_shell.then(script),
            env: Some(fetch.environment()),
            resources: Some(self.resources()),
            security_context: Some(SecurityContext {
                run_as_user: self.config.user.is_empty().then_some(user),
                run_as_group: self.config.user.is_empty().then_some(group),
                read_only_root_filesystem: Some(true),
                ..confined()
            }),
            volume_mounts: Some(vec![mount(PARCEL, FETCHED)]),
            ..Container::default()
        }
    }

    /// Whether the emulator is in the image, and gets the code before it starts the function.
    fn fetches_itself(&self) -> bool {
        self.emulator == Emulator::Hearth && self.placement.rie_in_image.is_some()
    }

    /// Command and arguments. Nobody but the node knows an image's own, so that where they are needed, the image's
    /// entry point is left alone: AWS's start an emulator from a fixed place, and find Hearth's there.
    fn command(&self) -> (Vec<String>, Vec<String>) {
        let Self { spec, emulator, .. } = *self;
        let carried = self.placement.rie_in_image.clone();
        let hearth = [carried.unwrap_or_else(|| format!("/var/hearth/{}", emulator::NAME))];
        match (&spec.image, emulator) {
            (None, Emulator::Image) => (Vec::new(), vec![spec.handler.clone()]),
            (Some(own), Emulator::Image) => (own.entry_point.clone(), own.command.clone()),
            (Some(own), Emulator::Hearth) if own.entry_point.is_empty() => (Vec::new(), own.command.clone()),
            (Some(own), Emulator::Hearth) => {
                let words = emulator::without_emulator(own.entry_point.clone()).chain(own.command.clone());
                (hearth.into_iter().chain(words).collect(), Vec::new())
            }
            (None, Emulator::Hearth) if runtimes::brings_bootstrap(&spec.runtime) => {
                (hearth.into(), Vec::new())
            }
            (None, Emulator::Hearth) => {
                (hearth.into_iter().chain([emulator::BOOTSTRAP.to_owned()]).collect(), Vec::new())
            }
        }
    }

    fn environment(&self) -> Vec<EnvVar> {
        let Self { spec, config, .. } = *self;
        let mut all = config.environment.clone();
        all.extend(spec.env.clone());
        all.extend(self.emulator.environment(spec, config.freeze, Some(spec.memory_mb)));
        let secrets = self.secrets();
        let open = all.iter().filter(|(name, _)| !secrets.contains_key(*name));
        let open = open.map(|(name, value)| variable(name, value));
        let to_fetch = self.fetch.filter(|_| self.fetches_itself()).map(Fetch::environment);
        let secret = secrets.keys().map(|name| self.secret_variable(name));
        open.chain(secret).chain(to_fetch.into_iter().flatten()).collect()
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        let Self { spec, emulator, .. } = *self;
        let token = (emulator == Emulator::Hearth).then(|| (emulator::TOKEN.to_owned(), spec.token.clone()));
        spec.secret_env.clone().into_iter().chain(token).collect()
    }

    fn secret_variable(&self, name: &str) -> EnvVar {
        let key = SecretKeySelector {
            name: self.name.to_owned(),
            key: name.to_owned(),
            ..SecretKeySelector::default()
        };
        let source = EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() };
        EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
    }

    fn resources(&self) -> ResourceRequirements {
        let Self { spec, config, .. } = *self;
        // What is in a volume of memory counts as memory of the container.
        let in_tmp = if config.tmp == Tmp::Memory { spec.ephemeral_storage_mb } else { 0 };
        let memory = mebibytes(spec.memory_mb + config.memory_overhead_mb + in_tmp);
        let thousandths = |of_one: u32| {
            let part = u64::from(spec.memory_mb) * u64::from(of_one) / u64::from(MEMORY_OF_ONE_CPU);
            Quantity(format!("{}m", part.max(1)))
        };
        let named = |name: &str, quantity: Quantity| (name.to_owned(), quantity);
        let requests = [named("cpu", thousandths(SHARE_OF_ONE_CPU)), named("memory", memory.clone())];
        let limit = (config.cpu == Cpu::Quota).then(|| named("cpu", thousandths(1000)));
        ResourceRequirements {
            requests: Some(requests.into()),
            limits: Some(limit.into_iter().chain([named("memory", memory)]).collect()),
            ..ResourceRequirements::default()
        }
    }

    fn volumes(&self) -> Vec<Volume> {
        let Self { spec, config, .. } = *self;
        let empty = |name: &str, source| Volume {
            name: name.to_owned(),
            empty_dir: Some(source),
            ..Volume::default()
        };
        let tmp = EmptyDirVolumeSource {
            medium: (config.tmp == Tmp::Memory).then(|| "Memory".to_owned()),
            size_limit: Some(mebibytes(spec.ephemeral_storage_mb)),
        };
        let parcel = self.fetch.map(|_| empty(PARCEL, EmptyDirVolumeSource::default()));
        [empty("tmp", tmp)].into_iter().chain(parcel).collect()
    }

    fn mounts(&self) -> Vec<VolumeMount> {
        let folders = self.fetch.map(|fetch| &*fetch.folders).unwrap_or_default();
        let part = |path: &str, target: &str| VolumeMount {
            sub_path: Some(path.to_owned()),
            read_only: Some(true),
            ..mount(PARCEL, target)
        };
        let fetched = PLACES.iter().filter(|(folder, _)| folders.contains(folder));
        let fetched = fetched.map(|(folder, target)| part(folder, target));
        let leaves_entry_point = self.spec.image.as_ref().is_some_and(|own| own.entry_point.is_empty());
        let in_place_of_aws = (leaves_entry_point && folders.contains(&BIN))
            .then(|| part(&format!("{BIN}/{}", emulator::NAME), emulator::OF_AWS));
        let to_fetch = self.fetch.filter(|_| self.fetches_itself()).map(|_| mount(PARCEL, FETCHED));
        [mount("tmp", "/tmp")].into_iter().chain(fetched).chain(in_place_of_aws).chain(to_fetch).collect()
    }

    fn pull_policy(&self) -> String {
        let policy = match self.config.pull {
            Pull::Missing => "IfNotPresent",
            Pull::Always => "Always",
            Pull::Never => "Never",
        };
        policy.to_owned()
    }
}

/// `993:990`
pub(crate) fn user(config: &Config) -> Result<Option<(i64, i64)>> {
    if config.user.is_empty() {
        return Ok(None);
    }
    let parts =
        config.user.split_once(':').and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
    let fits = parts.ok_or_else(|| {
        BackendError::config(format!(
            "user in [backends.k8s] is `{}`: it can be uid:gid, two numbers, or empty",
            config.user
        ))
    });
    fits.map(Some)
}

/// What the restricted Pod Security standard asks of a container.
fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn architecture(of_function: &str) -> Affinity {
    let name = if of_function == "x86_64" { "amd64" } else { of_function };
    let requirement = NodeSelectorRequirement {
        key: "kubernetes.io/arch".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![name.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None };
    let required = NodeSelector { node_selector_terms: vec![term] };
    let node = NodeAffinity {
        required_during_scheduling_ignored_during_execution: Some(required),
        ..NodeAffinity::default()
    };
    Affinity { node_affinity: Some(node), ..Affinity::default() }
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(literal(value)), value_from: None }
}

/// A text in which Kubernetes replaces no `$(NAME)`.
fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        escaped.push(letter);
        if letter == '$' && matches!(letters.peek(), Some('$' | '(')) {
            escaped.push('$');
        }
    }
    escaped
}

fn mount(volume: &str, target: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: target.to_owned(), ..VolumeMount::default() }
}

fn mebibytes(size: u32) -> Quantity {
    Quantity(format!("{size}Mi"))
}

#[cfg(test)]
mod tests;
