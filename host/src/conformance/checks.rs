//! The checks, in the order in which they are tried.

use std::time::Duration;

use hearth_core::{
    BackendError, Capabilities, ErrorKind, InstanceStatus, LaunchSpec, LogLine, LogStreamKind, Result, State,
};

use super::function::GREETING;
use super::subject::{FUNCTION, Launched, Subject, cx, until};
use super::{Check, Verdict, orphans, soak};
use crate::plugin::{self, LoadOptions, Problem};

macro_rules! checks {
    ($($rule:literal { $($name:literal => $run:path, needs $needs:expr;)* })*) => {
        pub(super) const ALL: &[Check] = &[
            $($(Check { name: $name, rule: $rule, needs: $needs, run: |subject| Box::pin($run(subject)) },)*)*
        ];
    };
}

checks! {
    "describe" {
        "describes-itself" => describes_itself, needs Capabilities::NONE;
    }
    "configuration" {
        "defaults-are-accepted" => defaults_are_accepted, needs Capabilities::NONE;
        "an-unknown-option-is-refused" => an_unknown_option_is_refused, needs Capabilities::NONE;
    }
    "launch" {
        "an-instance-answers" => an_instance_answers, needs Capabilities::NONE;
        "many-are-launched-at-once" => many_are_launched_at_once, needs Capabilities::NONE;
        "what-cannot-work-is-refused" => what_cannot_work_is_refused, needs Capabilities::NONE;
        "prepare-is-idempotent" => prepare_is_idempotent, needs Capabilities::PREPARE;
    }
    "terminate" {
        "terminate-is-idempotent" => terminate_is_idempotent, needs Capabilities::NONE;
        "a-terminated-instance-answers-no-more" => a_terminated_instance_answers_no_more, needs Capabilities::NONE;
        "an-abandoned-launch-leaves-nothing" => an_abandoned_launch_leaves_nothing, needs Capabilities::LIST;
    }
    "look" {
        "list-and-inspect-agree" => list_and_inspect_agree, needs Capabilities::LIST.with(Capabilities::INSPECT);
        "logs-have-what-was-written" => logs_have_what_was_written, needs Capabilities::LOGS;
        "stats-are-measured" => stats_are_measured, needs Capabilities::STATS;
        "a-paused-instance-goes-on" => a_paused_instance_goes_on, needs Capabilities::PAUSE;
        "what-is-not-announced-is-unsupported" => what_is_not_announced_is_unsupported, needs Capabilities::NONE;
    }
    "events" {
        "an-end-that-was-asked-for-is-no-event" => an_end_that_was_asked_for_is_no_event, needs Capabilities::EVENTS;
    }
    "reap" {
        "orphans-of-a-killed-host-are-reaped" => orphans::orphans_of_a_killed_host_are_reaped, needs Capabilities::REAP.with(Capabilities::LIST);
    }
    "soak" {
        "a-soak-grows-nothing" => soak::a_soak_grows_nothing, needs Capabilities::NONE;
    }
    "shutdown" {
        "shutdown-leaves-nothing" => shutdown_leaves_nothing, needs Capabilities::SHUTDOWN;
    }
}

/// How long something may take to be seen that has happened.
pub(super) const SOON: Duration = Duration::from_secs(10);

async fn describes_itself(subject: &Subject) -> Result<(), Verdict> {
    let (info, descriptor) = (&subject.loaded.info, &subject.loaded.descriptor);
    if info.name != descriptor.name {
        return Err(format!("info() says `{}`, its file says `{}`", info.name, descriptor.name).into());
    }
    if info.version.is_empty() {
        return Err("info() names no version".to_owned().into());
    }
    let surplus: Vec<_> = info.capabilities.without(descriptor.capabilities).names().collect();
    if !surplus.is_empty() {
        let surplus = surplus.join(", ");
        return Err(format!("info() announces {surplus}, which Plugin::CAPABILITIES lacks").into());
    }
    Ok(())
}

