//! How asynchronous invocations are treated, by qualifier. The event queue acts upon it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::arn::NAMESPACED;
use super::body::Limit;
use super::caller::{Caller, Located};
use super::error::{ApiError, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::shape::DESTINATION;
use super::updates::{REQUEST_LIMIT, UpdateError};
use super::validate::Violations;
use super::wire::event_invoke::{
    Destination, DestinationConfig, FunctionEventInvokeConfig, ListEventInvokeConfigs, PutEventInvokeConfig,
};
use super::{ApiState, answer, body};
use crate::catalog::function::Function;
use crate::catalog::qualified::{EventInvokeConfig, Qualified};
use crate::clock::Clock;

/// Most configs in one page of a list.
const PAGE: u32 = 50;
const LATEST: &str = "$LATEST";

/// What a request sets; what is `None` it leaves alone. An empty destination takes one away.
#[derive(Debug)]
struct Changes {
    max_retries: Option<u32>,
    max_age_seconds: Option<u32>,
    destinations: Option<(Option<String>, Option<String>)>,
}

impl Changes {
    fn parse(request: PutEventInvokeConfig, violations: &mut Violations) -> Self {
        let age = request.maximum_event_age_in_seconds;
        let retries = request.maximum_retry_attempts;
        let mut destination = |given: Option<Destination>, member: &str| {
            let arn = given.and_then(|given| given.destination)?;
            violations.form(arn.as_str(), member, &DESTINATION);
            Some(arn).filter(|arn| !arn.is_empty())
        };
        let destinations = request.destination_config.map(|DestinationConfig { on_success, on_failure }| {
            (
                destination(on_success, "destinationConfig.onSuccess.destination"),
                destination(on_failure, "destinationConfig.onFailure.destination"),
            )
        });
        Self {
            max_retries: retries.and_then(|it| violations.range(it, "maximumRetryAttempts", 0, 2)),
            max_age_seconds: age.and_then(|it| violations.range(it, "maximumEventAgeInSeconds", 60, 21_600)),
            destinations,
        }
    }

    /// Checks what makes no sense although it is well formed.
    fn check(&self, api: &ApiState, located: &Located<'_>) -> Result<(), ApiError> {
        if self.max_retries.is_none() && self.max_age_seconds.is_none() && self.destinations.is_none() {
            return Err(ApiError::invalid(
                "You must specify at least one of error handling or destination setting.",
            ));
        }
        require_qualifier(api, located)?;
        match &self.destinations {
            Some((on_success, on_failure)) => {
                check_destinations(api, located, on_success.as_deref(), on_failure.as_deref())
            }
            None => Ok(()),
        }
    }

    fn apply(self, present: Option<EventInvokeConfig>) -> EventInvokeConfig {
        let last_modified = Clock::wall();
        let present = present.unwrap_or(EventInvokeConfig {
            max_retries: None,
            max_age_seconds: None,
            on_success: None,
            on_failure: None,
            last_modified,
        });
        let (on_success, on_failure) = self.destinations.unwrap_or((present.on_success, present.on_failure));
        EventInvokeConfig {
            max_retries: self.max_retries.or(present.max_retries),
            max_age_seconds: self.max_age_seconds.or(present.max_age_seconds),
            on_success,
            on_failure,
            last_modified,
        }
    }
}

/// `PutFunctionEventInvokeConfig`: whatever was set before is forgotten.
pub(super) async fn put(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "PutFunctionEventInvokeConfig" };
    set(&api, &name, query.as_deref(), &headers, body::read(&headers, body, limit).await?, false).await
}

/// `UpdateFunctionEventInvokeConfig`: what is not named stays.
pub(super) async fn update(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "UpdateFunctionEventInvokeConfig" };
    set(&api, &name, query.as_deref(), &headers, body::read(&headers, body, limit).await?, true).await
}

async fn set(
    api: &ApiState,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: bytes::Bytes,
    keep: bool,
) -> Result<Response, ApiError> {
    let request: PutEventInvokeConfig = body::parse_json(&body)?;
    let caller = Caller::of(headers, &api.settings);
    let qualifier = Params::new(query).get("Qualifier");
    let mut violations = Violations::default();
    let located = caller.locate_with(&mut violations, &NAMESPACED, name, qualifier.as_deref());
    let changes = Changes::parse(request, &mut violations);
    violations.check()?;
    let located = qualified(located?);
    changes.check(api, &located)?;
    let (arn, missing) = (located.arn(), missing(&located));
    let edit = move |qualified: &mut Qualified| {
        let present = qualified.event_invoke.take().filter(|_| keep);
        if keep && present.is_none() {
            return Err(UpdateError::Api(missing));
        }
        let config = changes.apply(present);
        qualified.event_invoke = Some(config.clone());
        Ok(config)
    };
    let config = api.catalog.qualify(located.key(), qualifier_of(&located), edit).await;
    let config = config.map_err(|error| error.told(&arn))?;
    answer(StatusCode::OK, &FunctionEventInvokeConfig::new(arn, &config))
}

