//! Answers.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::failure::{Body, Failure};

/// An answer on its way out. A body may break off, never fail otherwise.
pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, std::io::Error> {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub(super) fn json(code: u16, object: &Value) -> Reply {
    let mut reply = Response::new(full(format!("{object}\n")));
    *reply.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

pub(super) fn text(code: u16, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(full(text));
    *reply.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

pub(crate) fn answer_failure(failure: &Failure) -> Reply {
    let mut reply = match &failure.body {
        Body::Status(status) => json(failure.code, status),
        Body::Text(body) => text(failure.code, body.clone()),
    };
    let headers = reply.headers_mut();
    if failure.is_early {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    if let Some(seconds) = failure.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// Adds the warnings that an accepted object has earned.
pub(super) fn warn(mut reply: Reply, warnings: &[String]) -> Reply {
    for warning in warnings {
        let escaped = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{escaped}\"")) {
            reply.headers_mut().append(header::WARNING, value);
        }
    }
    reply
}

/// Whether the caller wants nothing but metadata.
pub(super) fn wants_metadata_only(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or("");
    accept.split(',').next().is_some_and(|first| first.contains("as=PartialObjectMetadata"))
}

/// The object as the caller wants it.
pub(super) fn shape(object: &Value, headers: &HeaderMap) -> Value {
    if wants_metadata_only(headers) {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
    } else {
        object.clone()
    }
}
