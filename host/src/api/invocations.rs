//! Invocations: the hot path.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::body::Limit;
use super::caller::{Caller, Located};
use super::error::{ApiError, INVALID_REQUEST_CONTENT, RECURSIVE_INVOCATION};
use super::path::Path;
use super::policy;
use super::query::Params;
use super::shape::{Pattern, Shape};
use super::validate::Violations;
use super::{ApiState, body, json, set_request_id, streaming};
use crate::catalog::Target;
use crate::clock::Clock;
use crate::event_queue::QueuedEvent;
use crate::invoke::{Answered, FunctionError, Invocation};
use crate::trace;

/// Largest event of a synchronous invocation, in bytes.
const MAX_EVENT: u64 = 6_291_456;
/// Largest event of an asynchronous invocation, in bytes.
const MAX_ASYNC_EVENT: u64 = 1_048_576;
/// Longest client context, in bytes of base64.
const MAX_CLIENT_CONTEXT: usize = 3583;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const DURABLE_EXECUTION_NAME: HeaderName = HeaderName::from_static("x-amz-durable-execution-name");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

const TENANT: Shape = Shape::Text(1, 256, Pattern::new(r"[a-zA-Z0-9\._:\/=+\-@ ]+"));
const DURABLE_EXECUTION: Shape = Shape::Text(1, 64, Pattern::new("[a-zA-Z0-9-_]+"));

/// `Invoke`
pub(super) async fn invoke(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let id = Uuid::new_v4();
    let request = Request { api: &api, id, headers: &headers };
    identified(id, request.run(&name, query.as_deref(), body).await)
}

/// The answer, whatever it is, with the id that the function has seen.
pub(super) fn identified(id: Uuid, result: Result<Response, ApiError>) -> Response {
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    set_request_id(&mut response, &id.to_string());
    response
}

/// `InvokeAsync`, which AWS has deprecated.
pub(super) async fn invoke_async(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let request = Request { api: &api, id: Uuid::new_v4(), headers: &headers };
    let caller = Caller::of(&headers, &api.settings);
    let located = Caller { confined: false, ..caller }.locate(&name, None);
    let admitted = located.and_then(|located| request.admit(&caller, &located).map(|()| located));
    let (located, body) = body::unless_refused(admitted, body)?;
    let limit = Limit { bytes: MAX_ASYNC_EVENT, operation: "InvokeAsync" };
    let payload = request.payload(body, limit).await?;
    request.accept(&located, payload, Options::default()).await
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    RequestResponse,
    Event,
    DryRun,
}

impl Mode {
    fn parse(word: &str, among: &[&str]) -> Option<Self> {
        if !among.contains(&word) {
            return None;
        }
        match word {
            "RequestResponse" => Some(Self::RequestResponse),
            "Event" => Some(Self::Event),
            "DryRun" => Some(Self::DryRun),
            _ => None,
        }
    }
}

/// One of the two ways to invoke, and what it allows.
struct Operation {
    name: &'static str,
    modes: &'static [&'static str],
}

const INVOKE: Operation =
    Operation { name: "InvokeFunction", modes: &["Event", "RequestResponse", "DryRun"] };
const STREAM: Operation =
    Operation { name: "InvokeWithResponseStream", modes: &["RequestResponse", "DryRun"] };

/// What a function is told that calls itself again and again.
const IN_A_LOOP: &str = "Lambda has detected that your function is being invoked in a recursive loop, and has stopped this \
                         invocation.";
/// The qualifier of those who give none.
const LATEST: &str = "$LATEST";

/// What the headers ask for.
#[derive(Debug, Default)]
struct Options {
    mode: Mode,
    log_tail: bool,
    client_context: Option<String>,
    tenant_id: Option<String>,
}

/// A checked request.
struct Asked<'a> {
    located: Located<'a>,
    options: Options,
    payload: Bytes,
}

#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) api: &'a ApiState,
    pub(super) id: Uuid,
    pub(super) headers: &'a HeaderMap,
}

