//! The Lambda API. Only here are AWS's JSON, headers, ARNs and error names known.
//!
//! Each operation is a function of a module that is named after what it works on; [`router`] says which path
//! leads where.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use serde::Serialize;
use uuid::Uuid;

use self::access::Access;
use self::error::ApiError;
pub use self::front::{Door, Front};
use self::leftover::Leftover;
use crate::aws::Aws;
use crate::catalog::Catalog;
use crate::driver::Driver;
use crate::event_queue::EventQueue;
use crate::invoke::Invoker;

pub mod access;
mod account;
pub mod admin;
mod aliases;
mod arn;
mod body;
mod caller;
mod code;
mod code_signing;
mod concurrency;
mod error;
mod event_invoke;
mod event_sources;
mod event_stream;
mod front;
mod functions;
mod invocations;
mod json;
mod layer_permissions;
mod layers;
mod leftover;
mod pages;
mod path;
mod pattern;
mod permissions;
mod policy;
mod provisioned;
mod query;
mod recursion;
mod runtime_management;
mod runtimes;
mod settings;
mod shape;
mod streaming;
mod tags;
mod unsupported;
mod updates;
mod url_calls;
mod urls;
mod validate;
mod versions;
mod wire;

#[cfg(test)]
mod tests;

/// What the API speaks for.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// What is deployed.
    pub catalog: Catalog,
    /// Has the instances.
    pub driver: Driver,
    /// Runs invocations.
    pub invoker: Invoker,
    /// Takes asynchronous invocations.
    pub events: EventQueue,
    /// Has code in buckets.
    pub aws: Aws,
    /// What callers do not say.
    pub settings: Settings,
}

/// What the API needs to know at its making.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account of callers whose credentials do not name one: 12 digits.
    pub account: String,
    /// The region of callers whose credentials do not name one.
    pub region: String,
    /// Instances at most, over all functions: what the account's settings tell.
    pub account_concurrency: u32,
    /// Who may call.
    pub access: Access,
    /// Memory that all instances together may have: no function can have more.
    pub memory_budget_mb: Option<u64>,
    /// Where the host listens, for the URLs that it hands out.
    pub port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            account_concurrency: 1000,
            access: Access::Anybody,
            memory_budget_mb: None,
            port: 3001,
        }
    }
}

/// The id of a request, in every answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Every route of the API. It answers what nobody knows, too: a router that is merged must not do that.
pub fn router(state: Arc<ApiState>) -> Router {
    let control = Router::new();
    let control = functions(control);
    let control = layers_and_tags(control);
    let control = function_settings(control);
    let control = unsupported::routes(control)
        .route("/", get(account::greeting))
        .route("/_hearth/code/{sha256}", get(code::download))
        .fallback(unsupported::unknown)
        .method_not_allowed_fallback(unsupported::unknown)
        .layer(middleware::from_fn(with_request_id));
    // An invocation has its id from the start, because the function sees it; its path has nothing in the way.
    let invoke = post(invocations::invoke);
    let router = both_ways(control, "/2015-03-31/functions/{name}/invocations", invoke);
    let stream = post(streaming::invoke);
    let path = "/2021-11-15/functions/{name}/response-streaming-invocations";
    both_ways(router, path, stream).method_not_allowed_fallback(unsupported::unknown).with_state(state)
}

fn functions(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    let routes: [(&str, MethodRouter<Arc<ApiState>>); 14] = [
        ("/2015-03-31/functions", get(functions::list).post(functions::create)),
        ("/2015-03-31/functions/{name}", get(functions::get).delete(functions::delete)),
        (
            "/2015-03-31/functions/{name}/configuration",
            get(functions::get_configuration).put(updates::configuration),
        ),
        ("/2015-03-31/functions/{name}/code", put(updates::code)),
        ("/2015-03-31/functions/{name}/versions", get(versions::list).post(versions::publish)),
        ("/2015-03-31/functions/{name}/aliases", get(aliases::list).post(aliases::create)),
        (
            "/2015-03-31/functions/{name}/aliases/{alias}",
            get(aliases::get).put(aliases::update).delete(aliases::delete),
        ),
        ("/2017-10-31/functions/{name}/concurrency", put(concurrency::put).delete(concurrency::delete)),
        ("/2019-09-30/functions/{name}/concurrency", get(concurrency::get)),
        (
            "/2019-09-30/functions/{name}/provisioned-concurrency",
            get(provisioned::get).put(provisioned::put).delete(provisioned::delete),
        ),
        (
            "/2021-10-31/functions/{name}/url",
            get(urls::get).post(urls::create).put(urls::update).delete(urls::delete),
        ),
        ("/2021-10-31/functions/{name}/urls", get(urls::list)),
        ("/2014-11-13/functions/{name}/invoke-async", post(invocations::invoke_async)),
        ("/2016-08-19/account-settings", get(account::settings)),
    ];
    routes.into_iter().fold(router, |router, (path, methods)| both_ways(router, path, methods))
}

