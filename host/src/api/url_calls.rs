//! Function URLs: how they are served. See docs/function-urls.md.
//!
//! A request becomes an event in API Gateway's payload format 2.0, and what the function answers becomes the
//! response. Nothing of the Lambda API shows: errors are those of a web server.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use bytes::Bytes;
use uuid::Uuid;

use self::event::Context;
use super::access::Signer;
use super::body::Limit;
use super::error::{ApiError, ERROR_TYPE};
use super::front::Called;
use super::policy::{self, Asked};
use super::urls::{LATEST, domain};
use super::{ApiState, body, set_request_id};
use crate::catalog::FunctionRef;
use crate::catalog::function::Function;
use crate::catalog::url::{FunctionUrl, InvokeMode, UrlAuth};
use crate::clock::Clock;
use crate::invoke::{Invocation, InvokeError};
use crate::trace;

mod answer;
mod cors;
mod event;
mod stream;
#[cfg(test)]
mod tests;

/// Largest event, in bytes: a request must fit into it, with all its headers.
const LIMIT: Limit = Limit { bytes: 6_291_456, operation: "InvokeFunctionUrl" };

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Serves every path of every URL.
pub(super) fn router(state: Arc<ApiState>) -> Router {
    Router::new().fallback(serve).with_state(state)
}

async fn serve(
    State(api): State<Arc<ApiState>>,
    Extension(called): Extension<Called>,
    request: Request,
) -> Response {
    let id = Uuid::new_v4();
    let mut response = match api.catalog.url(&called.id) {
        Some((function, qualifier, url)) => {
            UrlCall { api: &api, id, called, function, qualifier, url }.serve(request).await
        }
        None => forbidden("{\"Message\":null}"),
    };
    set_request_id(&mut response, &id.to_string());
    response
}

/// One request of a URL that exists.
struct UrlCall<'a> {
    api: &'a ApiState,
    id: Uuid,
    called: Called,
    function: Arc<Function>,
    /// An alias, or [`LATEST`].
    qualifier: String,
    url: Arc<FunctionUrl>,
}

/// Why there is no response of the function.
#[derive(Debug)]
enum Refused {
    /// The caller is not who they must be.
    Forbidden,
    /// It cannot be passed on, or there is no room.
    Api(ApiError),
    /// The function failed, or answered what is no response.
    Function,
}

