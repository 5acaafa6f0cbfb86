//! Starting a container: its image, its variables, its user, its process, its probes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;

use super::Run;
use super::container::Container;
use super::environment::{self, Circumstances};
use super::groups::Group;
use super::happening::Happening;
use super::images::{self, Image};
use super::pod::{Running, Worker};
use super::status::{State, Termination};
use crate::clock;
use crate::runtime::{Command, Limits, Mount, Root, Spec};

/// How many runs of a container keep their output: this one and the one before.
const KEPT_RUNS: usize = 2;

/// Why a container waits.
struct Obstacle {
    reason: &'static str,
    message: String,
    /// What is told after a while instead, if it alternates.
    later: Option<&'static str>,
}

impl Worker {
    /// Starts a container, as soon as nothing stands in the way, and tells of it.
    pub(super) async fn start(&mut self, name: &str) {
        let container = self.spec_of(name);
        let mut attempts = 0;
        let (image, variables) = loop {
            match self.prepare(&container).await {
                Ok(prepared) => break prepared,
                Err(obstacle) => self.wait_out(name, &obstacle, attempts).await,
            }
            attempts += 1;
        };
        self.note("Normal", "Created", &format!("Created container: {name}"), Some(name));
        self.runs += 1;
        let spec = self.runtime_spec(&container, &image, variables);
        let started = match spec {
            Ok((spec, group, log)) => Container::start(&spec, group, log).await.map_err(|it| it.0),
            Err(error) => Err(error.to_string()),
        };
        let again = self.status.container(name).is_some_and(|it| it.id.is_some());
        if let Some(status) = self.status.container(name).filter(|_| again) {
            status.last = status.termination().cloned().or(status.last.take());
            status.restarts += 1;
        }
        if let Some(status) = self.status.container(name) {
            status.image_id.clone_from(&image.id);
        }
        match started {
            Ok((running, ending)) => {
                self.note("Normal", "Started", &format!("Started container {name}"), Some(name));
                self.take_up(name, &container, running);
                let (outbox, run, container) = (self.outbox.clone(), self.runs, name.to_owned());
                tokio::spawn(async move {
                    let code = ending.wait().await;
                    // The pod may not care any more.
                    drop(outbox.send(Happening::Exited { container, run, code }));
                });
            }
            Err(why) => self.fail_to_start(name, &why),
        }
        self.publish().await;
    }

    fn take_up(&mut self, name: &str, spec: &Value, container: Container) {
        let key = (self.uid.clone(), name.to_owned());
        let run = Run { id: container.id.clone(), journal: container.journal.clone() };
        let mut journals = self.kubelet.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let runs: &mut Vec<Run> = journals.entry(key).or_default();
        runs.push(run);
        if runs.len() > KEPT_RUNS {
            runs.remove(0);
        }
        drop(journals);
        let has = |probe: &str| spec[probe].is_object();
        let is_init = self.status.init.iter().any(|it| it.name == name);
        if let Some(status) = self.status.container(name) {
            status.id = Some(container.id.clone());
            status.state = State::Running { since: clock::now() };
            status.has_started = !has("startupProbe");
            status.is_ready = !is_init && status.has_started && !has("readinessProbe");
        }
        let mut running = Running { container, run: self.runs, is_out_of_memory: false, tasks: Vec::new() };
        self.probe(name, spec, &mut running);
        self.running.insert(name.to_owned(), running);
    }

    fn fail_to_start(&mut self, name: &str, why: &str) {
        self.note("Warning", "Failed", &format!("Error: {why}"), Some(name));
        let id = format!("containerd://{0}{0}", uuid::Uuid::new_v4().simple());
        if let Some(status) = self.status.container(name) {
            status.id = Some(id.clone());
        }
        let termination = Termination {
            code: 128,
            reason: "StartError",
            message: Some(format!("failed to start container process: {why}")),
            started: Some(jiff::Timestamp::UNIX_EPOCH),
            finished: Some(clock::now()),
            id: Some(id),
        };
        self.end_container(name, termination);
    }

