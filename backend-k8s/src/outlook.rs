//! What a pod's object says of its instance. Only states, reasons and codes decide; what nodes and runtimes write for
//! people is passed on and never read.

use hearth_core::{EventKind, Meta};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus,
};

use crate::pod::FUNCTION;

/// What keeps a container from starting and does not pass by itself.
const HOPELESS: [&str; 11] = [
    "CrashLoopBackOff",
    "CreateContainerError",
    "CreatePodSandboxError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RegistryUnavailable",
    "RunContainerError",
    "SignatureValidationFailed",
];
/// What the node tries again: a Secret may be made later than its pod.
const MAY_HEAL: &str = "CreateContainerConfigError";

/// Where an instance is in its life, and where it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Known as soon as the pod has a network: nothing need listen there.
    pub(crate) address: Option<String>,
    pub(crate) stage: Stage,
}

/// `Unscheduled` → `Starting` → `Running` → `Ended`; any may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing has been heard of it.
    #[default]
    Unseen,
    /// It has no node; why, once one was looked for in vain.
    Unscheduled(Option<String>),
    /// Its node makes it ready; what is in the way, if the node says so.
    Starting(Option<String>),
    /// Its container runs.
    Running,
    /// It has ended, will not start, or somebody ends it.
    Ended(End),
}

impl Stage {
    /// Whether it is another stage, and not the same with other words. What a node tries again is a stage of its own.
    pub(crate) fn is_another(&self, than: &Self) -> bool {
        match (self, than) {
            (Self::Starting(one), Self::Starting(other)) => one.is_some() != other.is_some(),
            (one, other) => std::mem::discriminant(one) != std::mem::discriminant(other),
        }
    }
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) kind: EventKind,
    /// Why, for people.
    pub(crate) meta: Meta,
}

impl End {
    /// An instance that was ended by something other than itself.
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self { kind: EventKind::EXITED, meta: [("reason".to_owned(), reason.into())].into() }
    }

    pub(crate) fn reason(&self) -> &str {
        self.meta.get("reason").map_or("it ended", String::as_str)
    }
}

/// Reads the object.
pub(crate) fn read(pod: &Pod) -> Outlook {
    let nothing = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&nothing);
    let address = status.pod_ip.clone().filter(|address| !address.is_empty());
    Outlook { address, stage: stage(pod, status) }
}

fn stage(pod: &Pod, status: &PodStatus) -> Stage {
    let function = of_function(status);
    let init = status.init_container_statuses.as_deref().unwrap_or_default();
    if let Some(end) = ended_by_node(status) {
        return Stage::Ended(end);
    }
    // What ends after this has happened does so for that reason.
    if pod.metadata.deletion_timestamp.is_some() {
        return Stage::Ended(End::because(deleted(status)));
    }
    if let Some(end) = ended(status, function, init) {
        return Stage::Ended(end);
    }
    let waiting = init.iter().chain(function).filter_map(waiting);
    for (reason, message) in waiting {
        if HOPELESS.contains(&reason) {
            return Stage::Ended(End::because(said(reason, message)));
        }
        if reason == MAY_HEAL {
            return Stage::Starting(Some(said(reason, message)));
        }
    }
    if function.is_some_and(is_running) {
        return if is_lost(status, function) {
            Stage::Ended(End::because("its node is not heard of any more"))
        } else {
            Stage::Running
        };
    }
    match condition(status, "PodScheduled") {
        Some(scheduled) if scheduled.status == "True" => Stage::Starting(None),
        _ if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) => Stage::Starting(None),
        Some(scheduled) => Stage::Unscheduled(Some(said(
            scheduled.reason.as_deref().unwrap_or("Unschedulable"),
            scheduled.message.as_deref(),
        ))),
        None => Stage::Unscheduled(None),
    }
}

fn is_over(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"))
}

/// It used more of the node's disk than it may, the node has too little of something, ….
fn ended_by_node(status: &PodStatus) -> Option<End> {
    let reason = status.reason.as_deref().filter(|_| is_over(status))?;
    Some(End::because(format!("its node ended it: {}", said(reason, status.message.as_deref()))))
}

/// Containers are told as ended up to a second before the phase is.
fn ended(status: &PodStatus, function: Option<&ContainerStatus>, init: &[ContainerStatus]) -> Option<End> {
    let failed = init.iter().find_map(|container| terminated(container).filter(|end| end.exit_code != 0));
    if let Some(end) = failed {
        return Some(End::because(format!("its init container failed with {}", in_words(end))));
    }
    if let Some(end) = function.and_then(terminated) {
        return Some(exited(end));
    }
    is_over(status).then(|| End::because("its pod ended"))
}

/// In the words of the interface. Shells and runtimes add 128 to the number of a signal.
fn exited(end: &ContainerStateTerminated) -> End {
    let code = end.exit_code;
    // A process that was killed for its memory earlier is not why the container ended well later.
    if end.reason.as_deref() == Some("OOMKilled") && code != 0 {
        let meta = [("reason", "it used more memory than it may"), ("exit.signal", "killed")];
        let meta = meta.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        return End { kind: EventKind::OOM, meta };
    }
    let mut told = match end.reason.as_deref() {
        Some("StartError") => End::because(said("its container cannot be started", end.message.as_deref())),
        _ if code > 128 => End::because("its container was killed"),
        _ => End::because("its container ended"),
    };
    let (name, value) = match code {
        137 => ("exit.signal", "killed".to_owned()),
        143 => ("exit.signal", "terminated".to_owned()),
        code => ("exit.status", code.to_string()),
    };
    told.meta.insert(name.to_owned(), value);
    told
}

fn in_words(end: &ContainerStateTerminated) -> String {
    let status = format!("exit status {}", end.exit_code);
    match end.reason.as_deref() {
        None | Some("Error") => status,
        Some(reason) => format!("{status} ({})", said(reason, end.message.as_deref())),
    }
}

fn deleted(status: &PodStatus) -> String {
    let disruption = condition(status, "DisruptionTarget").filter(|condition| condition.status == "True");
    match disruption {
        Some(why) => format!(
            "its pod was evicted: {}",
            said(why.reason.as_deref().unwrap_or("DisruptionTarget"), why.message.as_deref())
        ),
        None => "somebody deleted its pod".to_owned(),
    }
}

/// A pod of ours is ready while its container runs. If it is not, and nobody says why, its node is not heard of any
/// more, which leaves everything else as it was.
fn is_lost(status: &PodStatus, function: Option<&ContainerStatus>) -> bool {
    let is_unready =
        condition(status, "Ready").is_some_and(|ready| ready.status != "True" && ready.reason.is_none());
    is_unready && function.is_some_and(|container| container.ready)
}

fn of_function(status: &PodStatus) -> Option<&ContainerStatus> {
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    containers.iter().find(|container| container.name == FUNCTION)
}

fn state(container: &ContainerStatus) -> Option<&ContainerState> {
    container.state.as_ref()
}

fn is_running(container: &ContainerStatus) -> bool {
    state(container).is_some_and(|state| state.running.is_some())
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    state(container)?.terminated.as_ref()
}

fn waiting(container: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    let waiting = state(container)?.waiting.as_ref()?;
    Some((waiting.reason.as_deref()?, waiting.message.as_deref()))
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.as_deref().unwrap_or_default().iter().find(|condition| condition.type_ == kind)
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
