//! Answers with its event, unless that asks for a failure: `{"do": "fail"}` or `{"do": "panic"}`.

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(echo)).await
}

async fn echo(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    match event.payload["do"].as_str() {
        Some("fail") => Err(Diagnostic { error_type: "My.Error".into(), error_message: "as asked".into() }),
        Some("panic") => panic!("as asked"),
        _ => Ok(event.payload),
    }
}
