//! Reads request bodies, within limits.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::Deserialize;

use super::error::{ApiError, INVALID_REQUEST_CONTENT, REQUEST_TOO_LARGE, SERIALIZATION};
use super::leftover::discard;
use super::mismatch::Mismatch;
use super::{json, leftover};

/// Most that is read of a body that is too large, beyond its limit: a client that has sent all of it reads the
/// answer, one that is cut off while it sends may see only a broken connection.
const MAX_DISCARDED: u64 = 64 * 1024 * 1024;

/// What an operation's requests may measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// In bytes.
    pub(super) bytes: u64,
    /// As the error names it.
    pub(super) operation: &'static str,
}

impl Limit {
    pub(super) fn exceeded(&self) -> ApiError {
        let Self { bytes, operation } = self;
        let message = format!("Request must be smaller than {bytes} bytes for the {operation} operation");
        ApiError::new(&REQUEST_TOO_LARGE, message)
    }
}

/// Reads a whole body.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: Limit) -> Result<Bytes, ApiError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit.bytes) {
        discard(body, limit.bytes + MAX_DISCARDED).await;
        return Err(limit.exceeded());
    }
    let mut body = body;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::new(&INVALID_REQUEST_CONTENT, "The connection ended before the request was complete.")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = (first.len() + rest.len() + data.len()) as u64;
        if length > limit.bytes {
            discard(body, MAX_DISCARDED).await;
            return Err(limit.exceeded());
        }
        // Most bodies come in one piece, which is passed on as it is.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(usize::try_from(announced.unwrap_or(length)).unwrap_or_default());
            rest.extend_from_slice(&first);
            first.clear();
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Parses a body that is JSON. An empty one is an empty object; members that nobody knows are ignored.
pub(super) fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    let bytes = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(bytes).map_err(|error| {
        if let Err(problem) = json::check(bytes) {
            let message = format!("Could not parse request body into json: {problem}");
            return ApiError::new(&INVALID_REQUEST_CONTENT, message);
        }
        let message = error.to_string();
        let mismatch = Mismatch::read(&message).map(|mismatch| mismatch.to_string());
        ApiError::new(&SERIALIZATION, mismatch.unwrap_or(message))
    })
}

/// Passes a body on, unless the request was refused already.
pub(super) fn unless_refused<T>(so_far: Result<T, ApiError>, body: Body) -> Result<(T, Body), ApiError> {
    match so_far {
        Ok(so_far) => Ok((so_far, body)),
        Err(error) => {
            leftover::read(body);
            Err(error)
        }
    }
}
