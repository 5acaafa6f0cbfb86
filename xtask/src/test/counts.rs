//! How many tests passed, read from what the test runners print.

use std::fmt;
use std::ops::{Add, AddAssign};

/// How a number of tests went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those that passed.
    pub(crate) passed: u32,
    /// Those that failed, hung or could not be run.
    pub(crate) failed: u32,
    /// Those that said that they cannot run here.
    pub(crate) skipped: u32,
}

impl Counts {
    /// Something that should have run tests did not come so far.
    pub(crate) const FAILURE: Self = Self { passed: 0, failed: 1, skipped: 0 };

    /// Reads a closing line of cargo test, cargo nextest or pytest; nothing if the line is none.
    ///
    /// nextest calls what the selection leaves out skipped, which is not what is meant here. It also shows what a
    /// failed test printed, indented: that is counted already.
    pub(crate) fn read(line: &str) -> Option<Self> {
        if let Some(libtest) = line.strip_prefix("test result: ") {
            return Some(Self::add_up(libtest, &["ignored"]));
        }
        if let Some(nextest) = line.strip_prefix("     Summary [") {
            return Some(Self::add_up(nextest, &[]));
        }
        let line = line.trim_matches('=').trim_end();
        let line = line.strip_prefix(' ').unwrap_or(line);
        // `3 failed, 80 passed, 2 skipped in 12.3s`
        let (pytest, time) = line.rsplit_once(" in ")?;
        let is_closing = time.starts_with(|first: char| first.is_ascii_digit())
            && pytest.starts_with(|first: char| first.is_ascii_digit());
        is_closing.then(|| Self::add_up(pytest, &["skipped", "xfailed"]))
    }

    fn add_up(text: &str, skips: &[&str]) -> Self {
        let words: Vec<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
            .filter(|it| !it.is_empty())
            .collect();
        let mut counts = Self::default();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u32>() else { continue };
            match pair[1] {
                "passed" => counts.passed += number,
                "failed" | "error" | "errors" | "timed" | "exec" => counts.failed += number,
                word if skips.contains(&word) => counts.skipped += number,
                _ => {}
            }
        }
        counts
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_each_runner_are_read() {
        for (line, passed, failed, skipped) in [
            (
                "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
                5,
                0,
                1,
            ),
            (
                "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
                4,
                2,
                0,
            ),
            ("     Summary [   0.012s] 12 tests run: 12 passed, 30 skipped", 12, 0, 0),
            (
                "     Summary [   9.012s] 5 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 1 exec failed",
                2,
                3,
                0,
            ),
            ("======== 3 failed, 80 passed, 2 skipped, 1 error in 12.34s ========", 80, 4, 2),
            ("80 passed in 62.10s (0:01:02)", 80, 0, 0),
        ] {
            assert_eq!(Counts::read(line), Some(Counts { passed, failed, skipped }), "{line}");
        }
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in [
            "",
            "    test result: FAILED. 0 passed; 1 failed",
            "    1 failed, 2 passed in 3.0s",
            "running 5 tests",
            "tests/clients/test_invoke.py .... [ 10%]",
            "compiled in 3 s",
            "Summary",
        ] {
            assert_eq!(Counts::read(line), None, "{line}");
        }
    }
}