    /// Tells what stands in the way, and looks again after a while.
    async fn wait_out(&mut self, name: &str, obstacle: &Obstacle, attempts: u32) {
        self.note("Warning", "Failed", &format!("Error: {}", obstacle.message), Some(name));
        let pause = self.kubelet.habits.back_off;
        self.wait_as(name, obstacle.reason, &obstacle.message).await;
        let Some(later) = obstacle.later else {
            tokio::time::sleep(pause).await;
            return;
        };
        tokio::time::sleep(pause).await;
        let image = self.spec_of(name)["image"].as_str().unwrap_or("").to_owned();
        self.note("Normal", "BackOff", &format!("Back-off pulling image {image:?}"), Some(name));
        let message = format!("Back-off pulling image {image:?}: {}: {}", obstacle.reason, obstacle.message);
        self.wait_as(name, later, &message).await;
        tokio::time::sleep(pause * 2_u32.saturating_pow(attempts.min(5))).await;
    }

    async fn wait_as(&mut self, name: &str, reason: &'static str, message: &str) {
        if let Some(status) = self.status.container(name) {
            let message = Some(message.to_owned()).filter(|it| !it.is_empty());
            status.state = State::Waiting { reason, message };
        }
        self.publish().await;
    }

    /// The image and the variables; or what is missing.
    async fn prepare(&mut self, container: &Value) -> Result<(Image, BTreeMap<String, String>), Obstacle> {
        let image = self.obtain_image(container).await?;
        let config_error =
            |message: String| Obstacle { reason: "CreateContainerConfigError", message, later: None };
        let about = Circumstances {
            pod: &self.pod,
            address: self.status.address.map(|it| it.to_string()).unwrap_or_default(),
            host: self.status.host.to_string(),
            api_port: self.kubelet.habits.api_port,
        };
        let variables = self.kubelet.cluster.with(|state, _| match &state.faults.config_error {
            Some(message) => Err(message.clone()),
            None => environment::variables(&state.store, &about, container, &image),
        });
        let variables = variables.map_err(config_error)?;
        if self.user(container, &image).0 == 0 && self.setting(container, "runAsNonRoot") == true {
            let id = format!("{}_{}({})", self.key.name, self.key.namespace, self.uid);
            let name = container["name"].as_str().unwrap_or("");
            return Err(config_error(format!(
                "container has runAsNonRoot and image will run as root (pod: {id:?}, container: {name})"
            )));
        }
        Ok((image, variables))
    }

