//! What this host does not do, said clearly.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Uri};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::error::{ApiError, NOT_SUPPORTED, UNKNOWN_OPERATION};
use super::{ApiState, leftover};

/// Operations of the Lambda API that are not served, by path; AWS's names.
#[rustfmt::skip]
const OPERATIONS: [(&str, &[(MethodFilter, &str)]); 16] = [
    ("/2025-12-01/durable-executions/{arn}", &[(MethodFilter::GET, "GetDurableExecution"), (MethodFilter::DELETE, "DeleteDurableExecution")]),
    ("/2025-12-01/durable-executions/{arn}/checkpoint", &[(MethodFilter::POST, "CheckpointDurableExecution")]),
    ("/2025-12-01/durable-executions/{arn}/history", &[(MethodFilter::GET, "GetDurableExecutionHistory")]),
    ("/2025-12-01/durable-executions/{arn}/state", &[(MethodFilter::GET, "GetDurableExecutionState")]),
    ("/2025-12-01/durable-executions/{arn}/pause", &[(MethodFilter::POST, "PauseDurableExecution")]),
    ("/2025-12-01/durable-executions/{arn}/resume", &[(MethodFilter::POST, "ResumeDurableExecution")]),
    ("/2025-12-01/durable-executions/{arn}/stop", &[(MethodFilter::POST, "StopDurableExecution")]),
    ("/2025-12-01/durable-execution-callbacks/{id}/fail", &[(MethodFilter::POST, "SendDurableExecutionCallbackFailure")]),
    ("/2025-12-01/durable-execution-callbacks/{id}/heartbeat", &[(MethodFilter::POST, "SendDurableExecutionCallbackHeartbeat")]),
    ("/2025-12-01/durable-execution-callbacks/{id}/succeed", &[(MethodFilter::POST, "SendDurableExecutionCallbackSuccess")]),
    ("/2025-12-01/functions/{name}/durable-executions", &[(MethodFilter::GET, "ListDurableExecutionsByFunction")]),
    ("/2025-11-30/capacity-providers", &[(MethodFilter::POST, "CreateCapacityProvider"), (MethodFilter::GET, "ListCapacityProviders")]),
    ("/2025-11-30/capacity-providers/{name}", &[(MethodFilter::GET, "GetCapacityProvider"), (MethodFilter::PUT, "UpdateCapacityProvider"), (MethodFilter::DELETE, "DeleteCapacityProvider")]),
    ("/2025-11-30/capacity-providers/{name}/function-versions", &[(MethodFilter::GET, "ListFunctionVersionsByCapacityProvider")]),
    ("/2025-11-30/functions/{name}/function-scaling-config", &[(MethodFilter::GET, "GetFunctionScalingConfig"), (MethodFilter::PUT, "PutFunctionScalingConfig")]),
    ("/2026-07-09/resource-policy/{arn}", &[(MethodFilter::GET, "GetResourcePolicy"), (MethodFilter::PUT, "PutResourcePolicy"), (MethodFilter::DELETE, "DeleteResourcePolicy")]),
];

/// A route for each of them.
pub(super) fn routes(router: Router<Arc<ApiState>>) -> Router<Arc<ApiState>> {
    OPERATIONS.into_iter().fold(router, |router, (path, methods)| {
        let refuse = |operation: &'static str| move || std::future::ready(not_supported(operation));
        let methods: MethodRouter<Arc<ApiState>> =
            methods.iter().fold(MethodRouter::new(), |router, (method, operation)| {
                router.merge(on(*method, refuse(operation)))
            });
        super::both_ways(router, path, methods)
    })
}

/// Answers what is no operation of the Lambda API.
pub(super) async fn unknown(method: Method, uri: Uri, body: Body) -> ApiError {
    leftover::read(body);
    let message = format!("{method} {} is no operation of the Lambda API that this host knows.", uri.path());
    ApiError::new(&UNKNOWN_OPERATION, message)
}

fn not_supported(operation: &str) -> ApiError {
    ApiError::new(&NOT_SUPPORTED, format!("{operation} is not supported by this host."))
}
