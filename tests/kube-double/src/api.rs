//! The HTTP API: who may do what to which object, in the words of the recorded server.

mod admin;
mod apply;
mod logs;
mod port_forward;
mod read;
mod reply;
mod review;
mod route;
mod watch;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::access::{self, Attempt, User};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::kubelet::Kubelet;
use crate::proxy;
use crate::resource::Resource;
use crate::server::Door;

pub(crate) use self::admin::{Admin, delete_all_pods};
pub(crate) use self::reply::{Reply, answer_failure, full};
pub(crate) use self::route::Target;
use self::route::{Query, Route};
pub(crate) use self::write::{disruption, with_condition};

/// Bodies of objects are refused above this; what goes to pods is not limited.
const MOST_BODY: usize = 3 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) kubelet: Arc<Kubelet>,
    pub(crate) door: Arc<Door>,
}

/// A call that may go ahead.
#[derive(Debug)]
struct Call {
    resource: &'static Resource,
    target: Target,
    query: Query,
    /// As it was sent.
    raw_query: String,
    headers: HeaderMap,
    method: Method,
    /// The connection, for what is no HTTP any more.
    upgrade: Option<OnUpgrade>,
}

impl Api {
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Reply {
        self.try_serve(request).await.unwrap_or_else(|failure| answer_failure(&failure))
    }

    async fn try_serve(&self, request: Request<Incoming>) -> Result<Reply, Failure> {
        let query = Query::parse(request.uri().query().unwrap_or(""));
        let route = Route::parse(request.uri().path());
        let verb = route.verb(request.method(), &query);
        self.count_and_delay(verb, &route).await?;
        let authorization = request.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        let user = self.cluster.with(|state, now| state.tokens.user(authorization, now))?;
        match route {
            Route::Nowhere => Err(Failure::no_such_path()),
            Route::Plain(text) => Ok(reply::text(200, text)),
            Route::Document(document) => Ok(reply::json(200, &document)),
            Route::Review(kind) => review::serve(self, &user, kind, &body(request).await?),
            Route::UnknownResource => Err(Failure::no_such_resource()),
            Route::Objects(resource, target) => {
                self.check_access(&user, resource, verb, &target)?;
                let (mut parts, body) = request.into_parts();
                let raw_query = parts.uri.query().unwrap_or("").to_owned();
                let (headers, method) = (parts.headers, parts.method);
                let upgrade = parts.extensions.remove();
                let call = Call { resource, target, query, raw_query, headers, method, upgrade };
                self.dispatch(call, body).await
            }
        }
    }

    async fn count_and_delay(&self, verb: &str, route: &Route) -> Result<(), Failure> {
        let (refused, delay) = self.cluster.with(|state, _| {
            *state.calls.entry(format!("{verb} {}", route.name())).or_default() += 1;
            (state.faults.refuse(), state.faults.slow)
        });
        if let Some(seconds) = refused {
            let text = "Too many requests, please try again later.\n";
            return Err(Failure::text(429, text).retry_after(seconds));
        }
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    fn check_access(
        &self,
        user: &User,
        resource: &Resource,
        verb: &str,
        target: &Target,
    ) -> Result<(), Failure> {
        let resource_name = target.qualified_by_subresource(resource);
        let attempt = Attempt {
            verb,
            group: resource.group,
            resource: &resource_name,
            namespace: &target.namespace,
            name: &target.name,
        };
        self.cluster.with(|state, _| access::check(state, user, resource, &attempt))
    }

    async fn dispatch(&self, call: Call, body: Incoming) -> Result<Reply, Failure> {
        check_accept(&call.headers)?;
        match (&call.method, call.target.name.as_str(), call.target.subresource()) {
            (&Method::GET, ..) if call.target.is_watch => watch::serve(self, &call),
            (&Method::GET, "", _) if call.query.is_watch() => watch::serve(self, &call),
            (&Method::GET, "", _) => read::list(self, &call).await,
            (&Method::GET, _, "" | "status" | "resize") => read::get(self, &call),
            (&Method::GET, _, "log") => logs::serve(self, &call),
            (_, _, "portforward") => port_forward::serve(self, call),
            (_, _, "proxy") => {
                proxy::serve(self, &call.target, &call.raw_query, call.method, call.headers, body).await
            }
            (&Method::POST, "", _) => write::create(self, &call, &limited(body).await?),
            (&Method::POST, _, "eviction") => write::evict(self, &call, &limited(body).await?),
            (&Method::POST, _, "token") => review::issue_token(self, &call, &limited(body).await?),
            (&Method::PUT, name, "" | "status") if !name.is_empty() => {
                write::replace(self, &call, &limited(body).await?)
            }
            (&Method::PATCH, name, "" | "status" | "resize") if !name.is_empty() => {
                write::patch(self, &call, &limited(body).await?)
            }
            (&Method::DELETE, "", _) => write::delete_all(self, &call, &limited(body).await?),
            (&Method::DELETE, _, "") => write::delete(self, &call, &limited(body).await?),
            _ => Err(Failure::method_not_allowed()),
        }
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Failure> {
    limited(request.into_body()).await
}

async fn limited(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure::too_large(MOST_BODY)),
        Err(error) => Err(Failure::bad_request(error.to_string())),
    }
}

fn check_accept(headers: &HeaderMap) -> Result<(), Failure> {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or("*/*");
    let is_known = |it: &str| {
        let media = it.split(';').next().unwrap_or("").trim();
        matches!(media, "*/*" | "application/*" | "application/json" | "application/yaml" | "text/plain")
            || media.starts_with("application/vnd.kubernetes")
    };
    if accept.split(',').any(is_known) { Ok(()) } else { Err(Failure::not_acceptable()) }
}
