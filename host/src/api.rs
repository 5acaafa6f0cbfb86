//! The Lambda API. Only here are AWS's JSON, headers, ARNs and error names known.
//!
//! Each operation is a function of a module that is named after what it works on; `operations` says which
//! path leads where, and what is made of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use uuid::Uuid;

use self::access::Access;
use self::error::ApiError;
pub use self::front::{Door, Front};
use self::leftover::Leftover;
pub use self::operations::page;
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
mod mismatch;
mod operations;
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
    let control = operations::control(Router::new())
        .route("/", get(account::greeting))
        .route("/_hearth/code/{sha256}", get(code::download))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn(with_request_id));
    // An invocation has its id from the start, because the function sees it; its path has nothing in the way.
    operations::direct(control).method_not_allowed_fallback(unknown).with_state(state)
}

/// Answers what is no operation of the Lambda API.
async fn unknown(method: Method, uri: Uri, body: Body) -> ApiError {
    leftover::read(body);
    let message = format!("{method} {} is no operation of the Lambda API that this host knows.", uri.path());
    ApiError::new(&error::UNKNOWN_OPERATION, message)
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
