//! The conformance kit: every requirement of the backend interface, tried on a real library as a host uses it.
//!
//! A [`Check`] is one promise with a name and the place where the rule is written. What a backend does not announce
//! is not asked of it, except that it says so. Nothing here knows what kind of backend it is.

mod checks;
mod function;
mod orphans;
mod report;
mod soak;
mod subject;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use hearth_core::{BackendError, Capabilities};

use crate::plugin::Program;

pub use self::function::Function;
pub use self::orphans::hold;
pub use self::report::Report;
pub use self::subject::Subject;

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The library.
    pub library: PathBuf,
    /// The backend's section of the configuration, as JSON; empty for its defaults.
    pub config_json: String,
    /// What its instances run.
    pub function: Function,
    /// How long launches and terminations are repeated to see whether anything grows; zero leaves that out.
    pub soak: Duration,
    /// The program that is to hold the backend in a process of its own; nothing: it runs in this one.
    pub isolate: Option<Program>,
}

/// One promise of the interface.
#[derive(Clone, Copy)]
pub struct Check {
    /// What holds, in words with hyphens.
    pub name: &'static str,
    /// The heading in docs/backends.md under which the rule is written.
    pub rule: &'static str,
    needs: Capabilities,
    run: for<'a> fn(&'a Subject) -> Trial<'a>,
}

type Trial<'a> = Pin<Box<dyn Future<Output = Result<(), Verdict>> + Send + 'a>>;

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The promise is broken; how.
    Failed(String),
    /// It could not be tried; why.
    Skipped(String),
}

impl From<String> for Verdict {
    fn from(problem: String) -> Self {
        Self::Failed(problem)
    }
}

impl From<BackendError> for Verdict {
    fn from(error: BackendError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// No check takes longer than that: what hangs has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Tries all checks, one after the other. `began` is told of each before it is tried.
pub async fn run(options: &Options, mut began: impl FnMut(&Check)) -> Report {
    let mut report = Report::default();
    let subject = match Subject::load(options, "conformance", "now").await {
        Ok(subject) => subject,
        Err(problem) => {
            report.add("loads", "files", Err(Verdict::Failed(problem)));
            return report;
        }
    };
    report.add("loads", "files", Ok(()));
    for check in checks::ALL {
        began(check);
        report.add(check.name, check.rule, check.attempt(&subject).await);
    }
    report
}

impl Check {
    async fn attempt(&self, subject: &Subject) -> Result<(), Verdict> {
        if !subject.capabilities().contains(self.needs) {
            let missing: Vec<_> = self.needs.without(subject.capabilities()).names().collect();
            return Err(Verdict::Skipped(format!("it does not announce {}", missing.join(", "))));
        }
        match tokio::time::timeout(PATIENCE, (self.run)(subject)).await {
            Ok(verdict) => verdict,
            Err(_) => Err(Verdict::Failed(format!("it did not end within {} s", PATIENCE.as_secs()))),
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
