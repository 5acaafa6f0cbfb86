//! What a request says of its own signature. Nothing here is verified.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::api::query::Params;
use crate::sigv4::Location;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A signature with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim<'a> {
    /// Access key id.
    pub(super) key_id: String,
    /// `<date>`, `<region>`, `<service>` and `aws4_request`.
    pub(super) scope: [String; 4],
    /// Names, in lower case.
    pub(super) signed_headers: Vec<String>,
    /// In hexadecimal.
    pub(super) signature: Cow<'a, str>,
    /// When it was made, as in `20260101T000000Z`.
    pub(super) time: Cow<'a, str>,
    /// Of temporary credentials.
    pub(super) session_token: Option<Cow<'a, str>>,
    /// Where it is.
    pub(super) location: Location,
}

/// Why there is no [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoClaim {
    /// The request is not signed.
    Unsigned,
    /// What is there is not enough: what is missing, in AWS's words.
    Incomplete(String),
}

impl<'a> Claim<'a> {
    /// Reads the header `Authorization`, or the query of a presigned URL.
    pub(super) fn of(headers: &'a HeaderMap, query: Option<&'a str>) -> Result<Self, NoClaim> {
        match headers.get(header::AUTHORIZATION) {
            Some(value) => Self::of_header(value.to_str().unwrap_or_default(), headers),
            None => Self::of_query(Params::new(query)),
        }
    }

    fn of_header(authorization: &'a str, headers: &'a HeaderMap) -> Result<Self, NoClaim> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let fields = authorization.strip_prefix(ALGORITHM).unwrap_or_default();
        let field = |name: &str| {
            let fields = fields.split(',').map(str::trim);
            fields.filter_map(|field| field.strip_prefix(name)?.strip_prefix('=')).find(|it| !it.is_empty())
        };
        let (credential, signature) = (field("Credential"), field("Signature"));
        let (signed_headers, time) = (field("SignedHeaders"), header("x-amz-date"));
        let (Some(credential), Some(signature), Some(signed_headers), Some(time)) =
            (credential, signature, signed_headers, time)
        else {
            return Err(NoClaim::Incomplete(missing(
                authorization,
                [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)],
                time.is_some(),
            )));
        };
        let (key_id, scope) = split(credential)?;
        Ok(Self {
            key_id,
            scope,
            signed_headers: names(signed_headers),
            signature: signature.into(),
            time: time.into(),
            session_token: header("x-amz-security-token").map(Cow::Borrowed),
            location: Location::Header,
        })
    }

    fn of_query(params: Params<'a>) -> Result<Self, NoClaim> {
        params.get("X-Amz-Algorithm").filter(|it| it == ALGORITHM).ok_or(NoClaim::Unsigned)?;
        let required = |name: &str| {
            let lacks = || NoClaim::Incomplete(format!("AWS query-string parameters must include '{name}'."));
            params.get(name).filter(|value| !value.is_empty()).ok_or_else(lacks)
        };
        let (key_id, scope) = split(&required("X-Amz-Credential")?)?;
        // Of Lambda's own presigned requests, those that do not say it are good for five minutes.
        let expires = params.get("X-Amz-Expires").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
        Ok(Self {
            key_id,
            scope,
            signed_headers: names(&required("X-Amz-SignedHeaders")?),
            signature: required("X-Amz-Signature")?,
            time: required("X-Amz-Date")?,
            session_token: params.get("X-Amz-Security-Token"),
            location: Location::Query { expires_in: Duration::from_secs(expires) },
        })
    }
}

/// From `<key id>/<date>/<region>/<service>/aws4_request`.
fn split(credential: &str) -> Result<(String, [String; 4]), NoClaim> {
    let mut parts = credential.split('/').map(str::to_owned);
    let key_id = parts.next().filter(|key_id| !key_id.is_empty());
    let scope: Result<[String; 4], _> = parts.collect::<Vec<_>>().try_into();
    key_id.zip(scope.ok()).ok_or_else(|| {
        NoClaim::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
             '{credential}'"
        ))
    })
}

fn names(signed_headers: &str) -> Vec<String> {
    signed_headers.split(';').map(str::to_ascii_lowercase).collect()
}

/// AWS names each thing that is not there.
fn missing(authorization: &str, fields: [(&str, Option<&str>); 3], has_date: bool) -> String {
    let fields = fields.iter().filter(|(_, value)| value.is_none());
    let mut sentences: Vec<_> =
        fields.map(|(name, _)| format!("Authorization header requires '{name}' parameter.")).collect();
    if !has_date {
        let date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
        sentences.push(date.to_owned());
    }
    // A wrong header may hold somebody's password: its kind is enough.
    sentences.push(format!("Authorization={}", authorization.split(' ').next().unwrap_or_default()));
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const CREDENTIAL: &str = "KEY/20260101/us-east-1/lambda/aws4_request";

    fn headers(authorization: &str, date: Option<&'static str>) -> HeaderMap {
        let mut headers =
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())]);
        if let Some(date) = date {
            headers.insert("x-amz-date", HeaderValue::from_static(date));
        }
        headers
    }

    #[test]
    fn a_signature_is_found_in_the_header_and_in_the_query() {
        let header =
            format!("{ALGORITHM} Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=0f");
        let headers = headers(&header, Some("20260101T000000Z"));
        let claim = Claim::of(&headers, None).unwrap();
        assert_eq!((&*claim.key_id, &*claim.signature, &*claim.time), ("KEY", "0f", "20260101T000000Z"));
        assert_eq!(claim.scope, ["20260101", "us-east-1", "lambda", "aws4_request"]);
        assert_eq!(claim.signed_headers, ["host", "x-amz-date"]);

        let query = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=0f&X-Amz-Expires=60",
            CREDENTIAL.replace('/', "%2F")
        );
        let headers = HeaderMap::new();
        let in_query = Claim::of(&headers, Some(&query)).unwrap();
        assert_eq!(in_query.scope, claim.scope);
        assert_eq!(in_query.location, Location::Query { expires_in: Duration::from_secs(60) });
    }

    #[test]
    fn what_is_missing_is_named() {
        let incomplete =
            |authorization: &str, date| Claim::of(&headers(authorization, date), None).unwrap_err();
        for (authorization, date, told) in [
            (
                "Bearer secret",
                None,
                "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
                 parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires \
                 existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=Bearer",
            ),
            (
                "AWS4-HMAC-SHA256 Credential=KEY, SignedHeaders=host, Signature=0f",
                Some("20260101T000000Z"),
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'KEY'",
            ),
        ] {
            assert_eq!(incomplete(authorization, date), NoClaim::Incomplete(told.to_owned()));
        }
        let unsigned = HeaderMap::new();
        assert_eq!(Claim::of(&unsigned, Some("a=b")), Err(NoClaim::Unsigned));
        let query = format!("X-Amz-Algorithm={ALGORITHM}");
        assert_eq!(
            Claim::of(&unsigned, Some(&query)),
            Err(NoClaim::Incomplete(
                "AWS query-string parameters must include 'X-Amz-Credential'.".to_owned()
            ))
        );
    }
}
