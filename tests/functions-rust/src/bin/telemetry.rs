//! An extension that subscribes to telemetry at the port `TELEMETRY_PORT`, and writes each record as a line of JSON into
//! the file that `NOTES` names. The crate knows the form of every record, and takes no other.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;

use lambda_extension::{Error, Extension, LambdaTelemetry, LogBuffering, SharedService, service_fn};

/// What an extension may ask for at least, so that the records come soon.
const BUFFERING: LogBuffering = LogBuffering { timeout_ms: 25, max_bytes: 262_144, max_items: 1_000 };

#[expect(clippy::disallowed_methods, reason = "a function is configured by its environment")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let extension = Extension::new()
        .with_telemetry_types(&["platform", "function", "extension"])
        .with_telemetry_buffering(BUFFERING)
        .with_telemetry_port_number(env::var("TELEMETRY_PORT")?.parse()?)
        .with_telemetry_processor(SharedService::new(service_fn(note)))
        .register()
        .await?;
    println!("subscribed");
    extension.run().await
}

#[expect(clippy::disallowed_methods, reason = "a function is configured by its environment")]
async fn note(records: Vec<LambdaTelemetry>) -> Result<(), Error> {
    let mut notes = OpenOptions::new().create(true).append(true).open(env::var("NOTES")?)?;
    for record in records {
        writeln!(notes, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}
