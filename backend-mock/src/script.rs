//! Which rule an operation falls under.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Rule;

/// The rules for one kind of operation, each with its own count.
#[derive(Debug)]
pub(crate) struct Script<Act> {
    rules: Vec<(Rule<Act>, AtomicU64)>,
}

impl<Act> Script<Act> {
    pub(crate) fn new(rules: Vec<Rule<Act>>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, AtomicU64::new(0))).collect() }
    }

    /// What the next operation of `function` does, if it is to do anything out of the ordinary.
    pub(crate) fn next(&self, function: &str) -> Option<&Act> {
        let mut act = None;
        for (rule, count) in &self.rules {
            if rule.function.as_deref().is_none_or(|only| only == function) {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                if act.is_none() && rule.concerns(number) {
                    act = Some(&rule.act);
                }
            }
        }
        act
    }

    /// Whether any rule has such an act.
    pub(crate) fn has(&self, is_it: impl Fn(&Act) -> bool) -> bool {
        self.rules.iter().any(|(rule, _)| is_it(&rule.act))
    }
}

impl<Act> Rule<Act> {
    fn concerns(&self, number: u64) -> bool {
        number >= self.nth && (self.times == 0 || number - self.nth < self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules as (nth, times, function, act), then operations by function and what each of them does.
    fn check(rules: &[(u64, u64, Option<&str>, char)], operations: &[(&str, Option<char>)]) {
        let rule = |&(nth, times, function, act): &(u64, u64, Option<&str>, char)| Rule {
            nth,
            times,
            function: function.map(str::to_owned),
            act,
        };
        let script = Script::new(rules.iter().map(rule).collect());
        for (number, (function, expected)) in operations.iter().enumerate() {
            assert_eq!(script.next(function).copied(), *expected, "operation {number} ({function})");
        }
    }

    #[test]
    fn the_nth_operation_and_those_that_follow_it_are_concerned() {
        check(&[(2, 2, None, 'x')], &[("f", None), ("g", Some('x')), ("f", Some('x')), ("f", None)]);
    }

    #[test]
    fn a_rule_for_a_function_counts_only_that_function() {
        check(&[(2, 1, Some("f"), 'x')], &[("f", None), ("g", None), ("f", Some('x')), ("f", None)]);
    }

    #[test]
    fn zero_times_means_all_that_follow() {
        check(&[(3, 0, None, 'x')], &[("f", None), ("f", None), ("f", Some('x')), ("f", Some('x'))]);
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        check(&[(1, 1, None, 'x'), (1, 2, None, 'y')], &[("f", Some('x')), ("f", Some('y')), ("f", None)]);
    }
}
