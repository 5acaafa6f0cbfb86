//! The account, and a word for people who come with a browser.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::caller::Caller;
use super::error::ApiError;
use super::{ApiState, answer};
use crate::catalog::package::MAX_UNPACKED_BYTES;

/// Answer of `GET /2016-08-19/account-settings`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountSettings {
    account_limit: AccountLimit,
    account_usage: AccountUsage,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountLimit {
    total_code_size: u64,
    code_size_unzipped: u64,
    code_size_zipped: u64,
    concurrent_executions: u32,
    unreserved_concurrent_executions: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountUsage {
    total_code_size: u64,
    function_count: usize,
}

/// What AWS allows an account to store.
const TOTAL_CODE_BYTES: u64 = 80_530_636_800;

/// `GetAccountSettings`
pub(super) async fn settings(
    State(api): State<Arc<ApiState>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = Caller::of(&headers, &api.settings);
    let functions = api.catalog.functions(caller.account, caller.region);
    let claimed: u32 = functions.iter().map(|function| function.claimed_concurrency()).sum();
    let sizes = functions.iter().flat_map(|function| function.all_versions());
    let total_code_size = sizes.filter_map(|version| Some(version.config.packages().first()?.size)).sum();
    let concurrent_executions = api.settings.account_concurrency;
    answer(
        StatusCode::OK,
        &AccountSettings {
            account_limit: AccountLimit {
                total_code_size: TOTAL_CODE_BYTES,
                code_size_unzipped: MAX_UNPACKED_BYTES,
                code_size_zipped: 52_428_800,
                concurrent_executions,
                unreserved_concurrent_executions: concurrent_executions.saturating_sub(claimed),
            },
            account_usage: AccountUsage { total_code_size, function_count: functions.len() },
        },
    )
}

/// `GET /`: what this is, and how to talk to it.
pub(super) async fn greeting(headers: HeaderMap) -> String {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:3001");
    format!(
        "This is hearth {}: AWS Lambda on your own machine.\n\n\
         AWS SDKs and the aws CLI talk to it unchanged:\n\n\
         \texport AWS_ENDPOINT_URL_LAMBDA=http://{host}\n\
         \taws lambda list-functions\n\n\
         About the host itself: /_hearth/health, /_hearth/instances, /_hearth/metrics\n",
        env!("CARGO_PKG_VERSION")
    )
}