/// What is set for functions and layers besides their code and configuration.
fn function_settings(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    let routes: [(&str, MethodRouter<Arc<ApiState>>); 14] = [
        (
            "/2019-09-25/functions/{name}/event-invoke-config",
            get(event_invoke::get)
                .put(event_invoke::put)
                .post(event_invoke::update)
                .delete(event_invoke::delete),
        ),
        ("/2019-09-25/functions/{name}/event-invoke-config/list", get(event_invoke::list)),
        (
            "/2021-07-20/functions/{name}/runtime-management-config",
            get(runtime_management::get).put(runtime_management::put),
        ),
        ("/2024-08-31/functions/{name}/recursion-config", get(recursion::get).put(recursion::put)),
        ("/2020-04-22/code-signing-configs", get(code_signing::list).post(code_signing::create)),
        (
            "/2020-04-22/code-signing-configs/{arn}",
            get(code_signing::get).put(code_signing::update).delete(code_signing::delete),
        ),
        ("/2020-04-22/code-signing-configs/{arn}/functions", get(code_signing::list_functions)),
        (
            "/2020-06-30/functions/{name}/code-signing-config",
            get(code_signing::get_of_function)
                .put(code_signing::put_for_function)
                .delete(code_signing::delete_of_function),
        ),
        ("/2015-03-31/event-source-mappings", get(event_sources::list).post(event_sources::create)),
        (
            "/2015-03-31/event-source-mappings/{id}",
            get(event_sources::get).put(event_sources::update).delete(event_sources::delete),
        ),
        ("/2015-03-31/functions/{name}/policy", get(permissions::get).post(permissions::add)),
        ("/2015-03-31/functions/{name}/policy/{statement}", delete(permissions::remove)),
        (
            "/2018-10-31/layers/{name}/versions/{number}/policy",
            get(layer_permissions::get).post(layer_permissions::add),
        ),
        ("/2018-10-31/layers/{name}/versions/{number}/policy/{statement}", delete(layer_permissions::remove)),
    ];
    routes.into_iter().fold(router, |router, (path, methods)| both_ways(router, path, methods))
}

fn layers_and_tags(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    let routes: [(&str, MethodRouter<Arc<ApiState>>); 4] = [
        ("/2018-10-31/layers", get(layers::list)),
        ("/2018-10-31/layers/{name}/versions", get(layers::list_versions).post(layers::publish)),
        ("/2018-10-31/layers/{name}/versions/{number}", get(layers::get).delete(layers::delete)),
        ("/2017-03-31/tags/{resource}", get(tags::list).post(tags::add).delete(tags::remove)),
    ];
    routes.into_iter().fold(router, |router, (path, methods)| both_ways(router, path, methods))
}

/// Clients of different ages end a path with a slash, or do not.
fn both_ways(
    router: Router<Arc<ApiState>>,
    path: &str,
    methods: MethodRouter<Arc<ApiState>>,
) -> Router<Arc<ApiState>> {
    router.route(path, methods.clone()).route(&format!("{path}/"), methods)
}

async fn with_request_id(request: Request, next: Next) -> Response {
    let (request, leftover) = Leftover::of(request);
    let mut response = next.run(request).await;
    leftover.read();
    if !response.headers().contains_key(REQUEST_ID) {
        set_request_id(&mut response, &Uuid::new_v4().to_string());
    }
    response
}

fn set_request_id(response: &mut Response, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

/// An answer in JSON.
fn answer(status: StatusCode, body: &impl Serialize) -> Result<Response, ApiError> {
    let text = serde_json::to_vec(body).map_err(|error| ApiError::new(&error::SERVICE, error.to_string()))?;
    Ok((status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
}
