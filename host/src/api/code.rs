//! Code, as requests bring it and as clients fetch it again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use serde::de::DeserializeOwned;

use super::body::Limit;
use super::caller::Caller;
use super::error::{ACCESS_DENIED, ApiError, REQUEST_TOO_LARGE, RESOURCE_NOT_FOUND};
use super::path::Path;
use super::shape::{KEY, LINE, Member, Pattern, Shape};
use super::validate::Violations;
use super::wire::blob::Blob;
use super::wire::function::{CodeLocation, FunctionCode, S3Location, UpdateFunctionCode};
use super::{ApiState, body};
use crate::aws::{CallError, s3};
use crate::catalog::digest::Digest;
use crate::catalog::function::{Code, ImageCode};
use crate::catalog::package::Package;

/// Largest zip file in a request, in bytes.
const MAX_ZIP_BYTES: usize = 52_428_800;

/// Largest zip file in a bucket, in bytes: what a function may measure unpacked.
const MAX_ZIP_OBJECT_BYTES: usize = 262_144_000;

/// Most that a request which brings code may measure, in bytes.
pub(super) const MAX_REQUEST_BYTES: u64 = 70_167_211;

/// Reads a request that brings code. It is large: parsing it has a thread of its own.
pub(super) async fn read_request<T: DeserializeOwned + Send + 'static>(
    headers: &HeaderMap,
    body: Body,
    operation: &'static str,
) -> Result<T, ApiError> {
    let bytes = body::read(headers, body, Limit { bytes: MAX_REQUEST_BYTES, operation }).await?;
    match tokio::task::spawn_blocking(move || body::parse_json(&bytes)).await {
        Ok(parsed) => parsed,
        // The parser does not panic, so the host is going down.
        Err(_) => Err(ApiError::shutting_down()),
    }
}

/// Code that was taken in: it stays on disk while this is held.
#[derive(Debug)]
pub(super) enum NewCode {
    /// Checked and unpacked.
    Zip(Arc<Package>),
    /// Its name; nobody has looked at it yet.
    Image(ImageCode),
}

impl NewCode {
    /// What must be held until the code is stored.
    pub(super) fn packages(&self) -> Vec<Arc<Package>> {
        match self {
            Self::Zip(package) => vec![Arc::clone(package)],
            Self::Image(_) => Vec::new(),
        }
    }
}

impl UpdateFunctionCode {
    /// The members that name code.
    pub(super) fn take_code(&mut self) -> FunctionCode {
        FunctionCode {
            zip_file: self.zip_file.take(),
            s3: std::mem::take(&mut self.s3),
            image_uri: self.image_uri.take(),
        }
    }
}

/// Takes in the code of a request.
pub(super) async fn take(
    api: &ApiState,
    caller: &Caller<'_>,
    code: FunctionCode,
) -> Result<NewCode, ApiError> {
    match (code.zip_file, code.s3.given(), code.image_uri) {
        (Some(zip), None, None) => Ok(NewCode::Zip(take_zip(api, zip).await?)),
        (None, Some(object), None) => Ok(NewCode::Zip(fetch_zip(api, caller, object).await?)),
        (None, None, Some(uri)) => Ok(NewCode::Image(ImageCode { uri, ..ImageCode::default() })),
        _ => Err(ApiError::invalid(
            "Please provide exactly one of the following: ZipFile, S3Bucket and S3Key, or ImageUri.",
        )),
    }
}

/// Takes in a zip file.
pub(super) async fn take_zip(api: &ApiState, Blob(zip): Blob) -> Result<Arc<Package>, ApiError> {
    if zip.len() > MAX_ZIP_BYTES {
        let message = format!("Zipped size must be smaller than {MAX_ZIP_BYTES} bytes");
        return Err(ApiError::new(&REQUEST_TOO_LARGE, message));
    }
    api.catalog.add_package(zip).await.map_err(|error| ApiError::package(&error))
}

/// A zip file in a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZipObject<'a> {
    bucket: &'a str,
    key: &'a str,
    version: Option<&'a str>,
}

