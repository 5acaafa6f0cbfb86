//! Event source mappings. Queues are read by [`event_sources`](crate::event_sources); all others are stored and shown.
//!
//! A change is made before it is answered, while AWS takes its time: the answer tells of it as under way
//! nevertheless, as clients expect.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::arn::NAMESPACED;
use super::body::Limit;
use super::caller::{Caller, Located};
use super::error::{ApiError, RESOURCE_CONFLICT, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::shape::{self, ANY, Member, RESOURCE, Shape};
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::event_source::{
    EventSourceMappingConfiguration, ListEventSourceMappings, PutEventSourceMapping, function_arn,
};
use super::{ApiState, answer, body, tags};
use crate::catalog::resource::{EventSourceMapping, Place};
use crate::clock::Clock;
use crate::event_sources::Filters;

use members::{CHANGEABLE, LASTING};

mod members;

/// Most mappings in one page of a list.
const PAGE: usize = 100;
/// Most records that a queue gives at once.
const ONE_RECEIVE: u32 = 10;

/// `CreateEventSourceMapping`
pub(super) async fn create(
    State(api): State<Arc<ApiState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "CreateEventSourceMapping" };
    let bytes = body::read(&headers, body, limit).await?;
    let mut request: PutEventSourceMapping = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let mut violations = Violations::default();
    let name = violations.required(request.function_name.take(), "functionName").unwrap_or_default();
    let located = caller.locate_with(&mut violations, &NAMESPACED, &name, None);
    let labels = request.tags.take().unwrap_or_default();
    tags::check_tags(&labels, &mut violations);
    let source = Source::of(&request);
    let (arn, batch_size) = (request.event_source_arn.clone(), source.batch_size());
    let changes = Changes::parse(request, &[CHANGEABLE, LASTING], &mut violations)?;
    violations.check()?;
    let located = located?;
    source.check(&changes, arn.as_deref())?;
    tags::check(&labels)?;
    let place = caller.place();
    let mut mapping = EventSourceMapping {
        id: Uuid::new_v4().to_string(),
        function: located.name.to_owned(),
        qualifier: located.qualifier.map(str::to_owned),
        source_arn: arn,
        enabled: true,
        batch_size,
        window_seconds: 0,
        reports_failures: false,
        more: source.defaults(),
        last_modified: Clock::wall(),
        tags: labels,
    };
    changes.apply(&mut mapping);
    check(&api, &place, &located, &mapping)?;
    check_is_new(&api, &place, &mapping)?;
    let created = api.catalog.put_resource(place.clone(), mapping).await;
    let mapping = created.map_err(|error| ApiError::change(error, ""))?;
    let shown = EventSourceMappingConfiguration::new(&place, &mapping, Some("Creating"));
    answer(StatusCode::ACCEPTED, &shown)
}

/// `UpdateEventSourceMapping`
pub(super) async fn update(
    State(api): State<Arc<ApiState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "UpdateEventSourceMapping" };
    let bytes = body::read(&headers, body, limit).await?;
    let request: PutEventSourceMapping = body::parse_json(&bytes)?;
    let caller = Caller::of(&headers, &api.settings);
    let place = caller.place();
    let mut violations = Violations::default();
    violations.form(id.as_str(), "uUID", &ID);
    let present = api.catalog.resource::<EventSourceMapping>(&place, &id);
    let present_function = present.as_ref().map(|present| function_arn(&place, present));
    let name = request.function_name.clone().or(present_function);
    let located = name.as_deref().map(|name| caller.locate_with(&mut violations, &NAMESPACED, name, None));
    let changes = Changes::parse(request, &[CHANGEABLE], &mut violations)?;
    violations.check()?;
    let (present, located) = present.zip(located).ok_or_else(missing)?;
    let located = located?;
    let mut mapping = EventSourceMapping {
        function: located.name.to_owned(),
        qualifier: located.qualifier.map(str::to_owned),
        last_modified: Clock::wall(),
        ..EventSourceMapping::clone(&present)
    };
    changes.apply(&mut mapping);
    check(&api, &place, &located, &mapping)?;
    let changing = match (present.enabled, mapping.enabled) {
        (false, true) => "Enabling",
        (true, false) => "Disabling",
        _ => "Updating",
    };
    let edited = api.catalog.edit_resource(place.clone(), id, |present| *present = mapping).await;
    let mapping = edited.map_err(|error| ApiError::change(error, ""))?.ok_or_else(missing)?;
    let shown = EventSourceMappingConfiguration::new(&place, &mapping, Some(changing));
    answer(StatusCode::ACCEPTED, &shown)
}

