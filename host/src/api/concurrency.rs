//! Reserved concurrency.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::arn::PLAIN;
use super::body::Limit;
use super::caller::Caller;
use super::error::ApiError;
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::function::Concurrency;
use super::{ApiState, answer, body};

/// What AWS always leaves to functions that have nothing reserved.
const MIN_UNRESERVED: u32 = 100;

/// `PutFunctionConcurrency`
pub(super) async fn put(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PutFunctionConcurrency" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: Concurrency = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &PLAIN, &name, None);
    let member = "reservedConcurrentExecutions";
    let given = violations.required(request.reserved_concurrent_executions, member);
    let reserved = given.and_then(|given| violations.range(given, member, 0, i32::MAX.unsigned_abs()));
    violations.check()?;
    let key = located?.key();
    let arn = key.arn();
    if api.catalog.function(&key).is_none() {
        return Err(ApiError::no_function(&arn));
    }
    let reserved = reserved.unwrap_or_default();
    check_unreserved(&api, &caller, &key.name, reserved)?;
    let put = api.catalog.reserve_concurrency(key, Some(reserved)).await;
    put.map_err(|error| ApiError::change(error, &arn))?;
    answer(StatusCode::OK, &Concurrency { reserved_concurrent_executions: Some(reserved.into()) })
}

/// `GetFunctionConcurrency`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = Caller::of(&headers, &api.settings).locate_as(&PLAIN, &name, None)?.key();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&key.arn()))?;
    let reserved = function.reserved_concurrency.map(i64::from);
    answer(StatusCode::OK, &Concurrency { reserved_concurrent_executions: reserved })
}

/// `DeleteFunctionConcurrency`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = Caller::of(&headers, &api.settings).locate_as(&PLAIN, &name, None)?.key();
    let arn = key.arn();
    let deleted = api.catalog.reserve_concurrency(key, None).await;
    deleted.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A host with less than AWS's least has nothing to leave: there, all of it may be reserved.
fn check_unreserved(api: &ApiState, caller: &Caller<'_>, name: &str, reserved: u32) -> Result<(), ApiError> {
    let total = api.settings.account_concurrency;
    let least = if total > MIN_UNRESERVED { MIN_UNRESERVED } else { 0 };
    let others = api.catalog.functions(caller.account, caller.region);
    let taken: u64 = others
        .iter()
        .filter(|function| *function.key.name != *name)
        .filter_map(|function| function.reserved_concurrency)
        .map(u64::from)
        .sum();
    if taken + u64::from(reserved) + u64::from(least) > u64::from(total) {
        return Err(ApiError::invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
             its minimum value of [{least}]."
        ))
        .without_fault());
    }
    Ok(())
}