    async fn obtain_image(&mut self, container: &Value) -> Result<Image, Obstacle> {
        let name = container["image"].as_str().unwrap_or("");
        let of = container["name"].as_str();
        let refuse = |reason, message: String, later| Err(Obstacle { reason, message, later });
        if !images::is_name(name) {
            let message = format!(
                "Failed to apply default image tag {name:?}: couldn't parse image name: invalid reference format"
            );
            return refuse("InvalidImageName", message, None);
        }
        let (failing, pause) = self.kubelet.cluster.with(|state, _| {
            (state.faults.failing_pulls.get(name).cloned(), state.faults.slow_pulls.get(name).copied())
        });
        let present = self.kubelet.images.get(name).cloned().filter(|_| failing.is_none());
        let policy = container["imagePullPolicy"].as_str().unwrap_or("");
        if let (Some(image), true) = (&present, pause.is_none()) {
            let message = format!("Container image {name:?} already present on machine");
            self.note("Normal", "Pulled", &message, of);
            return Ok(image.clone());
        }
        if policy == "Never" {
            let message = format!("Container image {name:?} is not present with pull policy of Never");
            return refuse("ErrImageNeverPull", message, None);
        }
        self.note("Normal", "Pulling", &format!("Pulling image {name:?}"), of);
        tokio::time::sleep(pause.unwrap_or(Duration::ZERO)).await;
        if let Some(image) = present {
            self.note("Normal", "Pulled", &format!("Successfully pulled image {name:?}"), of);
            return Ok(image);
        }
        let why = failing.filter(|it| !it.is_empty()).unwrap_or_else(|| {
            format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image {name:?}: failed to resolve \
                 reference {name:?}: {name}: not found"
            )
        });
        refuse("ErrImagePull", why, Some("ImagePullBackOff"))
    }

    /// A setting of the security context: the container's own, or else the pod's.
    fn setting<'a>(&'a self, container: &'a Value, name: &str) -> &'a Value {
        let own = &container["securityContext"][name];
        if own.is_null() { &self.pod["spec"]["securityContext"][name] } else { own }
    }

    fn user(&self, container: &Value, image: &Image) -> (u32, u32) {
        let number = |name| self.setting(container, name).as_u64().and_then(|it| u32::try_from(it).ok());
        (number("runAsUser").unwrap_or(image.user), number("runAsGroup").unwrap_or(0))
    }

    fn runtime_spec(
        &self,
        container: &Value,
        image: &Image,
        variables: BTreeMap<String, String>,
    ) -> std::io::Result<(Spec, Option<Group>, PathBuf)> {
        let name = container["name"].as_str().unwrap_or("");
        let scratch = self.folder.join(format!("{name}-{}", self.runs));
        fs::create_dir_all(&scratch)?;
        let log = self.folder.join(format!("{name}-{}.termination", self.runs));
        fs::write(&log, "")?;
        fs::set_permissions(&log, PermissionsExt::from_mode(0o666))?;
        let short = self.uid.get(..8).unwrap_or("");
        let group = Group::new(&format!("{short}-{name}-{}", self.runs), &container["resources"]);
        let (user, own_group) = self.user(container, image);
        let more = self.pod["spec"]["securityContext"]["supplementalGroups"].as_array().into_iter().flatten();
        let shared = &self.pod["spec"]["securityContext"]["fsGroup"];
        let groups = more.chain([shared]).filter_map(|it| u32::try_from(it.as_u64()?).ok()).collect();
        let folder = container["workingDir"].as_str().map_or_else(|| image.folder.clone(), PathBuf::from);
        let hostname = self.pod["spec"]["hostname"].as_str().unwrap_or(&self.key.name);
        let spec = Spec {
            sandbox: self.sandbox.as_ref().map_or(0, |it| it.pid),
            root: Root {
                layers: image.layers.clone(),
                scratch,
                is_read_only: container["securityContext"]["readOnlyRootFilesystem"] == true,
            },
            mounts: self.mounts(container, &log),
            hostname: hostname.chars().take(63).collect(),
            address: self.status.address.map(|it| it.to_string()).unwrap_or_default(),
            command: Command {
                line: environment::command(container, image, &variables),
                env: variables,
                folder,
                user,
                group: own_group,
                groups,
                may_gain: container["securityContext"]["allowPrivilegeEscalation"] != false,
            },
            limits: Limits { groups: group.iter().map(|it| it.path().to_owned()).collect() },
        };
        Ok((spec, group, log))
    }

    fn mounts(&self, container: &Value, log: &Path) -> Vec<Mount> {
        let mut mounts = Vec::new();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let text = |field: &str| mount[field].as_str().unwrap_or("");
            let mut source = self.volumes().join(text("name"));
            if !text("subPath").is_empty() {
                source = source.join(text("subPath"));
                make_part(&source);
            }
            let is_shown = |it: &&Value| it["name"] == mount["name"] && it["emptyDir"].is_null();
            let volumes = self.pod["spec"]["volumes"].as_array();
            let is_read_only =
                mount["readOnly"] == true || volumes.is_some_and(|it| it.iter().any(|it| is_shown(&it)));
            mounts.push(Mount { source, target: PathBuf::from(text("mountPath")), is_read_only });
        }
        // Folders before what is mounted inside them.
        mounts.sort_by_key(|it| it.target.components().count());
        let target = container["terminationMessagePath"].as_str().unwrap_or("/dev/termination-log");
        mounts.push(Mount { source: log.to_owned(), target: PathBuf::from(target), is_read_only: false });
        mounts
    }
}

/// A node makes the part of a volume that is not there yet, for whoever may write to the volume. That it cannot be made
/// is told when it is mounted.
fn make_part(path: &Path) {
    if !path.exists() && fs::create_dir_all(path).is_ok() {
        drop(fs::set_permissions(path, fs::Permissions::from_mode(0o777)));
    }
}
