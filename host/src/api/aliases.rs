//! Aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::arn::PLAIN;
use super::body::Limit;
use super::caller::Caller;
use super::error::{ApiError, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::shape::{Pattern, Shape};
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::alias::{AliasConfiguration, ListAliases, PutAlias, RoutingConfig};
use super::{ApiState, answer, body};
use crate::catalog::alias::{Alias, Route};
use crate::catalog::function::{Function, FunctionKey, VersionName};
use crate::catalog::{AliasChange, ChangeError, RoutingChange};

/// Most aliases in one page of a list.
const PAGE: usize = 50;

const NAME_PATTERN: &str = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
const VERSION: Shape = Shape::Text(1, 1024, Pattern::new(r"(\$LATEST(\.PUBLISHED)?|[0-9]+)"));
const WEIGHT_CONSTRAINT: &str = "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]";
const WEIGHT_KEY_CONSTRAINT: &str = "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]";

/// `CreateAlias`
pub(super) async fn create(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (key, request) = parse(&api, &headers, &name, body, "CreateAlias", None).await?;
    let arn = key.arn();
    let (Some(name), Some(version)) = (request.name, request.version) else {
        return Err(ApiError::no_function(&arn));
    };
    let routing = request.routing.apply(None);
    check_versions(&api, &key, version, routing)?;
    let alias = Alias {
        name: name.clone(),
        version,
        routing,
        description: request.description.unwrap_or_default(),
        revision_id: Uuid::new_v4().to_string(),
    };
    let created = api.catalog.create_alias(key, alias).await;
    let alias = created.map_err(|error| ApiError::change(error, &format!("{arn}:{name}")))?;
    answer(StatusCode::CREATED, &AliasConfiguration::new(&arn, &alias))
}

/// `UpdateAlias`
pub(super) async fn update(
    State(api): State<Arc<ApiState>>,
    Path((name, alias)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (key, request) = parse(&api, &headers, &name, body, "UpdateAlias", Some(&alias)).await?;
    let arn = key.arn();
    let alias_arn = format!("{arn}:{alias}");
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let present = function.aliases.get(&alias);
    let present = present.ok_or_else(|| ApiError::change(ChangeError::AliasNotFound, &alias_arn))?;
    let version = request.version.unwrap_or(present.version);
    check_versions(&api, &key, version, request.routing.apply(present.routing))?;
    let change =
        AliasChange { version: request.version, routing: request.routing, description: request.description };
    let updated = api.catalog.update_alias(key, alias, request.revision_id, change).await;
    let alias = updated.map_err(|error| ApiError::change(error, &alias_arn))?;
    answer(StatusCode::OK, &AliasConfiguration::new(&arn, &alias))
}

/// `GetAlias`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path((name, alias)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = locate(&api, &headers, &name, Some(&alias))?;
    let arn = key.arn();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let found = function.aliases.get(&alias);
    let missing = || ApiError::new(&RESOURCE_NOT_FOUND, format!("Cannot find alias arn: {arn}:{alias}"));
    answer(StatusCode::OK, &AliasConfiguration::new(&arn, found.ok_or_else(missing)?))
}

/// `DeleteAlias`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path((name, alias)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = locate(&api, &headers, &name, Some(&alias))?;
    let arn = key.arn();
    api.catalog.delete_alias(key, alias).await.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `ListAliases`
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    let page = Page::of(params, PAGE)?;
    let of_version = params.get("FunctionVersion");
    let mut violations = Violations::default();
    if let Some(version) = of_version.as_deref() {
        violations.form(version, "functionVersion", &VERSION);
    }
    violations.check()?;
    let key = locate(&api, &headers, &name, None)?;
    let arn = key.arn();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let is_wanted = |alias: &&Arc<Alias>| {
        of_version
            .as_deref()
            .is_none_or(|version| version.parse().is_ok_and(|version: VersionName| alias.refers_to(version)))
    };
    let aliases: Vec<_> = function.aliases.values().filter(is_wanted).collect();
    let (aliases, next_marker) = page.cut(aliases, |alias| alias.name.clone());
    let aliases = aliases.into_iter().map(|alias| AliasConfiguration::new(&arn, alias)).collect();
    answer(StatusCode::OK, &ListAliases { aliases, next_marker })
}

/// A request whose form was found right.
struct Request {
    name: Option<String>,
    version: Option<VersionName>,
    routing: RoutingChange,
    description: Option<String>,
    revision_id: Option<String>,
}

