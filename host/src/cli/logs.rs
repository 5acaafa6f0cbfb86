//! `hearth logs`: what a function wrote, and what it writes.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::admin::Answer;
use crate::clock::Clock;
use crate::config::HostConfig;
use crate::simulate::quantity::parse_duration;

/// Show what a function wrote
#[derive(Args, Clone, Debug)]
pub(super) struct Logs {
    /// Name of the function
    function: String,

    /// Go on with what it writes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Only lines since then: a length of time before now (10m, 1.5h, 90s), or a moment (2026-11-27T12:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Since>,

    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,

    /// Of this log group, rather than of the one that the function has now
    #[arg(long, value_name = "GROUP")]
    log_group: Option<String>,

    /// Of the function in this account, rather than in the host's own
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// Of the function in this region, rather than in the host's own
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Print a JSON object for each line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(Duration),
    Moment(Timestamp),
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = text.parse() {
        return Ok(Since::Moment(moment));
    }
    let ago = parse_duration(text);
    ago.map(Since::Ago).map_err(|problem| format!("{problem}, and no moment as in 2026-11-27T12:00:00Z"))
}

impl Logs {
    /// Prints to standard output, until the end of the log or of the reader.
    pub(super) async fn run(&self, config: &HostConfig) -> Result<(), String> {
        let mut answer = Answer::get(config, &self.path(Clock::wall())).await?;
        let mut printer =
            Printer { json: self.json, in_colour: io::stdout().is_terminal(), rest: Vec::new() };
        while let Some(piece) = answer.next().await? {
            // Whoever reads has gone: there is nobody to print for.
            if printer.print(&piece).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn path(&self, now: Timestamp) -> String {
        let since = self.since.map(|since| match since {
            Since::Ago(ago) => now - ago,
            Since::Moment(moment) => moment,
        });
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let parameters = [
            ("account", self.account.as_deref().map(encoded)),
            ("region", self.region.as_deref().map(encoded)),
            ("group", self.log_group.as_deref().map(encoded)),
            ("since", since.map(|since| encoded(&since.to_string()))),
            ("tail", self.tail.map(|tail| tail.to_string())),
        ];
        let given = parameters.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", value?)));
        let given: String = given.collect();
        format!("/_hearth/functions/{}/logs?follow={}{given}", encoded(&self.function), self.follow)
    }
}

struct Printer {
    json: bool,
    in_colour: bool,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl Printer {
    fn print(&mut self, piece: &[u8]) -> io::Result<()> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let mut out = io::stdout().lock();
        for line in String::from_utf8_lossy(&whole).lines() {
            writeln!(out, "{}", self.line(line))?;
        }
        out.flush()
    }

    /// `<time> <stream> <message>`, in colours or as JSON.
    fn line(&self, line: &str) -> String {
        let mut parts = line.splitn(3, ' ');
        let (Some(time), Some(stream), Some(message)) = (parts.next(), parts.next(), parts.next()) else {
            return line.to_owned();
        };
        if self.json {
            return json!({"timestamp": time, "logStreamName": stream, "message": message}).to_string();
        }
        if !self.in_colour {
            return line.to_owned();
        }
        let faint = Style::new().dimmed();
        let name = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        format!("{faint}{time}{faint:#} {name}{stream}{name:#} {message}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> Logs {
        Logs {
            function: "f".to_owned(),
            follow: true,
            since: None,
            tail: None,
            log_group: None,
            account: None,
            region: None,
            json: false,
        }
    }

    #[test]
    fn what_is_wanted_is_asked_for() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        assert_eq!(logs().path(now), "/_hearth/functions/f/logs?follow=true");
        let since = Some(parse_since("10m").unwrap());
        let asked = Logs { since, tail: Some(5), log_group: Some("/a".to_owned()), follow: false, ..logs() };
        assert_eq!(
            asked.path(now),
            "/_hearth/functions/f/logs?follow=false&group=%2Fa&since=2026%2D11%2D27T11%3A50%3A00Z&tail=5"
        );
        assert_eq!(parse_since("2026-11-27T12:00:00Z"), Ok(Since::Moment(now)));
        assert!(parse_since("yesterday").unwrap_err().ends_with("and no moment as in 2026-11-27T12:00:00Z"));
    }

    #[test]
    fn a_line_is_shown_as_it_is_or_as_json() {
        let mut printer = Printer { json: false, in_colour: false, rest: Vec::new() };
        assert_eq!(printer.line("t s a  b"), "t s a  b");
        printer.json = true;
        assert_eq!(printer.line("t s a  b"), r#"{"logStreamName":"s","message":"a  b","timestamp":"t"}"#);
    }
}
