//! Provisioned concurrency of versions and aliases.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::arn::PLAIN;
use super::body::Limit;
use super::caller::Caller;
use super::concurrency::Budget;
use super::error::{ApiError, PROVISIONED_NOT_FOUND, RESOURCE_CONFLICT, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::provisioned::{
    ListProvisionedConcurrency, ProvisionedConcurrency, PutProvisionedConcurrency,
};
use super::{ApiState, answer, body};
use crate::catalog::function::{Function, FunctionKey, VersionName};
use crate::catalog::provisioned::Provisioned;

/// Most configurations in one page of a list.
const PAGE: u32 = 50;

const LATEST: &str = "$LATEST";
const UNPUBLISHED: &str =
    "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";

/// `PutProvisionedConcurrencyConfig`
pub(super) async fn put(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PutProvisionedConcurrencyConfig" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: PutProvisionedConcurrency = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let given = Params::new(query.as_deref()).get("Qualifier");
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, &name, given.as_deref());
    let member = "provisionedConcurrentExecutions";
    let requested = violations.required(request.provisioned_concurrent_executions, member);
    let requested = requested.and_then(|given| violations.range(given, member, 1, i32::MAX.unsigned_abs()));
    if let Ok(located) = &located {
        violations.required(located.qualifier, "qualifier");
    }
    violations.check()?;
    let located = located?;
    let (key, qualifier) = (located.key(), located.qualifier.unwrap_or(LATEST));
    if qualifier == LATEST {
        return Err(ApiError::invalid(UNPUBLISHED));
    }
    let (function, version) = find(&api, &key, qualifier)?;
    let requested = requested.unwrap_or_default();
    check_room(&api, &function, qualifier, requested)?;
    check_apart(&function, qualifier, version)?;
    let provisioned = api.catalog.provision(key, qualifier.to_owned(), requested).await;
    let provisioned = provisioned.map_err(|error| ApiError::change(error, &located.arn()))?;
    answer(StatusCode::ACCEPTED, &ProvisionedConcurrency::begun(&provisioned))
}

/// `GetProvisionedConcurrencyConfig`, and `ListProvisionedConcurrencyConfigs`: they share a path.
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    if params.get("List").is_some() {
        return list(&api, &name, params, &headers);
    }
    let given = params.get("Qualifier");
    let (key, qualifier) = locate(&api, &headers, &name, given.as_deref())?;
    let (function, version) = find(&api, &key, &qualifier)?;
    let missing =
        || ApiError::new(&PROVISIONED_NOT_FOUND, "No Provisioned Concurrency Config found for this function");
    let provisioned = function.provisioned.get(&qualifier).ok_or_else(missing)?;
    answer(StatusCode::OK, &seen(&api, &function, version, provisioned))
}

/// `DeleteProvisionedConcurrencyConfig`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let given = Params::new(query.as_deref()).get("Qualifier");
    let (key, qualifier) = locate(&api, &headers, &name, given.as_deref())?;
    find(&api, &key, &qualifier)?;
    let arn = key.arn();
    api.catalog.unprovision(key, qualifier).await.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn list(api: &ApiState, name: &str, params: Params<'_>, headers: &HeaderMap) -> Result<Response, ApiError> {
    let page = Page::short(params, PAGE)?;
    let key = Caller::of(headers, &api.settings).locate_as(&PLAIN, name, None)?.key();
    let arn = key.arn();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let (configs, next_marker) =
        page.cut(function.provisioned.iter().collect(), |(qualifier, _)| (*qualifier).clone());
    let listed = |(qualifier, provisioned): (&String, &Arc<Provisioned>)| {
        let version = function.qualified(qualifier)?.name;
        Some(seen(api, &function, version, provisioned).listed(format!("{arn}:{qualifier}")))
    };
    let provisioned_concurrency_configs = configs.into_iter().filter_map(listed).collect();
    answer(StatusCode::OK, &ListProvisionedConcurrency { provisioned_concurrency_configs, next_marker })
}

/// The function and the qualifier of a request that must name one.
fn locate(
    api: &ApiState,
    headers: &HeaderMap,
    name: &str,
    given: Option<&str>,
) -> Result<(FunctionKey, String), ApiError> {
    let caller = Caller::of(headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, name, given);
    if let Ok(located) = &located {
        violations.required(located.qualifier, "qualifier");
    }
    violations.check()?;
    let located = located?;
    match located.qualifier {
        None | Some(LATEST) => {
            Err(ApiError::invalid("The function resource provided must be an alias or a published version."))
        }
        Some(qualifier) => Ok((located.key(), qualifier.to_owned())),
    }
}

/// The version that a version's number or an alias leads to.
fn find(
    api: &ApiState,
    key: &FunctionKey,
    qualifier: &str,
) -> Result<(Arc<Function>, VersionName), ApiError> {
    let arn = format!("{}:{qualifier}", key.arn());
    let missing = || match qualifier.parse::<VersionName>() {
        Ok(_) => ApiError::no_function(&arn),
        Err(_) => ApiError::new(&RESOURCE_NOT_FOUND, format!("Cannot find alias arn: {arn}")),
    };
    let function = api.catalog.function(key).ok_or_else(missing)?;
    let version = function.qualified(qualifier).ok_or_else(missing)?.name;
    Ok((function, version))
}

/// Whether the function may have so much, beside what it has for other qualifiers.
fn check_room(api: &ApiState, function: &Function, qualifier: &str, requested: u32) -> Result<(), ApiError> {
    let former = function.provisioned.get(qualifier).map_or(0, |provisioned| provisioned.requested);
    let total = (function.total_provisioned() - former).saturating_add(requested);
    if let Some(reserved) = function.reserved_concurrency {
        let message = "Requested Provisioned Concurrency should not be greater than the \
                       reservedConcurrentExecution for function";
        return if total <= reserved { Ok(()) } else { Err(ApiError::invalid(message)) };
    }
    let budget = Budget::of(api, &function.key);
    if budget.total < requested {
        return Err(ApiError::invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{}].",
            budget.total
        ))
        .without_fault());
    }
    budget.check("ConcurrentExecutions", total)
}

/// A version is provisioned by its number, or by an alias that leads to it.
fn check_apart(function: &Function, qualifier: &str, version: VersionName) -> Result<(), ApiError> {
    if version == VersionName::Latest {
        return Err(ApiError::invalid(UNPUBLISHED));
    }
    let number = version.to_string();
    if qualifier != number && function.provisioned.contains_key(&number) {
        let message =
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
        return Err(ApiError::new(&RESOURCE_CONFLICT, message));
    }
    let is_pointed_at =
        |alias: &String| function.aliases.get(alias).is_some_and(|alias| alias.version == version);
    if qualifier == number && function.provisioned.keys().any(is_pointed_at) {
        return Err(ApiError::new(
            &RESOURCE_CONFLICT,
            "Version is pointed by a Provisioned Concurrency alias",
        ));
    }
    Ok(())
}

fn seen(
    api: &ApiState,
    function: &Function,
    version: VersionName,
    provisioned: &Provisioned,
) -> ProvisionedConcurrency {
    match function.version(version).and_then(|version| version.target.as_ref()) {
        Some(target) => {
            let wanted = function.limits(version).provisioned;
            ProvisionedConcurrency::seen(provisioned, wanted, &api.driver.provisioning(target))
        }
        None => ProvisionedConcurrency::begun(provisioned),
    }
}
