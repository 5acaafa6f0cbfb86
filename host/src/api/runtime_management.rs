//! When a version's runtime is updated: stored and shown. Runtimes are what this machine or its images have.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::arn::NAMESPACED;
use super::body::Limit;
use super::caller::{Caller, Located};
use super::error::ApiError;
use super::functions::found;
use super::path::Path;
use super::query::Params;
use super::updates::{REQUEST_LIMIT, UpdateError};
use super::validate::Violations;
use super::{ApiState, answer, body};
use crate::catalog::qualified::{Qualified, RuntimeManagement, UpdateRuntimeOn};

const LATEST: &str = "$LATEST";
const VERSION_ARN_PATTERN: &str = r"((arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}::runtime:.+)|(arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:runtime/[A-Za-z0-9_.-]{1,128}/version/[A-Za-z0-9_.-]{1,128}))";

/// `PUT /2021-07-20/functions/{FunctionName}/runtime-management-config`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRuntimeManagement {
    update_runtime_on: Option<String>,
    runtime_version_arn: Option<String>,
}

/// Answer of both operations.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    update_runtime_on: UpdateRuntimeOn,
    function_arn: String,
    runtime_version_arn: Option<String>,
}

/// `PutRuntimeManagementConfig`
pub(super) async fn put(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PutRuntimeManagementConfig" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: PutRuntimeManagement = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &NAMESPACED, &name, qualifier.as_deref());
    let management = parse(request, &mut violations);
    violations.check()?;
    let (located, management) = (located?, management.unwrap_or_default());
    found(&api, &located)?;
    check(&management)?;
    let shown = shown(&located, &management);
    let set = move |qualified: &mut Qualified| {
        qualified.runtime_management = Some(management);
        Ok::<_, UpdateError>(())
    };
    let qualifier = located.qualifier.unwrap_or(LATEST).to_owned();
    let changed = api.catalog.qualify(located.key(), qualifier, set).await;
    changed.map_err(|error| error.told(&located.arn()))?;
    answer(StatusCode::OK, &shown)
}

/// `GetRuntimeManagementConfig`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let located = Caller::of(&headers, &api.settings).locate(&name, qualifier.as_deref())?;
    let found = found(&api, &located)?;
    let qualified = found.function.qualified.get(located.qualifier.unwrap_or(LATEST));
    let management = qualified.and_then(|qualified| qualified.runtime_management.clone());
    answer(StatusCode::OK, &shown(&located, &management.unwrap_or_default()))
}

fn parse(request: PutRuntimeManagement, violations: &mut Violations) -> Option<RuntimeManagement> {
    if let Some(arn) = &request.runtime_version_arn {
        violations.length(arn, "runtimeVersionArn", 26, 2048);
        violations.pattern(arn, "runtimeVersionArn", VERSION_ARN_PATTERN, |arn| {
            let is_runtime = arn.contains("::runtime:") || arn.contains(":runtime/");
            super::arn::is_resource(arn) && arn.split(':').nth(2) == Some("lambda") && is_runtime
        });
    }
    let word = violations.required(request.update_runtime_on, "updateRuntimeOn")?;
    let words = &["Auto", "Manual", "FunctionUpdate"];
    let update_on = violations.word(&word, "updateRuntimeOn", words, |word| match word {
        "Auto" => Some(UpdateRuntimeOn::Auto),
        "Manual" => Some(UpdateRuntimeOn::Manual),
        "FunctionUpdate" => Some(UpdateRuntimeOn::FunctionUpdate),
        _ => None,
    })?;
    Some(RuntimeManagement { update_on, version_arn: request.runtime_version_arn })
}

fn check(management: &RuntimeManagement) -> Result<(), ApiError> {
    match (management.update_on, &management.version_arn) {
        (UpdateRuntimeOn::Manual, None) => {
            Err(ApiError::invalid("RuntimeVersionArn is required when UpdateRuntimeOn is Manual"))
        }
        (UpdateRuntimeOn::Auto | UpdateRuntimeOn::FunctionUpdate, Some(_)) => {
            Err(ApiError::invalid("RuntimeVersionArn is only supported when UpdateRuntimeOn is Manual"))
        }
        _ => Ok(()),
    }
}

fn shown(located: &Located<'_>, management: &RuntimeManagement) -> Shown {
    Shown {
        update_runtime_on: management.update_on,
        function_arn: located.arn(),
        runtime_version_arn: management.version_arn.clone(),
    }
}
