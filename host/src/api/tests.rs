//! The API over a real catalog, pool and driver, and a backend in this process whose instances answer with what
//! they were sent.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use expect_test::{Expect, expect};
use hearth_core::{Backend, BackendError, BackendInfo, CallContext, ErrorKind, Instance, LaunchSpec};
use http_body_util::{BodyExt as _, Full};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::catalog::package::tests::zip_of;
use crate::catalog::{self, Deployer};
use crate::clock::Clock;
use crate::driver::{self, Driver, EventSink};
use crate::event_queue::Policy;
use crate::metrics::Metrics;

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Its instances answer with the headers and the event that they were sent; those of a function that is named
/// after a failure fail in that way.
#[derive(Default)]
struct Echo {
    launched: Mutex<Vec<LaunchSpec>>,
}

#[async_trait::async_trait]
impl Backend for Echo {
    fn info(&self) -> BackendInfo {
        BackendInfo::default()
    }

    async fn prepare(&self, _cx: &CallContext, spec: &LaunchSpec) -> hearth_core::Result<()> {
        match spec.function.as_str() {
            "unpreparable" => Err(BackendError::new(ErrorKind::SPEC_REJECTED, "no interpreter for it")),
            "unready" => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> hearth_core::Result<Instance> {
        if spec.function == "unlaunchable" {
            return Err(BackendError::new(ErrorKind::SPEC_REJECTED, "the image is gone"));
        }
        self.launched.lock().unwrap().push(spec.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let service = service_fn(|request| async { Ok::<_, Infallible>(echo(request).await) });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Instance { handle: spec.instance_id.clone(), endpoint, ..Instance::default() })
    }

    async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> hearth_core::Result<()> {
        Ok(())
    }
}

async fn echo(request: Request<hyper::body::Incoming>) -> hyper::Response<Full<Bytes>> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut seen = json!({
        "request_id": header("lambda-runtime-aws-request-id"),
        "arn": header("lambda-runtime-invoked-function-arn"),
        "trace_id": header("x-amzn-trace-id"),
        "client_context": header("x-amz-client-context"),
        "log_type": header("x-amz-log-type"),
    });
    let event = request.into_body().collect().await.unwrap().to_bytes();
    let event: Value = serde_json::from_slice(&event).unwrap();
    let mut response = hyper::Response::builder();
    if event["fail"].is_string() {
        response = response.header("x-amz-function-error", "Unhandled");
    }
    if seen["log_type"] == "Tail" {
        response = response.header("x-amz-log-result", STANDARD.encode("START\nEND\n"));
    }
    seen["event"] = event;
    response.body(Full::from(seen.to_string())).unwrap()
}

struct World {
    _folder: tempfile::TempDir,
    router: TowerToHyperService<Router>,
    state: Arc<ApiState>,
    backend: Arc<Echo>,
}

/// An answer, read.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status, error type and body in one line; the id of the request is checked and left out.
    fn told(&self) -> String {
        assert_eq!(self.header("x-amzn-requestid").unwrap().len(), 36);
        let error = self.header("x-amzn-errortype").map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{error} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// Status and body, with what differs between two runs replaced.
    fn check(&self, expected: Expect) {
        let mut text = serde_json::to_string_pretty(&self.json()).unwrap();
        for (member, placeholder) in [("RevisionId", "<revision>"), ("LastModified", "<date>"), ("CreatedDate", "<date>")] {
            let mut checked = String::new();
            for line in text.lines() {
                let is_member = line.trim_start().starts_with(&format!("\"{member}\""));
                let comma = if line.ends_with(',') { "," } else { "" };
                let indent = &line[..line.len() - line.trim_start().len()];
                checked += &if is_member { format!("{indent}\"{member}\": \"{placeholder}\"{comma}\n") } else { format!("{line}\n") };
            }
            text = checked;
        }
        expected.assert_eq(&format!("{}\n{text}", self.status));
    }
}

impl World {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (backend, clock, metrics) = (Arc::new(Echo::default()), Clock::start(), Arc::new(Metrics::new()));
        let driver_settings = driver::Settings { pool: hearth_pool::Config::default(), terminate_grace: Duration::ZERO };
        let driver =
            Driver::new(backend.clone(), backend.info(), driver_settings, clock, Arc::clone(&metrics)).unwrap();
        Arc::new(EventSink::default()).connect(&driver);
        let catalog_settings = catalog::Settings {
            data_dir: folder.path().to_owned(),
            wall_clock: Clock::wall,
            function_env: BTreeMap::new(),
        };
        let catalog = Catalog::open(catalog_settings).await.unwrap();
        let events = EventQueue::open(folder.path(), Policy::default()).await.unwrap();
        tokio::spawn(driver.clone().run_timer());
        catalog.start(Arc::new(driver.clone()) as Arc<dyn Deployer>).await;
        let invoker = Invoker::new(driver, clock, metrics, Duration::from_secs(10));
        tokio::spawn(events.clone().run(catalog.clone(), invoker.clone()));
        let state = Arc::new(ApiState { catalog, invoker, events, settings });
        let router = TowerToHyperService::new(router(Arc::clone(&state)));
        Self { _folder: folder, router, state, backend }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "hearth.test:3001");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.call(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[], body.to_string()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], body.to_string()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Body::empty()).await
    }

    async fn invoke(&self, name: &str, payload: &'static str) -> Answer {
        self.send("POST", &format!("{FUNCTIONS}/{name}/invocations"), &[], payload).await
    }

    /// Creates a function and waits until nothing of it is under way.
    async fn create(&self, name: &str) -> Answer {
        let created = self.post(FUNCTIONS, creation(name)).await;
        assert_eq!(created.status, 201, "{}", created.told());
        self.settled(name).await;
        created
    }

    async fn settled(&self, name: &str) {
        let path = format!("{FUNCTIONS}/{name}/configuration");
        loop {
            let configuration = self.get(&path).await.json();
            if configuration["State"] != "Pending" && configuration["LastUpdateStatus"] != "InProgress" {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn zip(content: &'static str) -> String {
    STANDARD.encode(zip_of(&[("f.py", content.as_bytes())]))
}

fn creation(name: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "f.handler",
        "Code": {"ZipFile": zip("1")},
    })
}

fn with(mut base: Value, member: &str, value: Value) -> Value {
    base[member] = value;
    base
}

#[tokio::test]
async fn a_creation_answers_pending_and_the_function_becomes_active() {
    let world = World::new().await;
    let created = world.post(FUNCTIONS, creation("f")).await;
    created.check(expect![[r#"
        201
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "WNO4htwc/vQUCPicIg/HqVezoIKuhVvJrrccXFSzxT8=",
          "CodeSize": 109,
          "Description": "",
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "f.handler",
          "LastModified": "<date>",
          "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": "/aws/lambda/f"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "<revision>",
          "Role": "arn:aws:iam::000000000000:role/r",
          "Runtime": "python3.12",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:42f2b28d8258c41a63374ac4365007738900f66a9b62a7eb1a2041a2e091d41b"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Pending",
          "StateReason": "The function is being created.",
          "StateReasonCode": "Creating",
          "Timeout": 3,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST"
        }
    "#]]);
    world.settled("f").await;
    world.get(&format!("{FUNCTIONS}/f")).await.check(expect![[r#"
        200
        {
          "Code": {
            "Location": "http://hearth.test:3001/_hearth/code/58d3b886dc1cfef41408f89c220fc7a957b3a082ae855bc9aeb71c5c54b3c53f",
            "RepositoryType": "S3"
          },
          "Configuration": {
            "Architectures": [
              "x86_64"
            ],
            "CodeSha256": "WNO4htwc/vQUCPicIg/HqVezoIKuhVvJrrccXFSzxT8=",
            "CodeSize": 109,
            "Description": "",
            "EphemeralStorage": {
              "Size": 512
            },
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "FunctionName": "f",
            "Handler": "f.handler",
            "LastModified": "<date>",
            "LastUpdateStatus": "Successful",
            "LoggingConfig": {
              "LogFormat": "Text",
              "LogGroup": "/aws/lambda/f"
            },
            "MemorySize": 128,
            "PackageType": "Zip",
            "RevisionId": "<revision>",
            "Role": "arn:aws:iam::000000000000:role/r",
            "Runtime": "python3.12",
            "RuntimeVersionConfig": {
              "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:42f2b28d8258c41a63374ac4365007738900f66a9b62a7eb1a2041a2e091d41b"
            },
            "SnapStart": {
              "ApplyOn": "None",
              "OptimizationStatus": "Off"
            },
            "State": "Active",
            "Timeout": 3,
            "TracingConfig": {
              "Mode": "PassThrough"
            },
            "Version": "$LATEST"
          }
        }
    "#]]);
}

#[tokio::test]
async fn the_code_that_was_sent_can_be_fetched_where_the_answer_says() {
    let world = World::new().await;
    world.create("f").await;
    let location = world.get(&format!("{FUNCTIONS}/f")).await.json()["Code"]["Location"].as_str().unwrap().to_owned();
    let path = location.strip_prefix("http://hearth.test:3001").unwrap();
    let code = world.get(path).await;
    assert_eq!((code.status, STANDARD.encode(&code.body)), (200, zip("1")));
    assert_eq!(world.get("/_hearth/code/00").await.status, 404);
}

#[tokio::test]
async fn a_function_is_invoked_by_every_form_of_its_name() {
    let world = World::new().await;
    world.create("f").await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    for (name, seen) in [
        ("f", arn.to_owned()),
        ("000000000000:function:f", arn.to_owned()),
        ("arn:aws:lambda:us-east-1:000000000000:function:f", arn.to_owned()),
        ("arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", arn.to_owned()),
        ("f:$LATEST", format!("{arn}:$LATEST")),
    ] {
        let answer = world.invoke(name, "{}").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.told());
        assert_eq!(answer.json()["arn"], seen, "{name}");
    }
    let answer = world.send("POST", &format!("{FUNCTIONS}/f/invocations?Qualifier=$LATEST"), &[], "{}").await;
    assert_eq!(answer.json()["arn"], format!("{arn}:$LATEST"));
    assert_eq!(world.backend.launched.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_invocation_carries_everything_to_the_function_and_back() {
    let world = World::new().await;
    world.create("f").await;
    let context = STANDARD.encode(r#"{"custom": {"foo": "bar"}}"#);
    let headers = [
        ("x-amz-log-type", "Tail"),
        ("x-amz-client-context", context.as_str()),
        ("x-amzn-trace-id", "Root=1-2-3"),
    ];
    let answer = world.send("POST", &format!("{FUNCTIONS}/f/invocations"), &headers, r#"{"a": 1}"#).await;
    let seen = answer.json();
    assert_eq!(seen["event"], json!({"a": 1}));
    assert_eq!(seen["request_id"], answer.header("x-amzn-requestid").unwrap());
    assert_eq!(seen["client_context"], context);
    assert_eq!((&seen["trace_id"], answer.header("x-amzn-trace-id")), (&json!("Root=1-2-3"), Some("Root=1-2-3")));
    assert_eq!(answer.header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(answer.header("x-amz-log-result"), Some("U1RBUlQKRU5ECg=="));
    assert_eq!(answer.header("x-amz-function-error"), None);
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let answer = world.invoke("f", r#"{"fail": "yes"}"#).await;
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, Some("Unhandled")));
    assert_eq!(answer.header("x-amzn-trace-id"), answer.json()["trace_id"].as_str());
    assert_eq!(world.invoke("f", "").await.json()["event"], json!({}));
}

#[tokio::test]
async fn a_dry_run_runs_nothing_and_an_event_is_run_later() {
    let world = World::new().await;
    world.create("f").await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let answer = world.send("POST", &path, &[("x-amz-invocation-type", "DryRun")], "{}").await;
    assert_eq!((answer.told().as_str(), world.backend.launched.lock().unwrap().len()), ("204 ", 0));
    let answer = world.send("POST", &path, &[("x-amz-invocation-type", "Event")], "{}").await;
    assert_eq!((answer.told().as_str(), answer.header("x-amz-executed-version")), ("202 ", None));
    while world.backend.launched.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_be_invoked_is_refused_in_awss_words() {
    let world = World::new().await;
    world.create("f").await;
    world.create("unlaunchable").await;
    world.create("unpreparable").await;
    world.post(FUNCTIONS, creation("unready")).await;
    let bad_type = [("x-amz-invocation-type", "Never")];
    let bad_context = [("x-amz-client-context", "e30")];
    let elsewhere = [("authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20260101/eu-west-1/lambda/aws4_request")];
    for (name, headers, payload, expected) in [
        ("nobody", &[][..], "{}", r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST","Type":"User"}"#),
        ("f:nowhere", &[], "{}", r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:nowhere","Type":"User"}"#),
        ("f:7", &[], "{}", r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:7","Type":"User"}"#),
        ("f", &elsewhere, "{}", r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST","Type":"User"}"#),
        ("f!", &[], "{}", r#"400 ValidationException {"message":"1 validation error detected: Value 'f!' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"}"#),
        ("f", &bad_type, "{}", r#"400 ValidationException {"message":"1 validation error detected: Value 'Never' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]"}"#),
        ("f", &bad_context, "{}", r#"400 InvalidRequestContentException {"Type":"User","message":"Client context must be a valid Base64-encoded JSON object."}"#),
        ("f", &[], "{", r#"400 InvalidRequestContentException {"Type":"User","message":"Could not parse request body into json: Could not parse payload into json: Unexpected end-of-input: expected close marker for Object (start marker at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1])  at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]"}"#),
        ("unready", &[], "{}", r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#),
        ("unpreparable", &[], "{}", r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Failed"}"#),
        ("unlaunchable", &[], "{}", r#"502 ResourceNotReadyException {"Type":"Server","message":"The function could not be started: the image is gone"}"#),
    ] {
        let answer = world.send("POST", &format!("{FUNCTIONS}/{name}/invocations"), headers, payload).await;
        assert_eq!(answer.told(), expected, "{name}");
    }
}

#[tokio::test]
async fn an_event_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let world = World::new().await;
    world.create("f").await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let event = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let answer = world.send("POST", &path, &[], event(6_291_457)).await;
    assert_eq!(
        answer.told(),
        r#"413 RequestEntityTooLargeException {"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#
    );
    let later = [("x-amz-invocation-type", "Event")];
    assert_eq!(world.send("POST", &path, &later, event(1_048_577)).await.status, 413);
    assert_eq!(world.send("POST", &path, &later, event(1_048_576)).await.status, 202);
}

#[tokio::test]
async fn a_bad_creation_is_refused_in_awss_words_and_leaves_nothing() {
    let world = World::new().await;
    world.create("taken").await;
    let base = || creation("f");
    let without = |member: &str| {
        let mut base = base();
        base.as_object_mut().unwrap().remove(member);
        base
    };
    for (request, expected) in [
        (creation("taken"), r#"409 ResourceConflictException {"Type":"User","message":"Function already exist: taken"}"#),
        (with(base(), "Runtime", json!("cobol")), r#"400 InvalidParameterValueException {"Type":"User","message":"Value cobol at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2] or be a valid ARN"}"#),
        (without("Handler"), r#"400 InvalidParameterValueException {"Type":"User","message":"Runtime and Handler are mandatory parameters for functions created with deployment packages."}"#),
        (without("Role"), r#"400 ValidationException {"message":"1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null"}"#),
        (with(with(base(), "Timeout", json!(0)), "MemorySize", json!(1)), r#"400 ValidationException {"message":"2 validation errors detected: Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1; Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128"}"#),
        (with(base(), "Code", json!({"ZipFile": STANDARD.encode("no zip")})), r#"400 InvalidParameterValueException {"Type":"User","message":"Could not unzip uploaded file. Please check your file, then try to upload again."}"#),
        (with(base(), "Code", json!({"ZipFile": STANDARD.encode(zip_of(&[("../x", b"")]))})), r#"400 InvalidParameterValueException {"Type":"User","message":"Could not unzip uploaded file. Please check your file, then try to upload again."}"#),
        (with(base(), "Code", json!({"ZipFile": STANDARD.encode(zip_of(&[]))})), r#"400 InvalidParameterValueException {"Type":"User","message":"Uploaded file must be a non-empty zip"}"#),
        (with(base(), "Code", json!({"S3Bucket": "b", "S3Key": "k"})), r#"400 InvalidParameterValueException {"Type":"User","message":"This host does not fetch code from S3. Please send it as ZipFile."}"#),
        (with(base(), "Layers", json!(["arn:aws:lambda:us-east-1:000000000000:layer:l:9"])), r#"400 InvalidParameterValueException {"Type":"User","message":"Layer version arn:aws:lambda:us-east-1:000000000000:layer:l:9 does not exist."}"#),
        (with(base(), "FunctionName", json!("a".repeat(65))), &format!(r#"400 ValidationException {{"message":"1 validation error detected: Value '{}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64"}}"#, "a".repeat(65))),
        (with(base(), "Timeout", json!("soon")), r#"400 SerializationException {"Message":"invalid type: string \"soon\", expected i64 at line 1 column 294"}"#),
    ] {
        assert_eq!(world.post(FUNCTIONS, request).await.told(), expected);
    }
    let answer = world.send("POST", FUNCTIONS, &[], "{\"FunctionName\": }").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("x-amzn-errortype"), Some("InvalidRequestContentException"));
    assert_eq!(world.state.catalog.functions("000000000000", "us-east-1").len(), 1);
}

#[tokio::test]
async fn requests_and_zip_files_over_the_limit_are_refused() {
    let world = World::new().await;
    let large = with(creation("f"), "Code", json!({"ZipFile": STANDARD.encode(vec![0; 52_428_801])}));
    assert_eq!(
        world.post(FUNCTIONS, large).await.told(),
        r#"413 RequestEntityTooLargeException {"Message":"Zipped size must be smaller than 52428800 bytes"}"#
    );
    assert_eq!(
        world.send("POST", FUNCTIONS, &[], vec![b' '; 70_167_212]).await.told(),
        r#"413 RequestEntityTooLargeException {"Message":"Request must be smaller than 70167211 bytes for the CreateFunction operation"}"#
    );
}

#[tokio::test]
async fn an_update_answers_in_progress_and_then_serves() {
    let world = World::new().await;
    world.create("f").await;
    let changes = json!({"Description": "two", "Timeout": 10, "Environment": {"Variables": {"KEY": "a"}}, "LoggingConfig": {"LogFormat": "JSON"}});
    world.put(&format!("{FUNCTIONS}/f/configuration"), changes).await.check(expect![[r#""#]]);
    world.settled("f").await;
    let code = json!({"ZipFile": zip("2"), "Architectures": ["arm64"]});
    let updated = world.put(&format!("{FUNCTIONS}/f/code"), code).await;
    assert_eq!((updated.status, &updated.json()["LastUpdateStatus"]), (200, &json!("InProgress")));
    world.settled("f").await;
    world.invoke("f", "{}").await;
    let spec = world.backend.launched.lock().unwrap().pop().unwrap();
    assert_eq!((spec.architecture.as_str(), spec.env["KEY"].as_str(), spec.timeout_ms), ("arm64", "a", 10_000));
    assert_eq!(spec.env["AWS_LAMBDA_LOG_FORMAT"], "JSON");
}

#[tokio::test]
async fn a_bad_update_is_refused_in_awss_words() {
    let world = World::new().await;
    world.create("f").await;
    let (configuration, code) = (format!("{FUNCTIONS}/f/configuration"), format!("{FUNCTIONS}/f/code"));
    let stale = r#"412 PreconditionFailedException {"Type":"User","message":"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}"#;
    for (path, request, expected) in [
        (&configuration, json!({"RevisionId": "old"}), stale),
        (&code, json!({"RevisionId": "old", "ZipFile": zip("2")}), stale),
        (&format!("{FUNCTIONS}/g/code"), json!({"ZipFile": zip("2")}), r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:g","Type":"User"}"#),
        (&format!("{FUNCTIONS}/g/configuration"), json!({}), r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:g","Type":"User"}"#),
        (&code, json!({"ImageUri": "i"}), r#"400 InvalidParameterValueException {"Type":"User","message":"Please don't provide ImageUri when updating a function with packageType Zip."}"#),
        (&code, json!({}), r#"400 InvalidParameterValueException {"Type":"User","message":"Please provide exactly one of the following: ZipFile, S3Bucket and S3Key, or ImageUri."}"#),
    ] {
        assert_eq!(world.put(path, request).await.told(), expected);
    }
    let dry = world.put(&code, json!({"ZipFile": zip("2"), "DryRun": true})).await.json();
    let real = world.get(&configuration).await.json();
    assert_ne!(dry["CodeSha256"], real["CodeSha256"]);
    assert_eq!(dry["RevisionId"], real["RevisionId"]);

    world.post(FUNCTIONS, creation("unready")).await;
    assert_eq!(
        world.put(&format!("{FUNCTIONS}/unready/configuration"), json!({})).await.told(),
        r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#
    );
}

#[tokio::test]
async fn functions_are_listed_in_pages_and_deleted() {
    let world = World::new().await;
    for name in ["b", "a", "c"] {
        world.create(name).await;
    }
    let first = world.get(&format!("{FUNCTIONS}/?MaxItems=2")).await.json();
    let names = |list: &Value| {
        let functions = list["Functions"].as_array().unwrap().iter();
        functions.map(|function| function["FunctionName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["a", "b"]);
    assert!(first["Functions"][0].get("State").is_none());
    let marker = first["NextMarker"].as_str().unwrap();
    let second = world.get(&format!("{FUNCTIONS}?MaxItems=2&Marker={marker}")).await.json();
    assert_eq!((names(&second), &second["NextMarker"]), (vec!["c".to_owned()], &Value::Null));

    let every = world.get(&format!("{FUNCTIONS}?FunctionVersion=ALL")).await.json();
    assert_eq!(every["Functions"][0]["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST");

    assert_eq!(world.delete(&format!("{FUNCTIONS}/a")).await.told(), "204 ");
    assert_eq!(
        world.delete(&format!("{FUNCTIONS}/a")).await.told(),
        r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:a","Type":"User"}"#
    );
    assert_eq!(
        world.delete(&format!("{FUNCTIONS}/b?Qualifier=$LATEST")).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"$LATEST version cannot be deleted without deleting the function."}"#
    );
}

#[tokio::test]
async fn versions_and_aliases_lead_to_what_was_published() {
    let world = World::new().await;
    world.create("f").await;
    let (versions, aliases) = (format!("{FUNCTIONS}/f/versions"), format!("{FUNCTIONS}/f/aliases"));
    let published = world.post(&versions, json!({"Description": "one"})).await.json();
    assert_eq!((&published["Version"], &published["State"]), (&json!("1"), &json!("Active")));
    assert_eq!(published["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:1");
    assert_eq!(world.post(&versions, json!({})).await.json()["RevisionId"], published["RevisionId"]);
    let sha = world.get(&format!("{FUNCTIONS}/f/configuration")).await.json()["CodeSha256"].as_str().unwrap().to_owned();
    assert_eq!(
        world.post(&versions, json!({"CodeSha256": "other"})).await.told(),
        format!(r#"400 InvalidParameterValueException {{"Type":"User","message":"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({sha}). Please try again with the CodeSHA256 in $LATEST."}}"#)
    );
    assert_eq!(world.get(&versions).await.json()["Versions"].as_array().unwrap().len(), 2);

    world.post(&aliases, json!({"Name": "live", "FunctionVersion": "1"})).await.check(expect![[r#"
        201
        {
          "AliasArn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
          "Description": "",
          "FunctionVersion": "1",
          "Name": "live",
          "RevisionId": "<revision>"
        }
    "#]]);
    let answer = world.invoke("f:live", "{}").await;
    assert_eq!(answer.header("x-amz-executed-version"), Some("1"));
    assert_eq!(answer.json()["arn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live");
    let through = world.get(&format!("{FUNCTIONS}/f/configuration?Qualifier=live")).await.json();
    assert_eq!((&through["Version"], &through["Description"]), (&json!("1"), &json!("one")));

    world.put(&format!("{FUNCTIONS}/f/configuration"), json!({"Description": "two"})).await;
    world.settled("f").await;
    world.post(&versions, json!({})).await;
    for (request, expected) in [
        (json!({"Name": "live", "FunctionVersion": "1"}), r#"409 ResourceConflictException {"Type":"User","message":"Alias already exists: arn:aws:lambda:us-east-1:000000000000:function:f:live"}"#),
        (json!({"Name": "2024", "FunctionVersion": "1"}), r#"400 ValidationException {"message":"1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"}"#),
        (json!({"Name": "a", "FunctionVersion": "10"}), r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:10","Type":"User"}"#),
        (json!({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5, "2": 0.5}}}), r#"400 InvalidParameterValueException {"Type":"User","message":"Number of items in AdditionalVersionWeights cannot be greater than 1"}"#),
        (json!({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}}}), r#"400 ValidationException {"message":"1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"}"#),
        (json!({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}), r#"400 InvalidParameterValueException {"Type":"User","message":"Invalid function version 1. Function version 1 is already included in routing configuration."}"#),
        (json!({"Name": "a", "FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}), r#"400 InvalidParameterValueException {"message":"$LATEST is not supported for an alias pointing to more than 1 version"}"#),
    ] {
        assert_eq!(world.post(&aliases, request).await.told(), expected);
    }
    let moved = json!({"FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.0}}});
    world.put(&format!("{aliases}/live"), moved).await.check(expect![[r#"
        200
        {
          "AliasArn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
          "Description": "",
          "FunctionVersion": "2",
          "Name": "live",
          "RevisionId": "<revision>",
          "RoutingConfig": {
            "AdditionalVersionWeights": {
              "1": 0.0
            }
          }
        }
    "#]]);
    assert_eq!(world.invoke("f:live", "{}").await.header("x-amz-executed-version"), Some("2"));
    assert_eq!(
        world.put(&format!("{aliases}/none"), json!({})).await.told(),
        r#"404 ResourceNotFoundException {"Message":"Alias not found: arn:aws:lambda:us-east-1:000000000000:function:f:none","Type":"User"}"#
    );
    assert_eq!(
        world.get(&format!("{aliases}/none")).await.told(),
        r#"404 ResourceNotFoundException {"Message":"Cannot find alias arn: arn:aws:lambda:us-east-1:000000000000:function:f:none","Type":"User"}"#
    );
    assert_eq!(world.delete(&format!("{aliases}/live")).await.told(), "204 ");
    assert_eq!(world.get(&aliases).await.json()["Aliases"], json!([]));
}

#[tokio::test]
async fn what_is_published_with_an_update_is_described_as_the_version() {
    let world = World::new().await;
    let created = world.post(FUNCTIONS, with(creation("f"), "Publish", json!(true))).await.json();
    assert_eq!((&created["Version"], &created["State"]), (&json!("1"), &json!("Pending")));
    assert_eq!(created["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f");
    world.settled("f").await;
    world.settled("f:1").await;
    let updated = world.put(&format!("{FUNCTIONS}/f/code"), json!({"ZipFile": zip("2"), "Publish": true})).await.json();
    assert_eq!((&updated["Version"], &updated["State"]), (&json!("2"), &json!("Pending")));
    assert_eq!(updated["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:2");
    assert!(updated.get("LastUpdateStatus").is_none());
}

#[tokio::test]
async fn layers_are_published_used_and_refused_in_awss_words() {
    let world = World::new().await;
    let layers = "/2018-10-31/layers/l/versions";
    let layer = json!({"Content": {"ZipFile": zip("lib")}, "Description": "d", "CompatibleRuntimes": ["python3.12"]});
    world.post(layers, layer.clone()).await.check(expect![[r#"
        201
        {
          "CompatibleRuntimes": [
            "python3.12"
          ],
          "Content": {
            "CodeSha256": "6zRpdjSQ0lwwBuZS5IG3fiAPeSoKV/fNNDEfVA1S1ow=",
            "CodeSize": 111,
            "Location": "http://hearth.test:3001/_hearth/code/eb3469763490d25c3006e652e481b77e200f792a0a57f7cd34311f540d52d68c"
          },
          "CreatedDate": "<date>",
          "Description": "d",
          "LayerArn": "arn:aws:lambda:us-east-1:000000000000:layer:l",
          "LayerVersionArn": "arn:aws:lambda:us-east-1:000000000000:layer:l:1",
          "Version": 1
        }
    "#]]);
    world.post(layers, layer).await;
    assert_eq!(world.get(layers).await.json()["LayerVersions"][0]["Version"], 2);
    let arn = |version: u32| format!("arn:aws:lambda:us-east-1:000000000000:layer:l:{version}");
    let by_arn = world.get(&format!("/2018-10-31/layers?find=LayerVersion&Arn={}", arn(1))).await;
    assert_eq!(by_arn.json()["Version"], 1);
    assert_eq!(
        world.post(FUNCTIONS, with(creation("f"), "Layers", json!([arn(1), arn(2)]))).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"Two different versions of the same layer are not allowed to be referenced in the same function. arn:aws:lambda:us-east-1:000000000000:layer:l:1 and arn:aws:lambda:us-east-1:000000000000:layer:l:2 are versions of the same layer."}"#
    );
    let six: Vec<_> = (1..=6).map(|number| format!("arn:aws:lambda:us-east-1:000000000000:layer:l{number}:1")).collect();
    assert_eq!(
        world.post(FUNCTIONS, with(creation("f"), "Layers", json!(six))).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"Cannot reference more than 5 layers."}"#
    );
    let created = world.post(FUNCTIONS, with(creation("f"), "Layers", json!([arn(2)]))).await.json();
    assert_eq!(created["Layers"][0]["Arn"], arn(2));
    world.settled("f").await;
    world.invoke("f", "{}").await;
    assert_eq!(world.backend.launched.lock().unwrap()[0].layers.len(), 1);
    assert_eq!(world.delete(&format!("{layers}/2")).await.told(), "204 ");
    assert_eq!(
        world.get(&format!("{layers}/2")).await.told(),
        r#"404 ResourceNotFoundException {"Message":"The resource you requested does not exist.","Type":"User"}"#
    );
    let listed = world.get("/2018-10-31/layers").await.json();
    assert_eq!(listed["Layers"][0]["LatestMatchingVersion"]["Version"], 1);
}

#[tokio::test]
async fn reserved_concurrency_is_kept_and_throttles() {
    let world = World::new().await;
    world.create("f").await;
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(world.get("/2019-09-30/functions/f/concurrency").await.told(), "200 {}");
    assert_eq!(
        world.put(path, json!({"ReservedConcurrentExecutions": 901})).await.told(),
        r#"400 InvalidParameterValueException {"message":"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."}"#
    );
    let put = world.put(path, json!({"ReservedConcurrentExecutions": 0})).await;
    assert_eq!(put.told(), r#"200 {"ReservedConcurrentExecutions":0}"#);
    assert_eq!(world.get(&format!("{FUNCTIONS}/f")).await.json()["Concurrency"]["ReservedConcurrentExecutions"], 0);
    assert_eq!(
        world.invoke("f", "{}").await.told(),
        r#"429 TooManyRequestsException {"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#
    );
    let account = world.get("/2016-08-19/account-settings").await.json();
    assert_eq!(account["AccountLimit"]["UnreservedConcurrentExecutions"], 1000);
    assert_eq!(account["AccountUsage"]["FunctionCount"], 1);
    assert_eq!(world.delete(path).await.told(), "204 ");
    assert_eq!(world.invoke("f", "{}").await.status, 200);
}

#[tokio::test]
async fn tags_are_kept_and_reach_the_backend() {
    let world = World::new().await;
    world.post(FUNCTIONS, with(creation("f"), "Tags", json!({"A": "a"}))).await;
    world.settled("f").await;
    let path = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";
    assert_eq!(world.post(path, json!({"Tags": {"B": "b", "C": "c"}})).await.told(), "204 ");
    assert_eq!(world.delete(&format!("{path}?tagKeys=A&tagKeys=C")).await.told(), "204 ");
    assert_eq!(world.get(path).await.told(), r#"200 {"Tags":{"B":"b"}}"#);
    assert_eq!(world.get(&format!("{FUNCTIONS}/f")).await.json()["Tags"], json!({"B": "b"}));
    world.invoke("f", "{}").await;
    assert_eq!(world.backend.launched.lock().unwrap()[0].meta["tag.B"], "b");
    assert_eq!(world.get("/2017-03-31/tags/f").await.status, 400);
}

#[tokio::test]
async fn a_failed_deploy_is_told_with_its_cause() {
    let world = World::new().await;
    world.create("unpreparable").await;
    let configuration = world.get(&format!("{FUNCTIONS}/unpreparable/configuration")).await.json();
    assert_eq!((&configuration["State"], &configuration["LastUpdateStatus"]), (&json!("Failed"), &json!("Failed")));
    assert!(configuration["StateReason"].as_str().unwrap().contains("no interpreter for it"));
}

#[tokio::test]
async fn an_image_function_is_stored_and_launched() {
    let world = World::new().await;
    let image = json!({
        "FunctionName": "i",
        "PackageType": "Image",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Code": {"ImageUri": "registry/i:1"},
        "ImageConfig": {"Command": ["app.handler"]},
    });
    world.post(FUNCTIONS, image).await;
    world.settled("i").await;
    let got = world.get(&format!("{FUNCTIONS}/i")).await.json();
    assert_eq!(got["Code"], json!({"RepositoryType": "ECR", "ImageUri": "registry/i:1", "ResolvedImageUri": "registry/i:1"}));
    assert_eq!(got["Configuration"]["ImageConfigResponse"], json!({"ImageConfig": {"Command": ["app.handler"]}}));
    assert_eq!(got["Configuration"].get("Runtime"), None);
    world.invoke("i", "{}").await;
    assert_eq!(world.backend.launched.lock().unwrap()[0].image.as_ref().unwrap().command, ["app.handler"]);
}

#[tokio::test]
async fn what_this_host_does_not_do_is_said_clearly() {
    let world = World::new().await;
    assert_eq!(
        world.get("/2015-03-31/event-source-mappings/").await.told(),
        r#"501 NotSupportedByHostException {"Type":"User","message":"ListEventSourceMappings is not supported by this host."}"#
    );
    assert_eq!(
        world.get("/2099-01-01/nothing").await.told(),
        r#"404 UnknownOperationException {"message":"GET /2099-01-01/nothing is no operation of the Lambda API that this host knows."}"#
    );
    assert_eq!(world.delete(FUNCTIONS).await.status, 404);
    assert!(world.get("/").await.told().contains("AWS_ENDPOINT_URL_LAMBDA=http://hearth.test:3001"));
}
