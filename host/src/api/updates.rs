//! Updates of `$LATEST`: code and configuration.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::arn::PLAIN;
use super::body::Limit;
use super::caller::Caller;
use super::code::{self, NewCode};
use super::error::ApiError;
use super::functions::{Found, found};
use super::path::Path;
use super::settings::{Changes, PUBLISH_TO, REFUSED, architecture};
use super::shape;
use super::validate::Violations;
use super::wire::function::{FunctionConfiguration, UpdateFunctionCode, UpdateFunctionConfiguration};
use super::{ApiState, answer, body, layers};
use crate::catalog::ChangeError;
use crate::catalog::function::{Architecture, Code, Function, FunctionConfig, Version};

/// Limit of requests that bring no code.
pub(super) const REQUEST_LIMIT: u64 = 6 * 1024 * 1024;

/// Why an update is not made: what the catalog says, or what the API says of what would come of it.
pub(super) enum UpdateError {
    Change(ChangeError),
    Api(ApiError),
}

impl From<ChangeError> for UpdateError {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

impl UpdateError {
    /// What the client is told about the function with this ARN.
    pub(super) fn told(self, arn: &str) -> ApiError {
        match self {
            Self::Change(error) => ApiError::change(error, arn),
            Self::Api(error) => error,
        }
    }

    /// Whether the function, the version or the alias is not there.
    pub(super) fn is_not_found(&self) -> bool {
        use ChangeError::{AliasNotFound, FunctionNotFound, VersionNotFound};
        matches!(self, Self::Change(FunctionNotFound | VersionNotFound | AliasNotFound))
    }
}

/// `UpdateFunctionConfiguration`
pub(super) async fn configuration(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "UpdateFunctionConfiguration" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: UpdateFunctionConfiguration = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, &name, None);
    let mut changes = Changes::parse(request.settings, &[REFUSED], &mut violations)?;
    violations.check()?;
    let (key, arn) = located.map(|located| (located.key(), located.key().arn()))?;
    changes.check(api.settings.memory_budget_mb)?;
    if api.catalog.function(&key).is_none() {
        return Err(ApiError::no_function(&arn));
    }
    let (wanted, held) = layers::find_all(&api, &key.region, changes.layers.take())?;
    let edit = move |function: &Function| {
        let mut config = FunctionConfig::clone(&function.latest.config);
        changes.apply(&mut config, wanted).map_err(UpdateError::Api)?;
        Ok(config)
    };
    let updated = api.catalog.update_function(key, request.revision_id, false, held, edit).await;
    let function = updated.map_err(|error: UpdateError| error.told(&arn))?;
    answer(StatusCode::OK, &FunctionConfiguration::new(&function, &function.latest, arn))
}

/// `UpdateFunctionCode`
pub(super) async fn code(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let mut request: UpdateFunctionCode = code::read_request(&headers, body, "UpdateFunctionCode").await?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, &name, None);
    let architecture = architecture(request.architectures.as_deref(), &mut violations);
    request.s3.check("", &mut violations);
    let refused = shape::refuse(&[&[PUBLISH_TO]], std::mem::take(&mut request.more), &mut violations)?;
    violations.check()?;
    refused.map_or(Ok(()), Err)?;
    let mut located = located?;
    located.qualifier = None;
    let Found { function, arn, .. } = found(&api, &located)?;
    if request.revision_id.as_ref().is_some_and(|revision| *revision != function.latest.revision_id) {
        return Err(ApiError::change(ChangeError::RevisionMismatch, &arn));
    }
    check_kind(&function, &request)?;
    let given = request.take_code();
    let new_code = code::take(&api, &caller, given).await?;
    if request.dry_run.unwrap_or(false) {
        return dry_run(&function, &new_code, architecture, arn);
    }
    let publish = request.publish.unwrap_or(false);
    let held = new_code.packages();
    let edit = move |function: &Function| Ok(with_code(function, &new_code, architecture));
    let updated = api.catalog.update_function(located.key(), request.revision_id, publish, held, edit).await;
    let function = updated.map_err(|error: UpdateError| error.told(&arn))?;
    // The answer to an update with Publish describes the version, under its own ARN.
    let published = function.versions.values().next_back().filter(|_| publish);
    let answered = match published {
        Some(version) => FunctionConfiguration::new(&function, version, format!("{arn}:{}", version.name)),
        None => FunctionConfiguration::new(&function, &function.latest, arn),
    };
    answer(StatusCode::OK, &answered)
}

fn check_kind(function: &Function, request: &UpdateFunctionCode) -> Result<(), ApiError> {
    let brings_zip = request.zip_file.is_some() || request.s3.bucket.is_some();
    match &function.latest.config.code {
        Code::Image(_) if brings_zip => {
            Err(ApiError::invalid("Please provide ImageUri when updating a function with packageType Image."))
        }
        Code::Zip(_) if request.image_uri.is_some() => Err(ApiError::invalid(
            "Please don't provide ImageUri when updating a function with packageType Zip.",
        )),
        Code::Image(_) | Code::Zip(_) => Ok(()),
    }
}

fn with_code(function: &Function, new: &NewCode, architecture: Option<Architecture>) -> FunctionConfig {
    let mut config = FunctionConfig::clone(&function.latest.config);
    config.architecture = architecture.unwrap_or(config.architecture);
    match (&mut config.code, new) {
        (Code::Zip(zip), NewCode::Zip(package)) => zip.package = package.reference(),
        (Code::Image(image), NewCode::Image(new)) => image.uri.clone_from(&new.uri),
        // The kind of a function's code never changes, and was checked.
        (Code::Zip(_), NewCode::Image(_)) | (Code::Image(_), NewCode::Zip(_)) => {}
    }
    config
}

/// What the function would be like.
fn dry_run(
    function: &Function,
    new: &NewCode,
    architecture: Option<Architecture>,
    arn: String,
) -> Result<Response, ApiError> {
    let config = Arc::new(with_code(function, new, architecture));
    let version = Version { config, ..Version::clone(&function.latest) };
    answer(StatusCode::OK, &FunctionConfiguration::new(function, &version, arn))
}
