//! How code gets into pods: each fetches one archive from the host, with a token that is good for nothing else and only
//! until the pod is ready.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::TryStreamExt;
use hearth_artifacts::folder::hexadecimal;
use hearth_artifacts::layers;
use hearth_containers::archive::{self, Part};
use hearth_containers::emulator;
use hearth_core::{Artifact, BackendError, LaunchSpec, Result};
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::pod::{BIN, Fetch, OPT, TASK};

/// The one path that is served.
const PATH: &str = "/parcel";

/// An archive that a deploy's pods fetch. It is made anew each time, and is always the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    parts: Vec<Part>,
    folders: Vec<&'static str>,
    sha256: String,
    length: u64,
}

/// Serves the archives.
pub(crate) struct Delivery {
    state: PathBuf,
    /// `http://address:port`, as pods see it.
    url: String,
    /// By what is in them.
    parcels: Mutex<HashMap<Vec<PathBuf>, Packing>>,
    grants: Arc<Grants>,
    serving: JoinHandle<()>,
}

/// An archive, or the work to find out what it will be.
type Packing = Arc<OnceCell<Arc<Parcel>>>;
/// Who may fetch what, by token.
type Grants = Mutex<HashMap<String, Arc<Parcel>>>;

/// The right of one pod to fetch an archive; it ends with this.
pub(crate) struct Grant {
    pub(crate) fetch: Fetch,
    grants: Arc<Grants>,
}

impl Drop for Grant {
    fn drop(&mut self) {
        lock(&self.grants).remove(&self.fetch.token);
    }
}

impl Delivery {
    /// Begins to serve at the host's own address, unless the settings name another.
    pub(crate) async fn begin(config: &Config, own: IpAddr, state: PathBuf) -> Result<Self> {
        let listen = config.code_listen.clone().unwrap_or_else(|| SocketAddr::new(own, 0).to_string());
        let not_listening = |error: io::Error| {
            BackendError::config(format!(
                "code cannot be served to pods at {listen}: set `code_listen` in [backends.k8s] to an address of this \
                 machine"
            ))
            .caused_by(&error)
        };
        let listener = TcpListener::bind(&listen).await.map_err(not_listening)?;
        let bound = listener.local_addr().map_err(not_listening)?;
        let reached = if bound.ip().is_unspecified() { SocketAddr::new(own, bound.port()) } else { bound };
        let url = config.code_url.clone().unwrap_or_else(|| format!("http://{reached}"));
        let grants = Arc::<Grants>::default();
        Ok(Self {
            state,
            url: format!("{}{PATH}", url.trim_end_matches('/')),
            parcels: Mutex::default(),
            serving: tokio::spawn(serve(listener, grants.clone())),
            grants,
        })
    }

    /// Where pods fetch their code, for people.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The archive for a function, unless it needs nothing from here. `bin` is a folder with the emulator.
    pub(crate) async fn parcel(
        &self,
        spec: &LaunchSpec,
        bin: Option<PathBuf>,
    ) -> Result<Option<Arc<Parcel>>> {
        let opt = match &*spec.layers {
            [] => None,
            all => Some(self.merged(all.to_vec()).await?),
        };
        let code = spec.code.as_ref().map(|code| PathBuf::from(&code.dir_path));
        let bin = bin.map(|folder| (BIN, folder));
        let sources = [bin, code.map(|folder| (TASK, folder)), opt.map(|folder| (OPT, folder))];
        let (folders, sources): (Vec<_>, Vec<_>) = sources.into_iter().flatten().unzip();
        if sources.is_empty() {
            return Ok(None);
        }
        // All of them are named by their content, or belong to an artifact that is.
        let cell = lock(&self.parcels).entry(sources.clone()).or_default().clone();
        let parcel = cell.get_or_try_init(|| pack(folders, sources)).await?;
        Ok(Some(parcel.clone()))
    }

    /// Lets one pod fetch an archive, as long as what this answers lives.
    pub(crate) fn grant(&self, parcel: Arc<Parcel>) -> Result<Grant> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| {
            BackendError::internal("there is no randomness for a token").caused_by(&error)
        })?;
        let token = hexadecimal(&random);
        let fetch = Fetch {
            url: self.url.clone(),
            token: token.clone(),
            sha256: parcel.sha256.clone(),
            folders: parcel.folders.clone(),
        };
        lock(&self.grants).insert(token, parcel);
        Ok(Grant { fetch, grants: self.grants.clone() })
    }

    /// Serves no more.
    pub(crate) fn end(&self) {
        self.serving.abort();
    }

    async fn merged(&self, artifacts: Vec<Artifact>) -> Result<PathBuf> {
        let state = self.state.clone();
        let merged = tokio::task::spawn_blocking(move || layers::merged(&state, &artifacts)).await;
        let merged = merged.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        merged.map_err(|error| BackendError::internal("the layers cannot be merged").caused_by(&error))
    }
}

