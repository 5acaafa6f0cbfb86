//! Published versions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::arn::PLAIN;
use super::body::Limit;
use super::caller::Caller;
use super::error::ApiError;
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::settings::PUBLISH_TO;
use super::shape;
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::function::{FunctionConfiguration, ListVersions, PublishVersion};
use super::{ApiState, answer, body};
use crate::catalog::function::Version;

/// Most versions in one page of a list.
const PAGE: usize = 50;

/// `PublishVersion`
pub(super) async fn publish(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PublishVersion" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: PublishVersion = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, &name, None);
    if let Some(description) = &request.description {
        violations.length(description, "description", 0, 256);
    }
    let PublishVersion { code_sha256, description, revision_id, more } = request;
    let refused = shape::refuse(&[&[PUBLISH_TO]], more, &mut violations)?;
    violations.check()?;
    refused.map_or(Ok(()), Err)?;
    let key = located?.key();
    let arn = key.arn();
    // An empty text is one that was not given.
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let published =
        api.catalog.publish_version(key, given(revision_id), given(code_sha256), given(description)).await;
    let (function, version) = published.map_err(|error| ApiError::change(error, &arn))?;
    let arn = format!("{arn}:{}", version.name);
    answer(StatusCode::CREATED, &FunctionConfiguration::new(&function, &version, arn))
}

/// `ListVersionsByFunction`
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Page::of(Params::new(query.as_deref()), PAGE)?;
    let caller = Caller::of(&headers, &api.settings);
    let key = caller.locate(&name, None)?.key();
    let arn = key.arn();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let versions = function.all_versions().enumerate().collect();
    let (versions, next_marker) = page.cut(versions, |(place, _)| format!("{place:010}"));
    let listed = |(_, version): (usize, &Arc<Version>)| {
        FunctionConfiguration::listed(&function, version, format!("{arn}:{}", version.name))
    };
    let versions = versions.into_iter().map(listed).collect();
    answer(StatusCode::OK, &ListVersions { versions, next_marker })
}
