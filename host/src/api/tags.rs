//! Tags of functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::arn::NAMESPACED;
use super::body::Limit;
use super::caller::Caller;
use super::error::ApiError;
use super::path::Path;
use super::query::Params;
use super::shape::{Shape, TAG_KEY, TAGS};
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
    let mut violations = Violations::default();
    check_form(&resource, &mut violations);
    violations.check()?;
    let key = find(&api, &headers, &resource)?;
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
    let mut violations = Violations::default();
    check_form(&resource, &mut violations);
    let added = violations.required(request.tags, "tags").unwrap_or_default();
    check_tags(&added, &mut violations);
    violations.check()?;
    let key = find(&api, &headers, &resource)?;
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
    let names: Vec<_> =
        Params::new(query.as_deref()).all("tagKeys").map(std::borrow::Cow::into_owned).collect();
    let mut violations = Violations::default();
    check_form(&resource, &mut violations);
    let given = violations.required(Some(&names).filter(|names| !names.is_empty()), "tagKeys");
    if let Some(names) = given {
        violations.form(names.clone(), "tagKeys", &Shape::List(0, usize::MAX, &TAG_KEY));
    }
    violations.check()?;
    let key = find(&api, &headers, &resource)?;
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

/// Checks the form of tags and of their names.
pub(super) fn check_tags(tags: &BTreeMap<String, String>, violations: &mut Violations) {
    let given = tags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    violations.form(given.collect::<Map<_, _>>(), "tags", &TAGS);
}

fn check_form(resource: &str, violations: &mut Violations) {
    let is_function = |text: &str| {
        text.starts_with("arn:aws") && text.contains(":function:") && NAMESPACED.parse(text).is_some()
    };
    violations.length(resource, "resource", 1, 10_000);
    violations.pattern(resource, "resource", RESOURCE_PATTERN, is_function);
}

/// The function whose ARN this is. Nothing else can be tagged on this host.
fn find(api: &ApiState, headers: &HeaderMap, resource: &str) -> Result<FunctionKey, ApiError> {
    let located = Caller::of(headers, &api.settings).locate(resource, None)?;
    if located.qualifier.is_some() {
        return Err(ApiError::invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ));
    }
    Ok(located.key())
}
