//! `GET /_hearth/functions/{name}/logs`: what a function wrote, and what it writes.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::AdminState;
use crate::catalog::function::FunctionKey;
use crate::function_logs::{Following, Place, Wanted};

/// Which lines, of which log group.
#[derive(Debug, Deserialize)]
pub(super) struct LogsQuery {
    account: Option<String>,
    region: Option<String>,
    /// The function's own, unless another is named: it may have had another before.
    group: Option<String>,
    /// RFC 3339.
    since: Option<Timestamp>,
    tail: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(super) async fn read(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Response {
    let Some(logs) = &state.logs else {
        return refused(StatusCode::NOT_FOUND, "logs are not kept here: logs.enabled is false");
    };
    let account = query.account.unwrap_or(state.settings.account);
    let region = query.region.unwrap_or(state.settings.region);
    let key = FunctionKey::new(&account, &region, &name);
    let function = state.catalog.function(&key);
    let own_group = function.as_ref().map(|function| function.latest.config.logging.group.clone());
    let group = query.group.or(own_group).unwrap_or_else(|| format!("/aws/lambda/{name}"));
    let place = Place { function: key, group: group.into() };
    let wanted = Wanted { since: query.since, tail: query.tail, follow: query.follow };
    match logs.read(&place, wanted, function.is_some()).await {
        Ok(Some(following)) => text(following),
        Ok(None) => {
            let problem =
                format!("no function `{name}` is deployed, and none of that name has written anything");
            refused(StatusCode::NOT_FOUND, &problem)
        }
        Err(error) => refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the log of `{name}` cannot be read: {error}"),
        ),
    }
}

/// The past, and then the future until the reader goes.
fn text(following: Following) -> Response {
    let past = Bytes::from(following.past.clone().into_bytes());
    let past = stream::iter([Ok::<_, io::Error>(past)]);
    let future = stream::unfold(following, |mut following| async move {
        let batch = match following.future.as_mut()?.recv().await {
            Ok(lines) => Bytes::from(lines.as_bytes().to_vec()),
            Err(RecvError::Lagged(_)) => {
                Bytes::from_static(b"(lines were left out: the reader is too slow)\n")
            }
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(batch), following))
    });
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(past.chain(future))).into_response()
}

fn refused(status: StatusCode, problem: &str) -> Response {
    (status, Json(serde_json::json!({ "message": problem }))).into_response()
}
