//! The log on the program's own standard output and error.

use std::io::Write;

use hearth_rie::{Line, Observer, Origin};

/// Passes lines on to where they would have gone without the emulator.
pub(crate) struct Console;

impl Observer for Console {
    fn line(&self, line: Line<'_>) {
        // If nobody reads the log, the function runs on without one.
        drop(match line.origin {
            Origin::Stdout | Origin::Extension | Origin::Platform => {
                writeln!(std::io::stdout().lock(), "{}", line.text)
            }
            Origin::Stderr => writeln!(std::io::stderr().lock(), "{}", line.text),
        });
    }
}
