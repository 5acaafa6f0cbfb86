//! The backend under test, loaded as a host loads it, and what is asked of it again and again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_core::{
    Backend, BackendError, CallContext, Capabilities, Event, HostInfo, HostSink, Instance, LaunchSpec, Meta,
    Progress,
};
use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;

use super::Options;
use super::function::Parts;
use crate::invoke::connection::{Address, Connection};
use crate::plugin::{self, LoadOptions, Loaded};

const INVOCATIONS: &str = "/2015-03-31/functions/function/invocations";
/// The name of the function whose instances are launched.
pub(super) const FUNCTION: &str = "conformance";
/// How long an answer may take. The function does nothing but answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A backend that was loaded for one host.
#[derive(Debug)]
pub struct Subject {
    pub(super) options: Options,
    pub(super) loaded: Loaded,
    pub(super) host: HostInfo,
    told: Arc<Told>,
    parts: Parts,
    /// Holds the function's code and the backend's own directory.
    folder: PathBuf,
    /// Removes it.
    temporary: Option<Arc<TempDir>>,
    launches: AtomicU64,
}

/// An instance, and how to invoke it.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) instance: Instance,
    token: String,
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<Event>>);

impl HostSink for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    fn progress(&self, _progress: Progress) {}
}

impl Subject {
    /// Loads the backend for a host of this owner and epoch. Fails with a reason for people.
    pub async fn load(options: &Options, owner: &str, epoch: &str) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("hearth-conformance").tempdir_in("/var/tmp");
        let folder = folder.map_err(|error| format!("cannot make a directory in /var/tmp: {error}"))?;
        let subject = Self::load_at(options, owner, epoch, folder.path()).await?;
        Ok(Self { temporary: Some(Arc::new(folder)), ..subject })
    }

    /// Another host, of the same machine and with the same directory.
    pub(super) async fn another(&self, owner: &str, epoch: &str) -> Result<Self, String> {
        let subject = Self::load_at(&self.options, owner, epoch, &self.folder).await?;
        Ok(Self { temporary: self.temporary.clone(), ..subject })
    }

    /// A host with its directory in this one.
    pub(super) async fn load_at(
        options: &Options,
        owner: &str,
        epoch: &str,
        folder: &Path,
    ) -> Result<Self, String> {
        let state = folder.join(owner);
        std::fs::create_dir_all(&state)
            .map_err(|error| format!("cannot make {}: {error}", state.display()))?;
        let parts = options.function.write(folder)?;
        let host = HostInfo {
            owner: format!("{owner}-{}", folder_name(folder)),
            epoch: epoch.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_dir: state.display().to_string(),
            ..HostInfo::default()
        };
        let told = Arc::new(Told::default());
        let load = LoadOptions {
            config_json: options.config_json.clone(),
            host_info: host.clone(),
            log_filter: "warn".to_owned(),
            sha256: None,
            isolate: options.isolate.clone(),
        };
        let loaded = plugin::load(&options.library, load, told.clone()).await;
        let loaded = loaded.map_err(|error| error.to_string())?;
        let (options, folder, launches) = (options.clone(), folder.to_owned(), AtomicU64::new(0));
        Ok(Self { options, loaded, host, told, parts, folder, temporary: None, launches })
    }

    /// A directory that both this host and those that it starts know.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.loaded.backend
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.loaded.info.capabilities
    }

    /// What the backend has told the host of an instance.
    pub(super) fn events(&self, handle: &str) -> Vec<Event> {
        let told = self.told.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().filter(|event| event.handle == handle).cloned().collect()
    }

    /// What a launch of the function is given.
    pub(super) fn spec(&self) -> LaunchSpec {
        let number = self.launches.fetch_add(1, Ordering::Relaxed);
        let Parts { runtime, handler, code, image } = self.parts.clone();
        let env = [
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "us-east-1"),
            ("_HANDLER", &*handler),
        ];
        let env: Meta = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        LaunchSpec {
            instance_id: format!("{}-{}-{number}", self.host.owner, self.host.epoch),
            function: FUNCTION.to_owned(),
            version: "$LATEST".to_owned(),
            function_arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{FUNCTION}"),
            deploy_id: "conformance-conformance-conformance-conform".to_owned(),
            runtime,
            handler,
            architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }.to_owned(),
            memory_mb: 128,
            ephemeral_storage_mb: 512,
            timeout_ms: 10_000,
            init_timeout_ms: 10_000,
            slots: 1,
            env,
            image,
            code,
            token: format!("token-{number}"),
            ..LaunchSpec::default()
        }
    }

    pub(super) async fn launch(&self) -> Result<Launched, BackendError> {
        let spec = self.spec();
        let instance = self.backend().launch(&cx(), &spec).await?;
        Ok(Launched { instance, token: spec.token })
    }

    pub(super) async fn terminate(&self, launched: &Launched) -> Result<(), BackendError> {
        self.backend().terminate(&cx(), &launched.instance.handle, 2000).await
    }
}

impl Launched {
    /// Sends an event, and checks that it comes back.
    pub(super) async fn answers(&self, event: u64) -> Result<(), String> {
        let sent = format!(r#"{{"conformance":{event}}}"#);
        let (status, body) = self.invoke(&sent).await?;
        let same = serde_json::from_slice::<serde_json::Value>(&body).ok()
            == serde_json::from_str::<serde_json::Value>(&sent).ok();
        if status == StatusCode::OK && same {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body);
        Err(format!("{} answered {status} and {body} to the event {sent}", self.instance.endpoint))
    }

    async fn invoke(&self, event: &str) -> Result<(StatusCode, Bytes), String> {
        let address = Address::parse(&self.instance.endpoint)?;
        let mut connection = Connection::open(&address).await?;
        let request = Request::post(INVOCATIONS)
            .header(HOST, address.host())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header("lambda-runtime-aws-request-id", uuid::Uuid::new_v4().to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:conformance",
            )
            .header("hearth-timeout-ms", "10000")
            .body(Full::from(event.to_owned()))
            .map_err(|error| error.to_string())?;
        let response = connection.send(request, ANSWER_LIMIT).await;
        let response = response.map_err(|error| format!("{address} gave no answer: {error:?}"))?;
        let status = response.status();
        let body = connection.drive(response.into_body().collect()).await;
        let body = body.map_err(|_| format!("{address} did not end its answer"))?;
        Ok((status, body.map_err(|error| format!("{address} broke off: {error}"))?.to_bytes()))
    }
}

/// Every call is given time enough.
pub(super) fn cx() -> CallContext {
    CallContext { budget_ms: 60_000, ..CallContext::default() }
}

/// Waits until something is so. Returns whether it was so within `limit`.
pub(super) async fn until<F: Future<Output = bool>>(limit: Duration, so: impl Fn() -> F) -> bool {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(limit, wait).await.is_ok()
}

fn folder_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}
