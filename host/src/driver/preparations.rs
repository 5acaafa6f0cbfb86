//! How far the deploys are that the backend is preparing: for the admin API, and as bars on a terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearth_core::{LaunchSpec, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

/// Those under way, by deploy.
#[derive(Debug, Default)]
pub struct Preparations {
    under_way: Mutex<BTreeMap<String, (Preparation, ProgressBar)>>,
    /// On standard error, if that is a terminal.
    bars: MultiProgress,
}

/// One deploy that is being prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preparation {
    /// Name of the function.
    pub function: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// What the backend is doing, in its own words; empty as long as it has said nothing.
    pub step: String,
    /// Units done, bytes if it is a pull.
    pub done: u64,
    /// Units in all; 0 if unknown.
    pub total: u64,
}

/// Ends the entry of a deploy when it is dropped.
pub(super) struct UnderWay<'a> {
    preparations: &'a Preparations,
    deploy_id: &'a str,
}

impl Preparations {
    pub(super) fn begin<'a>(&'a self, spec: &'a LaunchSpec) -> UnderWay<'a> {
        let (function, version) = (spec.function.clone(), spec.version.clone());
        let preparation = Preparation { function, version, ..Preparation::default() };
        self.under_way().insert(spec.deploy_id.clone(), (preparation, ProgressBar::hidden()));
        UnderWay { preparations: self, deploy_id: &spec.deploy_id }
    }

    pub(super) fn update(&self, progress: Progress) {
        let mut under_way = self.under_way();
        let Some((preparation, bar)) = under_way.get_mut(&progress.deploy_id) else { return };
        if preparation.step.is_empty() {
            *bar = self.bars.add(new_bar());
        }
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(format!("{}: {}", preparation.function, progress.step));
        let Progress { step, done, total, .. } = progress;
        *preparation = Preparation { step, done, total, ..std::mem::take(preparation) };
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Preparation> {
        self.under_way().values().map(|(preparation, _)| preparation.clone()).collect()
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, (Preparation, ProgressBar)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some((_, bar)) = self.preparations.under_way().remove(self.deploy_id) {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_is_told_of_from_its_beginning_to_its_end() {
        let preparations = Preparations::default();
        let spec = LaunchSpec {
            function: "f".into(),
            version: "1".into(),
            deploy_id: "d".into(),
            ..LaunchSpec::default()
        };
        let begun = Preparation { function: "f".into(), version: "1".into(), ..Preparation::default() };
        let under_way = preparations.begin(&spec);
        assert_eq!(preparations.all(), std::slice::from_ref(&begun));
        let progress = |deploy_id: &str| Progress {
            deploy_id: deploy_id.into(),
            step: "pulling".into(),
            done: 1,
            total: 2,
        };
        preparations.update(progress("d"));
        preparations.update(progress("of nobody"));
        assert_eq!(preparations.all(), [Preparation { step: "pulling".into(), done: 1, total: 2, ..begun }]);
        drop(under_way);
        assert_eq!(preparations.all(), []);
    }
}
