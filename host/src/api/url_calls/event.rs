//! A request as an event, in payload format 2.0.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::{HeaderMap, header, request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use uuid::Uuid;

use crate::api::access::Signer;

/// What an event says that is not in the request.
pub(super) struct Context<'a> {
    pub(super) url_id: &'a str,
    /// Host name of the URL.
    pub(super) domain: &'a str,
    /// Where the host listens.
    pub(super) port: u16,
    pub(super) peer: IpAddr,
    pub(super) request_id: Uuid,
    pub(super) trace_id: &'a str,
    pub(super) now: jiff::Timestamp,
    /// The function's account.
    pub(super) account: &'a str,
    /// Who signed, where somebody must.
    pub(super) signer: Option<&'a Signer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: String,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    iam: Iam<'a>,
}

/// The signer, as the root of their account: whom the key belongs to is not known here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Iam<'a> {
    access_key: &'a str,
    account_id: &'a str,
    caller_id: &'a str,
    cognito_identity: Option<()>,
    principal_org_id: Option<()>,
    user_arn: String,
    user_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: &'a str,
}

const DEFAULT: &str = "$default";

/// The event: JSON. `path` is the function's own part of the request's path.
pub(super) fn of(context: &Context<'_>, head: &request::Parts, path: &str, body: &Bytes) -> Bytes {
    let query = head.uri.query().unwrap_or_default();
    let body = encode(&head.headers, body);
    let event = Event {
        version: "2.0",
        route_key: DEFAULT,
        raw_path: path,
        raw_query_string: query,
        cookies: cookies(&head.headers),
        headers: headers(context, &head.headers),
        query_string_parameters: parameters(query),
        request_context: request_context(context, head, path),
        is_base64_encoded: matches!(body, Some(Cow::Owned(_))),
        body,
    };
    // Only a map whose keys are no text could fail.
    serde_json::to_vec(&event).unwrap_or_default().into()
}

fn request_context<'a>(context: &Context<'a>, head: &'a request::Parts, path: &'a str) -> RequestContext<'a> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let iam = context.signer.map(|signer| {
        let account = signer.account.as_deref().unwrap_or(context.account);
        Iam {
            access_key: &signer.key_id,
            account_id: account,
            caller_id: account,
            cognito_identity: None,
            principal_org_id: None,
            user_arn: format!("arn:aws:iam::{account}:root"),
            user_id: account,
        }
    });
    RequestContext {
        account_id: iam.as_ref().map_or("anonymous", |iam| iam.account_id),
        api_id: context.url_id,
        authorizer: iam.map(|iam| Authorizer { iam }),
        domain_name: context.domain,
        domain_prefix: context.url_id,
        http: Http {
            method: head.method.as_str(),
            path,
            protocol: "HTTP/1.1",
            source_ip: context.peer.to_string(),
            user_agent: text(header::USER_AGENT),
        },
        request_id: context.request_id.to_string(),
        route_key: DEFAULT,
        stage: DEFAULT,
        time: context.now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        time_epoch: context.now.as_millisecond(),
    }
}

/// Names in lower case, several values joined with commas, and what AWS's front adds.
fn headers<'a>(context: &Context<'_>, given: &'a HeaderMap) -> BTreeMap<&'a str, String> {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    let of_connection = [header::CONNECTION, header::TRANSFER_ENCODING];
    for (name, value) in given.iter().filter(|(name, _)| !of_connection.contains(name)) {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|former| {
                former.push(',');
                former.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    headers.extend([
        ("x-amzn-trace-id", context.trace_id.to_owned()),
        ("x-forwarded-for", context.peer.to_string()),
        ("x-forwarded-port", context.port.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
    ]);
    headers
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = texts.flat_map(|text| text.split(';')).map(str::trim);
    cookies.filter(|cookie| !cookie.is_empty()).map(str::to_owned).collect()
}

/// Decoded; several values of one name joined with commas.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        parameters
            .entry(decode(name))
            .and_modify(|former| {
                former.push(',');
                former.push_str(&value);
            })
            .or_insert_with(|| value.clone());
    }
    parameters
}

/// A body whose type is one of text is passed on as it is; any other in base64, for which it is owned.
fn encode<'a>(headers: &HeaderMap, body: &'a Bytes) -> Option<Cow<'a, str>> {
    if body.is_empty() {
        return None;
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let is_text = ["text/", "json", "xml", "javascript"].iter().any(|word| content_type.contains(word));
    match std::str::from_utf8(body) {
        Ok(text) if is_text => Some(Cow::Borrowed(text)),
        _ => Some(Cow::Owned(STANDARD.encode(body))),
    }
}
