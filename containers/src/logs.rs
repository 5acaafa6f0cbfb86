//! Who wrote a line of a container's log.

use hearth_core::LogStreamKind;

/// What a line of the platform begins with, in the log of Lambda.
const OF_PLATFORM: [&str; 5] =
    ["START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_REPORT ", "EXTENSION\t"];

/// The origin of a line that came by `stream`: the emulator's own lines are the platform's.
pub fn origin(line: &str, stream: LogStreamKind) -> LogStreamKind {
    if OF_PLATFORM.iter().any(|beginning| line.starts_with(beginning)) {
        LogStreamKind::PLATFORM
    } else {
        stream
    }
}
