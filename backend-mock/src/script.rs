//! Which rule an operation falls under.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::acts::{CallAct, InvocationAct, LaunchAct, Lines};
use crate::chance::Chance;
use crate::config::{Config, Probability, Rule};

/// A script that is being followed, from its first operation on.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) config: Config,
    pub(crate) preparations: Rules<CallAct>,
    pub(crate) launches: Rules<LaunchAct>,
    pub(crate) invocations: Rules<InvocationAct>,
    pub(crate) logs: Rules<Lines>,
    pub(crate) terminations: Rules<CallAct>,
}

/// How many operations there were, by function.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    preparations: BTreeMap<String, u64>,
    launches: BTreeMap<String, u64>,
    invocations: BTreeMap<String, u64>,
    terminations: BTreeMap<String, u64>,
}

/// The rules for one kind of operation, each with its own count.
#[derive(Debug)]
pub(crate) struct Rules<Act> {
    /// What its chances depend on.
    seed: [u64; 2],
    counted: Vec<(Rule<Act>, AtomicU64)>,
    counts: Mutex<BTreeMap<String, u64>>,
}

/// What one operation does.
#[derive(Debug)]
pub(crate) struct Cue<'a, Act> {
    /// None if it is nothing out of the ordinary.
    pub(crate) act: Option<&'a Act>,
    pub(crate) chance: Chance,
}

impl Script {
    pub(crate) fn new(config: Config) -> Self {
        let seed = |kind| [config.seed, kind];
        Self {
            preparations: Rules::new(seed(0), &config.preparations),
            launches: Rules::new(seed(1), &config.launches),
            invocations: Rules::new(seed(2), &config.invocations),
            logs: Rules::new(seed(3), &config.logs),
            terminations: Rules::new(seed(4), &config.terminations),
            config,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            preparations: self.preparations.counts(),
            launches: self.launches.counts(),
            invocations: self.invocations.counts(),
            terminations: self.terminations.counts(),
        }
    }
}

impl<Act: Clone> Rules<Act> {
    fn new(seed: [u64; 2], rules: &[Rule<Act>]) -> Self {
        let counted = rules.iter().map(|rule| (rule.clone(), AtomicU64::new(0))).collect();
        Self { seed, counted, counts: Mutex::default() }
    }
}

impl<Act> Rules<Act> {
    /// What the next operation of `function` does.
    pub(crate) fn next(&self, function: &str) -> Cue<'_, Act> {
        let [seed, kind] = self.seed;
        let number = self.count(function);
        let mut cue = Cue { act: None, chance: Chance::of([seed, kind, u64::MAX, number]) };
        for ((rule, count), place) in self.counted.iter().zip(0..) {
            if !rule.is_for(function) {
                continue;
            }
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            let mut chance = Chance::of([seed, kind, place, number]);
            if cue.act.is_none() && rule.concerns(number) && rule.happens(&mut chance) {
                cue = Cue { act: Some(&rule.act), chance };
            }
        }
        cue
    }

    fn count(&self, function: &str) -> u64 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(function) {
            *count += 1;
            return *count;
        }
        counts.insert(function.to_owned(), 1);
        1
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<Act> Rule<Act> {
    fn is_for(&self, function: &str) -> bool {
        match self.function.as_deref().map(|named| (named, named.strip_suffix('*'))) {
            None => true,
            Some((_, Some(beginning))) => function.starts_with(beginning),
            Some((name, None)) => function == name,
        }
    }

    fn concerns(&self, number: u64) -> bool {
        let step = self.every.map_or(1, NonZeroU64::get);
        let first = self.nth.map_or(step, NonZeroU64::get);
        let once = self.nth.is_some() && self.every.is_none();
        let times = self.times.unwrap_or(u64::from(once));
        number
            .checked_sub(first)
            .is_some_and(|since| since.is_multiple_of(step) && (times == 0 || since / step < times))
    }

    fn happens(&self, chance: &mut Chance) -> bool {
        let Some(probability) = self.probability else { return true };
        chance.fraction() < Probability::into(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules in TOML, each of which does what a character says; then operations by function, and what each does.
    #[track_caller]
    fn check(rules: &[&str], operations: &[(&str, Option<char>)]) {
        let rules: Vec<Rule<char>> = rules.iter().map(|rule| toml::from_str(rule).expect("a rule")).collect();
        let rules = Rules::new([0, 0], &rules);
        for (number, (function, expected)) in operations.iter().enumerate() {
            assert_eq!(rules.next(function).act.copied(), *expected, "operation {number} ({function})");
        }
    }

    /// The same for one rule and one function: `x` where it happens, `.` where it does not.
    #[track_caller]
    fn check_pattern(rule: &str, expected: &str) {
        let operations: Vec<_> = expected.chars().map(|act| ("f", (act == 'x').then_some('x'))).collect();
        check(&[&format!("{rule}\ndo = 'x'")], &operations);
    }

    #[test]
    fn a_rule_says_which_operations_it_concerns() {
        check_pattern("", "xxxx");
        check_pattern("nth = 2", ".x..");
        check_pattern("nth = 2\ntimes = 2", ".xx.");
        check_pattern("nth = 3\ntimes = 0", "..xx");
        check_pattern("times = 2", "xx..");
        check_pattern("every = 3", "..x..x..x");
        check_pattern("every = 2\nnth = 1\ntimes = 2", "x.x...");
        check_pattern("probability = 0", "....");
        check_pattern("probability = 1", "xxxx");
    }

    #[test]
    fn a_rule_for_a_function_counts_only_that_function() {
        check(
            &["nth = 2\nfunction = 'f'\ndo = 'x'"],
            &[("f", None), ("g", None), ("f", Some('x')), ("f", None)],
        );
        check(&["nth = 2\nfunction = 'f-*'\ndo = 'x'"], &[("f-1", None), ("f", None), ("f-2", Some('x'))]);
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        check(
            &["nth = 1\ndo = 'x'", "times = 2\ndo = 'y'"],
            &[("f", Some('x')), ("f", Some('y')), ("f", None)],
        );
    }

    #[test]
    fn chance_depends_on_the_seed_and_on_nothing_else() {
        let rules: Vec<Rule<char>> = vec![toml::from_str("probability = 0.3\ndo = 'x'").expect("a rule")];
        let outcome = |seed| {
            let rules = Rules::new([seed, 2], &rules);
            (0..1000).map(|_| rules.next("f").act.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(outcome(1), outcome(1));
        assert_ne!(outcome(1), outcome(2));
        let hits = outcome(1).into_iter().filter(|hit| *hit).count();
        assert!((250..350).contains(&hits), "{hits}");
    }
}
