//! Code signing configs, and which functions follow them: stored and shown. No signature is checked.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::arn::{self, NAMESPACED};
use super::body::Limit;
use super::caller::Caller;
use super::error::{ApiError, CODE_SIGNING_CONFIG_NOT_FOUND, RESOURCE_CONFLICT, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::shape::{RESOURCE, Shape};
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::code_signing::{
    self as wire, Described, FunctionCodeSigning, ListCodeSigningConfigs, ListFunctionArns,
    PutCodeSigningConfig, Shown,
};
use super::{ApiState, answer, body, tags};
use crate::catalog::resource::{CodeSigningConfig, Place};
use crate::clock::Clock;

/// Most entries in one page of a list.
const PAGE: usize = 50;
const ARN_PATTERN: &str = r"arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:code-signing-config:csc-[a-z0-9]{17}";
const PUBLISHERS: &str = "allowedPublishers.signingProfileVersionArns";
const PUBLISHERS_FORM: Shape = Shape::List(1, 20, &RESOURCE);

/// `CreateCodeSigningConfig`
pub(super) async fn create(
    State(api): State<Arc<ApiState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "CreateCodeSigningConfig" };
    let bytes = body::read(&headers, body, limit).await?;
    let mut request: PutCodeSigningConfig = body::parse_json(&bytes)?;
    let mut violations = Violations::default();
    let labels = request.tags.take().unwrap_or_default();
    tags::check_tags(&labels, &mut violations);
    violations.required(request.allowed_publishers.as_ref(), "allowedPublishers");
    let changes = Changes::parse(request, &mut violations);
    violations.check()?;
    tags::check(&labels)?;
    let place = Caller::of(&headers, &api.settings).place();
    let mut config = CodeSigningConfig {
        id: format!("csc-0{}", &Uuid::new_v4().simple().to_string()[..16]),
        description: None,
        publishers: Vec::new(),
        untrusted_artifact: "Warn".to_owned(),
        last_modified: Clock::wall(),
        tags: labels,
    };
    changes.apply(&mut config);
    let created = api.catalog.put_resource(place.clone(), config).await;
    let config = created.map_err(|error| ApiError::change(error, ""))?;
    answer(StatusCode::CREATED, &Described { code_signing_config: Shown::new(&place, &config) })
}

/// `UpdateCodeSigningConfig`
pub(super) async fn update(
    State(api): State<Arc<ApiState>>,
    Path(config_arn): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "UpdateCodeSigningConfig" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: PutCodeSigningConfig = body::parse_json(&bytes)?;
    let mut violations = Violations::default();
    let id = check_arn(&config_arn, &mut violations);
    let changes = Changes::parse(request, &mut violations);
    violations.check()?;
    let place = Caller::of(&headers, &api.settings).place();
    let edit = move |config: &mut CodeSigningConfig| {
        changes.apply(config);
        config.last_modified = Clock::wall();
    };
    let edited = api.catalog.edit_resource(place.clone(), id, edit).await;
    let config = edited.map_err(|error| ApiError::change(error, &config_arn))?;
    let config = config.ok_or_else(|| missing(&config_arn))?;
    answer(StatusCode::OK, &Described { code_signing_config: Shown::new(&place, &config) })
}

/// `GetCodeSigningConfig`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(config_arn): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = Caller::of(&headers, &api.settings).place();
    let config = find(&api, &place, &config_arn)?;
    answer(StatusCode::OK, &Described { code_signing_config: Shown::new(&place, &config) })
}

