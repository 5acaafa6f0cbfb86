//! The admin API under `/_hearth/`: what people and monitors ask the host about itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use hearth_pool::{PhaseSnapshot, Timestamp};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::driver::{Driver, Preparation, Seen};
use crate::function_logs::FunctionLogs;
use crate::metrics::Metrics;

mod backend;
mod logs;

/// What the admin API speaks for.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// The deployed functions.
    pub catalog: Catalog,
    /// The instances.
    pub driver: Driver,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// What functions wrote, if it is kept.
    pub logs: Option<FunctionLogs>,
    /// What is meant where nothing is said.
    pub settings: Settings,
}

/// Routes of the admin API.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/_hearth/health", get(health))
        .route("/_hearth/backend", get(backend::describe))
        .route("/_hearth/backend/{*path}", any(backend::pass_on))
        .route("/_hearth/instances", get(instances))
        .route("/_hearth/progress", get(progress))
        .route("/_hearth/functions/{name}/evict", post(evict))
        .route("/_hearth/functions/{name}/logs", get(logs::read))
        .route("/_hearth/metrics", get(metrics))
        .with_state(state)
}

/// Answer of `GET /_hearth/health`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    backend: String,
    backend_version: String,
    uptime_seconds: f64,
}

async fn health(State(state): State<AdminState>) -> Json<Health> {
    let info = state.driver.backend_info();
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        backend: info.name.clone(),
        backend_version: info.version.clone(),
        uptime_seconds: state.clock.now().since_start().as_secs_f64(),
    })
}

/// Answer of `GET /_hearth/instances`.
#[derive(Debug, Serialize)]
struct Instances {
    instances: Vec<InstanceView>,
}

/// One instance.
#[derive(Debug, Serialize)]
struct InstanceView {
    instance: Option<String>,
    function: String,
    version: String,
    runtime: String,
    backend: String,
    /// `launching`, `idle`, `paused`, `busy`, `draining` or `terminating`.
    state: &'static str,
    /// Since it served last; absent unless it is idle.
    idle_seconds: Option<f64>,
    /// Since it was ready; absent while it is launching.
    age_seconds: Option<f64>,
    /// Invocations that it was given.
    invocations: u64,
    memory_mb: u32,
    endpoint: Option<String>,
    handle: Option<String>,
    metadata: BTreeMap<String, String>,
}

async fn instances(State(state): State<AdminState>) -> Json<Instances> {
    let now = state.clock.now();
    let backend = &state.driver.backend_info().name;
    Json(Instances {
        instances: state.driver.instances().iter().map(|seen| view(seen, backend, now)).collect(),
    })
}

fn view(seen: &Seen, backend: &str, now: Timestamp) -> InstanceView {
    let instance = seen.instance.as_deref();
    let idle_seconds = match seen.pooled.phase {
        PhaseSnapshot::Idle => Some(now.since(seen.pooled.since).as_secs_f64()),
        PhaseSnapshot::Launching
        | PhaseSnapshot::Busy(_)
        | PhaseSnapshot::Draining(_)
        | PhaseSnapshot::Terminating => None,
    };
    InstanceView {
        instance: instance.map(|it| it.name.clone()),
        function: seen.target.function.name.to_string(),
        version: seen.target.version.to_string(),
        runtime: seen.target.deploy.spec.runtime.clone(),
        backend: backend.to_owned(),
        state: seen.state(),
        idle_seconds,
        age_seconds: instance.map(|it| now.since(it.ready_at).as_secs_f64()),
        invocations: seen.pooled.served,
        memory_mb: seen.target.memory_mb,
        endpoint: instance.map(|it| it.address.to_string()),
        handle: instance.map(|it| it.handle.clone()),
        metadata: instance.map(|it| it.meta.clone()).unwrap_or_default(),
    }
}

/// Answer of `GET /_hearth/progress`.
#[derive(Debug, Serialize)]
struct InProgress {
    /// The deploys that are being prepared.
    preparing: Vec<Preparation>,
}

async fn progress(State(state): State<AdminState>) -> Json<InProgress> {
    Json(InProgress { preparing: state.driver.preparations().all() })
}

/// Query of `POST /_hearth/functions/{name}/evict`.
#[derive(Debug, Deserialize)]
struct EvictQuery {
    /// Only this version; all of them otherwise.
    qualifier: Option<String>,
}

/// Answer of `POST /_hearth/functions/{name}/evict`.
#[derive(Debug, Serialize)]
struct Eviction {
    function: String,
    /// Whether there were any instances.
    evicted: bool,
    /// How many: idle ones are ended at once, busy ones when they are done.
    instances: usize,
}

async fn evict(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Query(query): Query<EvictQuery>,
) -> Response {
    let targets: Vec<_> = state
        .catalog
        .targets()
        .into_iter()
        .filter(|target| *target.function.name == *name)
        .filter(|target| query.qualifier.as_ref().is_none_or(|qualifier| **qualifier == *target.version))
        .collect();
    if targets.is_empty() {
        let message = match query.qualifier {
            Some(qualifier) => format!("no function `{name}` with a version `{qualifier}` is deployed"),
            None => format!("no function `{name}` is deployed"),
        };
        return (StatusCode::NOT_FOUND, Json(serde_json::json!({ "message": message }))).into_response();
    }
    let instances = targets.iter().map(|target| state.driver.evict(target)).sum();
    Json(Eviction { function: name, evicted: instances > 0, instances }).into_response()
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = state.metrics.render(&state.driver.snapshot(), &state.catalog.targets());
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
