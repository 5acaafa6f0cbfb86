//! Who may call this host: anybody who reaches it, or whoever signs with a key of the credentials file.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::claim::Claim;
pub use self::key_ring::{KeyHolder, KeyRing};
use super::arn::is_account;
use super::body::{self, Limit};
use super::error::ApiError;
use super::{ApiState, code};
use crate::clock::Clock;
use crate::sigv4::{self, FunctionKeys, Scope, Unsigned};

mod claim;
mod key_ring;
mod verify;

#[cfg(test)]
mod tests;

/// AWS's links to code are good for ten minutes.
const LINK_LASTS: Duration = Duration::from_secs(600);
/// What answers without being asked who asks: whether the host lives.
const OPEN: [&str; 2] = ["/", "/_hearth/health"];

/// Who may call.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Whoever reaches the host. A signature tells the account and the region that its maker works in.
    #[default]
    Anybody,
    /// Whoever holds one of these keys: each request must be signed.
    KeyHolders(Arc<KeyRing>),
}

/// Whoever signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    /// Access key id.
    pub(super) key_id: String,
    /// Twelve digits, where it is known.
    pub(super) account: Option<String>,
}

impl Access {
    /// What functions sign with.
    pub fn functions(&self) -> FunctionKeys {
        match self {
            Self::Anybody => FunctionKeys::known(),
            Self::KeyHolders(ring) => ring.functions().clone(),
        }
    }

    /// The account of a key. Where anybody may call, a key id of twelve digits is one.
    pub(super) fn account_of<'a>(&'a self, key_id: &'a str) -> Option<&'a str> {
        match self {
            Self::Anybody => Some(key_id).filter(|key_id| is_account(key_id)),
            Self::KeyHolders(ring) => ring.account_of(key_id),
        }
    }

    /// Whoever signed a request for a function's URL in a region; nobody if AWS would not take the signature. Where
    /// anybody may call there are no secrets to check it with: its form must be right.
    pub(super) fn signer(&self, head: &Parts, body: &[u8], region: &str) -> Option<Signer> {
        let claim = Claim::of(&head.headers, head.uri.query()).ok()?;
        let is_for = claim.scope[1..] == [region, "lambda", "aws4_request"];
        if let Self::KeyHolders(ring) = self {
            verify::signer(ring, head, body, Clock::wall()).ok()?;
        }
        is_for.then(|| Signer {
            account: self.account_of(&claim.key_id).map(str::to_owned),
            key_id: claim.key_id,
        })
    }

    /// A link to something of this host that its reader need not sign: the one who asked for it has, and it is good for
    /// as long as AWS's own links to code. Nothing where nobody needs to sign.
    pub(super) fn link(&self, url: &str, headers: &HeaderMap) -> Option<String> {
        let Self::KeyHolders(ring) = self else { return None };
        let (key_id, region) = scope(headers)?;
        let unsigned = Unsigned { method: "GET", uri: url, headers: &[], body: b"" };
        let scope = Scope { region, service: "lambda", at: Clock::wall() };
        let link = sigv4::presign(unsigned, &ring.find(key_id)?.keys, scope, LINK_LASTS);
        link.inspect_err(|problem| tracing::warn!(url, problem, "cannot make a link"))
            .ok()
            .map(|uri| uri.to_string())
    }
}

/// Lets those requests through that somebody signed who may call.
pub(super) async fn check(State(api): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let Access::KeyHolders(ring) = &api.settings.access else { return next.run(request).await };
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match verified(ring, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The signature covers the body, which therefore has to be here first.
async fn verified(ring: &KeyRing, request: Request) -> Result<Request, ApiError> {
    const LIMIT: Limit = Limit { bytes: code::MAX_REQUEST_BYTES, operation: "signed" };
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body, LIMIT).await?;
    verify::signer(ring, &head, &body, Clock::wall())?;
    Ok(Request::from_parts(head, Body::from(body)))
}

/// Access key id and region, from `Credential=<key id>/<date>/<region>/lambda/aws4_request`: where a request is made
/// for, whether or not the rest of its signature is any good.
pub(super) fn scope(headers: &HeaderMap) -> Option<(&str, &str)> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let mut parts = credential.split(['/', ',']);
    let key_id = parts.next()?;
    let _date = parts.next()?;
    Some((key_id, parts.next()?))
}