/// `GetEventSourceMapping`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_id(&id)?;
    let place = Caller::of(&headers, &api.settings).place();
    let mapping = api.catalog.resource(&place, &id).ok_or_else(missing)?;
    answer(StatusCode::OK, &EventSourceMappingConfiguration::new(&place, &mapping, None))
}

/// `DeleteEventSourceMapping`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_id(&id)?;
    let place = Caller::of(&headers, &api.settings).place();
    let deleted = api.catalog.delete_resource(place.clone(), id).await;
    let mapping = deleted.map_err(|error| ApiError::change(error, ""))?.ok_or_else(missing)?;
    let shown = EventSourceMappingConfiguration::new(&place, &mapping, Some("Deleting"));
    answer(StatusCode::ACCEPTED, &shown)
}

/// `ListEventSourceMappings`: all, or those of one source or one function.
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    let page = Page::of(params, PAGE)?;
    let caller = Caller::of(&headers, &api.settings);
    let place = caller.place();
    let (function, source) = (params.get("FunctionName"), params.get("EventSourceArn"));
    let mut violations = Violations::default();
    if let Some(source) = source.as_deref() {
        violations.form(source, "eventSourceArn", &RESOURCE);
    }
    let locate = |name| caller.locate_with(&mut violations, &NAMESPACED, name, None);
    let function = function.as_deref().map(locate);
    violations.check()?;
    let function = function.transpose()?;
    let is_wanted = |mapping: &Arc<EventSourceMapping>| {
        source.as_deref().is_none_or(|source| mapping.source_arn.as_deref() == Some(source))
            && function
                .is_none_or(|it| it.name == mapping.function && it.qualifier == mapping.qualifier.as_deref())
    };
    let mappings =
        api.catalog.resources::<EventSourceMapping>(&place).into_iter().filter(is_wanted).collect();
    let (mappings, next_marker) = page.cut(mappings, |mapping| mapping.id.clone());
    let shown =
        |mapping: &Arc<EventSourceMapping>| EventSourceMappingConfiguration::new(&place, mapping, None);
    let event_source_mappings = mappings.iter().map(shown).collect();
    answer(StatusCode::OK, &ListEventSourceMappings { event_source_mappings, next_marker })
}

/// What kind of source a mapping has, as far as its defaults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Queue,
    Stream,
    Other,
    Unknown,
}

impl Source {
    fn of(request: &PutEventSourceMapping) -> Self {
        let service = request.event_source_arn.as_deref().and_then(|arn| arn.split(':').nth(2));
        match service {
            Some("sqs") => Self::Queue,
            Some("kinesis" | "dynamodb") => Self::Stream,
            Some("kafka" | "mq" | "rds") => Self::Other,
            None if request.more.contains_key("SelfManagedEventSource") => Self::Other,
            Some(_) | None => Self::Unknown,
        }
    }

    fn batch_size(self) -> u32 {
        if self == Self::Queue { 10 } else { 100 }
    }

    fn check(self, changes: &Changes, arn: Option<&str>) -> Result<(), ApiError> {
        let position = changes.more.get("StartingPosition").and_then(Value::as_str);
        match (self, position) {
            (Self::Unknown, _) => Err(ApiError::invalid("Unrecognized event source.")),
            (Self::Stream, None) => Err(ApiError::invalid(
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must \
                 not be null.",
            )),
            (Self::Stream, Some("AT_TIMESTAMP")) if arn.is_some_and(|arn| arn.contains(":dynamodb:")) => {
                let arn = arn.unwrap_or_default();
                Err(ApiError::invalid(format!("Unsupported starting position for arn type: {arn}")))
            }
            _ => Ok(()),
        }
    }

    /// What is shown although nobody has set it.
    fn defaults(self) -> Map<String, Value> {
        let defaults = match self {
            Self::Stream => json!({
                "BisectBatchOnFunctionError": false,
                "DestinationConfig": {"OnFailure": {}},
                "LastProcessingResult": "No records processed",
                "MaximumRecordAgeInSeconds": -1,
                "MaximumRetryAttempts": -1,
                "ParallelizationFactor": 1,
                "TumblingWindowInSeconds": 0,
            }),
            Self::Queue | Self::Other | Self::Unknown => json!({}),
        };
        defaults.as_object().cloned().unwrap_or_default()
    }
}