/// `DeleteCodeSigningConfig`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(config_arn): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = Caller::of(&headers, &api.settings).place();
    let config = find(&api, &place, &config_arn)?;
    if !followers(&api, &place, &config.id).is_empty() {
        let message = format!("The code signing configuration {config_arn} is in use by a function.");
        return Err(ApiError::new(&RESOURCE_CONFLICT, message));
    }
    let deleted = api.catalog.delete_resource::<CodeSigningConfig>(place, config.id.clone()).await;
    deleted.map_err(|error| ApiError::change(error, &config_arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `ListCodeSigningConfigs`
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Page::of(Params::new(query.as_deref()), PAGE)?;
    let place = Caller::of(&headers, &api.settings).place();
    let configs = api.catalog.resources::<CodeSigningConfig>(&place);
    let (configs, next_marker) = page.cut(configs, |config| config.id.clone());
    let code_signing_configs = configs.iter().map(|config| Shown::new(&place, config)).collect();
    answer(StatusCode::OK, &ListCodeSigningConfigs { code_signing_configs, next_marker })
}

/// `ListFunctionsByCodeSigningConfig`
pub(super) async fn list_functions(
    State(api): State<Arc<ApiState>>,
    Path(config_arn): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Page::of(Params::new(query.as_deref()), PAGE)?;
    let place = Caller::of(&headers, &api.settings).place();
    let config = find(&api, &place, &config_arn)?;
    let (function_arns, next_marker) = page.cut(followers(&api, &place, &config.id), String::clone);
    answer(StatusCode::OK, &ListFunctionArns { function_arns, next_marker })
}

/// `PutFunctionCodeSigningConfig`
pub(super) async fn put_for_function(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PutFunctionCodeSigningConfig" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: FunctionCodeSigning = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &NAMESPACED, &name, None);
    let given = violations.required(request.code_signing_config_arn, "codeSigningConfigArn");
    if let Some(config_arn) = &given {
        check_arn(config_arn, &mut violations);
    }
    violations.check()?;
    let key = located?.key();
    let id = find_id(&api, &caller, given.as_deref())?;
    let (function_arn, function_name) = (key.arn(), key.name.to_string());
    let set = api.catalog.set(key, move |settings| settings.code_signing_config = id).await;
    set.map_err(|error| ApiError::change(error, &function_arn))?;
    let answered = FunctionCodeSigning { code_signing_config_arn: given, function_name: Some(function_name) };
    answer(StatusCode::OK, &answered)
}

/// `GetFunctionCodeSigningConfig`
pub(super) async fn get_of_function(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = Caller::of(&headers, &api.settings);
    let key = caller.locate(&name, None)?.key();
    let function = api.catalog.function(&key).ok_or_else(|| ApiError::no_function(&key.arn()))?;
    let config = function.settings.code_signing_config.as_ref();
    let answered = config.map(|id| FunctionCodeSigning {
        code_signing_config_arn: Some(wire::arn(&caller.place(), id)),
        function_name: Some(key.name.to_string()),
    });
    answer(StatusCode::OK, &answered.unwrap_or_default())
}

/// `DeleteFunctionCodeSigningConfig`
pub(super) async fn delete_of_function(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = Caller::of(&headers, &api.settings).locate(&name, None)?.key();
    let function_arn = key.arn();
    let set = api.catalog.set(key, |settings| settings.code_signing_config = None).await;
    set.map_err(|error| ApiError::change(error, &function_arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The id of the config that a function is to follow, which must exist.
pub(super) fn find_id(
    api: &ApiState,
    caller: &Caller<'_>,
    config_arn: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let Some(config_arn) = config_arn.filter(|config_arn| !config_arn.is_empty()) else { return Ok(None) };
    let mut violations = Violations::default();
    let id = check_arn(config_arn, &mut violations);
    violations.check()?;
    if api.catalog.resource::<CodeSigningConfig>(&caller.place(), &id).is_some() {
        return Ok(Some(id));
    }
    let message = format!(
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: \
         {config_arn}."
    );
    Err(ApiError::new(&CODE_SIGNING_CONFIG_NOT_FOUND, message))
}

/// What a request sets; what is `None` it leaves alone.
struct Changes {
    description: Option<String>,
    publishers: Option<Vec<String>>,
    untrusted_artifact: Option<String>,
}

impl Changes {
    fn parse(request: PutCodeSigningConfig, violations: &mut Violations) -> Self {
        if let Some(description) = &request.description {
            violations.length(description, "description", 0, 256);
        }
        let publishers = request
            .allowed_publishers
            .and_then(|allowed| violations.required(allowed.signing_profile_version_arns, PUBLISHERS));
        if let Some(publishers) = publishers.clone() {
            violations.form(publishers, PUBLISHERS, &PUBLISHERS_FORM);
        }
        let untrusted_artifact =
            request.code_signing_policies.and_then(|policies| policies.untrusted_artifact_on_deployment);
        if let Some(word) = &untrusted_artifact {
            let (member, words) = ("codeSigningPolicies.untrustedArtifactOnDeployment", &["Warn", "Enforce"]);
            violations.word(word, member, words, |word| words.contains(&word).then_some(()));
        }
        Self { description: request.description, publishers, untrusted_artifact }
    }

    fn apply(self, config: &mut CodeSigningConfig) {
        config.description = self.description.or(config.description.take());
        if let Some(publishers) = self.publishers {
            config.publishers = publishers;
        }
        if let Some(untrusted_artifact) = self.untrusted_artifact {
            config.untrusted_artifact = untrusted_artifact;
        }
    }
}

/// Checks the form of a config's ARN; answers its id.
pub(super) fn check_arn(config_arn: &str, violations: &mut Violations) -> String {
    let id = config_arn.rsplit(':').next().unwrap_or_default();
    let is_id = id.strip_prefix("csc-").is_some_and(|id| {
        id.len() == 17 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    violations.length(config_arn, "codeSigningConfigArn", 0, 200);
    violations.pattern(config_arn, "codeSigningConfigArn", ARN_PATTERN, |config_arn| {
        is_id && arn::is_resource(config_arn) && config_arn.contains(":code-signing-config:")
    });
    id.to_owned()
}

fn find(api: &ApiState, place: &Place, config_arn: &str) -> Result<Arc<CodeSigningConfig>, ApiError> {
    let mut violations = Violations::default();
    let id = check_arn(config_arn, &mut violations);
    violations.check()?;
    api.catalog.resource(place, &id).ok_or_else(|| missing(config_arn))
}

fn missing(config_arn: &str) -> ApiError {
    let message = format!("The Lambda code signing configuration {config_arn} can not be found.");
    ApiError::new(&RESOURCE_NOT_FOUND, message).without_fault()
}

/// ARNs of the functions that follow a config, sorted.
fn followers(api: &ApiState, place: &Place, id: &str) -> Vec<String> {
    let functions = api.catalog.functions(&place.account, &place.region);
    let follows = |config: &Option<String>| config.as_deref() == Some(id);
    functions.iter().filter(|it| follows(&it.settings.code_signing_config)).map(|it| it.key.arn()).collect()
}
