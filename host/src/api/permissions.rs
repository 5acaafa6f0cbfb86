//! Who may use a function. Function URLs ask its policy; whoever may call the Lambda API may invoke without being asked.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::arn::{self, NAMESPACED};
use super::body::Limit;
use super::caller::{Caller, Located};
use super::error::{ApiError, RESOURCE_NOT_FOUND};
use super::path::Path;
use super::policy::{self, ID_PATTERN, NEW_ID_PATTERN};
use super::query::Params;
use super::shape::{Pattern, RESOURCE, Shape};
use super::updates::{REQUEST_LIMIT, UpdateError};
use super::validate::Violations;
use super::wire::policy::{AddPermission, Added, Condition, GetPolicy, Principal, StatementDocument};
use super::{ApiState, answer, body};
use crate::catalog::ChangeError;
use crate::catalog::function::{Function, partition};
use crate::catalog::policy::Statement;

const LATEST: &str = "$LATEST";
const ACTION: Shape = Shape::Text(0, 10_000, Pattern::new("(lambda:[*]|lambda:[a-zA-Z]+|[*])"));
const PRINCIPAL: Shape = Shape::Text(0, 2048, Pattern::new(r"[^\s]+"));
const ACCOUNT: Shape = Shape::Text(0, 12, Pattern::new(r"\d{12}"));
const TOKEN: Shape = Shape::Text(0, 256, Pattern::new(r"[a-zA-Z0-9._\-]+"));

/// `AddPermission`
pub(super) async fn add(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let bytes =
        body::read(&headers, body, Limit { bytes: REQUEST_LIMIT, operation: "AddPermission" }).await?;
    let mut request: AddPermission = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &NAMESPACED, &name, qualifier.as_deref());
    check_form(&request, &mut violations);
    violations.check()?;
    let located = located?;
    if located.qualifier == Some(LATEST) {
        return Err(ApiError::invalid("We currently do not support adding policies for $LATEST."));
    }
    let revision = request.revision_id.take();
    let document = compose(request, &located)?;
    let statement = policy::statement(&document);
    let added = Added { statement: statement.document.clone(), revision_id: None };
    let edit = move |policy: &mut Vec<Statement>| policy::add(policy, statement).map_err(UpdateError::Api);
    let qualifier = located.qualifier.unwrap_or(LATEST).to_owned();
    let changed = api.catalog.edit_policy(located.key(), qualifier, revision, edit).await;
    changed.map_err(|error| told(error, &located))?;
    answer(StatusCode::CREATED, &added)
}

/// `GetPolicy`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let located = Caller::of(&headers, &api.settings).locate(&name, qualifier.as_deref())?;
    let key = located.key();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&key.arn()))?;
    let qualifier = located.qualifier.unwrap_or(LATEST);
    let statements = function.qualified.get(qualifier).map(|it| &*it.policy).unwrap_or_default();
    if statements.is_empty() {
        return Err(ApiError::new(&RESOURCE_NOT_FOUND, "The resource you requested does not exist."));
    }
    let revision_id = revision(&function, qualifier);
    answer(StatusCode::OK, &GetPolicy { policy: policy::document(statements), revision_id })
}

