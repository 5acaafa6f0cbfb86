//! The way in: a request is for the Lambda API, or for a function's URL.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, Request, header};
use axum::middleware;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::access::{self, Access};
use super::{ApiState, url_calls};

/// What comes before the id in the path of a URL that is called without its host name.
pub(super) const URL_PATH: &str = "/_hearth/url/";
/// What follows the id in the host name of a URL.
const URL_DOMAIN: &str = ".lambda-url.";

/// Leads requests to the Lambda API and to the functions' URLs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Front {
    api: TowerToHyperService<Router>,
    urls: TowerToHyperService<Router>,
}

/// The same for one connection.
#[derive(Clone, Debug)]
pub struct Door {
    front: Front,
    peer: IpAddr,
}

/// A request for a function's URL, beside the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// The URL's id.
    pub(super) id: String,
    /// How much of the path comes before the function's own.
    pub(super) prefix: usize,
    /// Who calls.
    pub(super) peer: IpAddr,
}

impl Front {
    /// Before the Lambda API, the functions' URLs and the admin API.
    pub fn new(admin: Router, state: Arc<ApiState>) -> Self {
        let api = super::router(Arc::clone(&state)).merge(admin);
        let urls = TowerToHyperService::new(url_calls::router(Arc::clone(&state)));
        let api = match state.settings.access {
            Access::Anybody => api,
            Access::KeyHolders(_) => api.layer(middleware::from_fn_with_state(state, access::check)),
        };
        Self { api: TowerToHyperService::new(api), urls }
    }

    /// For a connection from this address.
    pub fn open(&self, peer: IpAddr) -> Door {
        Door { front: self.clone(), peer }
    }
}

impl<B> Service<Request<B>> for Door
where
    TowerToHyperService<Router>: Service<Request<B>>,
{
    type Response = <TowerToHyperService<Router> as Service<Request<B>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<B>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<B>>>::Future;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        match called(request.headers(), request.uri().path()) {
            None => self.front.api.call(request),
            Some((id, prefix)) => {
                let called = Called { id: id.to_ascii_lowercase(), prefix, peer: self.peer };
                request.extensions_mut().insert(called);
                self.front.urls.call(request)
            }
        }
    }
}

/// The id of the URL that a request is for, and how much of its path comes before the function's own.
fn called<'a>(headers: &'a HeaderMap, path: &'a str) -> Option<(&'a str, usize)> {
    if let Some(rest) = path.strip_prefix(URL_PATH) {
        let id = rest.split('/').next().unwrap_or_default();
        return Some((id, URL_PATH.len() + id.len()));
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let (id, _) = host.split_once(URL_DOMAIN)?;
    Some((id, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_called_by_its_host_name_or_by_a_path() {
        for (host, path, expected) in [
            ("127.0.0.1:3001", "/2015-03-31/functions", None),
            ("lambda.us-east-1.localhost:3001", "/", None),
            ("abc.lambda-url.us-east-1.localhost:3001", "/a", Some(("abc", 0))),
            ("abc.lambda-url.eu-west-1.on.example", "/", Some(("abc", 0))),
            ("127.0.0.1:3001", "/_hearth/url/abc", Some(("abc", 16))),
            ("127.0.0.1:3001", "/_hearth/url/abc/a/b", Some(("abc", 16))),
            ("127.0.0.1:3001", "/_hearth/urls", None),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(called(&headers, path), expected, "{host}{path}");
        }
    }
}
