//! `/_hearth/backend`: what the backend says of itself; and what is below it, which the backend answers itself.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use axum::http::{Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Serialize;

use super::AdminState;
use crate::invoke::connection::{Address, Connection};

/// How long a backend has for its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most that its answer may measure, in bytes.
const LARGEST: usize = 16 << 20;

/// Where requests are passed on to, in what the backend says of itself.
const ENDPOINT: &str = "admin.endpoint";
/// What opens it.
const TOKEN: &str = "admin.token";

/// Answer of `GET /_hearth/backend`.
#[derive(Debug, Serialize)]
struct Description<'a> {
    name: &'a str,
    version: &'a str,
    capabilities: Vec<&'static str>,
    /// Without what is for the host alone.
    metadata: BTreeMap<&'a str, &'a str>,
    /// Whether it answers requests itself, below this path.
    has_admin_api: bool,
}

pub(super) async fn describe(State(state): State<AdminState>) -> Response {
    let info = state.driver.backend_info();
    let metadata = info.meta.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Json(Description {
        name: &info.name,
        version: &info.version,
        capabilities: info.capabilities.names().collect(),
        metadata: metadata.filter(|(name, _)| !name.starts_with("admin.")).collect(),
        has_admin_api: info.meta.contains_key(ENDPOINT),
    })
    .into_response()
}

/// The backend's own API: whatever it is, it is the backend's to understand.
pub(super) async fn pass_on(
    State(state): State<AdminState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let info = state.driver.backend_info();
    let Some(endpoint) = info.meta.get(ENDPOINT) else {
        let problem = format!("the backend {} has no API of its own", info.name);
        return refused(StatusCode::NOT_FOUND, &problem);
    };
    let token = info.meta.get(TOKEN).map(String::as_str).unwrap_or_default();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = below(&uri);
    if let Some(content_type) = headers.get(CONTENT_TYPE) {
        request.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    match exchange(endpoint, token, request).await {
        Ok(response) => response,
        Err(problem) => {
            let problem = format!("the backend {} does not answer: {problem}", info.name);
            refused(StatusCode::BAD_GATEWAY, &problem)
        }
    }
}

/// What comes behind `/_hearth/backend`.
fn below(uri: &Uri) -> Uri {
    let path = uri.path_and_query().and_then(|path| path.as_str().strip_prefix("/_hearth/backend"));
    path.and_then(|path| path.parse().ok()).unwrap_or_default()
}

async fn exchange(
    endpoint: &str,
    token: &str,
    mut request: Request<Full<Bytes>>,
) -> Result<Response, String> {
    let address = Address::parse(endpoint)?;
    for (name, value) in [(HOST, address.host()), (AUTHORIZATION, &format!("Bearer {token}"))] {
        request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
    }
    let mut connection = Connection::open(&address).await?;
    let response = match connection.send(request, PATIENCE).await {
        Ok(response) => response,
        Err(error) => return Err(format!("{error:?}")),
    };
    let (head, body) = response.into_parts();
    let body = connection.drive(Limited::new(body, LARGEST).collect()).await;
    let body = body.map_err(|_| "its answer has no end".to_owned())?.map_err(|error| error.to_string())?;
    let mut passed_on = Response::new(Body::from(body.to_bytes()));
    *passed_on.status_mut() = head.status;
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        passed_on.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    Ok(passed_on)
}

fn refused(status: StatusCode, problem: &str) -> Response {
    (status, Json(serde_json::json!({ "message": problem }))).into_response()
}
