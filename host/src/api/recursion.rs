//! Whether a function that calls itself through other functions or queues is let go on.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::arn::UNQUALIFIED;
use super::body::Limit;
use super::caller::Caller;
use super::error::ApiError;
use super::path::Path;
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::{ApiState, answer, body};
use crate::catalog::qualified::RecursiveLoop;

/// `PUT /2024-08-31/functions/{FunctionName}/recursion-config`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecursion {
    recursive_loop: Option<String>,
}

/// Answer of both operations.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    recursive_loop: RecursiveLoop,
}

/// `PutFunctionRecursionConfig`
pub(super) async fn put(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PutFunctionRecursionConfig" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: PutRecursion = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &UNQUALIFIED, &name, None);
    let word = violations.required(request.recursive_loop, "recursiveLoop").unwrap_or_default();
    let parsed = violations.word(&word, "recursiveLoop", &["Terminate", "Allow"], |word| match word {
        "Allow" => Some(RecursiveLoop::Allow),
        "Terminate" => Some(RecursiveLoop::Terminate),
        _ => None,
    });
    violations.check()?;
    let (key, recursive_loop) = (located?.key(), parsed.unwrap_or_default());
    let arn = key.arn();
    let set = api.catalog.set(key, move |settings| settings.recursive_loop = Some(recursive_loop)).await;
    set.map_err(|error| ApiError::change(error, &arn))?;
    answer(StatusCode::OK, &Shown { recursive_loop })
}

/// `GetFunctionRecursionConfig`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = Caller::of(&headers, &api.settings).locate_as(&UNQUALIFIED, &name, None)?.key();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&key.arn()))?;
    answer(StatusCode::OK, &Shown { recursive_loop: function.settings.recursive_loop.unwrap_or_default() })
}
