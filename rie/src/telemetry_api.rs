//! The Telemetry API's one call, and the Logs API's: an extension subscribes.

use std::sync::Arc;

use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;

use crate::emulator::Emulator;
use crate::extension_api::{self, MAX_BODY};
use crate::payload::Payload;
use crate::server::{self, Reply};
use crate::telemetry::{Api, NotSubscribed, Subscription};

/// The API that a path is of.
pub(crate) fn route(path: &str) -> Option<Api> {
    match path.strip_suffix('/').unwrap_or(path) {
        "/2022-07-01/telemetry" => Some(Api::Telemetry),
        "/2020-08-15/logs" => Some(Api::Logs),
        _ => None,
    }
}

pub(crate) const METHOD: Method = Method::PUT;

/// Answers one request.
pub(crate) async fn answer(
    emulator: &Arc<Emulator>,
    api: Api,
    headers: &HeaderMap,
    body: Incoming,
) -> Response<Reply> {
    let body = Payload::read(body, MAX_BODY).await.map(|body| body.to_vec()).unwrap_or_default();
    let name = match extension_api::caller(emulator, headers) {
        Ok(name) => name,
        Err(refused) => return extension_api::refuse(refused),
    };
    let subscription = match Subscription::parse(api, &body) {
        Ok(subscription) => subscription,
        Err(problems) => return server::error(StatusCode::BAD_REQUEST, "ValidationError", &problems),
    };
    match emulator.subscribe(&name, subscription) {
        Ok(()) => server::json(StatusCode::OK, "\"OK\""),
        Err(NotSubscribed::Closed) => {
            let api = api.name();
            let message = format!("{api} API subscription is closed already");
            server::error(StatusCode::FORBIDDEN, &format!("{api}.SubscriptionClosed"), &message)
        }
        Err(NotSubscribed::ByOther(other)) => {
            let message = format!("extension {name} is subscribed to the {} API already", other.name());
            server::error(StatusCode::BAD_REQUEST, "ValidationError", &message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_apis_have_one_path_with_or_without_a_slash() {
        for (path, api) in [
            ("/2022-07-01/telemetry", Some(Api::Telemetry)),
            ("/2022-07-01/telemetry/", Some(Api::Telemetry)),
            ("/2020-08-15/logs", Some(Api::Logs)),
            ("/2022-07-01/logs", None),
            ("/2022-07-01/telemetry/x", None),
        ] {
            assert_eq!(route(path), api, "{path}");
        }
    }
}
