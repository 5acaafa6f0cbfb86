//! What a function answers, as a response.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{JSON, Refused};
use crate::invoke::Answered;

/// Headers that belong to the connection, and not to the function: it is told under another name.
const REMAPPED: [HeaderName; 4] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::DATE, header::TRANSFER_ENCODING];

/// The head of a response, in payload format 2.0.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    /// A number, or its digits.
    status_code: Option<Value>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    body: Option<Value>,
    is_base64_encoded: Option<bool>,
}

/// The whole response. What does not look like one is the body of one.
pub(super) fn respond(answered: &Answered) -> Result<Response, Refused> {
    if answered.function_error.is_some() {
        return Err(Refused::Function);
    }
    let payload: Value = serde_json::from_slice(&answered.payload).map_err(|_| Refused::Function)?;
    match payload {
        Value::String(text) => Ok(inferred(text.into())),
        Value::Object(ref members) if members.contains_key("statusCode") => {
            let head = Head::deserialize(&payload).map_err(|_| Refused::Function)?;
            let content = Content::deserialize(&payload).map_err(|_| Refused::Function)?;
            head.respond(content.bytes()?.into())
        }
        _ => Ok(inferred(compact(&answered.payload).into())),
    }
}

fn inferred(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

impl Head {
    /// The response with this head. Fails if a header or the status is none.
    pub(super) fn respond(self, body: Body) -> Result<Response, Refused> {
        let mut response = inferred(body);
        *response.status_mut() = match self.status_code {
            Some(given) => status(&given).ok_or(Refused::Function)?,
            None => StatusCode::OK,
        };
        let headers = response.headers_mut();
        for (name, value) in self.headers.unwrap_or_default() {
            let name = header_name(&name).ok_or(Refused::Function)?;
            headers.insert(name, header_value(&value).ok_or(Refused::Function)?);
        }
        for cookie in self.cookies.unwrap_or_default() {
            headers.append(header::SET_COOKIE, cookie.parse().map_err(|_| Refused::Function)?);
        }
        Ok(response)
    }
}

impl Content {
    fn bytes(self) -> Result<Vec<u8>, Refused> {
        let text = match self.body {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        if self.is_base64_encoded == Some(true) {
            return STANDARD.decode(text).map_err(|_| Refused::Function);
        }
        Ok(text.into_bytes())
    }
}

fn status(given: &Value) -> Option<StatusCode> {
    let number = match given {
        Value::String(digits) => digits.parse().ok()?,
        number => u16::try_from(number.as_u64()?).ok()?,
    };
    // What is below 200 is no whole response.
    StatusCode::from_u16(number).ok().filter(|status| !status.is_informational())
}

fn header_name(text: &str) -> Option<HeaderName> {
    let name: HeaderName = text.parse().ok()?;
    if REMAPPED.contains(&name) { format!("x-amzn-remapped-{name}").parse().ok() } else { Some(name) }
}

fn header_value(given: &Value) -> Option<HeaderValue> {
    match given {
        Value::String(text) => HeaderValue::from_str(text).ok(),
        Value::Number(_) | Value::Bool(_) => HeaderValue::from_str(&given.to_string()).ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// JSON without white space between its parts; members stay in their order.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut compact, mut is_text, mut is_escaped) = (Vec::with_capacity(json.len()), false, false);
    for &byte in json {
        if is_text || !byte.is_ascii_whitespace() {
            compact.push(byte);
        }
        is_text ^= byte == b'"' && !is_escaped;
        is_escaped = is_text && byte == b'\\' && !is_escaped;
    }
    compact
}