async fn defaults_are_accepted(subject: &Subject) -> Result<(), Verdict> {
    let defaults =
        plugin::default_config(&subject.options.library).await.map_err(|error| error.to_string())?;
    match load_with(subject, &defaults).await {
        Ok(()) => Ok(()),
        // A backend may need an option that has no default, if it says so.
        Err(Problem::Create(error)) if error.kind == ErrorKind::CONFIG && !error.message.is_empty() => Ok(()),
        Err(problem) => Err(format!("its own defaults {defaults} are not accepted: {problem}").into()),
    }
}

async fn an_unknown_option_is_refused(subject: &Subject) -> Result<(), Verdict> {
    match load_with(subject, r#"{"no-such-option": 1}"#).await {
        Err(Problem::Create(error)) if error.to_string().contains("no-such-option") => Ok(()),
        Err(problem) => Err(format!("the error for an unknown option does not name it: {problem}").into()),
        Ok(()) => {
            Err("an unknown option is accepted: derive Config with deny_unknown_fields".to_owned().into())
        }
    }
}

async fn load_with(subject: &Subject, config_json: &str) -> Result<(), Problem> {
    let state = subject.folder().join("configuration");
    std::fs::create_dir_all(&state)?;
    let mut host_info = subject.host.clone();
    host_info.state_dir = state.display().to_string();
    let options = LoadOptions {
        config_json: config_json.to_owned(),
        host_info,
        log_filter: "error".to_owned(),
        sha256: None,
        isolate: subject.options.isolate.clone(),
    };
    let loaded = plugin::load(&subject.options.library, options, std::sync::Arc::new(Deaf)).await;
    let loaded = loaded.map_err(|error| error.problem)?;
    // That a shutdown works is another check's matter.
    let _ended = loaded.backend.shutdown(&cx()).await;
    Ok(())
}

/// A host that does not listen.
struct Deaf;

impl hearth_core::HostSink for Deaf {
    fn event(&self, _event: hearth_core::Event) {}
    fn progress(&self, _progress: hearth_core::Progress) {}
}

async fn an_instance_answers(subject: &Subject) -> Result<(), Verdict> {
    with_instance(subject, async |launched| {
        for event in 0..3 {
            launched.answers(event).await?;
        }
        Ok(())
    })
    .await
}

async fn many_are_launched_at_once(subject: &Subject) -> Result<(), Verdict> {
    const MANY: usize = 32;
    let launches: Vec<_> = (0..MANY).map(|_| subject.launch()).collect();
    let launched: Vec<_> = join_all(launches).await.into_iter().collect();
    let (instances, failures): (Vec<_>, Vec<_>) = launched.into_iter().partition(Result::is_ok);
    let instances: Vec<_> = instances.into_iter().flatten().collect();
    let answers =
        join_all(instances.iter().zip(0..).map(|(launched, event)| launched.answers(event)).collect()).await;
    let ends = join_all(instances.iter().map(|launched| subject.terminate(launched)).collect()).await;
    if let Some(Err(error)) = failures.into_iter().next() {
        return Err(format!("{} of {MANY} launches worked: {error}", instances.len()).into());
    }
    let mut handles: Vec<_> = instances.iter().map(|launched| &launched.instance.handle).collect();
    handles.sort();
    handles.dedup();
    if handles.len() != MANY {
        return Err(format!("{MANY} launches have {} handles", handles.len()).into());
    }
    answers.into_iter().collect::<Result<(), String>>()?;
    Ok(ends.into_iter().collect::<Result<(), BackendError>>()?)
}

async fn what_cannot_work_is_refused(subject: &Subject) -> Result<(), Verdict> {
    let impossible = LaunchSpec { runtime: "cobol85".to_owned(), code: None, image: None, ..subject.spec() };
    match subject.backend().launch(&cx(), &impossible).await {
        Err(error) if error.retryable => {
            Err(format!("a launch without code is an error that is worth a retry: {error}").into())
        }
        Err(error) if error.message.is_empty() => Err("the error has no message".to_owned().into()),
        Err(_) => with_instance(subject, async |launched| launched.answers(1).await).await,
        Ok(instance) => {
            subject.backend().terminate(&cx(), &instance.handle, 0).await?;
            Err(Verdict::Skipped("it launches what has neither code nor image".to_owned()))
        }
    }
}

async fn prepare_is_idempotent(subject: &Subject) -> Result<(), Verdict> {
    let spec = LaunchSpec { instance_id: String::new(), token: String::new(), ..subject.spec() };
    for _ in 0..2 {
        subject.backend().prepare(&cx(), &spec).await?;
    }
    with_instance(subject, async |launched| launched.answers(1).await).await
}

