//! Signature Version 4, either way: what this host sends to other services is signed, and what it is sent is checked.
//!
//! The rules are those of <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::SigningOutput;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign as sign_with,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use jiff::Timestamp;
use uuid::Uuid;

/// What somebody signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What functions sign with when they call this host or another service: their account's number is the access key id,
/// so that they stay in that account.
#[derive(Clone, Debug)]
pub struct FunctionKeys {
    secret: String,
    session_token: String,
}

impl FunctionKeys {
    /// For a host that lets anybody call: the same for all, and no secret.
    pub fn known() -> Self {
        Self { secret: "hearth".to_owned(), session_token: "hearth".to_owned() }
    }

    /// For a host that asks for signatures: nobody knows them but this host and what it runs. Functions do not outlive
    /// their host, and so need no others after a restart.
    pub fn secret() -> Self {
        let random = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { secret: random(), session_token: random() }
    }

    /// Those of an account's functions.
    pub fn of(&self, account: &str) -> Keys {
        Keys {
            id: account.to_owned(),
            secret: self.secret.clone(),
            session_token: Some(self.session_token.clone()),
        }
    }
}

/// What a signature is good for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// As in `us-east-1`.
    pub region: &'a str,
    /// As in `lambda`.
    pub service: &'a str,
    /// When it is made: it is good for some minutes from then on.
    pub at: Timestamp,
}

/// Where the signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the header `Authorization`.
    Header,
    /// In the query, so that the request is a link: a presigned URL.
    Query {
        /// How long it is good for.
        expires_in: Duration,
    },
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// As in `GET`.
    pub method: &'a str,
    /// With scheme and host, as it is on the wire, without what a presigned URL adds.
    pub uri: &'a str,
    /// `host` at least, unless the URI is to name it; no `x-amz-date`.
    pub headers: &'a [(&'a str, &'a str)],
    /// All of it.
    pub body: &'a [u8],
}

/// Signs a request that is to be sent.
///
/// # Errors
///
/// If there can be no such request: what is wrong with it.
pub fn sign(
    request: &mut Request<Full<Bytes>>,
    body: &[u8],
    keys: &Keys,
    scope: Scope<'_>,
) -> Result<(), String> {
    let headers = request.headers().iter();
    let headers: Vec<_> =
        headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let (method, uri) = (request.method().as_str(), &*request.uri().to_string());
    let unsigned = Unsigned { method, uri, headers: &headers, body };
    let (instructions, _) = signed(unsigned, keys, scope, Location::Header)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// The query that makes a link of a request, with what its own query holds.
///
/// # Errors
///
/// If there can be no such request: what is wrong with it.
pub fn presign(
    unsigned: Unsigned<'_>,
    keys: &Keys,
    scope: Scope<'_>,
    expires_in: Duration,
) -> Result<http::Uri, String> {
    let (instructions, _) = signed(unsigned, keys, scope, Location::Query { expires_in })?.into_parts();
    let mut link = Request::get(unsigned.uri).body(()).map_err(|error| error.to_string())?;
    instructions.apply_to_request_http1x(&mut link);
    Ok(link.into_parts().0.uri)
}

/// The signature that a request must carry, in hexadecimal.
///
/// # Errors
///
/// If there can be no such request: what is wrong with it.
pub fn signature(
    unsigned: Unsigned<'_>,
    keys: &Keys,
    scope: Scope<'_>,
    location: Location,
) -> Result<String, String> {
    signed(unsigned, keys, scope, location).map(|output| output.into_parts().1)
}

fn signed(
    unsigned: Unsigned<'_>,
    keys: &Keys,
    scope: Scope<'_>,
    location: Location,
) -> Result<SigningOutput<SigningInstructions>, String> {
    let Unsigned { method, uri, headers, body } = unsigned;
    let identity =
        Credentials::new(&keys.id, &keys.secret, keys.session_token.clone(), None, "hearth").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.at.try_into().map_err(|error: jiff::Error| error.to_string())?)
        .settings(settings(scope.service, location))
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let signable = SignableRequest::new(method, uri, headers.iter().copied(), SignableBody::Bytes(body))
        .map_err(|error| error.to_string())?;
    sign_with(signable, &params).map_err(|error| error.to_string())
}

/// S3 signs paths as they are, and has a header of its own for the body's digest.
fn settings(service: &str, location: Location) -> SigningSettings {
    let mut settings = SigningSettings::default();
    // Which headers are signed is the caller's choice: a client may have signed any.
    settings.excluded_headers = None;
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    if let Location::Query { expires_in } = location {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(expires_in);
    }
    settings
}
