//! The Extensions API, version 2020-01-01: what extensions talk to, on the address of the Runtime API.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use crate::emulator::Emulator;
use crate::extensions::{NextNotice, Refused};
use crate::identity::Identity;
use crate::payload::Payload;
use crate::server::{self, Reply};

const NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
const IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-identifier");
const EVENT_IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-event-identifier");
const ACCEPT_FEATURE: HeaderName = HeaderName::from_static("lambda-extension-accept-feature");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-extension-function-error-type");
/// Largest body of a call, in bytes; what is in it is a list of two words, or is not read.
pub(crate) const MAX_BODY: u64 = 256 * 1024;

/// The calls that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Register,
    Next,
    InitError,
    ExitError,
}

impl Route {
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path.strip_prefix("/2020-01-01/extension/")? {
            "register" => Some(Self::Register),
            "event/next" => Some(Self::Next),
            "init/error" => Some(Self::InitError),
            "exit/error" => Some(Self::ExitError),
            _ => None,
        }
    }

    pub(crate) fn method(self) -> Method {
        if self == Self::Next { Method::GET } else { Method::POST }
    }
}

/// Answers one request.
pub(crate) async fn answer(
    emulator: &Arc<Emulator>,
    route: Route,
    headers: &HeaderMap,
    body: Incoming,
) -> Response<Reply> {
    let body = Payload::read(body, MAX_BODY).await.map(|body| body.to_vec()).unwrap_or_default();
    if route == Route::Register {
        return register(emulator, headers, &body);
    }
    let id = match identifier(headers) {
        Ok(id) => id,
        Err(refused) => return refuse(refused),
    };
    if route == Route::Next {
        return next(emulator, id).await;
    }
    let Some(error_type) = text(headers, &ERROR_TYPE) else {
        return forbid("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
    };
    let failed = match route {
        Route::InitError => emulator.extension_init_failed(id, error_type),
        Route::ExitError | Route::Register | Route::Next => emulator.extension_exit_failed(id, error_type),
    };
    failed.map_or_else(refuse, |()| server::json(StatusCode::ACCEPTED, "{\"status\":\"OK\"}\n"))
}

/// The identifier that a call presents.
fn identifier(headers: &HeaderMap) -> Result<&str, Refused> {
    let id = text(headers, &IDENTIFIER).ok_or(Refused::MissingIdentifier)?;
    uuid::Uuid::try_parse(id).map(|_| id).map_err(|_| Refused::InvalidIdentifier)
}

/// The name of the extension that calls.
pub(crate) fn caller(emulator: &Emulator, headers: &HeaderMap) -> Result<Arc<str>, Refused> {
    emulator.extension_name(identifier(headers)?).ok_or(Refused::Unknown)
}

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    events: Vec<String>,
}

fn register(emulator: &Emulator, headers: &HeaderMap, body: &[u8]) -> Response<Reply> {
    let Some(name) = text(headers, &NAME).filter(|name| !name.is_empty()) else {
        return forbid("Extension.InvalidExtensionName", "Empty extension name");
    };
    let Ok(registration) = serde_json::from_slice::<Registration>(body) else {
        return forbid("InvalidRequestFormat", "the body is not JSON of the form {\"events\": […]}");
    };
    let mut interests = Vec::new();
    for event in &registration.events {
        match serde_json::from_value(event.as_str().into()) {
            Ok(interest) => interests.push(interest),
            Err(_) => {
                return forbid("Extension.InvalidEventType", &format!("{event}: ErrorInvalidEventType"));
            }
        }
    }
    match emulator.register_extension(name, interests) {
        Ok(id) => {
            let Identity { function, handler, .. } = &emulator.identity;
            let mut identity = json!({
                "functionName": function.name,
                "functionVersion": function.version,
                "handler": handler,
            });
            let features = text(headers, &ACCEPT_FEATURE).unwrap_or_default();
            if let Some(account) = &function.account_id
                && features.split(',').any(|feature| feature.trim() == "accountId")
            {
                identity["accountId"] = account.as_str().into();
            }
            with_id(server::json(StatusCode::OK, identity.to_string()), IDENTIFIER, &id)
        }
        Err(refused) => refuse(refused),
    }
}

async fn next(emulator: &Emulator, id: &str) -> Response<Reply> {
    let notice = match emulator.next_notice(id) {
        Ok(NextNotice::Now(notice)) => notice,
        Ok(NextNotice::Later(receiver)) => match receiver.await {
            Ok(notice) => notice,
            // The sandbox has ended, or the extension asked a second time.
            Err(_) => return refuse(Refused::Unknown),
        },
        Err(Refused::Unknown) => {
            return forbid("Extension.UnknownExtensionIdentifier", &format!("Unknown extension {id}"));
        }
        Err(refused) => return refuse(refused),
    };
    let mut response = Response::new(Reply::Whole(notice.to_string().into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    with_id(response, EVENT_IDENTIFIER, &uuid::Uuid::new_v4().to_string())
}

fn with_id(mut response: Response<Reply>, name: HeaderName, id: &str) -> Response<Reply> {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(name, id);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn forbid(error_type: &str, message: &str) -> Response<Reply> {
    server::error(StatusCode::FORBIDDEN, error_type, message)
}

pub(crate) fn refuse(refused: Refused) -> Response<Reply> {
    match refused {
        Refused::MissingIdentifier => {
            let message = "Missing Lambda-Extension-Identifier header";
            forbid("Extension.MissingExtensionIdentifier", message)
        }
        Refused::InvalidIdentifier => {
            forbid("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        }
        Refused::RegistrationClosed => {
            forbid("Extension.RegistrationClosed", "Extension registration closed already")
        }
        Refused::TooMany => forbid("Extension.TooManyExtensions", "Extension limit (10) reached"),
        Refused::Interest(message) => forbid("Extension.InvalidEventType", message),
        Refused::Unknown => {
            forbid("Extension.UnknownExtensionIdentifier", "Unknown Lambda-Extension-Identifier")
        }
        Refused::State { who, from, to } => {
            let message = format!(
                "State transition from {from} to {to} failed for extension {who}. \
                 Error: State transition is not allowed"
            );
            forbid("Extension.InvalidExtensionState", &message)
        }
    }
}

/// The event of an invocation.
pub(crate) fn invoke_event(request_id: &str, event: &HeaderMap) -> Arc<str> {
    let header = |name: &str| event.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let deadline: u64 = header("lambda-runtime-deadline-ms").parse().unwrap_or(0);
    json!({
        "eventType": "INVOKE",
        "deadlineMs": deadline,
        "requestId": request_id,
        "invokedFunctionArn": header("lambda-runtime-invoked-function-arn"),
        "tracing": {"type": "X-Amzn-Trace-Id", "value": header("lambda-runtime-trace-id")},
    })
    .to_string()
    .into()
}

/// The event of the end.
pub(crate) fn shutdown_event(reason: &str, deadline_ms: u64) -> Arc<str> {
    json!({"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms}).to_string().into()
}