/// `RemovePermission`
pub(super) async fn remove(
    State(api): State<Arc<ApiState>>,
    Path((name, statement)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    let qualifier = params.get("Qualifier");
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &NAMESPACED, &name, qualifier.as_deref());
    policy::check_id(&statement, ID_PATTERN, &mut violations);
    violations.check()?;
    let located = located?;
    let revision = params.get("RevisionId").map(std::borrow::Cow::into_owned);
    let edit =
        move |policy: &mut Vec<Statement>| policy::remove(policy, &statement).map_err(UpdateError::Api);
    let qualifier = located.qualifier.unwrap_or(LATEST).to_owned();
    let changed = api.catalog.edit_policy(located.key(), qualifier, revision, edit).await;
    changed.map_err(|error| told(error, &located))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A function that is missing is named without the qualifier, and an alias as `GetAlias` names it.
fn told(error: UpdateError, located: &Located<'_>) -> ApiError {
    match error {
        UpdateError::Change(ChangeError::AliasNotFound) => {
            ApiError::new(&RESOURCE_NOT_FOUND, format!("Cannot find alias arn: {}", located.arn()))
        }
        UpdateError::Change(ChangeError::FunctionNotFound) => ApiError::no_function(&located.key().arn()),
        other => other.told(&located.arn()),
    }
}

/// A policy has the revision of what it is for.
fn revision(function: &Function, qualifier: &str) -> String {
    match (function.aliases.get(qualifier), function.qualified(qualifier)) {
        (Some(alias), _) => alias.revision_id.clone(),
        (None, Some(version)) => version.revision_id.clone(),
        (None, None) => String::new(),
    }
}

fn check_form(request: &AddPermission, violations: &mut Violations) {
    if let Some(id) = violations.required(request.statement_id.as_ref(), "statementId") {
        policy::check_id(id, NEW_ID_PATTERN, violations);
    }
    if let Some(action) = violations.required(request.action.as_ref(), "action") {
        violations.form(action.as_str(), "action", &ACTION);
    }
    if let Some(principal) = violations.required(request.principal.as_ref(), "principal") {
        violations.form(principal.as_str(), "principal", &PRINCIPAL);
    }
    if let Some(arn) = &request.source_arn {
        violations.form(arn.as_str(), "sourceArn", &RESOURCE);
    }
    if let Some(account) = &request.source_account {
        violations.form(account.as_str(), "sourceAccount", &ACCOUNT);
    }
    if let Some(token) = &request.event_source_token {
        violations.form(token.as_str(), "eventSourceToken", &TOKEN);
    }
    if let Some(word) = &request.function_url_auth_type {
        let words = &["NONE", "AWS_IAM"];
        violations.word(word, "functionUrlAuthType", words, |word| words.contains(&word).then_some(()));
    }
    if let Some(organization) = &request.principal_org_id {
        violations.form(organization.as_str(), "principalOrgID", &Shape::Text(12, 34, ORGANIZATION));
    }
}

/// Form of an organization's id.
pub(super) const ORGANIZATION: Pattern = Pattern::new("o-[a-z0-9]{10,32}");

fn compose(request: AddPermission, located: &Located<'_>) -> Result<StatementDocument, ApiError> {
    let action = request.action.unwrap_or_default();
    if request.function_url_auth_type.is_some() && action != "lambda:InvokeFunctionUrl" {
        return Err(ApiError::invalid(
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
        ));
    }
    let principal = principal(&request.principal.unwrap_or_default(), located.region)?;
    let mut condition = Condition::default();
    for (name, value) in [
        ("AWS:SourceAccount", request.source_account),
        ("aws:PrincipalOrgID", request.principal_org_id),
        ("lambda:EventSourceToken", request.event_source_token),
        ("lambda:FunctionUrlAuthType", request.function_url_auth_type),
    ] {
        condition.string_equals.extend(value.map(|value| (name, value)));
    }
    condition.arn_like.extend(request.source_arn.map(|arn| ("AWS:SourceArn", arn)));
    let via_url =
        request.invoked_via_function_url.map(|via| ("lambda:InvokedViaFunctionUrl", via.to_string()));
    condition.bool.extend(via_url);
    Ok(StatementDocument {
        sid: request.statement_id.unwrap_or_default(),
        effect: "Allow",
        principal,
        action,
        resource: located.arn(),
        condition,
    })
}

/// Whom a text means: everybody, an account, an ARN or a service.
pub(super) fn principal(text: &str, region: &str) -> Result<Principal, ApiError> {
    let is_service =
        || [".amazonaws.com", ".amazonaws.com.cn", ".amazon.com"].iter().any(|end| text.ends_with(end));
    match text {
        "*" => Ok(Principal::Everybody("*")),
        _ if arn::is_account(text) => {
            Ok(Principal::Aws(format!("arn:{}:iam::{text}:root", partition(region))))
        }
        _ if arn::is_resource(text) => Ok(Principal::Aws(text.to_owned())),
        _ if is_service() => Ok(Principal::Service(text.to_owned())),
        _ => Err(ApiError::invalid(
            "The provided principal was invalid. Please check the principal and try again.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_known_by_its_form() {
        let aws = |arn: &str| Some(Principal::Aws(arn.to_owned()));
        let service = |name: &str| Some(Principal::Service(name.to_owned()));
        for (text, expected) in [
            ("*", Some(Principal::Everybody("*"))),
            ("123456789012", aws("arn:aws:iam::123456789012:root")),
            ("arn:aws:iam::123456789012:role/r", aws("arn:aws:iam::123456789012:role/r")),
            ("s3.amazonaws.com", service("s3.amazonaws.com")),
            ("alexa-appkit.amazon.com", service("alexa-appkit.amazon.com")),
            ("invalid.nonaws.com", None),
            ("1234", None),
            ("s3", None),
        ] {
            assert_eq!(principal(text, "us-east-1").ok(), expected, "{text}");
        }
    }
}