async fn terminate_is_idempotent(subject: &Subject) -> Result<(), Verdict> {
    let launched = subject.launch().await?;
    for time in ["first", "second"] {
        let ended = subject.terminate(&launched).await;
        ended.map_err(|error| format!("the {time} termination fails: {error}"))?;
    }
    let unknown = subject.backend().terminate(&cx(), "no-such-instance", 0).await;
    Ok(unknown.map_err(|error| format!("the termination of an unknown instance fails: {error}"))?)
}

async fn a_terminated_instance_answers_no_more(subject: &Subject) -> Result<(), Verdict> {
    let launched = subject.launch().await?;
    launched.answers(1).await?;
    subject.terminate(&launched).await?;
    match launched.answers(2).await {
        Err(_) => Ok(()),
        Ok(()) => Err(format!("{} still answers", launched.instance.endpoint).into()),
    }
}

async fn an_abandoned_launch_leaves_nothing(subject: &Subject) -> Result<(), Verdict> {
    for delay_ms in [0, 5, 50] {
        let spec = subject.spec();
        let cx = cx();
        let launch = subject.backend().launch(&cx, &spec);
        // It may be faster than that.
        if let Ok(launched) = tokio::time::timeout(Duration::from_millis(delay_ms), launch).await {
            subject.backend().terminate(&cx, &launched?.handle, 0).await?;
        }
    }
    let gone = until(SOON * 3, async || own(subject).await.is_ok_and(|own| own.is_empty())).await;
    if gone {
        return Ok(());
    }
    let left: Vec<_> = own(subject).await?.into_iter().map(|status| status.handle).collect();
    Err(format!("launches that nobody waited for left {}", left.join(", ")).into())
}

async fn list_and_inspect_agree(subject: &Subject) -> Result<(), Verdict> {
    with_instance(subject, async |launched| {
        let handle = &launched.instance.handle;
        let listed = own(subject).await.map_err(|error| error.to_string())?;
        let listed = listed.into_iter().find(|status| status.handle == *handle);
        let listed = listed.ok_or_else(|| format!("list() does not have {handle}"))?;
        let inspected = subject.backend().inspect(&cx(), handle).await.map_err(|error| error.to_string())?;
        for (from, status) in [("list", &listed), ("inspect", &inspected)] {
            let InstanceStatus { function, deploy_id, owner, epoch, state, .. } = status;
            let facts = [(&**function, FUNCTION), (owner, &subject.host.owner), (epoch, &subject.host.epoch)];
            if let Some((found, expected)) = facts.into_iter().find(|(found, expected)| found != expected) {
                return Err(format!("{from}() says `{found}` where the launch said `{expected}`"));
            }
            if deploy_id.is_empty() || *state != State::RUNNING {
                return Err(format!(
                    "{from}() says {state:?} of a running instance, and `{deploy_id}` of its deploy"
                ));
            }
        }
        match subject.backend().inspect(&cx(), "no-such-instance").await {
            Err(error) if error.kind == ErrorKind::NOT_FOUND => Ok(()),
            other => Err(format!("inspect() of an unknown instance is {other:?} instead of NOT_FOUND")),
        }
    })
    .await
}

async fn logs_have_what_was_written(subject: &Subject) -> Result<(), Verdict> {
    with_instance(subject, async |launched| {
        launched.answers(1).await?;
        let logs = subject.backend().logs(&cx(), &launched.instance.handle, 0).await;
        let mut logs = logs.map_err(|error| error.to_string())?;
        let mut seen = Vec::new();
        let search = async {
            while let Some(line) = std::future::poll_fn(|cx| logs.as_mut().poll_next(cx)).await {
                if line.line.contains(GREETING) {
                    return true;
                }
                seen.push(line);
            }
            false
        };
        let found = tokio::time::timeout(SOON, search).await.unwrap_or(false);
        let of_platform = |line: &LogLine| line.stream == LogStreamKind::PLATFORM;
        // One that runs no code has nothing but the platform's own lines.
        if found || !seen.is_empty() && seen.iter().all(of_platform) {
            return Ok(());
        }
        Err(format!("`{GREETING}`, which the function writes, is not in the log: {seen:?}"))
    })
    .await
}

