//! Who has signed a request.
//!
//! This host keeps no secret keys, so that it cannot tell whether a signature is right. What it asks for where AWS
//! asks for one is a signature that names this service and region.

use axum::http::{HeaderMap, header};

use crate::api::arn::is_account;
use crate::api::query::Params;

/// Whoever a signature names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    /// Access key id.
    pub(super) key_id: String,
}

impl Signer {
    /// Their account: an access key id of twelve digits is one.
    pub(super) fn account(&self) -> Option<&str> {
        Some(self.key_id.as_str()).filter(|key_id| is_account(key_id))
    }
}

/// The signer of a request to a function of this region, by its `Authorization` header or by its query.
pub(super) fn signer(headers: &HeaderMap, query: Option<&str>, region: &str) -> Option<Signer> {
    of_header(headers, region).or_else(|| of_query(query?, region))
}

fn of_header(headers: &HeaderMap, region: &str) -> Option<Signer> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| {
        let value = fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| !value.is_empty())
    };
    field("SignedHeaders")?;
    field("Signature")?;
    of_scope(field("Credential")?, region)
}

fn of_query(query: &str, region: &str) -> Option<Signer> {
    let params = Params::new(Some(query));
    params.get("X-Amz-Algorithm").filter(|algorithm| algorithm == "AWS4-HMAC-SHA256")?;
    params.get("X-Amz-SignedHeaders")?;
    params.get("X-Amz-Signature")?;
    of_scope(&params.get("X-Amz-Credential")?, region)
}

/// From `<key id>/<date>/<region>/lambda/aws4_request`.
fn of_scope(credential: &str, region: &str) -> Option<Signer> {
    let mut parts = credential.split('/');
    let key_id = parts.next().filter(|key_id| !key_id.is_empty())?.to_owned();
    let _date = parts.next()?;
    (parts.eq([region, "lambda", "aws4_request"])).then_some(Signer { key_id })
}
