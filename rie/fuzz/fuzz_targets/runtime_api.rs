//! Whatever a function's process sends to its Runtime API, in whatever order: nothing panics, nothing hangs, and an
//! invocation is answered all the same.
//!
//! `cargo fuzz run --sanitizer none runtime_api -- -max_total_time=600 -len_control=0 -max_len=1000` in the folder `rie`.

#![no_main]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use hearth_rie::{
    Admission, Confinement, Function, Instance, InstanceConfig, LogFormat, NoObserver, Program, StreamRules,
};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// More than anything here may take: the invocation has a timeout of a fraction of that.
const PATIENCE: Duration = Duration::from_secs(10);
const INVOCATION: &str = "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: x\r\n\
    Lambda-Runtime-Aws-Request-Id: id-1\r\nLambda-Runtime-Invoked-Function-Arn: arn\r\nHearth-Timeout-Ms: 20\r\n\
    Content-Length: 2\r\n\r\n{}";

/// What the function's process does, step by step.
#[derive(Arbitrary, Debug)]
struct Step {
    connection: u8,
    act: Act,
}

#[derive(Arbitrary, Debug)]
enum Act {
    /// A request that can be understood, but may be out of order.
    Call { route: Route, headers: Vec<Header>, body: Body },
    /// An extension inside the process registers itself, and can be spoken for from then on.
    Register { name: u8, invoke: bool },
    /// Anything.
    Raw(Vec<u8>),
    HangUp,
    /// The host sends an invocation, and does not wait for its answer yet.
    Invoke,
    /// Gives what was sent time to arrive.
    Yield,
}

#[derive(Arbitrary, Debug)]
enum Route {
    Next,
    Response(Id),
    Error(Id),
    InitError,
    RestoreNext,
    RestoreError,
    Ping,
    Register,
    ExtensionNext,
    ExtensionInitError,
    ExtensionExitError,
    Telemetry,
    Logs,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Id {
    OfTheInvocation,
    Other(u8),
}

#[derive(Arbitrary, Debug)]
enum Header {
    Streaming,
    UnknownMode,
    ErrorType(u8),
    ExtensionName(u8),
    ExtensionId(u8),
    Trailers,
    Other(u8, Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Body {
    None,
    Json,
    Events,
    Subscription,
    Sized(Vec<u8>),
    /// Announces more than it sends.
    Short(u16, Vec<u8>),
    Chunked(Vec<Vec<u8>>, Ending),
}

#[derive(Arbitrary, Debug)]
enum Ending {
    Clean,
    Error,
    Missing,
}

fuzz_target!(|steps: Vec<Step>| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(&steps));
});

async fn run(steps: &[Step]) {
    // A Rust program ignores it; this one's main is the fuzzer's.
    let _broken_pipes = signal(SignalKind::pipe()).expect("a handler of signals");
    let instance = Instance::start(config()).await.expect("two free ports");
    let mut connections: [Option<TcpStream>; 3] = [None, None, None];
    let mut invocations = Vec::new();
    let mut extensions = Vec::new();
    for step in steps.iter().take(32) {
        let place = usize::from(step.connection) % connections.len();
        match &step.act {
            Act::HangUp => connections[place] = None,
            Act::Invoke => invocations.push(send(instance.address(), INVOCATION.as_bytes()).await),
            Act::Yield => tokio::time::sleep(Duration::from_millis(1)).await,
            Act::Raw(bytes) => write(&mut connections[place], instance.runtime_api(), bytes).await,
            Act::Register { name, invoke } => {
                let events = if *invoke { "\"INVOKE\"" } else { "" };
                extensions.extend(register(instance.runtime_api(), *name, events).await);
            }
            Act::Call { route, headers, body } => {
                let request = request(route, headers, body, &extensions);
                write(&mut connections[place], instance.runtime_api(), &request).await;
            }
        }
    }
    for mut invocation in invocations {
        check_answer(&mut invocation).await;
    }
    drop(connections);
    check_answer(&mut send(instance.address(), INVOCATION.as_bytes()).await).await;
    timeout(PATIENCE, instance.shutdown(Duration::ZERO)).await.expect("the instance ends");
}

/// A process that never asks for anything itself: the fuzzer speaks in its place.
fn config() -> InstanceConfig {
    InstanceConfig {
        program: Program {
            path: "/bin/sleep".into(),
            arguments: vec!["60".into()],
            environment: Vec::new(),
            directory: "/".into(),
            confinement: Confinement::default(),
        },
        function: Function { name: "f".to_owned(), version: "$LATEST".to_owned(), memory_mb: 128, account_id: None },
        slots: 1,
        init_limit: Duration::from_millis(10),
        memory_limit: None,
        extensions: None,
        stream: StreamRules { limit: 1 << 20, rate: None },
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        runtime_api: SocketAddr::from(([127, 0, 0, 1], 0)),
        admission: Admission::Anyone,
        defaults: None,
        freeze: true,
        log_format: LogFormat::Text,
        observer: Arc::new(NoObserver),
    }
}

async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("the instance listens");
    socket.write_all(bytes).await.expect("the instance reads");
    socket
}

async fn write(connection: &mut Option<TcpStream>, address: SocketAddr, bytes: &[u8]) {
    if connection.is_none() {
        *connection = TcpStream::connect(address).await.ok();
    }
    // What nobody reads must not stop the fuzzer; a connection that the other side has closed takes nothing.
    let written = match connection.as_mut() {
        Some(socket) => timeout(Duration::from_millis(20), socket.write_all(bytes)).await,
        None => return,
    };
    if !matches!(written, Ok(Ok(()))) {
        *connection = None;
    }
}

