//! An extension that writes down what it is told, into the file that `NOTES` names.

use std::fs::OpenOptions;
use std::io::Write;

use lambda_extension::{Error, Extension, LambdaEvent, NextEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let extension = Extension::new()
        .with_events(&["INVOKE", "SHUTDOWN"])
        .with_events_processor(service_fn(told))
        .register()
        .await?;
    note(&format!("registered for {} {}", extension.function_name, extension.function_version))?;
    extension.run().await
}

async fn told(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(event) => note(&format!("INVOKE {}", event.request_id)),
        NextEvent::Shutdown(event) => note(&format!("SHUTDOWN {}", event.shutdown_reason)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a function is configured by its environment")]
fn note(line: &str) -> Result<(), Error> {
    let path = std::env::var("NOTES")?;
    Ok(writeln!(OpenOptions::new().create(true).append(true).open(path)?, "{line}")?)
}
