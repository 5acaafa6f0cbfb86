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
use crate::aws::{self, Aws};
use crate::catalog::package::tests::zip_of;
use crate::catalog::{self, Deployer};
use crate::clock::Clock;
use crate::destinations::Destinations;
use crate::driver::{self, Driver, EventSink};
use crate::event_queue::Policy;
use crate::metrics::Metrics;
use crate::sigv4::FunctionKeys;

mod functions;
mod invocations;
mod provisioned;
mod resources;

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
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
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
    #[expect(clippy::needless_pass_by_value, reason = "what expect! makes is used once")]
    fn check(&self, expected: Expect) {
        let mut body = self.json();
        mask(&mut body);
        expected.assert_eq(&format!("{}\n{body:#}\n", self.status));
    }
}

fn mask(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        match name.as_str() {
            "RevisionId" => *value = "<revision>".into(),
            "LastModified" | "CreatedDate" => *value = "<date>".into(),
            _ => mask(value),
        }
    }
}

impl World {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (backend, clock, metrics) = (Arc::new(Echo::default()), Clock::start(), Arc::new(Metrics::new()));
        let pool = hearth_pool::Config::default();
        let driver_settings = driver::Settings {
            pool,
            terminate_grace: Duration::ZERO,
            pause_idle_after: None,
            record: None,
            logs: None,
            function_keys: FunctionKeys::known(),
        };
        let driver =
            Driver::new(backend.clone(), backend.info(), driver_settings, clock, Arc::clone(&metrics))
                .unwrap();
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
        let invoker = Invoker::new(driver.clone(), clock, metrics, Duration::from_secs(10));
        let aws = Aws::new(aws::Settings::default()).unwrap();
        let destinations = Destinations::new(aws.clone());
        tokio::spawn(events.clone().run(catalog.clone(), invoker.clone(), destinations));
        let state = Arc::new(ApiState { catalog, driver, invoker, events, aws, settings });
        let router = TowerToHyperService::new(router(Arc::clone(&state)));
        Self { _folder: folder, router, state, backend }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "hearth.test:3001");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.call(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
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