impl Request<'_> {
    async fn run(&self, name: &str, query: Option<&str>, body: Body) -> Result<Response, ApiError> {
        let qualifier = Params::new(query).get("Qualifier");
        let asked = self.check(name, qualifier.as_deref(), body, &INVOKE).await?;
        match asked.options.mode {
            Mode::RequestResponse => self.call(asked).await,
            Mode::Event => self.accept(&asked.located, asked.payload, asked.options).await,
            Mode::DryRun => self.try_out(&asked),
        }
    }

    pub(super) async fn stream(
        &self,
        name: &str,
        query: Option<&str>,
        body: Body,
    ) -> Result<Response, ApiError> {
        let qualifier = Params::new(query).get("Qualifier");
        let asked = self.check(name, qualifier.as_deref(), body, &STREAM).await?;
        if asked.options.mode == Mode::DryRun {
            return self.try_out(&asked);
        }
        let arn = explicit_arn(&asked.located);
        let invocation = self.invocation(asked)?;
        let (target, trace_id) = (Arc::clone(&invocation.target), invocation.trace_id.clone());
        let trace_id = trace_id.unwrap_or_default();
        match self.api.invoker.stream(invocation).await {
            Ok(streamed) => Ok(streaming::respond(&target, streamed, &trace_id)),
            Err(error) => Err(ApiError::invoke(error, &arn)),
        }
    }

    async fn check<'b>(
        &'b self,
        name: &'b str,
        qualifier: Option<&'b str>,
        body: Body,
        operation: &Operation,
    ) -> Result<Asked<'b>, ApiError> {
        let caller = Caller::of(self.headers, &self.api.settings);
        let mut violations = Violations::default();
        let anywhere = Caller { confined: false, ..caller };
        let located = anywhere.locate_with(&mut violations, &super::arn::NAMESPACED, name, qualifier);
        let options = self.options(&mut violations, operation.modes);
        let admitted = violations.check().and_then(|()| {
            let located = located?;
            self.admit(&caller, &located)?;
            Ok((located, options?))
        });
        let ((located, options), body) = body::unless_refused(admitted, body)?;
        let bytes = if options.mode == Mode::Event { MAX_ASYNC_EVENT } else { MAX_EVENT };
        let payload = self.payload(body, Limit { bytes, operation: operation.name }).await?;
        Ok(Asked { located, options, payload })
    }

    /// A function of another account is invoked only by those whom its policy lets.
    fn admit(&self, caller: &Caller<'_>, located: &Located<'_>) -> Result<(), ApiError> {
        if !caller.confined || caller.account == located.account {
            return Ok(());
        }
        let function = self.api.catalog.function(&located.key());
        let qualified =
            function.as_ref().and_then(|it| it.qualified.get(located.qualifier.unwrap_or(LATEST)));
        let asked =
            policy::Asked { action: "lambda:InvokeFunction", account: Some(caller.account), context: &[] };
        if qualified.is_some_and(|it| policy::allows(&it.policy, asked)) {
            Ok(())
        } else {
            Err(caller.denied("perform: lambda:InvokeFunction", located))
        }
    }

    /// `DryRun`: whether it could be run.
    fn try_out(&self, asked: &Asked<'_>) -> Result<Response, ApiError> {
        self.resolve(&asked.located)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn options(&self, violations: &mut Violations, modes: &[&str]) -> Result<Options, ApiError> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let mut options = Options::default();
        if let Some(mode) = text(INVOCATION_TYPE) {
            let parse = |word: &str| Mode::parse(word, modes);
            options.mode = violations.word(mode, "invocationType", modes, parse).unwrap_or_default();
        }
        if let Some(log_type) = text(LOG_TYPE) {
            let parse = |word: &str| match word {
                "Tail" => Some(true),
                "None" => Some(false),
                _ => None,
            };
            options.log_tail =
                violations.word(log_type, "logType", &["None", "Tail"], parse).unwrap_or_default();
        }
        if let Some(tenant) = text(TENANT_ID) {
            violations.form(tenant, "tenantId", &TENANT);
            options.tenant_id = Some(tenant.to_owned());
        }
        if let Some(execution) = text(DURABLE_EXECUTION_NAME) {
            violations.form(execution, "durableExecutionName", &DURABLE_EXECUTION);
        }
        if let Some(context) = text(CLIENT_CONTEXT).filter(|context| !context.is_empty()) {
            check_client_context(context)?;
            options.client_context = Some(context.to_owned());
        }
        Ok(options)
    }

    /// The event: JSON. A request without one has an empty object.
    async fn payload(&self, body: Body, limit: Limit) -> Result<Bytes, ApiError> {
        let payload = body::read(self.headers, body, limit).await?;
        if payload.is_empty() {
            return Ok(Bytes::from_static(b"{}"));
        }
        match json::check(&payload) {
            Ok(()) => Ok(payload),
            Err(problem) => {
                let message = format!(
                    "Could not parse request body into json: Could not parse payload into json: {problem}"
                );
                Err(ApiError::new(&INVALID_REQUEST_CONTENT, message))
            }
        }
    }

    fn resolve(&self, located: &Located<'_>) -> Result<Arc<Target>, ApiError> {
        let [a, b, c, d, ..] = *self.id.as_bytes();
        let target = self.api.catalog.resolve(&located.reference(), u32::from_be_bytes([a, b, c, d]));
        target.map_err(|error| ApiError::resolve(error, &explicit_arn(located)))
    }

    async fn call(&self, asked: Asked<'_>) -> Result<Response, ApiError> {
        let located = asked.located;
        let invocation = self.invocation(asked)?;
        let (target, trace_id) = (Arc::clone(&invocation.target), invocation.trace_id.clone());
        let trace_id = trace_id.unwrap_or_default();
        match self.api.invoker.invoke(invocation).await {
            Ok(answered) => Ok(respond(&target, answered, &trace_id)),
            Err(error) => Err(ApiError::invoke(error, &explicit_arn(&located))),
        }
    }

    fn invocation(&self, asked: Asked<'_>) -> Result<Invocation, ApiError> {
        let Asked { located, options, payload } = asked;
        let target = self.resolve(&located)?;
        let step = trace::step(&self.trace_id(), &target.lineage_name);
        if step.is_loop && !self.api.catalog.lets_loop(&target.function) {
            return Err(ApiError::new(&RECURSIVE_INVOCATION, IN_A_LOOP));
        }
        Ok(Invocation {
            arn: match located.qualifier {
                None => Arc::clone(&target.arn),
                Some(_) => located.arn().into(),
            },
            target,
            request_id: self.id.to_string(),
            payload,
            client_context: options.client_context,
            trace_id: Some(step.header),
            log_tail: options.log_tail,
            tenant_id: options.tenant_id,
        })
    }

    /// Takes an asynchronous invocation. It is on disk before the client is told.
    async fn accept(
        &self,
        located: &Located<'_>,
        payload: Bytes,
        options: Options,
    ) -> Result<Response, ApiError> {
        self.resolve(located)?;
        let event = QueuedEvent {
            account: located.account.to_owned(),
            region: located.region.to_owned(),
            function: located.name.to_owned(),
            qualifier: located.qualifier.map(str::to_owned),
            arn: located.arn(),
            request_id: self.id.to_string(),
            payload,
            client_context: options.client_context,
            trace_id: Some(self.trace_id().into_owned()),
            tenant_id: options.tenant_id,
        };
        self.api.events.accept(event).await.map_err(|error| ApiError::event_queue(&error))?;
        let mut response = StatusCode::ACCEPTED.into_response();
        set_request_id(&mut response, &self.id.to_string());
        Ok(response)
    }

    fn trace_id(&self) -> Cow<'_, str> {
        match self.headers.get(TRACE_ID).and_then(|value| value.to_str().ok()) {
            Some(given) => Cow::Borrowed(given),
            None => Cow::Owned(trace::header(self.id, Clock::wall().as_second())),
        }
    }
}

