//! The AWS SDK for Rust, unmodified, against a running `hearth`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::client::Waiters;
use aws_sdk_lambda::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_lambda::operation::create_function::CreateFunctionOutput;
use aws_sdk_lambda::operation::invoke_with_response_stream::InvokeWithResponseStreamOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    FunctionCode, InvokeWithResponseStreamCompleteEvent, InvokeWithResponseStreamResponseEvent, LogType,
    Runtime, State,
};
use hearth_tests::{Binaries, Host, Launch, zip_of};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::000000000000:role/any";
const LIMIT: Duration = Duration::from_mins(1);

/// What `cargo xtask test` has built of `tests/functions-rust`.
static FUNCTIONS: LazyLock<PathBuf> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so in a variable")]
    let folder = std::env::var_os("HEARTH_TEST_FUNCTIONS");
    folder.expect("HEARTH_TEST_FUNCTIONS is not set; run these tests with: cargo xtask test e2e").into()
});

fn start() -> Host {
    Launch::new(Binaries::find().unwrap()).start().unwrap()
}

fn client(host: &Host) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", host.address()))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "these tests"));
    Client::from_conf(config.build())
}

/// Deploys one of our functions, and answers what the SDK was told of it at first.
async fn deploy(client: &Client, name: &str) -> CreateFunctionOutput {
    let zip = zip_of(&[("bootstrap", std::fs::read(FUNCTIONS.join(name)).unwrap())]).unwrap();
    let created = client
        .create_function()
        .function_name(name)
        .runtime(Runtime::Providedal2023)
        .handler("any")
        .role(ROLE)
        .timeout(30)
        .code(FunctionCode::builder().zip_file(Blob::new(zip)).build());
    let created = created.send().await.unwrap();
    client.wait_until_function_active_v2().function_name(name).wait(LIMIT).await.unwrap();
    created
}

fn json(payload: Option<Blob>) -> Value {
    serde_json::from_slice(payload.unwrap().as_ref()).unwrap()
}

#[tokio::test]
async fn a_function_from_its_creation_to_its_end() {
    let host = start();
    let client = client(&host);
    let created = deploy(&client, "echo").await;
    assert_eq!((created.state, created.code_size > 1000), (Some(State::Pending), true));

    let got = client.get_function().function_name("echo").send().await.unwrap().configuration.unwrap();
    assert_eq!((got.state, got.runtime), (Some(State::Active), Some(Runtime::Providedal2023)));
    assert_eq!((got.function_arn, got.code_sha256), (created.function_arn, created.code_sha256));

    let invoke = |event: Value| {
        client.invoke().function_name("echo").payload(Blob::new(event.to_string())).log_type(LogType::Tail)
    };
    let returned = invoke(json!({"a": [1]})).send().await.unwrap();
    assert_eq!((returned.status_code, &returned.function_error), (200, &None));
    assert_eq!(returned.executed_version.as_deref(), Some("$LATEST"));
    assert!(returned.log_result.is_some());
    assert_eq!(json(returned.payload), json!({"a": [1]}));

    let failed = invoke(json!({"do": "fail"})).send().await.unwrap();
    assert_eq!((failed.status_code, failed.function_error.as_deref()), (200, Some("Unhandled")));
    assert_eq!(json(failed.payload), json!({"errorType": "My.Error", "errorMessage": "as asked"}));

    client.delete_function().function_name("echo").send().await.unwrap();
    let gone = client.get_function().function_name("echo").send().await.unwrap_err().into_service_error();
    assert!(gone.is_resource_not_found_exception(), "{gone:?}");
}

/// What the function `stream` writes, piece by piece, wherever the chunks begin and end.
struct Pieces {
    response: InvokeWithResponseStreamOutput,
    received: Vec<u8>,
}

impl Pieces {
    async fn of(client: &Client, event: Value) -> Self {
        let invoke = client.invoke_with_response_stream().function_name("stream");
        let response = invoke.payload(Blob::new(event.to_string())).send().await.unwrap();
        let mut pieces = Self { response, received: Vec::new() };
        // The crate `lambda_runtime` begins every stream with the head of an HTTP response.
        pieces.up_to(&[0; 8]).await;
        pieces
    }

    /// When the next piece was written, by the function's clock.
    async fn next(&mut self) -> u128 {
        String::from_utf8(self.up_to(b"\n").await).unwrap().parse().unwrap()
    }

    /// How the stream ended. Nothing but the end must be left of it.
    async fn end(mut self) -> InvokeWithResponseStreamCompleteEvent {
        use InvokeWithResponseStreamResponseEvent::InvokeComplete;
        let Some(InvokeComplete(complete)) = self.response.event_stream.recv().await.unwrap() else {
            panic!("it goes on")
        };
        assert!(self.received.is_empty());
        assert!(self.response.event_stream.recv().await.unwrap().is_none());
        complete
    }

    async fn up_to(&mut self, end: &[u8]) -> Vec<u8> {
        use InvokeWithResponseStreamResponseEvent::PayloadChunk;
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                let rest = self.received.split_off(at + end.len());
                let mut found = std::mem::replace(&mut self.received, rest);
                found.truncate(at);
                return found;
            }
            match self.response.event_stream.recv().await.unwrap() {
                Some(PayloadChunk(chunk)) => self.received.extend(chunk.payload.unwrap().as_ref()),
                other => panic!("{other:?} after {:?}", self.received),
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it is compared with the function's own clock")]
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}

fn open(gate: &Path) {
    std::fs::write(gate, "").unwrap();
}

#[tokio::test]
async fn chunks_arrive_as_they_are_written() {
    let (host, folder) = (start(), tempfile::tempdir().unwrap());
    let client = client(&host);
    deploy(&client, "stream").await;
    let gates = ["one", "two"].map(|name| folder.path().join(name));
    let mut pieces = Pieces::of(&client, json!({"gates": gates})).await;
    let mut times = Vec::new();
    for gate in &gates {
        times.extend([pieces.next().await, now()]);
        // Only now does the function write on.
        open(gate);
    }
    times.extend([pieces.next().await, now()]);
    assert!(times.is_sorted(), "written and received in turn: {times:?}");
    let complete = pieces.end().await;
    assert_eq!((complete.error_code, complete.error_details), (None, None));
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_comes_with_its_end() {
    let (host, folder) = (start(), tempfile::tempdir().unwrap());
    let client = client(&host);
    deploy(&client, "stream").await;
    let gate = folder.path().join("gate");
    let mut pieces = Pieces::of(&client, json!({"gates": [gate], "exit": 3})).await;
    pieces.next().await;
    open(&gate);
    let complete = pieces.end().await;
    assert_eq!(complete.error_code.as_deref(), Some("Runtime.ExitError"));
    let details: Value = serde_json::from_str(&complete.error_details.unwrap()).unwrap();
    let message = details["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Runtime exited with error: exit status 3"), "{message}");
}
