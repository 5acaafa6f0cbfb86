//! What came of the checks, for people and for machines.

use std::fmt;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::Verdict;

/// All checks that were tried, in order.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    checks: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// Where the rule is written.
    rule: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(tag = "outcome", content = "why", rename_all = "lowercase")]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Report {
    pub(super) fn add(&mut self, name: &'static str, rule: &str, verdict: Result<(), Verdict>) {
        let outcome = match verdict {
            Ok(()) => Outcome::Passed,
            Err(Verdict::Failed(why)) => Outcome::Failed(why),
            Err(Verdict::Skipped(why)) => Outcome::Skipped(why),
        };
        self.checks.push(Row { name, rule: format!("docs/backends.md#{rule}"), outcome });
    }

    /// Whether the backend keeps every promise that could be tried.
    pub fn conforms(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.outcome, Outcome::Failed(_)))
    }

    /// The names of the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed(_))).map(|check| check.name)
    }
}

impl fmt::Display for Report {
    /// A line for each check; what failed says why, and where the rule is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for Row { name, rule, outcome } in &self.checks {
            let (style, mark, why, count) = match outcome {
                Outcome::Passed => (colour(AnsiColor::Green), "pass", String::new(), &mut passed),
                Outcome::Failed(why) => (
                    colour(AnsiColor::Red).bold(),
                    "FAIL",
                    format!("\n       {why}\n       {rule}"),
                    &mut failed,
                ),
                Outcome::Skipped(why) => {
                    (colour(AnsiColor::Yellow), "skip", format!("  {why}"), &mut skipped)
                }
            };
            *count += 1;
            writeln!(f, "{style}{mark}{style:#}   {name}{why}")?;
        }
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_failed_and_where_the_rule_is() {
        let mut report = Report::default();
        report.add("good", "a", Ok(()));
        report.add("left-out", "b", Err(Verdict::Skipped("no time".to_owned())));
        assert!(report.conforms());
        report.add("bad", "c", Err(Verdict::Failed("it hangs".to_owned())));
        assert!(!report.conforms());
        let text = anstream::adapter::strip_str(&report.to_string()).to_string();
        assert_eq!(
            text,
            "pass   good\nskip   left-out  no time\nFAIL   bad\n       it hangs\n       docs/backends.md#c\n1 passed, 1 failed, 1 skipped"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json["checks"][2],
            serde_json::json!({"name": "bad", "rule": "docs/backends.md#c", "outcome": "failed", "why": "it hangs"})
        );
    }
}
