//! Who gets in, and what the others are told.

use std::time::Duration;

use axum::http::{Method, Request, header};
use jiff::Timestamp;

use super::*;
use crate::sigv4::{Keys, Location, signature};

const NOW: &str = "2026-01-01T12:00:00Z";

fn keys() -> Keys {
    Keys { id: "KEY".to_owned(), secret: "secret".to_owned(), session_token: None }
}

fn ring() -> KeyRing {
    let holder = |keys| KeyHolder { keys, account: None };
    let session = Keys { id: "TEMPORARY".to_owned(), session_token: Some("token".to_owned()), ..keys() };
    KeyRing::new([holder(keys()), holder(session)])
}

/// A signed request, and what is done to it on the way.
struct Case {
    scope: &'static str,
    secret: &'static str,
    time: &'static str,
    change: fn(&mut Request<()>),
}

impl Default for Case {
    fn default() -> Self {
        Self {
            scope: "KEY/20260101/eu-west-1/lambda/aws4_request",
            secret: "secret",
            time: "20260101T120000Z",
            change: |_| {},
        }
    }
}

impl Case {
    fn told(&self) -> String {
        let uri = "http://localhost/2015-03-31/functions/arn%3Aaws%3Alambda/x?b=2&a=%20";
        let parts: Vec<_> = self.scope.split('/').collect();
        let keys = Keys { id: parts[0].to_owned(), secret: self.secret.to_owned(), session_token: None };
        let unsigned =
            Unsigned { method: "POST", uri, headers: &[("host", "localhost"), ("x-a", "1,2")], body: b"{}" };
        let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", self.time).unwrap();
        let at = jiff::tz::Offset::UTC.to_timestamp(at).unwrap();
        let scope = Scope { region: parts[2], service: parts[3], at };
        let signature = signature(unsigned, &keys, scope, Location::Header).unwrap();
        let credential = self.scope;
        let mut request = Request::post(uri.trim_start_matches("http://localhost"))
            .header("host", "localhost")
            .header("x-a", "1")
            .header("x-a", " 2 ")
            .header("x-amz-date", self.time)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-a;x-amz-date, Signature={signature}"),
            )
            .body(())
            .unwrap();
        (self.change)(&mut request);
        let (head, ()) = request.into_parts();
        match verify::signer(&ring(), &head, b"{}", NOW.parse().unwrap()) {
            Ok(holder) => holder.keys.id.clone(),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn whoever_signs_with_a_key_of_the_ring_gets_in_and_nobody_else() {
    let mismatch = "InvalidSignatureException: The request signature we calculated does not match the signature you \
                    provided. Check your AWS Secret Access Key and signing method. Consult the service documentation \
                    for details.";
    let unknown = "UnrecognizedClientException: The security token included in the request is invalid.";
    for (case, expected) in [
        (Case::default(), "KEY"),
        (Case { secret: "guessed", ..Case::default() }, mismatch),
        (Case { change: |request| *request.method_mut() = Method::PUT, ..Case::default() }, mismatch),
        (
            Case {
                change: |request| {
                    request.headers_mut().insert("x-a", "3".parse().unwrap());
                },
                ..Case::default()
            },
            mismatch,
        ),
        (Case { scope: "OTHER/20260101/eu-west-1/lambda/aws4_request", ..Case::default() }, unknown),
        (Case { scope: "TEMPORARY/20260101/eu-west-1/lambda/aws4_request", ..Case::default() }, unknown),
        (
            Case { scope: "KEY/20260101/eu-west-1/s3/aws4_request", ..Case::default() },
            "InvalidSignatureException: Credential should be scoped to correct service: 'lambda'.",
        ),
        (
            Case { scope: "KEY/20260102/eu-west-1/lambda/aws4_request", ..Case::default() },
            "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of \
             date: '20260102' != '20260101', from '20260101T120000Z'.",
        ),
        (
            Case { time: "20260101T115459Z", ..Case::default() },
            "InvalidSignatureException: Signature expired: 20260101T115459Z is now earlier than 20260101T115500Z \
             (20260101T120000Z - 5 min.)",
        ),
        (
            Case { time: "20260101T120501Z", ..Case::default() },
            "InvalidSignatureException: Signature not yet current: 20260101T120501Z is still later than \
             20260101T120500Z (20260101T120000Z + 5 min.)",
        ),
        (
            Case {
                change: |request| {
                    request.headers_mut().remove(header::AUTHORIZATION);
                },
                ..Case::default()
            },
            "MissingAuthenticationTokenException: Missing Authentication Token",
        ),
    ] {
        assert_eq!(case.told(), expected);
    }
}

#[test]
fn a_link_is_good_until_it_expires() {
    let now: Timestamp = NOW.parse().unwrap();
    let url = "http://localhost/_hearth/code/abc";
    let unsigned = Unsigned { method: "GET", uri: url, headers: &[], body: b"" };
    let scope = Scope { region: "eu-west-1", service: "lambda", at: now };
    let link = sigv4::presign(unsigned, &keys(), scope, Duration::from_secs(600)).unwrap();
    let told = |uri: String, later: u64| {
        let request = Request::get(uri).header("host", "localhost").body(()).unwrap();
        let (head, ()) = request.into_parts();
        match verify::signer(&ring(), &head, b"", now + Duration::from_secs(later)) {
            Ok(holder) => holder.keys.id.clone(),
            Err(error) => error.to_string(),
        }
    };
    let link = link.path_and_query().unwrap().to_string();
    assert_eq!(told(link.clone(), 600), "KEY");
    assert!(told(link.clone(), 601).starts_with("InvalidSignatureException: Signature expired"));
    assert!(
        told(link.replace("/abc", "/abd"), 0).starts_with("InvalidSignatureException: The request signature")
    );
}
