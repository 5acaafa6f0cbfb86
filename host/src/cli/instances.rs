//! `hearth instances`: what is warm in a running hearth, as a table.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, Table, presets};
use serde::Deserialize;

use super::admin::Answer;
use crate::config::HostConfig;

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
    let body = Answer::get(config, "/_hearth/instances").await?.text().await?;
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
