//! What a container wrote, line by line.

use std::future::ready;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;
use hearth_containers::logs::origin;
use hearth_core::{LogLine, LogStream, LogStreamKind};

use crate::engine::Engine;

/// The lines since a point in time (milliseconds since 1970), and then those that come.
pub(crate) fn follow(engine: &Engine, container: &str, since_ms: u64) -> LogStream {
    let options = LogsOptions {
        follow: true,
        stdout: true,
        stderr: true,
        timestamps: true,
        since: i32::try_from(since_ms / 1000).unwrap_or(i32::MAX),
        ..LogsOptions::default()
    };
    let output = engine.docker.logs(container, Some(options));
    let pieces = output.take_while(|piece| ready(piece.is_ok()));
    let lines = pieces.filter_map(|piece| ready(piece.ok().and_then(line)));
    lines.filter(move |line| ready(line.unix_ms >= since_ms)).boxed()
}

/// The last lines of a container that did not come up, for people.
pub(crate) async fn last_words(engine: &Engine, container: &str) -> String {
    let options = LogsOptions { stdout: true, stderr: true, tail: "5".to_owned(), ..LogsOptions::default() };
    let pieces: Vec<_> = engine.docker.logs(container, Some(options)).collect().await;
    let texts = pieces.into_iter().flatten().map(|piece| piece.to_string().trim_end().to_owned());
    texts.collect::<Vec<_>>().join(" / ")
}

/// `2026-01-01T00:00:00.000000000Z text`
fn line(piece: LogOutput) -> Option<LogLine> {
    let is_error = matches!(piece, LogOutput::StdErr { .. });
    let bytes = piece.into_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let (time, text) = text.split_once(' ')?;
    let text = text.trim_end_matches(['\r', '\n']);
    let stream = origin(text, if is_error { LogStreamKind::STDERR } else { LogStreamKind::STDOUT });
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(LogLine { stream, unix_ms: time.as_millisecond().try_into().unwrap_or(0), line: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_and_its_origin() {
        let message = |text: &str| format!("1970-01-01T00:00:01.5Z {text}\n").into();
        let lines = [
            LogOutput::StdOut { message: message("hello world") },
            LogOutput::StdErr { message: message("") },
            LogOutput::StdOut { message: message("START RequestId: 1 Version: $LATEST") },
        ];
        let lines = lines.map(|piece| line(piece).unwrap());
        let shown = lines.map(|line| format!("{:?} {} {}", line.stream, line.unix_ms, line.line));
        assert_eq!(
            shown,
            ["STDOUT 1500 hello world", "STDERR 1500 ", "PLATFORM 1500 START RequestId: 1 Version: $LATEST"]
        );
        assert!(line(LogOutput::StdOut { message: "no time".into() }).is_none());
    }
}