/// `GetFunctionEventInvokeConfig`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let located = qualified(Caller::of(&headers, &api.settings).locate(&name, qualifier.as_deref())?);
    let function = api.catalog.function(&located.key()).ok_or_else(|| missing(&located))?;
    let config =
        config_of(&function, located.qualifier.unwrap_or(LATEST)).ok_or_else(|| missing(&located))?;
    answer(StatusCode::OK, &FunctionEventInvokeConfig::new(located.arn(), config))
}

/// `DeleteFunctionEventInvokeConfig`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let located = qualified(Caller::of(&headers, &api.settings).locate(&name, qualifier.as_deref())?);
    let nothing = missing(&located);
    let take = |qualified: &mut Qualified| match qualified.event_invoke.take() {
        Some(_) => Ok(()),
        None => Err(UpdateError::Api(nothing)),
    };
    match api.catalog.qualify(located.key(), qualifier_of(&located), take).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) if error.is_not_found() => Err(missing(&located)),
        Err(error) => Err(error.told(&located.arn())),
    }
}

/// `ListFunctionEventInvokeConfigs`: of every qualifier that has one.
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Page::short(Params::new(query.as_deref()), PAGE)?;
    let key = Caller::of(&headers, &api.settings).locate(&name, None)?.key();
    let function = api
        .catalog
        .function(&key)
        .ok_or_else(|| ApiError::new(&RESOURCE_NOT_FOUND, "The function does not exist."))?;
    let configs = function.qualified.iter();
    let configs: Vec<_> = configs.filter_map(|(name, it)| Some((name, it.event_invoke.as_ref()?))).collect();
    let (configs, next_marker) = page.cut(configs, |(qualifier, _)| (*qualifier).clone());
    let arn = key.arn();
    let shown = |(qualifier, config): (&String, &EventInvokeConfig)| {
        FunctionEventInvokeConfig::new(format!("{arn}:{qualifier}"), config)
    };
    let function_event_invoke_configs = configs.into_iter().map(shown).collect();
    answer(StatusCode::OK, &ListEventInvokeConfigs { function_event_invoke_configs, next_marker })
}

fn config_of<'a>(function: &'a Function, qualifier: &str) -> Option<&'a EventInvokeConfig> {
    function.qualified.get(qualifier)?.event_invoke.as_ref()
}

/// What has no qualifier means `$LATEST`, and is called so in the answer.
fn qualified(located: Located<'_>) -> Located<'_> {
    Located { qualifier: Some(located.qualifier.unwrap_or(LATEST)), ..located }
}

fn qualifier_of(located: &Located<'_>) -> String {
    located.qualifier.unwrap_or(LATEST).to_owned()
}

fn missing(located: &Located<'_>) -> ApiError {
    let message = format!("The function {} doesn't have an EventInvokeConfig", located.arn());
    ApiError::new(&RESOURCE_NOT_FOUND, message)
}

fn require_qualifier(api: &ApiState, located: &Located<'_>) -> Result<(), ApiError> {
    let function = api.catalog.function(&located.key());
    let qualifier = located.qualifier.unwrap_or(LATEST);
    if function.is_some_and(|function| function.has(qualifier)) {
        return Ok(());
    }
    Err(ApiError::new(&RESOURCE_NOT_FOUND, "The function doesn't exist."))
}

fn check_destinations(
    api: &ApiState,
    located: &Located<'_>,
    on_success: Option<&str>,
    on_failure: Option<&str>,
) -> Result<(), ApiError> {
    let known = |arn: &str, services: &[&str]| arn.split(':').nth(2).is_some_and(|it| services.contains(&it));
    let fits = on_success.is_none_or(|arn| known(arn, &["lambda", "sqs", "sns", "events"]))
        && on_failure.is_none_or(|arn| known(arn, &["lambda", "sqs", "sns", "events", "s3"]));
    if !fits {
        let shown = |name: &str, arn: Option<&str>| match arn {
            Some(arn) => format!("{name}(destination={arn})"),
            None => "null".to_owned(),
        };
        return Err(ApiError::invalid(format!(
            "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
            shown("OnSuccess", on_success),
            shown("OnFailure", on_failure)
        )));
    }
    [on_failure, on_success].into_iter().flatten().try_for_each(|arn| check_function(api, located, arn))
}

/// A function that is a destination must exist, and be another one.
fn check_function(api: &ApiState, located: &Located<'_>, destination: &str) -> Result<(), ApiError> {
    if destination.split(':').nth(2) != Some("lambda") {
        return Ok(());
    }
    let invalid = || ApiError::invalid(format!("The destination ARN {destination} is invalid."));
    let name = NAMESPACED.parse(destination).ok_or_else(invalid)?;
    let account = name.account.unwrap_or(located.account);
    let region = name.region.unwrap_or(located.region);
    let there = Located { account, region, name: name.name, qualifier: name.qualifier };
    if (there.account, there.region, there.name) == (located.account, located.region, located.name) {
        return Err(ApiError::invalid("You can't specify the function as a destination for itself."));
    }
    let function = api.catalog.function(&there.key()).ok_or_else(invalid)?;
    if function.has(there.qualifier.unwrap_or(LATEST)) { Ok(()) } else { Err(invalid()) }
}