#[rustfmt::skip]
const S3_LOCATION: Shape = Shape::Structure(&[
    Member::new("S3Bucket", Shape::Text(3, 63, Pattern {
        shown: r"[0-9A-Za-z\.\-_]*(?<!\.)",
        tested: r"([0-9A-Za-z\.\-_]*[0-9A-Za-z\-_])?",
    })),
    Member::new("S3Key", Shape::Text(1, 1024, LINE)),
    Member::new("S3ObjectVersion", Shape::Text(1, 1024, LINE)),
    Member::new("S3ObjectStorageMode", Shape::Word(&["COPY", "REFERENCE"])),
    Member::new("SourceKMSKeyArn", KEY),
]);

impl S3Location {
    /// Checks its form; `parent` is the member that has it, or nothing if that is the request itself.
    pub(super) fn check(&self, parent: &str, violations: &mut Violations) {
        // What was read from JSON can be written as such.
        let value = serde_json::to_value(self).unwrap_or_default();
        violations.form(value, parent, &S3_LOCATION);
    }

    /// The object, if the caller said which one.
    pub(super) fn given(&self) -> Option<ZipObject<'_>> {
        let version = self.version.as_deref();
        Some(ZipObject { bucket: self.bucket.as_deref()?, key: self.key.as_deref()?, version })
    }
}

/// Fetches a zip file from its bucket and takes it in. It may be larger than one in a request: only what it
/// unpacks to has a limit.
pub(super) async fn fetch_zip(
    api: &ApiState,
    caller: &Caller<'_>,
    ZipObject { bucket, key, version }: ZipObject<'_>,
) -> Result<Arc<Package>, ApiError> {
    let object = s3::Object { account: caller.account, region: caller.region, bucket, key };
    let zip = api.aws.get_object(object, version, MAX_ZIP_OBJECT_BYTES).await;
    let zip = zip.map_err(|error| not_fetched(&error))?;
    api.catalog.add_package(zip).await.map_err(|error| ApiError::package(&error))
}

/// What AWS says of an object that it cannot have.
fn not_fetched(error: &CallError) -> ApiError {
    let refusal = match error {
        CallError::Refused { text, .. } => s3::Refusal::read(text),
        _ => None,
    };
    match refusal {
        Some(s3::Refusal { code: code @ "AccessDenied", message }) => ApiError::new(
            &ACCESS_DENIED,
            format!(
                "Your access has been denied by S3, please make sure your request credentials have permission to \
                 GetObject for the bucket and key. S3 Error Code: {code}. S3 Error Message: {message}"
            ),
        ),
        Some(s3::Refusal { code, message }) => ApiError::invalid(format!(
            "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
        )),
        None => ApiError::invalid(format!("Error occurred while GetObject. S3: {error}")),
    }
}

/// Where clients can fetch a function's code.
pub(super) fn location(api: &ApiState, code: &Code, headers: &HeaderMap) -> CodeLocation {
    match code {
        Code::Zip(zip) => {
            CodeLocation::Zip { repository_type: "S3", location: url(api, zip.package.sha256, headers) }
        }
        Code::Image(image) => CodeLocation::Image {
            repository_type: "ECR",
            image_uri: image.uri.clone(),
            resolved_image_uri: image.uri.clone(),
        },
    }
}

/// Where clients can fetch a zip file: from this host, under the name by which they have reached it. Where requests
/// must be signed, this one is.
pub(super) fn url(api: &ApiState, sha256: Digest, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let url = format!("http://{host}/_hearth/code/{sha256}");
    api.settings.access.link(&url, headers).unwrap_or(url)
}

/// `GET /_hearth/code/{sha256}`: the zip file.
pub(super) async fn download(
    State(api): State<Arc<ApiState>>,
    Path(sha256): Path<String>,
) -> Result<Response, ApiError> {
    let package = Digest::parse_hex(&sha256).and_then(|sha256| api.catalog.package(sha256));
    let gone = || ApiError::new(&RESOURCE_NOT_FOUND, format!("There is no code with the SHA-256 {sha256}."));
    let package = package.ok_or_else(gone)?;
    let zip = tokio::fs::read(package.zip_path()).await.map_err(|error| {
        tracing::error!(sha256, %error, "code cannot be read");
        gone()
    })?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"))], zip)
        .into_response())
}