/// Makes an archive once, to know what it will be.
async fn pack(folders: Vec<&'static str>, sources: Vec<PathBuf>) -> Result<Arc<Parcel>> {
    let named = folders.iter().zip(sources);
    // A folder of the emulator's may have more in it than that.
    let parts: Vec<_> = named
        .map(|(folder, source)| match *folder {
            BIN => Part::named(&format!("{BIN}/{}", emulator::NAME), source.join(emulator::NAME)),
            folder => Part::named(folder, source),
        })
        .collect();
    let packed = tokio::task::spawn_blocking(move || {
        let mut meter = Meter { hasher: Sha256::new(), length: 0 };
        archive::write(&parts, &mut meter).map(|()| (parts, meter))
    });
    let packed = packed.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    let (parts, meter) =
        packed.map_err(|error| BackendError::internal("the code cannot be read").caused_by(&error))?;
    Ok(Arc::new(Parcel {
        parts,
        folders,
        sha256: hexadecimal(&meter.hasher.finalize()),
        length: meter.length,
    }))
}

/// Counts and digests what is written to it, and keeps nothing.
struct Meter {
    hasher: Sha256,
    length: u64,
}

impl Write for Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn serve(listener: TcpListener, grants: Arc<Grants>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve_one(stream, grants.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a pod that wants its code cannot be heard");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, grants: Arc<Grants>) {
    let service = service_fn(|request| {
        let answer = answer(&request, &grants);
        async { Ok::<_, Infallible>(answer) }
    });
    let serving =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a pod gave up fetching its code");
    }
}

fn answer(request: &Request<Incoming>, grants: &Grants) -> Response<BoxBody<Bytes, io::Error>> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization
        .and_then(|value| value.strip_prefix("Bearer "))
        .filter(|_| request.uri().path() == PATH);
    let parcel = token.and_then(|token| lock(grants).get(token).cloned());
    let Some(parcel) = parcel else {
        let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return response;
    };
    let frames = archive::stream(parcel.parts.clone()).map_ok(Frame::data);
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_LENGTH, parcel.length.into());
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::Ipv4Addr;

    use hyper::client::conn;

    use super::*;

    async fn asked(url: &str, token: &str) -> (StatusCode, Bytes) {
        let authority = url.strip_prefix("http://").unwrap().strip_suffix(PATH).unwrap();
        let stream = TcpStream::connect(authority).await.unwrap();
        let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        drop(tokio::spawn(connection));
        let request = Request::get(PATH).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let request = request.header(header::HOST, authority).body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn a_pod_is_given_its_archive_and_no_other_until_it_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let code = |name: &str| {
            let code = folder.path().join(name);
            fs::create_dir(&code).unwrap();
            fs::write(code.join("app.py"), name).unwrap();
            let artifact = Artifact { dir_path: code.display().to_string(), ..Artifact::default() };
            LaunchSpec { code: Some(artifact), ..LaunchSpec::default() }
        };
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let delivery = Delivery::begin(&Config::default(), own, folder.path().to_owned()).await.unwrap();
        let mut grants = Vec::new();
        for name in ["one", "other"] {
            let parcel = delivery.parcel(&code(name), None).await.unwrap().unwrap();
            assert_eq!(parcel.folders, [TASK]);
            grants.push(delivery.grant(parcel).unwrap());
        }
        for (grant, content) in grants.iter().zip(["one", "other"]) {
            let Fetch { url, token, sha256, .. } = &grant.fetch;
            let (status, archive) = asked(url, token).await;
            assert_eq!((status, hexadecimal(&Sha256::digest(&archive))), (StatusCode::OK, sha256.clone()));
            assert!(archive.windows(content.len()).any(|window| window == content.as_bytes()));
        }
        let Fetch { url, token, .. } = grants.remove(0).fetch.clone();
        for unknown in [&*token, "", "other"] {
            assert_eq!(asked(&url, unknown).await, (StatusCode::UNAUTHORIZED, Bytes::new()));
        }
        assert_eq!(asked(&url, &grants[0].fetch.token).await.0, StatusCode::OK);
        delivery.end();
    }

    #[tokio::test]
    async fn nothing_is_packed_for_a_function_that_needs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let delivery = Delivery::begin(&Config::default(), own, folder.path().to_owned()).await.unwrap();
        assert_eq!(delivery.parcel(&LaunchSpec::default(), None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_address_that_this_machine_does_not_have_is_told() {
        let config = Config { code_listen: Some("203.0.113.1:1".to_owned()), ..Config::default() };
        let begun = Delivery::begin(&config, IpAddr::V4(Ipv4Addr::LOCALHOST), PathBuf::new()).await;
        let error = begun.err().unwrap().to_string();
        assert!(
            error.starts_with("code cannot be served to pods at 203.0.113.1:1: set `code_listen` in"),
            "{error}"
        );
    }
}
