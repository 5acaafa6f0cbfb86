//! A backend in a directory of its own, functions for it, and a host that invokes them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hearth_backend_process::{Config, ProcessBackend};
use hearth_core::{
    Artifact, Backend, CallContext, Event, Host, HostInfo, HostSink, Instance, LaunchSpec, Plugin, Progress,
};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A backend, and the functions that were made for it.
pub(crate) struct World {
    pub(crate) backend: ProcessBackend,
    pub(crate) directory: TempDir,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    count: AtomicU32,
}

struct Sink(Arc<Mutex<Vec<Event>>>);

impl HostSink for Sink {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn progress(&self, _progress: Progress) {}
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::at(tempfile::tempdir().unwrap(), config, "this").await
    }

    /// Of the host process that goes by `epoch`.
    pub(crate) async fn at(directory: TempDir, config: Config, epoch: &str) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let info = HostInfo {
            owner: "owner".into(),
            epoch: epoch.into(),
            state_dir: directory.path().join("state").to_str().unwrap().into(),
            ..HostInfo::default()
        };
        let host = Host::new(info, Sink(events.clone()));
        let backend = ProcessBackend::create(config, host).await.unwrap();
        Self { backend, directory, events, count: AtomicU32::new(0) }
    }

    /// A function of these files; those without an extension can be executed.
    pub(crate) fn function(&self, runtime: &str, handler: &str, files: &[(&str, &str)]) -> LaunchSpec {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let env = [
            ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}")),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_FUNCTION_NAME", "f".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "the-stream".to_owned()),
            ("_HANDLER", handler.to_owned()),
        ];
        LaunchSpec {
            instance_id: format!("instance-{number}"),
            function: "f".into(),
            version: "$LATEST".into(),
            deploy_id: "deploy".into(),
            runtime: runtime.into(),
            handler: handler.into(),
            memory_mb: 512,
            timeout_ms: 3000,
            init_timeout_ms: 60_000,
            slots: 1,
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            code: Some(self.artifact(&format!("code-{number}"), files)),
            token: "token".into(),
            ..LaunchSpec::default()
        }
    }

    pub(crate) fn artifact(&self, name: &str, files: &[(&str, &str)]) -> Artifact {
        let folder = self.directory.path().join("code").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, content) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            let mode = if Path::new(file).extension().is_none() { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Artifact { sha256: name.into(), dir_path: folder.to_str().unwrap().into(), ..Artifact::default() }
    }

    pub(crate) async fn launch(&self, spec: &LaunchSpec) -> Instance {
        self.backend.launch(&CallContext::default(), spec).await.unwrap()
    }

    pub(crate) async fn terminate(&self, instance: &Instance) {
        self.backend.terminate(&CallContext::default(), &instance.handle, 1000).await.unwrap();
    }

    /// Launches, invokes once and terminates.
    pub(crate) async fn run(&self, spec: &LaunchSpec, event: &str) -> Answer {
        let instance = self.launch(spec).await;
        let answer = invoke(&instance, "id-1", event).await;
        self.terminate(&instance).await;
        answer
    }
}

/// What an instance answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) error: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) log: Vec<String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

pub(crate) async fn invoke(instance: &Instance, id: &str, event: &str) -> Answer {
    invoke_with(instance, id, event, &[]).await
}

pub(crate) async fn invoke_with(
    instance: &Instance,
    id: &str,
    event: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let stream = TcpStream::connect(&instance.endpoint).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut request = Request::post("/2015-03-31/functions/function/invocations")
        .header("authorization", "Bearer token")
        .header("lambda-runtime-aws-request-id", id)
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:000000000000:function:f")
        .header("hearth-timeout-ms", "60000")
        .header("x-amz-log-type", "Tail");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::<Bytes>::from(event.to_owned());
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let (head, body) = response.into_parts();
    let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let log = String::from_utf8(decode(&text("x-amz-log-result").unwrap())).unwrap();
    Answer {
        error: text("x-amz-function-error"),
        body: body.collect().await.unwrap().to_bytes(),
        log: log.lines().map(str::to_owned).collect(),
    }
}

/// Base64.
fn decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// The environment of a function as it sees it.
pub(crate) fn environment(answer: &Answer) -> BTreeMap<String, String> {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}
