//! Cross-origin resource sharing, as a URL's settings have it. What they say wins over what the function says.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::catalog::url::Cors;

/// The answer to a browser that asks whether a request is welcome; nothing if the request asks for no such thing.
/// The function hears nothing of it.
pub(super) fn preflight(cors: &Cors, headers: &HeaderMap) -> Option<Response> {
    let origin = headers.get(header::ORIGIN)?;
    headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut response = Response::new(Body::empty());
    let answer = response.headers_mut();
    if allow(cors, origin, answer) {
        put_list(answer, header::ACCESS_CONTROL_ALLOW_METHODS, cors.allow_methods.as_deref());
        put_list(answer, header::ACCESS_CONTROL_ALLOW_HEADERS, cors.allow_headers.as_deref());
        if let Some(seconds) = cors.max_age {
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
    }
    Some(response)
}

/// Tells a browser that the site may read the response, if it may.
pub(super) fn allow(cors: &Cors, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
    let allowed = cors.allow_origins.as_deref().unwrap_or_default();
    let has_any = allowed.iter().any(|allowed| allowed == "*");
    let is_allowed = has_any || allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if !is_allowed {
        return false;
    }
    let has_credentials = cors.allow_credentials == Some(true);
    // A browser that sends credentials takes no asterisk.
    let told = if has_any && !has_credentials { HeaderValue::from_static("*") } else { origin.clone() };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, told);
    if has_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    put_list(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose_headers.as_deref());
    true
}

fn put_list(headers: &mut HeaderMap, name: HeaderName, items: Option<&[String]>) {
    let Some(items) = items.filter(|items| !items.is_empty()) else { return };
    // One that cannot be in a header is in none.
    if let Ok(value) = HeaderValue::from_str(&items.join(",")) {
        headers.insert(name, value);
    }
}