/// Errors of an invocation name the version that was meant, also if the caller did not.
fn explicit_arn(located: &Located<'_>) -> String {
    Located { qualifier: Some(located.qualifier.unwrap_or(LATEST)), ..*located }.arn()
}

fn respond(target: &Target, answered: Answered, trace_id: &str) -> Response {
    let mut response = respond_with(Body::from(answered.payload), target, trace_id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(log_result) = &answered.log_result {
        insert(headers, LOG_RESULT, log_result);
    }
    match answered.function_error {
        Some(FunctionError::Unhandled) => insert(headers, FUNCTION_ERROR, "Unhandled"),
        None => {}
    }
    response
}

/// What every answer of a function that was run says.
pub(super) fn respond_with(body: Body, target: &Target, trace_id: &str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.reserve(6);
    insert(headers, EXECUTED_VERSION, &target.version);
    insert(headers, TRACE_ID, trace_id);
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn check_client_context(context: &str) -> Result<(), ApiError> {
    let invalid = |message: String| ApiError::new(&INVALID_REQUEST_CONTENT, message);
    if context.len() > MAX_CLIENT_CONTEXT {
        return Err(invalid(format!("Client context must be no more than {MAX_CLIENT_CONTEXT} bytes")));
    }
    let decoded = STANDARD.decode(context).unwrap_or_default();
    let is_object = decoded.trim_ascii_start().starts_with(b"{");
    if is_object && serde_json::from_slice::<IgnoredAny>(&decoded).is_ok() {
        return Ok(());
    }
    Err(invalid("Client context must be a valid Base64-encoded JSON object.".to_owned()))
}