/// Returns the identifier, if there was one to be had.
async fn register(address: SocketAddr, name: u8, events: &str) -> Option<String> {
    let body = format!("{{\"events\":[{events}]}}");
    let request = format!(
        "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Lambda-Extension-Name: extension-{name}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    let mut socket = send(address, request.as_bytes()).await;
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.expect("a registration is answered in time").ok()?;
    let value = answer.split_once("Lambda-Extension-Identifier: ")?.1;
    Some(value.split_once("\r\n")?.0.to_owned())
}

async fn check_answer(invocation: &mut TcpStream) {
    let mut answer = [0; 12];
    timeout(PATIENCE, invocation.read_exact(&mut answer))
        .await
        .expect("the invocation is answered in time")
        .expect("the invocation is answered");
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
}

fn request(route: &Route, headers: &[Header], body: &Body, extensions: &[String]) -> Vec<u8> {
    let (method, path) = route.line();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n");
    for header in headers.iter().take(6) {
        header.write(&mut head, extensions);
    }
    let mut request = head.into_bytes();
    body.write(&mut request);
    request
}

impl Route {
    fn line(&self) -> (&'static str, String) {
        let fixed = |method, path: &str| (method, path.to_owned());
        match self {
            Self::Next => fixed("GET", "/2018-06-01/runtime/invocation/next"),
            Self::Response(id) => ("POST", format!("/2018-06-01/runtime/invocation/{}/response", id.text())),
            Self::Error(id) => ("POST", format!("/2018-06-01/runtime/invocation/{}/error", id.text())),
            Self::InitError => fixed("POST", "/2018-06-01/runtime/init/error"),
            Self::RestoreNext => fixed("GET", "/2018-06-01/runtime/restore/next"),
            Self::RestoreError => fixed("POST", "/2018-06-01/runtime/restore/error"),
            Self::Ping => fixed("GET", "/2018-06-01/ping"),
            Self::Register => fixed("POST", "/2020-01-01/extension/register"),
            Self::ExtensionNext => fixed("GET", "/2020-01-01/extension/event/next"),
            Self::ExtensionInitError => fixed("POST", "/2020-01-01/extension/init/error"),
            Self::ExtensionExitError => fixed("POST", "/2020-01-01/extension/exit/error"),
            Self::Telemetry => fixed("PUT", "/2022-07-01/telemetry"),
            Self::Logs => fixed("PUT", "/2020-08-15/logs"),
            Self::Other(path) => ("GET", format!("/{}", path.replace(|c: char| !c.is_ascii_graphic(), "_"))),
        }
    }
}

impl Id {
    fn text(&self) -> String {
        match self {
            Self::OfTheInvocation => "id-1".to_owned(),
            Self::Other(number) => format!("other-{number}"),
        }
    }
}

impl Header {
    fn write(&self, head: &mut String, extensions: &[String]) {
        let line = match self {
            Self::Streaming => "Lambda-Runtime-Function-Response-Mode: streaming".to_owned(),
            Self::UnknownMode => "Lambda-Runtime-Function-Response-Mode: backwards".to_owned(),
            Self::ErrorType(number) => format!("Lambda-Runtime-Function-Error-Type: Runtime.E{number}"),
            Self::ExtensionName(number) => format!("Lambda-Extension-Name: extension-{number}"),
            Self::ExtensionId(number) => {
                let unknown = format!("00000000-0000-0000-0000-0000000000{number:02x}");
                let id = extensions.get(usize::from(*number) % (extensions.len() + 1)).unwrap_or(&unknown);
                format!("Lambda-Extension-Identifier: {id}")
            }
            Self::Trailers => "Trailer: Lambda-Runtime-Function-Error-Type".to_owned(),
            Self::Other(name, value) => {
                let value = String::from_utf8_lossy(value).replace(|c: char| !c.is_ascii_graphic(), "_");
                format!("X-{name}: {value}")
            }
        };
        let _infallible = write!(head, "{line}\r\n");
    }
}

impl Body {
    fn write(&self, request: &mut Vec<u8>) {
        match self {
            Self::None => request.extend(b"\r\n"),
            Self::Json => sized(request, br#"{"errorType":"E","errorMessage":"m"}"#),
            Self::Events => sized(request, br#"{"events":["INVOKE","SHUTDOWN"]}"#),
            Self::Subscription => sized(
                request,
                br#"{"schemaVersion":"2022-12-13","types":["platform"],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:9"}}"#,
            ),
            Self::Sized(bytes) => sized(request, bytes),
            Self::Short(more, bytes) => {
                let announced = bytes.len() + usize::from(*more);
                request.extend(format!("Content-Length: {announced}\r\n\r\n").bytes());
                request.extend(bytes);
            }
            Self::Chunked(chunks, ending) => chunked(request, chunks, ending),
        }
    }
}

fn sized(request: &mut Vec<u8>, body: &[u8]) {
    request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    request.extend(body);
}

fn chunked(request: &mut Vec<u8>, chunks: &[Vec<u8>], ending: &Ending) {
    request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    match ending {
        Ending::Clean => request.extend(b"0\r\n\r\n"),
        Ending::Error => request.extend(b"0\r\nLambda-Runtime-Function-Error-Type: E\r\n\r\n"),
        Ending::Missing => {}
    }
}
