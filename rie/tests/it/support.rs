//! An instance around a scripted runtime, and a host that talks to it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hearth_rie::{
    Admission, Confinement, Exit, Function, Instance, InstanceConfig, Line, LogFormat, Observer, Origin,
    Program, StreamRules,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::Notify;

pub(crate) const TOKEN: &str = "the-token";

/// What every scripted runtime begins with.
pub(crate) const PREAMBLE: &str = r#"
import http.client, json, os, signal, sys, threading, time
def connect():
    return http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
api = connect()
def call(method, path, body=None, headers={}, api=api):
    api.request(method, "/2018-06-01/runtime/" + path, body, headers)
    response = api.getresponse()
    return response.status, response.headers, response.read()
def next_invocation(api=api):
    status, headers, event = call("GET", "invocation/next", api=api)
    return headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event), headers
def respond(id, value, api=api):
    return call("POST", f"invocation/{id}/response", json.dumps(value), {"Content-Type": "application/json"}, api=api)
def begin_stream(id):
    api.connect()
    api.sock.sendall(f"POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n".encode())
def chunk(text):
    api.sock.sendall(f"{len(text):x}\r\n{text}\r\n".encode())
def end_stream(trailers=""):
    api.sock.sendall(f"0\r\n{trailers}\r\n".encode())
    response = http.client.HTTPResponse(api.sock)
    response.begin()
    response.read()
    return response.status
def fail(id, error, api=api):
    return call("POST", f"invocation/{id}/error", json.dumps(error), {"Content-Type": "application/json"}, api=api)
"#;

/// An instance, and all that it wrote.
pub(crate) struct Bench {
    pub(crate) instance: Instance,
    pub(crate) directory: TempDir,
    pub(crate) seen: Arc<Seen>,
}

/// What an observer saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) lines: Mutex<Vec<(Origin, String)>>,
    pub(crate) deaths: Mutex<Vec<(Exit, bool)>>,
    more: Notify,
}

struct Watching(Arc<Seen>);

impl Observer for Watching {
    fn line(&self, line: Line<'_>) {
        self.0.lines.lock().unwrap().push((line.origin, line.text.to_owned()));
        self.0.more.notify_one();
    }

    fn process_ended(&self, _group: i32, exit: Exit, out_of_memory: bool) {
        self.0.deaths.lock().unwrap().push((exit, out_of_memory));
    }
}

impl Bench {
    /// Around a runtime in Python.
    pub(crate) async fn python(script: &str) -> Self {
        Self::python_with(script, |_| {}).await
    }

    pub(crate) async fn python_with(script: &str, change: impl FnOnce(&mut InstanceConfig)) -> Self {
        let script = format!("{PREAMBLE}\n{script}");
        Self::with(vec![python().into(), "-u".into(), "-c".into(), script.into()], change).await
    }

    pub(crate) async fn with(command: Vec<OsString>, change: impl FnOnce(&mut InstanceConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let seen = Arc::new(Seen::default());
        let mut config = config(command, directory.path(), seen.clone());
        change(&mut config);
        Self { instance: Instance::start(config).await.unwrap(), directory, seen }
    }

    pub(crate) async fn host(&self) -> Host {
        Host::connect(&self.instance).await
    }

    /// Waits until this line was written.
    pub(crate) async fn written(&self, line: &str) {
        self.until(|| self.lines().iter().any(|written| written == line)).await;
    }

    /// Waits until something is so that only a line more can make so.
    pub(crate) async fn until(&self, so: impl Fn() -> bool) {
        while !so() {
            self.seen.more.notified().await;
        }
    }

    /// Creates a named pipe in the process's working directory, and returns its path.
    pub(crate) fn gate(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen.lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }
}

fn config(mut command: Vec<OsString>, directory: &Path, seen: Arc<Seen>) -> InstanceConfig {
    InstanceConfig {
        program: Program {
            path: command.remove(0).into(),
            arguments: command,
            environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            directory: directory.to_owned(),
            confinement: Confinement::default(),
        },
        function: Function { name: "f".into(), version: "$LATEST".into(), memory_mb: 128, account_id: None },
        slots: 1,
        init_limit: Duration::from_secs(10),
        memory_limit: None,
        extensions: None,
        stream: StreamRules::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        runtime_api: "127.0.0.1:0".parse().unwrap(),
        admission: Admission::Bearer(TOKEN.into()),
        defaults: None,
        freeze: false,
        log_format: LogFormat::Text,
        observer: Arc::new(Watching(seen)),
    }
}

/// A Python interpreter itself, rather than a script that looks for one.
pub(crate) fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
            String::from_utf8(output.expect("these tests need python3").stdout).unwrap().trim().into()
        })
        .clone()
}

/// A connection to an instance.
pub(crate) struct Host {
    sender: SendRequest<Full<Bytes>>,
}

/// What an instance answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Host {
    pub(crate) async fn connect(instance: &Instance) -> Self {
        let stream = TcpStream::connect(instance.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        Self { sender }
    }

    pub(crate) async fn invoke(&mut self, id: &str, event: &str) -> Answer {
        self.send(invocation(id, event)).await
    }

    /// Sends an invocation that takes a streamed response, and returns with the beginning of it.
    pub(crate) async fn stream(&mut self, mut request: Request<Full<Bytes>>) -> Response<Incoming> {
        request.headers_mut().insert("hearth-response-mode", "streaming".parse().unwrap());
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.sender.ready().await.unwrap();
        let response: Response<_> = self.sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

/// An invocation with the log's tail, and with a timeout that no test runs into.
pub(crate) fn invocation(id: &str, event: &str) -> Request<Full<Bytes>> {
    Request::post("/2015-03-31/functions/function/invocations")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("lambda-runtime-aws-request-id", id)
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:000000000000:function:f")
        .header("hearth-timeout-ms", "3600000")
        .header("x-amz-log-type", "Tail")
        .body(Full::from(event.to_owned()))
        .unwrap()
}

/// The same with a timeout of a second, which the test runs into.
pub(crate) fn hasty(id: &str, event: &str) -> Request<Full<Bytes>> {
    let mut request = invocation(id, event);
    request.headers_mut().insert("hearth-timeout-ms", "1000".parse().unwrap());
    request
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The rest of a streamed response, with its trailers in the place of its headers.
    pub(crate) async fn rest(response: Response<Incoming>) -> Self {
        let status = response.status();
        let collected = response.into_body().collect().await.unwrap();
        let headers = collected.trailers().cloned().unwrap_or_default();
        Self { status, headers, body: collected.to_bytes() }
    }

    /// The log's tail, without the figures that change from run to run.
    pub(crate) fn tail(&self) -> Vec<String> {
        let tail = BASE64.decode(self.header("x-amz-log-result").unwrap()).unwrap();
        String::from_utf8(tail).unwrap().lines().map(without_figures).collect()
    }
}

/// Replaces the figures of a REPORT line.
pub(crate) fn without_figures(line: &str) -> String {
    if !line.starts_with("REPORT") {
        return line.to_owned();
    }
    let field = |field: &str| match field.split_once(": ") {
        Some((name @ ("Duration" | "Billed Duration" | "Max Memory Used" | "Init Duration"), value)) => {
            let (figure, unit) = value.split_once(' ').unwrap();
            assert!(figure.parse::<f64>().unwrap() > 0.0, "{line}");
            format!("{name}: # {unit}")
        }
        _ => field.to_owned(),
    };
    line.split('\t').map(field).collect::<Vec<_>>().join("\t")
}
