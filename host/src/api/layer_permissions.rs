//! Who may use a layer's version besides its owner: stored and shown.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::Limit;
use super::error::{ApiError, PRECONDITION_FAILED, RESOURCE_NOT_FOUND};
use super::path::Path;
use super::permissions::{ORGANIZATION, principal};
use super::policy::{self, ID_PATTERN, NEW_ID_PATTERN};
use super::query::Params;
use super::shape::{Pattern, Shape};
use super::updates::{REQUEST_LIMIT, UpdateError};
use super::validate::Violations;
use super::wire::policy::{AddLayerVersionPermission, Added, Condition, GetPolicy, StatementDocument};
use super::{ApiState, answer, body, layers};
use crate::catalog::ChangeError;
use crate::catalog::policy::Statement;

const ACTION: &str = "lambda:GetLayerVersion";
const PRINCIPAL: Shape =
    Shape::Text(0, 10_000, Pattern::new(r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root"));

/// `AddLayerVersionPermission`
pub(super) async fn add(
    State(api): State<Arc<ApiState>>,
    Path((name, number)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "AddLayerVersionPermission" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: AddLayerVersionPermission = body::parse_json(&bytes)?;
    let mut violations = Violations::default();
    let key = layers::locate_with(&api, &headers, &name, &mut violations);
    check_form(&request, &mut violations);
    violations.check()?;
    let (key, number) = (key?, layers::version_number(&number)?);
    let version_arn = format!("{}:{number}", key.arn());
    let document = compose(request, &version_arn, &key.region)?;
    let statement = policy::statement(&document);
    let shown = statement.document.clone();
    let edit = move |policy: &mut Vec<Statement>| policy::add(policy, statement).map_err(UpdateError::Api);
    let revision = Params::new(query.as_deref()).get("RevisionId").map(std::borrow::Cow::into_owned);
    let added = api.catalog.edit_layer_policy(key, number, revision, edit).await;
    let revision_id = added.map_err(|error| told(error, &version_arn))?;
    answer(StatusCode::CREATED, &Added { statement: shown, revision_id: Some(revision_id) })
}

/// `GetLayerVersionPolicy`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path((name, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = layers::locate(&api, &headers, &name)?;
    let number = layers::version_number(&number)?;
    let version = layers::find(&api, &key, number);
    let version = version.ok_or_else(|| missing(&format!("{}:{number}", key.arn())))?;
    let policy = version.policy.as_ref().ok_or_else(policy::none)?;
    let revision_id = policy.revision_id.clone();
    answer(StatusCode::OK, &GetPolicy { policy: policy::document(&policy.statements), revision_id })
}

/// `RemoveLayerVersionPermission`
pub(super) async fn remove(
    State(api): State<Arc<ApiState>>,
    Path((name, number, statement)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut violations = Violations::default();
    let key = layers::locate_with(&api, &headers, &name, &mut violations);
    policy::check_id(&statement, ID_PATTERN, &mut violations);
    violations.check()?;
    let (key, number) = (key?, layers::version_number(&number)?);
    let version_arn = format!("{}:{number}", key.arn());
    let edit =
        move |policy: &mut Vec<Statement>| policy::remove(policy, &statement).map_err(UpdateError::Api);
    let revision = Params::new(query.as_deref()).get("RevisionId").map(std::borrow::Cow::into_owned);
    let removed = api.catalog.edit_layer_policy(key, number, revision, edit).await;
    removed.map_err(|error| told(error, &version_arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn told(error: UpdateError, version_arn: &str) -> ApiError {
    match error {
        UpdateError::Change(ChangeError::LayerVersionNotFound) => missing(version_arn),
        UpdateError::Change(ChangeError::RevisionMismatch) => ApiError::new(
            &PRECONDITION_FAILED,
            "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve \
             the latest Revision Id",
        ),
        other => other.told(version_arn),
    }
}

fn missing(version_arn: &str) -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, format!("Layer version {version_arn} does not exist."))
}

fn check_form(request: &AddLayerVersionPermission, violations: &mut Violations) {
    if let Some(id) = violations.required(request.statement_id.as_ref(), "statementId") {
        policy::check_id(id, NEW_ID_PATTERN, violations);
    }
    if let Some(action) = violations.required(request.action.as_ref(), "action") {
        violations.form(action.as_str(), "action", &Shape::Text(0, 22, Pattern::new(ACTION)));
    }
    if let Some(principal) = violations.required(request.principal.as_ref(), "principal") {
        violations.form(principal.as_str(), "principal", &PRINCIPAL);
    }
    if let Some(organization) = &request.organization_id {
        violations.form(organization.as_str(), "organizationId", &Shape::Text(0, 34, ORGANIZATION));
    }
}

fn compose(
    request: AddLayerVersionPermission,
    version_arn: &str,
    region: &str,
) -> Result<StatementDocument, ApiError> {
    let mut condition = Condition::default();
    condition.string_equals.extend(request.organization_id.map(|id| ("aws:PrincipalOrgID", id)));
    Ok(StatementDocument {
        sid: request.statement_id.unwrap_or_default(),
        effect: "Allow",
        principal: principal(&request.principal.unwrap_or_default(), region)?,
        action: ACTION.to_owned(),
        resource: version_arn.to_owned(),
        condition,
    })
}
