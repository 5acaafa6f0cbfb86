//! Reserved concurrency.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::arn::PLAIN;
use super::body::Limit;
use super::caller::Caller;
use super::error::ApiError;
use super::path::Path;
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::function::Concurrency;
use super::{ApiState, answer, body};
use crate::catalog::function::FunctionKey;

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
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&arn))?;
    let reserved = reserved.unwrap_or_default();
    Budget::of(&api, &key).check("ReservedConcurrentExecutions", reserved)?;
    let provisioned = function.total_provisioned();
    if reserved < provisioned {
        // The spaces are AWS's.
        return Err(ApiError::invalid(format!(
            " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
             concurrency [{provisioned}]."
        ))
        .without_fault());
    }
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

/// An account's concurrency, as far as one function is concerned.
pub(super) struct Budget {
    /// All there is.
    pub(super) total: u32,
    /// What must be left to functions that have claimed nothing.
    least: u32,
    /// What other functions have claimed.
    taken: u64,
}

impl Budget {
    /// A host with less than AWS's least has nothing to leave: there, all of it may be claimed.
    pub(super) fn of(api: &ApiState, key: &FunctionKey) -> Self {
        let total = api.settings.account_concurrency;
        let functions = api.catalog.functions(&key.account, &key.region);
        let others = functions.iter().filter(|function| function.key != *key);
        Self {
            total,
            least: if total > MIN_UNRESERVED { MIN_UNRESERVED } else { 0 },
            taken: others.map(|function| u64::from(function.claimed_concurrency())).sum(),
        }
    }

    /// Whether the function can claim so much; `setting` is what the caller has specified.
    pub(super) fn check(&self, setting: &str, claimed: u32) -> Result<(), ApiError> {
        let Self { total, least, taken } = self;
        if taken + u64::from(claimed) + u64::from(*least) <= u64::from(*total) {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "Specified {setting} for function decreases account's UnreservedConcurrentExecution below its minimum \
             value of [{least}]."
        ))
        .without_fault())
    }
}