async fn stats_are_measured(subject: &Subject) -> Result<(), Verdict> {
    with_instance(subject, async |launched| {
        launched.answers(1).await?;
        let stats = subject.backend().stats(&cx(), &launched.instance.handle).await;
        let stats = stats.map_err(|error| error.to_string())?;
        if stats.memory_bytes == 0 {
            Err("it says that an instance uses no memory".to_owned())
        } else {
            Ok(())
        }
    })
    .await
}

async fn a_paused_instance_goes_on(subject: &Subject) -> Result<(), Verdict> {
    with_instance(subject, async |launched| {
        let (backend, handle) = (subject.backend(), &launched.instance.handle);
        let say = |error: BackendError| error.to_string();
        launched.answers(1).await?;
        backend.pause(&cx(), handle).await.map_err(say)?;
        backend.resume(&cx(), handle).await.map_err(say)?;
        backend
            .resume(&cx(), handle)
            .await
            .map_err(|error| format!("resume() is not idempotent: {error}"))?;
        launched.answers(2).await?;
        backend.pause(&cx(), handle).await.map_err(say)
    })
    .await
}

async fn what_is_not_announced_is_unsupported(subject: &Subject) -> Result<(), Verdict> {
    let (backend, handle) = (subject.backend(), "no-such-instance");
    let answers: [(Capabilities, &str, Option<BackendError>); 5] = [
        (Capabilities::INSPECT, "inspect", backend.inspect(&cx(), handle).await.err()),
        (Capabilities::LIST, "list", backend.list(&cx()).await.err()),
        (Capabilities::LOGS, "logs", backend.logs(&cx(), handle, 0).await.err()),
        (Capabilities::STATS, "stats", backend.stats(&cx(), handle).await.err()),
        (Capabilities::PAUSE, "pause", backend.pause(&cx(), handle).await.err()),
    ];
    for (capability, name, error) in answers {
        let unsupported = error.is_some_and(|error| error.kind == ErrorKind::UNSUPPORTED);
        if subject.capabilities().contains(capability) == unsupported {
            let (announced, answered) = if unsupported { ("", "un") } else { ("not ", "") };
            return Err(format!(
                "{name} is {announced}announced, and answers as if it were {answered}supported"
            )
            .into());
        }
    }
    Ok(())
}

async fn an_end_that_was_asked_for_is_no_event(subject: &Subject) -> Result<(), Verdict> {
    let launched = subject.launch().await?;
    subject.terminate(&launched).await?;
    // The next launch and its end give the news time to arrive.
    with_instance(subject, async |launched| launched.answers(1).await).await?;
    match subject.events(&launched.instance.handle).first() {
        None => Ok(()),
        Some(event) => {
            Err(format!("the host was told {:?} of an instance that it had ended", event.kind).into())
        }
    }
}

async fn shutdown_leaves_nothing(subject: &Subject) -> Result<(), Verdict> {
    let launched = subject.launch().await?;
    launched.answers(1).await?;
    subject.backend().shutdown(&cx()).await?;
    match launched.answers(2).await {
        Err(_) => Ok(()),
        Ok(()) => Err(format!("{} still answers after shutdown()", launched.instance.endpoint).into()),
    }
}

/// What this host has, by the backend.
pub(super) async fn own(subject: &Subject) -> Result<Vec<InstanceStatus>> {
    let listed = subject.backend().list(&cx()).await?;
    Ok(listed.into_iter().filter(|status| status.owner == subject.host.owner).collect())
}

/// Launches an instance, does something with it, and ends it whatever came of that.
async fn with_instance(
    subject: &Subject,
    work: impl AsyncFnOnce(&Launched) -> Result<(), String>,
) -> Result<(), Verdict> {
    let launched = subject.launch().await?;
    let worked = work(&launched).await;
    let ended = subject.terminate(&launched).await;
    worked?;
    Ok(ended?)
}

/// Waits for all of them, at once.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, output) in pending.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(cx) {
                std::task::Poll::Ready(ready) => *output = Some(ready),
                std::task::Poll::Pending => waiting = true,
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}
