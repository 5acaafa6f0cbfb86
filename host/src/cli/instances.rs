//! `hearth instances`: what is warm in a running hearth, as a table.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{Attribute, Cell, Color, Table, presets};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;

use crate::api::access::Access;
use crate::clock::Clock;
use crate::config::HostConfig;
use crate::invoke::connection::{Address, Connection, SendError, TimedOut};
use crate::sigv4::{self, Scope};

/// How long a running hearth may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answer of `GET /_hearth/instances`, as far as the table shows it.
#[derive(Debug, Deserialize)]
struct Instances {
    instances: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    instance: Option<String>,
    function: String,
    version: String,
    runtime: String,
    state: String,
    idle_seconds: Option<f64>,
    age_seconds: Option<f64>,
    invocations: u64,
    memory_mb: u32,
}

/// Asks the hearth that listens at `listen` and answers what is to be printed.
pub(super) async fn instances(config: &HostConfig, json: bool) -> Result<String, String> {
    let listen = &config.listen;
    let body = fetch(config).await?;
    if json {
        return Ok(body);
    }
    let answer: Instances = serde_json::from_str(&body)
        .map_err(|error| format!("what listens at {listen} does not answer as hearth does: {error}"))?;
    if answer.instances.is_empty() {
        return Ok("no instances: nothing is warm".to_owned());
    }
    Ok(table(&answer.instances, std::io::stdout().is_terminal()).to_string())
}

async fn fetch(config: &HostConfig) -> Result<String, String> {
    let address = Address::parse(&config.listen)?;
    let mut connection = Connection::open(&address)
        .await
        .map_err(|problem| format!("{problem}; is hearth running? (--listen HOST:PORT says where)"))?;
    let mut request = Request::get(format!("http://{}/_hearth/instances", address.host()))
        .header(http::header::HOST, address.host())
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    if let Access::KeyHolders(ring) = &config.access
        && let Some(holder) = ring.first()
    {
        let scope = Scope { region: &config.region, service: "lambda", at: Clock::wall() };
        sigv4::sign(&mut request, b"", &holder.keys, scope)?;
    }
    *request.uri_mut() = Uri::from_static("/_hearth/instances");
    let too_late = || format!("{address} did not answer within {PATIENCE:?}");
    let response = connection.send(request, PATIENCE).await.map_err(|error| match error {
        SendError::NotSent(error) | SendError::Broken(error) => format!("{address}: {error}"),
        SendError::TimedOut => too_late(),
    })?;
    let status = response.status();
    let body = connection.drive(response.into_body().collect()).await.map_err(|TimedOut| too_late())?;
    let body = body.map_err(|error| format!("{address}: {error}"))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match status {
        StatusCode::OK => Ok(text),
        StatusCode::FORBIDDEN => {
            Err(format!("{address} refused: {text}; name its keys with --credentials FILE"))
        }
        _ => Err(format!("{address} answered {status}: {text}")),
    }
}

fn table(rows: &[Row], in_colour: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(
        ["FUNCTION", "VERSION", "RUNTIME", "STATE", "IDLE", "AGE", "INVOCATIONS", "MEMORY", "INSTANCE"]
            .map(|title| Cell::new(title).add_attribute(Attribute::Bold)),
    );
    for row in rows {
        table.add_row([
            Cell::new(&row.function),
            Cell::new(&row.version),
            Cell::new(&row.runtime),
            state(&row.state),
            Cell::new(row.idle_seconds.map(age).unwrap_or_default()),
            Cell::new(row.age_seconds.map(age).unwrap_or_default()),
            Cell::new(row.invocations),
            Cell::new(format!("{} MB", row.memory_mb)),
            Cell::new(row.instance.as_deref().map(|name| &name[..name.len().min(12)]).unwrap_or_default()),
        ]);
    }
    if !in_colour {
        table.force_no_tty();
    }
    table
}

fn state(state: &str) -> Cell {
    let colour = match state {
        "idle" => Color::Green,
        "busy" => Color::Yellow,
        "launching" => Color::Cyan,
        _ => Color::DarkGrey,
    };
    Cell::new(state).fg(colour)
}

/// A length of time as people say it.
fn age(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_as_people_say_them() {
        assert_eq!(
            [0.04, 9.96, 75.0, 300.0, 86_400.0].map(age),
            ["0.0 s", "10.0 s", "75 s", "5 min", "24 h"]
        );
    }

    #[test]
    fn a_table_has_a_row_for_each_instance() {
        let row = Row {
            instance: Some("0123456789abcdef".to_owned()),
            function: "hello".to_owned(),
            version: "$LATEST".to_owned(),
            runtime: "python3.13".to_owned(),
            state: "idle".to_owned(),
            idle_seconds: Some(3.0),
            age_seconds: Some(61.0),
            invocations: 2,
            memory_mb: 128,
        };
        let text = table(&[row], false).to_string();
        let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(words.join(" "), "hello $LATEST python3.13 idle 3.0 s 61 s 2 128 MB 0123456789ab");
    }
}
