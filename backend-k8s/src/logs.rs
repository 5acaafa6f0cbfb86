//! What a pod wrote, line by line. The API server mixes both outputs of a container, so that all is one.

use std::future::ready;

use futures_util::{AsyncBufReadExt, StreamExt, io::Lines};
use hearth_containers::logs::origin;
use hearth_core::{LogLine, LogStream, LogStreamKind, Result};
use kube::api::LogParams;

use crate::cluster::Cluster;
use crate::failure::{answer, failure};
use crate::pod::FUNCTION;

/// The lines since a point in time (milliseconds since 1970), and then those that come.
pub(crate) async fn follow(cluster: &Cluster, pod: &str, since_ms: u64) -> Result<LogStream> {
    let parameters = LogParams {
        container: Some(FUNCTION.to_owned()),
        follow: true,
        timestamps: true,
        ..LogParams::default()
    };
    let log = answer(async { cluster.pods().log_stream(pod, &parameters).await }).await;
    let log = log.map_err(|error| failure(&format!("the log of the pod {pod} cannot be read"), &error))?;
    let lines: Lines<_> = Box::pin(log).lines();
    let lines = lines
        .take_while(|line| ready(line.is_ok()))
        .filter_map(|text| ready(text.ok().and_then(|text| line(&text))));
    Ok(lines.filter(move |line| ready(line.unix_ms >= since_ms)).boxed())
}

/// The last lines of a container that did not come up, for people.
pub(crate) async fn last_words(cluster: &Cluster, pod: &str, container: &str) -> String {
    let parameters =
        LogParams { container: Some(container.to_owned()), tail_lines: Some(5), ..LogParams::default() };
    let text = answer(async { cluster.pods().logs(pod, &parameters).await }).await.unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ")
}

/// `2026-01-01T00:00:00.000000000Z text`
fn line(text: &str) -> Option<LogLine> {
    let (time, text) = text.split_once(' ')?;
    let text = text.trim_end_matches(['\r', '\n']);
    let time: jiff::Timestamp = time.parse().ok()?;
    let unix_ms = time.as_millisecond().try_into().unwrap_or(0);
    Some(LogLine { stream: origin(text, LogStreamKind::STDOUT), unix_ms, line: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_and_its_origin() {
        let shown =
            |text: &str| line(text).map(|line| format!("{:?} {} {}", line.stream, line.unix_ms, line.line));
        assert_eq!(shown("1970-01-01T00:00:01.5Z hello world").unwrap(), "STDOUT 1500 hello world");
        assert_eq!(shown("1970-01-01T00:00:01.5Z ").unwrap(), "STDOUT 1500 ");
        let start = "START RequestId: 1 Version: $LATEST";
        assert_eq!(
            shown(&format!("1970-01-01T00:00:01.5Z {start}")).unwrap(),
            format!("PLATFORM 1500 {start}")
        );
        assert_eq!(shown("no time"), None);
    }
}
