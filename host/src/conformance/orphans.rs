//! What a killed host leaves behind: the kit starts a host of its own and kills it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::checks::own;
use super::function::Function;
use super::subject::{Subject, cx};
use super::{Options, Verdict};

/// What the host that will be killed has launched.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    handle: String,
}

/// A host that launches an instance, says so, and then waits to be killed.
pub async fn hold(options: &Options, folder: &std::path::Path, owner: &str) -> Result<String, String> {
    let subject = Subject::load_at(options, owner, "killed", folder).await?;
    let launched = subject.launch().await.map_err(|error| error.to_string())?;
    launched.answers(1).await?;
    let held = Held { handle: launched.instance.handle };
    // Neither dropped nor shut down: a host that is killed does not get to do so either.
    std::mem::forget(subject);
    serde_json::to_string(&held).map_err(|error| error.to_string())
}

pub(super) async fn orphans_of_a_killed_host_are_reaped(subject: &Subject) -> Result<(), Verdict> {
    let orphan = killed_host(subject, "conformance")?;
    let stranger = killed_host(subject, "stranger")?;
    let report = subject.backend().reap(&cx()).await?;
    if let Some(failed) = report.failed.first() {
        return Err(format!("reap() could not remove {failed}").into());
    }
    let left: Vec<_> = own(subject).await?.into_iter().map(|status| status.handle).collect();
    if left.contains(&orphan.handle) {
        return Err(format!("reap() left {}, whose host was killed", orphan.handle).into());
    }
    if report.removed.contains(&stranger.handle) {
        return Err(format!("reap() removed {}, which is of another installation", stranger.handle).into());
    }
    // What is the stranger's goes with a host of its own.
    let heir = subject.another("stranger", "heir").await?;
    heir.backend().reap(&cx()).await?;
    let left = own(&heir).await?;
    heir.backend().shutdown(&cx()).await?;
    match left.first() {
        None => Ok(()),
        Some(left) => Err(format!("reap() left {}, whose host was killed", left.handle).into()),
    }
}

/// Starts a host of this owner in a process of its own, and kills it once it has launched an instance.
fn killed_host(subject: &Subject, owner: &str) -> Result<Held, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let Options { library, config_json, function, isolate, .. } = &subject.options;
    let mut command = Command::new(program);
    command.args(["backend", "hold"]).arg(library).arg(subject.folder()).args([
        owner,
        "--config-json",
        config_json,
    ]);
    match function {
        Function::Runtime(runtime) => command.args(["--runtime", runtime]),
        Function::Image(uri) => command.args(["--image", uri]),
    };
    if isolate.is_some() {
        command.arg("--isolate");
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut host = Killed(child.map_err(|error| format!("cannot start a host to kill: {error}"))?);
    host.held()
}

/// A host that is killed when it is dropped.
struct Killed(Child);

impl Killed {
    fn held(&mut self) -> Result<Held, String> {
        let mut line = String::new();
        let read = self.0.stdout.as_mut().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        if let Some(Err(error)) = read {
            return Err(format!("a host that was to be killed said nothing: {error}"));
        }
        serde_json::from_str(&line).map_err(|_| {
            let mut problem = String::new();
            let _read = self.0.stderr.as_mut().map(|stderr| stderr.read_to_string(&mut problem));
            format!("a host that was to be killed did not launch an instance: {}", problem.trim())
        })
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _flushed = self.0.stdin.as_mut().map(Write::flush);
        // That it has ended already is what is wanted.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}
