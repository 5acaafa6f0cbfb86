//! How a process ended, in the words that AWS uses.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How the function's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By a signal, with this number.
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl Exit {
    /// By the kernel or by us, without a chance to do anything about it.
    pub(crate) const KILLED: Self = Self::Signal(9);

    /// As in the message of an `Extension.Crash`.
    pub(crate) fn how(self) -> String {
        let words = self.to_string();
        match words.strip_prefix("Runtime exited with error: ") {
            Some(how) => how.to_owned(),
            None => "exit code 0".to_owned(),
        }
    }
}

impl fmt::Display for Exit {
    /// As in the message of a `Runtime.ExitError`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status(0) => f.write_str("Runtime exited without providing a reason"),
            Self::Status(code) => write!(f, "Runtime exited with error: exit status {code}"),
            Self::Signal(number) => {
                write!(f, "Runtime exited with error: signal: ")?;
                match signal_name(number) {
                    Some(name) => f.write_str(name),
                    None => write!(f, "signal {number}"),
                }
            }
        }
    }
}

/// AWS's own supervisor is a Go program: these are Go's names.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_in_the_words_of_aws() {
        for (exit, words) in [
            (Exit::Status(0), "Runtime exited without providing a reason"),
            (Exit::Status(127), "Runtime exited with error: exit status 127"),
            (Exit::Signal(9), "Runtime exited with error: signal: killed"),
            (Exit::Signal(11), "Runtime exited with error: signal: segmentation fault"),
            (Exit::Signal(34), "Runtime exited with error: signal: signal 34"),
        ] {
            assert_eq!(exit.to_string(), words);
        }
    }
}
