//! Tags of functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::arn::NAMESPACED;
use super::body::Limit;
use super::caller::Caller;
use super::error::ApiError;
use super::query::Params;
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::{ApiState, answer, body};
use crate::catalog::function::FunctionKey;

/// Most tags of one function.
const MAX_TAGS: usize = 50;

const RESOURCE_PATTERN: &str = r"arn:(aws[a-zA-Z-]*):lambda:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}):\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)";

/// `POST /2017-03-31/tags/{Resource}`, and the answer of `GET`
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    tags: Option<BTreeMap<String, String>>,
}

/// `ListTags`
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    Path(resource): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = locate(&api, &headers, &resource)?;
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&key.arn()))?;
    answer(StatusCode::OK, &Tags { tags: Some(function.tags.clone()) })
}

/// `TagResource`
pub(super) async fn add(
    State(api): State<Arc<ApiState>>,
    Path(resource): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let bytes = body::read(&headers, body, Limit { bytes: REQUEST_LIMIT, operation: "TagResource" }).await?;
    let request: Tags = body::parse_json(&bytes)?;
    let key = locate(&api, &headers, &resource)?;
    let mut violations = Violations::default();
    let added = violations.required(request.tags, "tags");
    violations.check()?;
    let added = added.unwrap_or_default();
    if added.is_empty() {
        return Err(ApiError::invalid("An error occurred and the request cannot be processed."));
    }
    let arn = key.arn();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let mut all = function.tags.clone();
    all.extend(added.clone());
    check(&all)?;
    let tagged = api.catalog.tag(key, move |tags| tags.extend(added)).await;
    tagged.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `UntagResource`
pub(super) async fn remove(
    State(api): State<Arc<ApiState>>,
    Path(resource): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = locate(&api, &headers, &resource)?;
    let names: Vec<_> =
        Params::new(query.as_deref()).all("tagKeys").map(std::borrow::Cow::into_owned).collect();
    if names.is_empty() {
        let mut violations = Violations::default();
        violations.required(None::<()>, "tagKeys");
        violations.check()?;
    }
    let arn = key.arn();
    let untagged = api.catalog.tag(key, move |tags| tags.retain(|name, _| !names.contains(name))).await;
    untagged.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Checks how many tags a function would have.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        return Err(ApiError::invalid("Number of tags exceeds resource tag limit."));
    }
    Ok(())
}

/// The function whose ARN this is. Nothing else can be tagged on this host.
fn locate(api: &ApiState, headers: &HeaderMap, resource: &str) -> Result<FunctionKey, ApiError> {
    let caller = Caller::of(headers, &api.settings);
    let is_function = |text: &str| {
        text.starts_with("arn:aws") && text.contains(":function:") && NAMESPACED.parse(text).is_some()
    };
    let mut violations = Violations::default();
    violations.pattern(resource, "resource", RESOURCE_PATTERN, is_function);
    violations.check()?;
    let located = caller.locate(resource, None)?;
    if located.qualifier.is_some() {
        return Err(ApiError::invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ));
    }
    Ok(located.key())
}
