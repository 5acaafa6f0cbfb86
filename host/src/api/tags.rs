//! Tags of functions, code signing configs and event source mappings.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::body::Limit;
use super::caller::Caller;
use super::error::{ApiError, RESOURCE_NOT_FOUND};
use super::path::Path;
use super::query::Params;
use super::shape::{Pattern, Shape, TAG_KEY, TAGS};
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::{ApiState, answer, body};
use crate::catalog::function::FunctionKey;
use crate::catalog::resource::{CodeSigningConfig, EventSourceMapping, Place, Resource};

/// Most tags of one resource.
const MAX_TAGS: usize = 50;

const RESOURCE: Shape = Shape::Text(
    1,
    10_000,
    Pattern::new(
        r"arn:(aws[a-zA-Z-]*):lambda:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}):\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)",
    ),
);

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
    violations.form(resource.as_str(), "resource", &RESOURCE);
    violations.check()?;
    let tags = Tagged::find(&api, &headers, &resource)?.tags(&api)?;
    answer(StatusCode::OK, &Tags { tags: Some(tags) })
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
    violations.form(resource.as_str(), "resource", &RESOURCE);
    let added = violations.required(request.tags, "tags").unwrap_or_default();
    check_tags(&added, &mut violations);
    violations.check()?;
    let tagged = Tagged::find(&api, &headers, &resource)?;
    if added.is_empty() {
        return Err(ApiError::invalid("An error occurred and the request cannot be processed."));
    }
    let mut all = tagged.tags(&api)?;
    all.extend(added.clone());
    check(&all)?;
    tagged.change(&api, move |tags| tags.extend(added)).await?;
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
    violations.form(resource.as_str(), "resource", &RESOURCE);
    let given = violations.required(Some(&names).filter(|names| !names.is_empty()), "tagKeys");
    if let Some(names) = given {
        violations.form(names.clone(), "tagKeys", &Shape::List(0, usize::MAX, &TAG_KEY));
    }
    violations.check()?;
    let tagged = Tagged::find(&api, &headers, &resource)?;
    tagged.change(&api, move |tags| tags.retain(|name, _| !names.contains(name))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What has tags.
enum Tagged {
    Function(FunctionKey),
    CodeSigningConfig(Place, String),
    EventSourceMapping(Place, String),
}

impl Tagged {
    /// What has this ARN, if it is there.
    fn find(api: &ApiState, headers: &HeaderMap, resource: &str) -> Result<Self, ApiError> {
        let caller = Caller::of(headers, &api.settings);
        let parts: Vec<_> = resource.split(':').collect();
        // What belongs to others is not there for this caller.
        let place = caller.place();
        let here = parts.get(3..5) == Some(&[caller.region, caller.account]);
        match parts.get(5..) {
            Some(["code-signing-config", id]) if here => Ok(Self::CodeSigningConfig(place, (*id).to_owned())),
            Some(["event-source-mapping", id]) if here => {
                Ok(Self::EventSourceMapping(place, (*id).to_owned()))
            }
            Some(["function", ..]) => {
                let located = caller.locate(resource, None)?;
                if located.qualifier.is_some() {
                    return Err(ApiError::invalid(
                        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
                    ));
                }
                Ok(Self::Function(located.key()))
            }
            _ => Err(missing()),
        }
    }

    fn tags(&self, api: &ApiState) -> Result<BTreeMap<String, String>, ApiError> {
        match self {
            Self::Function(key) => {
                let function = api.catalog.function(key).ok_or_else(|| ApiError::no_function(&key.arn()))?;
                Ok(function.tags.clone())
            }
            Self::CodeSigningConfig(place, id) => tags_of::<CodeSigningConfig>(api, place, id),
            Self::EventSourceMapping(place, id) => tags_of::<EventSourceMapping>(api, place, id),
        }
    }

    async fn change(
        self,
        api: &ApiState,
        edit: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
    ) -> Result<(), ApiError> {
        match self {
            Self::Function(key) => {
                let arn = key.arn();
                api.catalog.tag(key, edit).await.map_err(|error| ApiError::change(error, &arn))
            }
            Self::CodeSigningConfig(place, id) => change_of::<CodeSigningConfig>(api, place, id, edit).await,
            Self::EventSourceMapping(place, id) => {
                change_of::<EventSourceMapping>(api, place, id, edit).await
            }
        }
    }
}

fn tags_of<R: Resource>(
    api: &ApiState,
    place: &Place,
    id: &str,
) -> Result<BTreeMap<String, String>, ApiError> {
    Ok(api.catalog.resource::<R>(place, id).ok_or_else(missing)?.tags().clone())
}

async fn change_of<R: Resource>(
    api: &ApiState,
    place: Place,
    id: String,
    edit: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
) -> Result<(), ApiError> {
    let edited = api.catalog.edit_resource(place, id, |resource: &mut R| edit(resource.tags_mut())).await;
    edited.map_err(|error| ApiError::change(error, ""))?.map(drop).ok_or_else(missing)
}

fn missing() -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, "The resource you requested does not exist.")
}

/// Checks how many tags something would have.
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
