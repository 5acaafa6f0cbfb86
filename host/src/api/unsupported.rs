//! What this host does not do, said clearly.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::ApiState;
use super::error::{ApiError, NOT_SUPPORTED, UNKNOWN_OPERATION};

/// Operations of the Lambda API that are not served, by path; AWS's names.
#[rustfmt::skip]
const OPERATIONS: [(&str, &[(MethodFilter, &str)]); 29] = [
    ("/2018-10-31/layers/{name}/versions/{number}/policy", &[(MethodFilter::POST, "AddLayerVersionPermission"), (MethodFilter::GET, "GetLayerVersionPolicy")]),
    ("/2018-10-31/layers/{name}/versions/{number}/policy/{statement}", &[(MethodFilter::DELETE, "RemoveLayerVersionPermission")]),
    ("/2019-09-25/functions/{name}/event-invoke-config", &[(MethodFilter::PUT, "PutFunctionEventInvokeConfig"), (MethodFilter::POST, "UpdateFunctionEventInvokeConfig"), (MethodFilter::GET, "GetFunctionEventInvokeConfig"), (MethodFilter::DELETE, "DeleteFunctionEventInvokeConfig")]),
    ("/2019-09-25/functions/{name}/event-invoke-config/list", &[(MethodFilter::GET, "ListFunctionEventInvokeConfigs")]),
    ("/2021-07-20/functions/{name}/runtime-management-config", &[(MethodFilter::PUT, "PutRuntimeManagementConfig"), (MethodFilter::GET, "GetRuntimeManagementConfig")]),
    ("/2024-08-31/functions/{name}/recursion-config", &[(MethodFilter::PUT, "PutFunctionRecursionConfig"), (MethodFilter::GET, "GetFunctionRecursionConfig")]),
    ("/2015-03-31/functions/{name}/policy", &[(MethodFilter::POST, "AddPermission"), (MethodFilter::GET, "GetPolicy")]),
    ("/2015-03-31/functions/{name}/policy/{statement}", &[(MethodFilter::DELETE, "RemovePermission")]),
    ("/2015-03-31/event-source-mappings", &[(MethodFilter::POST, "CreateEventSourceMapping"), (MethodFilter::GET, "ListEventSourceMappings")]),
    ("/2015-03-31/event-source-mappings/{id}", &[(MethodFilter::GET, "GetEventSourceMapping"), (MethodFilter::PUT, "UpdateEventSourceMapping"), (MethodFilter::DELETE, "DeleteEventSourceMapping")]),
    ("/2020-04-22/code-signing-configs", &[(MethodFilter::POST, "CreateCodeSigningConfig"), (MethodFilter::GET, "ListCodeSigningConfigs")]),
    ("/2020-04-22/code-signing-configs/{arn}", &[(MethodFilter::GET, "GetCodeSigningConfig"), (MethodFilter::PUT, "UpdateCodeSigningConfig"), (MethodFilter::DELETE, "DeleteCodeSigningConfig")]),
    ("/2020-04-22/code-signing-configs/{arn}/functions", &[(MethodFilter::GET, "ListFunctionsByCodeSigningConfig")]),
    ("/2020-06-30/functions/{name}/code-signing-config", &[(MethodFilter::PUT, "PutFunctionCodeSigningConfig"), (MethodFilter::GET, "GetFunctionCodeSigningConfig"), (MethodFilter::DELETE, "DeleteFunctionCodeSigningConfig")]),
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
pub(super) async fn unknown(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} {} is no operation of the Lambda API that this host knows.", uri.path());
    ApiError::new(&UNKNOWN_OPERATION, message)
}

fn not_supported(operation: &str) -> ApiError {
    ApiError::new(&NOT_SUPPORTED, format!("{operation} is not supported by this host."))
}