/// What a request sets; what is `None` or missing it leaves alone.
#[derive(Debug)]
struct Changes {
    enabled: Option<bool>,
    batch_size: Option<u32>,
    window_seconds: Option<u32>,
    reports_failures: Option<bool>,
    more: Map<String, Value>,
}

impl Changes {
    /// `tables` name the members that are stored as they come.
    fn parse(
        request: PutEventSourceMapping,
        tables: &[&[Member]],
        violations: &mut Violations,
    ) -> Result<Self, ApiError> {
        if let Some(arn) = &request.event_source_arn {
            violations.form(arn.as_str(), "eventSourceArn", &RESOURCE);
        }
        let window = request.maximum_batching_window_in_seconds;
        let types = request.function_response_types;
        if let Some(types) = types.clone() {
            violations.form(types, "functionResponseTypes", &RESPONSE_TYPES);
        }
        Ok(Self {
            enabled: request.enabled,
            batch_size: request.batch_size.and_then(|it| violations.range(it, "batchSize", 1, 10_000)),
            window_seconds: window
                .and_then(|it| violations.range(it, "maximumBatchingWindowInSeconds", 0, 300)),
            reports_failures: types.map(|types| !types.is_empty()),
            more: shape::take(tables, request.more, violations)?,
        })
    }

    fn apply(self, mapping: &mut EventSourceMapping) {
        mapping.enabled = self.enabled.unwrap_or(mapping.enabled);
        mapping.batch_size = self.batch_size.unwrap_or(mapping.batch_size);
        mapping.window_seconds = self.window_seconds.unwrap_or(mapping.window_seconds);
        mapping.reports_failures = self.reports_failures.unwrap_or(mapping.reports_failures);
        mapping.more.extend(self.more);
        mapping.more.retain(|_, value| !value.is_null());
    }
}

const RESPONSE_TYPES: Shape = Shape::List(0, 1, &Shape::Word(&["ReportBatchItemFailures"]));
/// Form of a mapping's id.
const ID: Shape = Shape::Text(36, 36, ANY);

fn check_id(id: &str) -> Result<(), ApiError> {
    let mut violations = Violations::default();
    violations.form(id, "uUID", &ID);
    violations.check()
}

/// Checks what makes no sense although it is well formed.
fn check(
    api: &ApiState,
    place: &Place,
    located: &Located<'_>,
    mapping: &EventSourceMapping,
) -> Result<(), ApiError> {
    let is_queue = mapping.source_arn.as_deref().is_some_and(|arn| arn.split(':').nth(2) == Some("sqs"));
    if is_queue && mapping.batch_size > ONE_RECEIVE && mapping.window_seconds == 0 {
        return Err(ApiError::invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ));
    }
    if let Err(problem) = Filters::parse(mapping.more.get("FilterCriteria")) {
        // The text is AWS's; what is wrong goes to the log.
        tracing::info!(problem, "refused filter criteria");
        return Err(ApiError::invalid("Invalid filter pattern definition."));
    }
    let function = api.catalog.function(&located.key()).filter(|_| located.account == place.account);
    if function.is_some_and(|function| located.qualifier.is_none_or(|qualifier| function.has(qualifier))) {
        return Ok(());
    }
    Err(ApiError::invalid("Function does not exist"))
}

/// One source goes to a function once.
fn check_is_new(api: &ApiState, place: &Place, new: &EventSourceMapping) -> Result<(), ApiError> {
    let Some(source) = &new.source_arn else { return Ok(()) };
    let same = |it: &Arc<EventSourceMapping>| {
        (&it.source_arn, &it.function, &it.qualifier) == (&new.source_arn, &new.function, &new.qualifier)
    };
    match api.catalog.resources::<EventSourceMapping>(place).into_iter().find(same) {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "The event source arn (\" {source} \") and function (\" {} \") provided mapping already exists. Please \
                 update or delete the existing mapping with UUID {}",
                new.function, other.id
            );
            Err(ApiError::new(&RESOURCE_CONFLICT, message))
        }
    }
}

fn missing() -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, "The resource you requested does not exist.")
}