/// The function of a request that has no body, and perhaps names an alias.
fn locate(
    api: &ApiState,
    headers: &HeaderMap,
    name: &str,
    alias: Option<&str>,
) -> Result<FunctionKey, ApiError> {
    let mut violations = Violations::default();
    let located = Caller::of(headers, &api.settings).locate_with(&mut violations, &PLAIN, name, None);
    if let Some(alias) = alias {
        check_name(alias, &mut violations);
    }
    violations.check()?;
    Ok(located?.key())
}

fn check_name(alias: &str, violations: &mut Violations) {
    violations.length(alias, "name", 1, 128);
    violations.pattern(alias, "name", NAME_PATTERN, is_alias_name);
}

/// Checks a request; `updated` is the alias that its path names, which a creation names in its body.
async fn parse(
    api: &ApiState,
    headers: &HeaderMap,
    name: &str,
    body: Body,
    operation: &'static str,
    updated: Option<&str>,
) -> Result<(FunctionKey, Request), ApiError> {
    let bytes = body::read(headers, body, Limit { bytes: REQUEST_LIMIT, operation }).await?;
    let request: PutAlias = body::parse_json(&bytes)?;
    let caller = Caller::of(headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, name, None);
    let alias = updated.map(str::to_owned).or(request.name);
    let version = request.function_version;
    if updated.is_none() {
        violations.required(alias.as_ref(), "name");
        violations.required(version.as_ref(), "functionVersion");
    }
    if let Some(alias) = &alias {
        check_name(alias, &mut violations);
    }
    if let Some(description) = &request.description {
        violations.length(description, "description", 0, 256);
    }
    if let Some(version) = &version {
        violations.form(version.as_str(), "functionVersion", &VERSION);
    }
    let routing = routing(request.routing_config, &mut violations);
    violations.check()?;
    let (key, routing) = (located?.key(), routing?);
    // What has the form of a version and is none was never published.
    let unpublished = |version: &str| ApiError::no_function(&format!("{}:{version}", key.arn()));
    let version = version.map(|version| version.parse().map_err(|_| unpublished(&version))).transpose()?;
    let parsed = Request {
        name: alias,
        version,
        routing,
        description: request.description,
        revision_id: request.revision_id,
    };
    Ok((key, parsed))
}

fn routing(given: Option<RoutingConfig>, violations: &mut Violations) -> Result<RoutingChange, ApiError> {
    let Some(given) = given else { return Ok(RoutingChange::Keep) };
    let weights = given.additional_version_weights.unwrap_or_default();
    if weights.len() > 1 {
        return Err(ApiError::invalid(
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ));
    }
    let member = "routingConfig.additionalVersionWeights";
    let shown = |weights: &BTreeMap<String, f64>| {
        let pairs: Vec<_> = weights.iter().map(|(version, weight)| format!("{version}={weight:?}")).collect();
        format!("{{{}}}", pairs.join(", "))
    };
    let Some((version, weight)) = weights.first_key_value() else { return Ok(RoutingChange::Remove) };
    if !(0.0..=1.0).contains(weight) {
        violations.add(shown(&weights), member, WEIGHT_CONSTRAINT);
    }
    let Ok(version @ VersionName::Number(_)) = version.parse() else {
        violations.add(shown(&weights), member, WEIGHT_KEY_CONSTRAINT);
        return Ok(RoutingChange::Remove);
    };
    Ok(RoutingChange::Set(Route { version, weight: *weight }))
}

/// Whether it fits the pattern of an alias's name, which is no number. Its length is the caller's affair.
pub(super) fn is_alias_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.bytes().all(is_word) && !name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks that an alias may point there. The catalog checks again that the versions exist.
fn check_versions(
    api: &ApiState,
    key: &FunctionKey,
    version: VersionName,
    routing: Option<Route>,
) -> Result<(), ApiError> {
    let arn = key.arn();
    let function = api.catalog.function(key);
    let check = |version: VersionName| {
        let exists =
            function.as_ref().is_some_and(|function: &Arc<Function>| function.version(version).is_some());
        if exists { Ok(()) } else { Err(ApiError::no_function(&format!("{arn}:{version}"))) }
    };
    check(version)?;
    let Some(route) = routing else { return Ok(()) };
    if version == VersionName::Latest {
        let error =
            ApiError::invalid("$LATEST is not supported for an alias pointing to more than 1 version");
        return Err(error.without_fault());
    }
    if route.version == version {
        return Err(ApiError::invalid(format!(
            "Invalid function version {version}. Function version {version} is already included in routing configuration."
        )));
    }
    check(route.version)
}
