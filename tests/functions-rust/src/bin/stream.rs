//! Streams when each piece was written, in microseconds since 1970.
//!
//! Before each piece but the first it waits for one of the files that the event names as `gates`. If the event has an
//! `exit`, that is the status with which the process ends instead of writing the second piece. It takes as many
//! invocations at once as it is allowed to.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::streaming::Response;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

type Pieces = ReceiverStream<Result<String, Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run_concurrent(service_fn(stream)).await
}

async fn stream(event: LambdaEvent<Value>) -> Result<Response<Pieces>, Error> {
    let (pieces, response) = mpsc::channel(1);
    tokio::spawn(write(event.payload, pieces));
    Ok(Response::from(ReceiverStream::new(response)))
}

async fn write(event: Value, pieces: mpsc::Sender<Result<String, Error>>) -> Result<(), Error> {
    pieces.send(Ok(now()?)).await?;
    for gate in event["gates"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        while !Path::new(gate).exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if let Some(status) = event["exit"].as_i64() {
            std::process::exit(status.try_into()?);
        }
        pieces.send(Ok(now()?)).await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a function asks its own clock")]
fn now() -> Result<String, Error> {
    Ok(format!("{}\n", SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros()))
}
