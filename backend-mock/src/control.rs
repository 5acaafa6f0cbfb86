//! How the script is changed while it is followed: a small HTTP API on a port of its own.
//!
//! The port and its token are in what the backend says of itself, so that the host passes on what it is asked under
//! `/_hearth/backend/`, whoever it is that answers.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hearth_core::{BackendError, Meta, Result};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::acts::End;
use crate::backend::Shared;
use crate::config::Config;

/// Most that a script may measure, in bytes.
const LARGEST: usize = 1 << 20;

/// The API, as long as it is there.
#[derive(Debug)]
pub(crate) struct Control {
    address: SocketAddr,
    token: String,
    stopped: watch::Sender<bool>,
}

/// What the API speaks for.
struct Desk {
    /// The script of the beginning.
    config: Config,
    shared: Arc<Shared>,
    /// The value of the header that opens it.
    authorization: String,
}

/// A status and a text.
type Reply = (StatusCode, String);

impl Control {
    /// Serves on a free port of this machine until it is stopped or dropped.
    pub(crate) async fn start(config: Config, shared: Arc<Shared>) -> Result<Self> {
        let no_port = |error| BackendError::internal("no port for the control API").caused_by(&error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(|error| BackendError::internal(format!("no token: {error}")))?;
        let token = format!("{:032x}", u128::from_ne_bytes(token));
        let (stopped, stop) = watch::channel(false);
        let desk = Desk { config, shared, authorization: format!("Bearer {token}") };
        tokio::spawn(serve(listener, Arc::new(desk), stop));
        Ok(Self { address, token, stopped })
    }

    /// What the host is told of it.
    pub(crate) fn meta(&self) -> Meta {
        Meta::from([
            ("admin.endpoint".to_owned(), self.address.to_string()),
            ("admin.token".to_owned(), self.token.clone()),
        ])
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            // It fails if the other side was dropped, which is an end as well.
            _stopped = stop.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                tokio::spawn(connection(stream, Arc::clone(&desk)));
            }
        }
    }
}

async fn connection(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(|request| desk.handle(request));
    // An error is a client that hung up.
    let _closed = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Desk {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let is_authorized = head.headers.get(AUTHORIZATION).is_some_and(|given| *given == self.authorization);
        let (status, text) = if is_authorized {
            match Limited::new(body, LARGEST).collect().await {
                Ok(body) => self.reply(&head.method, head.uri.path(), &body.to_bytes()),
                Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, format!("a script has at most {LARGEST} bytes")),
            }
        } else {
            (StatusCode::UNAUTHORIZED, "the token is missing or wrong".to_owned())
        };
        let mut response = Response::new(Full::from(text + "\n"));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Ok(response)
    }

    fn reply(&self, method: &Method, path: &str, body: &[u8]) -> Reply {
        let exit = path.strip_prefix("/instances/").and_then(|rest| rest.strip_suffix("/exit"));
        match (method, path, exit) {
            (&Method::GET, "/script", _) => toml_of(&self.shared.script().config),
            (&Method::PUT, "/script", _) => self.put(body),
            (&Method::DELETE, "/script", _) => self.follow(self.config.clone()),
            (&Method::GET, "/counts", _) => toml_of(&self.shared.script().counts()),
            (&Method::POST, _, Some(handle)) => self.exit(handle, body),
            (_, "/script" | "/counts", _) | (_, _, Some(_)) => {
                (StatusCode::METHOD_NOT_ALLOWED, format!("{path} has no {method}"))
            }
            _ => {
                (StatusCode::NOT_FOUND, "there are /script, /counts and /instances/{handle}/exit".to_owned())
            }
        }
    }

    fn put(&self, body: &[u8]) -> Reply {
        match Config::from_toml(&String::from_utf8_lossy(body)) {
            Ok(config) => self.follow(config),
            Err(error) => (StatusCode::BAD_REQUEST, error.message),
        }
    }

    fn follow(&self, config: Config) -> Reply {
        self.shared.follow(config);
        (StatusCode::OK, "the script is followed from its beginning".to_owned())
    }

    fn exit(&self, handle: &str, body: &[u8]) -> Reply {
        match toml::from_str::<End>(&String::from_utf8_lossy(body)) {
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Ok(end) if self.shared.end(handle, &end) => (StatusCode::OK, format!("{handle} has ended")),
            Ok(_) => (StatusCode::NOT_FOUND, format!("there is no instance {handle}")),
        }
    }
}

fn toml_of(document: &impl serde::Serialize) -> Reply {
    match toml::to_string(document) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
