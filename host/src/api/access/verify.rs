//! Whether a request was signed by somebody who may call.

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use subtle::ConstantTimeEq as _;

use super::claim::{Claim, NoClaim};
use super::key_ring::{KeyHolder, KeyRing};
use crate::api::error::{
    ApiError, INCOMPLETE_SIGNATURE, INVALID_SIGNATURE, MISSING_TOKEN, UNRECOGNIZED_CLIENT,
};
use crate::sigv4::{Keys, Location, Scope, Unsigned, signature};

/// How far the clocks of a caller and of this host may be apart, and how long a signature is good for.
const WINDOW: Duration = Duration::from_secs(300);
/// Longest that a presigned URL is good for.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Parameters that presigning adds to a query.
const ADDED: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The holder of the key that a request was signed with.
pub(super) fn signer(
    ring: &KeyRing,
    head: &Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<KeyHolder, ApiError> {
    let claim = Claim::of(&head.headers, head.uri.query()).map_err(|problem| match problem {
        NoClaim::Unsigned => ApiError::new(&MISSING_TOKEN, "Missing Authentication Token"),
        NoClaim::Incomplete(problem) => ApiError::new(&INCOMPLETE_SIGNATURE, problem),
    })?;
    let unknown =
        || ApiError::new(&UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
    let holder = ring.find(&claim.key_id).ok_or_else(unknown)?;
    if claim.session_token.as_deref() != holder.keys.session_token.as_deref() {
        return Err(unknown());
    }
    let at = check_time(&claim, now).map_err(invalid)?;
    check_scope(&claim, at).map_err(invalid)?;
    let expected = expected(&claim, &holder.keys, head, body, at).map_err(invalid)?;
    if !bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        return Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
        ));
    }
    Ok(holder)
}

fn invalid(problem: String) -> ApiError {
    ApiError::new(&INVALID_SIGNATURE, problem)
}

/// When the request was signed, if that is not too long ago.
fn check_time(claim: &Claim<'_>, now: Timestamp) -> Result<Timestamp, String> {
    let at = DateTime::strptime(TIME, &*claim.time).and_then(|time| Offset::UTC.to_timestamp(time));
    let at = at.map_err(|_| format!("Date must be in ISO-8601 'basic format'. Got '{}'.", claim.time))?;
    let shown = |time: Timestamp| time.strftime(TIME);
    let window = match claim.location {
        Location::Header => WINDOW,
        Location::Query { expires_in } => expires_in.min(LONGEST),
    };
    let (oldest, newest) = (now - window, now + WINDOW);
    if at < oldest {
        return Err(format!(
            "Signature expired: {} is now earlier than {} ({} - {} min.)",
            claim.time,
            shown(oldest),
            shown(now),
            window.as_secs().div_ceil(60)
        ));
    }
    if at > newest {
        let (newest, now) = (shown(newest), shown(now));
        return Err(format!(
            "Signature not yet current: {} is still later than {newest} ({now} + 5 min.)",
            claim.time
        ));
    }
    Ok(at)
}

/// A region is the caller's choice: functions of all regions are on this host.
fn check_scope(claim: &Claim<'_>, at: Timestamp) -> Result<(), String> {
    let [date, _region, service, end] = &claim.scope;
    let day = at.strftime("%Y%m%d").to_string();
    if *date != day {
        return Err(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: '{date}' != '{day}', from '{}'.",
            claim.time
        ));
    }
    if service != "lambda" {
        return Err("Credential should be scoped to correct service: 'lambda'.".to_owned());
    }
    if end != "aws4_request" {
        return Err(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{end}'."
        ));
    }
    if !claim.signed_headers.iter().any(|name| name == "host") {
        return Err("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned());
    }
    Ok(())
}

fn expected(
    claim: &Claim<'_>,
    keys: &Keys,
    head: &Parts,
    body: &[u8],
    at: Timestamp,
) -> Result<String, String> {
    let headers = signed_headers(&claim.signed_headers, &head.headers);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let path = head.uri.path();
    let query = unsigned_query(head.uri.query().unwrap_or_default(), claim.location);
    let separator = if query.is_empty() { "" } else { "?" };
    let uri = format!("http://{host}{path}{separator}{query}");
    let unsigned = Unsigned { method: head.method.as_str(), uri: &uri, headers: &headers, body };
    let scope = Scope { region: &claim.scope[1], service: &claim.scope[2], at };
    signature(unsigned, keys, scope, claim.location)
}

/// The headers that were signed, but for those that signing adds.
fn signed_headers<'a>(names: &'a [String], headers: &HeaderMap) -> Vec<(&'a str, String)> {
    let added = ["x-amz-date", "x-amz-security-token"];
    let names = names.iter().map(String::as_str).filter(|name| !added.contains(name));
    names
        .map(|name| {
            let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            (name, values.map(|value| value.trim().to_owned()).collect::<Vec<_>>().join(","))
        })
        .collect()
}

/// The query without what presigning adds.
fn unsigned_query(query: &str, location: Location) -> String {
    if location == Location::Header {
        return query.to_owned();
    }
    let is_own = |pair: &&str| !ADDED.contains(&pair.split('=').next().unwrap_or_default());
    query.split('&').filter(is_own).collect::<Vec<_>>().join("&")
}