impl UrlCall<'_> {
    async fn serve(&self, request: Request) -> Response {
        let cors = self.url.settings.cors.as_ref();
        if let (Some(cors), &Method::OPTIONS) = (cors, request.method())
            && let Some(response) = cors::preflight(cors, request.headers())
        {
            return response;
        }
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut response = self.call(request).await.unwrap_or_else(Refused::into_response);
        if let (Some(cors), Some(origin)) = (cors, origin) {
            cors::allow(cors, &origin, response.headers_mut());
        }
        response
    }

    async fn call(&self, request: Request) -> Result<Response, Refused> {
        let (head, body) = request.into_parts();
        let region = &*self.function.key.region;
        let body = body::read(&head.headers, body, LIMIT).await.map_err(Refused::Api)?;
        let signer = self.admit(&head, &body)?;
        let trace_id = match head.headers.get(TRACE_ID).and_then(|value| value.to_str().ok()) {
            Some(given) => Cow::Borrowed(given),
            None => Cow::Owned(trace::header(self.id, Clock::wall().as_second())),
        };
        let context = Context {
            url_id: &self.url.id,
            domain: &domain(&self.url.id, region),
            port: self.api.settings.port,
            peer: self.called.peer,
            request_id: self.id,
            trace_id: &trace_id,
            now: Clock::wall(),
            account: &self.function.key.account,
            signer: signer.as_ref(),
        };
        let path = head.uri.path().get(self.called.prefix..).filter(|path| !path.is_empty()).unwrap_or("/");
        let event = event::of(&context, &head, path, &body);
        if event.len() as u64 > LIMIT.bytes {
            return Err(Refused::Api(LIMIT.exceeded()));
        }
        let mut response = self.invoke(event, &trace_id).await?;
        if let Ok(trace_id) = HeaderValue::from_str(&trace_id) {
            response.headers_mut().insert(TRACE_ID, trace_id);
        }
        Ok(response)
    }

    /// Finds out who calls, if they may: those of the function's own account by their signature, everybody else by what
    /// the function's policy says of them.
    fn admit(&self, head: &Parts, body: &[u8]) -> Result<Option<Signer>, Refused> {
        let key = &self.function.key;
        let (signer, auth_type) = match self.url.settings.auth {
            UrlAuth::None => (None, "NONE"),
            UrlAuth::Iam => {
                let signer = self.api.settings.access.signer(head, body, &key.region);
                (Some(signer.ok_or(Refused::Forbidden)?), "AWS_IAM")
            }
        };
        let account = signer.as_ref().map(|signer| signer.account.as_deref().unwrap_or(&key.account));
        if account == Some(&*key.account) {
            return Ok(signer);
        }
        let asked = Asked {
            action: "lambda:InvokeFunctionUrl",
            account,
            context: &[("lambda:functionurlauthtype", auth_type)],
        };
        let statements = self.function.qualified.get(&self.qualifier).map(|it| &*it.policy);
        if policy::allows(statements.unwrap_or_default(), asked) {
            return Ok(signer);
        }
        tracing::info!(
            function = %key.arn(),
            qualifier = self.qualifier,
            "refused a URL's caller: no statement of the function's policy allows lambda:InvokeFunctionUrl with \
             FunctionUrlAuthType {auth_type} to them; `aws lambda add-permission` adds one"
        );
        Err(Refused::Forbidden)
    }

    async fn invoke(&self, event: Bytes, trace_id: &str) -> Result<Response, Refused> {
        let key = &self.function.key;
        let qualifier = Some(self.qualifier.as_str()).filter(|qualifier| *qualifier != LATEST);
        let reference =
            FunctionRef { account: &key.account, region: &key.region, name: &key.name, qualifier };
        let [a, b, c, d, ..] = *self.id.as_bytes();
        let target = self.api.catalog.resolve(&reference, u32::from_be_bytes([a, b, c, d]));
        let target = target.map_err(|error| {
            tracing::warn!(function = %key.arn(), %error, "a URL leads to what cannot be invoked");
            Refused::Function
        })?;
        let invocation = Invocation {
            arn: match qualifier {
                None => Arc::clone(&target.arn),
                Some(qualifier) => format!("{}:{qualifier}", target.arn).into(),
            },
            target,
            request_id: self.id.to_string(),
            payload: event,
            client_context: None,
            trace_id: Some(trace_id.to_owned()),
            log_tail: false,
            tenant_id: None,
        };
        let refused = |error| self.refused(error);
        match self.url.settings.invoke_mode {
            Some(InvokeMode::ResponseStream) => {
                stream::respond(self.api.invoker.stream(invocation).await.map_err(refused)?).await
            }
            Some(InvokeMode::Buffered) | None => {
                answer::respond(&self.api.invoker.invoke(invocation).await.map_err(refused)?)
            }
        }
    }

    /// A limit is told as by the Lambda API; anything else is the function's own business.
    fn refused(&self, error: InvokeError) -> Refused {
        let is_limit = matches!(error, InvokeError::Throttled(_));
        let error = ApiError::invoke(error, &self.function.key.arn());
        if is_limit {
            return Refused::Api(error);
        }
        tracing::warn!(function = %self.function.key.arn(), %error, "a URL's invocation was not run");
        Refused::Function
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Forbidden => forbidden(
                "{\"Message\":\"Forbidden. For troubleshooting Function URL authorization issues, see: \
                 https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html\"}",
            ),
            Self::Api(error) => error.into_response(),
            Self::Function => json(StatusCode::BAD_GATEWAY, "Internal Server Error"),
        }
    }
}

fn forbidden(message: &'static str) -> Response {
    let mut response = json(StatusCode::FORBIDDEN, message);
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static("AccessDeniedException"));
    response
}

fn json(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], Body::from(text)).into_response()
}
