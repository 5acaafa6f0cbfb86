//! pods/proxy: what a client says to a port of a pod through the API.

use std::net::Ipv4Addr;

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::api::{Api, Reply, Target, full};
use crate::failure::Failure;
use crate::resource::PODS;
use crate::store::Key;

/// What belongs to a connection, not to a message.
const OF_CONNECTION: [header::HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::AUTHORIZATION];

pub(crate) async fn serve(
    api: &Api,
    target: &Target,
    query: &str,
    method: Method,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Failure> {
    let (name, port) = split(&target.name);
    let key = Key::new(&PODS, &target.namespace, name);
    let pod = api.cluster.with(|state, _| state.store.get(&key).cloned());
    let pod = pod.ok_or_else(|| Failure::not_found(&PODS, name))?;
    let address: Option<Ipv4Addr> = pod["status"]["podIP"].as_str().and_then(|it| it.parse().ok());
    let address = address.ok_or_else(|| Failure::bad_request("address not allowed"))?;
    let port = port.or_else(|| first_port(&pod)).unwrap_or(80);
    let path = target.rest.strip_prefix("proxy").unwrap_or("");
    let prefix = format!("/api/v1/namespaces/{}/pods/{}/proxy", target.namespace, target.name);
    let uri = match (if path.is_empty() { "/" } else { path }, query) {
        (path, "") => path.to_owned(),
        (path, query) => format!("{path}?{query}"),
    };
    let request = forwarded(method, &uri, headers, &format!("{prefix}{path}"), body)?;
    let answer = send(address, port, request).await?;
    let (mut parts, body) = answer.into_parts();
    for name in &OF_CONNECTION {
        parts.headers.remove(name);
    }
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    rewrite_location(&mut parts.headers, &prefix);
    let is_html =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    if !is_html {
        return Ok(Response::from_parts(parts, body.map_err(std::io::Error::other).boxed_unsync()));
    }
    let page = body.collect().await.map_err(|error| unreachable(&error.to_string()))?.to_bytes();
    let page = rewrite_links(&String::from_utf8_lossy(&page), &prefix);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(page.len()));
    Ok(Response::from_parts(parts, full(page)))
}

/// `name`, `name:port`, or `http:name:port`.
fn split(target: &str) -> (&str, Option<u16>) {
    let target = target.strip_prefix("http:").unwrap_or(target);
    match target.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (target, None),
    }
}

fn first_port(pod: &Value) -> Option<u16> {
    let port = pod["spec"]["containers"][0]["ports"][0]["containerPort"].as_u64()?;
    u16::try_from(port).ok()
}

fn unreachable(why: &str) -> Failure {
    Failure::status(503, "ServiceUnavailable", format!("error trying to reach service: {why}"), None)
}

fn forwarded(
    method: Method,
    uri: &str,
    mut headers: HeaderMap,
    original: &str,
    body: Incoming,
) -> Result<Request<Incoming>, Failure> {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    if let Ok(original) = HeaderValue::from_str(original) {
        headers.insert("x-forwarded-uri", original);
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri.parse().map_err(|_| Failure::bad_request("no such path"))?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn send(
    address: Ipv4Addr,
    port: u16,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, Failure> {
    let dialled = TcpStream::connect((address, port)).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                "connect: no route to host".to_owned()
            }
            _ => error.to_string(),
        };
        unreachable(&format!("dial tcp {address}:{port}: {why}"))
    })?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(dialled)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable(&error.to_string()))?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| unreachable(&error.to_string()))
}

fn rewrite_location(headers: &mut HeaderMap, prefix: &str) {
    let location =
        headers.get(header::LOCATION).and_then(|it| it.to_str().ok()).filter(|it| it.starts_with('/'));
    if let Some(location) = location.and_then(|it| HeaderValue::from_str(&format!("{prefix}{it}")).ok()) {
        headers.insert(header::LOCATION, location);
    }
}

fn rewrite_links(page: &str, prefix: &str) -> String {
    ["href", "src", "action"].iter().fold(page.to_owned(), |page, attribute| {
        page.replace(&format!("{attribute}=\"/"), &format!("{attribute}=\"{prefix}/"))
    })
}
