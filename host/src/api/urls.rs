//! Function URLs: how they are configured. `url_calls` serves them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::aliases::is_alias_name;
use super::arn::{PLAIN, QUALIFIER_MAX};
use super::body::Limit;
use super::caller::Caller;
use super::error::{ApiError, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::shape::{LINE, Shape};
use super::updates::REQUEST_LIMIT;
use super::validate::Violations;
use super::wire::url::{Cors, ListUrlConfigs, PutUrlConfig, UrlConfig};
use super::{ApiState, answer, body};
use crate::catalog::ChangeError;
use crate::catalog::function::FunctionKey;
use crate::catalog::url::{self, FunctionUrl, InvokeMode, UrlAuth, UrlSettings};

/// Most configurations in one page of a list.
const PAGE: u32 = 50;

/// The function itself, where others are named by an alias.
pub(super) const LATEST: &str = "$LATEST";

const QUALIFIER_PATTERN: &str = r"((?!^\d+$)^[0-9a-zA-Z-_]+$)";
const NO_FUNCTION: &str = "Function does not exist";
const NO_URL: &str = "The resource you requested does not exist.";

/// `CreateFunctionUrlConfig`
pub(super) async fn create(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "CreateFunctionUrlConfig" };
    let request: PutUrlConfig = body::parse_json(&body::read(&headers, body, limit).await?)?;
    let mut violations = Violations::default();
    let meant = Meant::find(&api, &headers, &name, query.as_deref(), &mut violations);
    violations.required(request.auth_type.as_ref(), "authType");
    let changes = Changes::check(request, &mut violations);
    violations.check()?;
    let (meant, Changes { auth, cors, invoke_mode }) = (meant?, changes);
    let settings = UrlSettings { auth: auth.unwrap_or(UrlAuth::None), cors, invoke_mode };
    let created = api.catalog.create_url(meant.key.clone(), meant.qualifier.clone(), settings).await;
    let url = created.map_err(|error| match error {
        ChangeError::FunctionNotFound | ChangeError::AliasNotFound => {
            ApiError::new(&RESOURCE_NOT_FOUND, NO_FUNCTION)
        }
        error => ApiError::change(error, &meant.arn()),
    })?;
    answer(StatusCode::CREATED, &meant.shown(&api, &url).created())
}

/// `UpdateFunctionUrlConfig`: what is not given stays.
pub(super) async fn update(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let limit = Limit { bytes: REQUEST_LIMIT, operation: "UpdateFunctionUrlConfig" };
    let request: PutUrlConfig = body::parse_json(&body::read(&headers, body, limit).await?)?;
    let mut violations = Violations::default();
    let meant = Meant::find(&api, &headers, &name, query.as_deref(), &mut violations);
    let changes = Changes::check(request, &mut violations);
    violations.check()?;
    let meant = meant?;
    let edit = |settings: &mut UrlSettings| changes.apply(settings);
    let updated = api.catalog.update_url(meant.key.clone(), meant.qualifier.clone(), edit).await;
    let url = updated.map_err(|error| no_url(error, &meant))?;
    answer(StatusCode::OK, &meant.shown(&api, &url))
}

/// `GetFunctionUrlConfig`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let meant = Meant::read(&api, &headers, &name, query.as_deref())?;
    let function = api.catalog.function(&meant.key);
    let url = function.as_ref().and_then(|function| function.urls.get(&meant.qualifier));
    let url = url.ok_or_else(|| ApiError::new(&RESOURCE_NOT_FOUND, NO_URL))?;
    answer(StatusCode::OK, &meant.shown(&api, url))
}

/// `DeleteFunctionUrlConfig`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let meant = Meant::read(&api, &headers, &name, query.as_deref())?;
    let deleted = api.catalog.delete_url(meant.key.clone(), meant.qualifier.clone()).await;
    deleted.map_err(|error| no_url(error, &meant))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `ListFunctionUrlConfigs`
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Page::short(Params::new(query.as_deref()), PAGE)?;
    let key = Caller::of(&headers, &api.settings).locate_as(&PLAIN, &name, None)?.key();
    let function = api.catalog.function(&key);
    let function = function.ok_or_else(|| ApiError::new(&RESOURCE_NOT_FOUND, NO_FUNCTION))?;
    let (urls, next_marker) = page.cut(function.urls.iter().collect(), |(qualifier, _)| (*qualifier).clone());
    let shown = |(qualifier, url): (&String, &Arc<FunctionUrl>)| {
        Meant { key: key.clone(), qualifier: qualifier.clone() }.shown(&api, url)
    };
    let function_url_configs = urls.into_iter().map(shown).collect();
    answer(StatusCode::OK, &ListUrlConfigs { function_url_configs, next_marker })
}

fn no_url(error: ChangeError, meant: &Meant) -> ApiError {
    match error {
        ChangeError::FunctionNotFound => ApiError::new(&RESOURCE_NOT_FOUND, NO_URL),
        error => ApiError::change(error, &meant.arn()),
    }
}

/// Whose URL a request is about.
struct Meant {
    key: FunctionKey,
    /// An alias, or [`LATEST`].
    qualifier: String,
}

impl Meant {
    fn read(api: &ApiState, headers: &HeaderMap, name: &str, query: Option<&str>) -> Result<Self, ApiError> {
        let mut violations = Violations::default();
        let meant = Self::find(api, headers, name, query, &mut violations);
        violations.check()?;
        meant
    }

    fn find(
        api: &ApiState,
        headers: &HeaderMap,
        name: &str,
        query: Option<&str>,
        violations: &mut Violations,
    ) -> Result<Self, ApiError> {
        let given = Params::new(query).get("Qualifier");
        let caller = Caller::of(headers, &api.settings);
        let located = caller.locate_with(violations, &PLAIN, name, None);
        if let Some(given) = &given {
            violations.length(given, "qualifier", 1, QUALIFIER_MAX);
            violations.pattern(given, "qualifier", QUALIFIER_PATTERN, is_alias_name);
        }
        let located = located?;
        let qualifier = match (given.as_deref(), located.qualifier) {
            (Some(given), Some(derived)) if given != derived => {
                return Err(ApiError::invalid(
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            (given, derived) => given.or(derived).unwrap_or(LATEST).to_owned(),
        };
        Ok(Self { key: located.key(), qualifier })
    }

    fn arn(&self) -> String {
        if self.qualifier == LATEST {
            self.key.arn()
        } else {
            format!("{}:{}", self.key.arn(), self.qualifier)
        }
    }

    fn shown(&self, api: &ApiState, url: &FunctionUrl) -> UrlConfig {
        let domain = domain(&url.id, &self.key.region);
        UrlConfig::new(self.arn(), format!("http://{domain}:{}/", api.settings.port), url)
    }
}

/// The host name of a URL. Names under `localhost` mean this machine, to browsers and to curl at least, without
/// anything being set up.
pub(super) fn domain(id: &str, region: &str) -> String {
    format!("{id}.lambda-url.{region}.localhost")
}

/// What a request gives, found right.
struct Changes {
    auth: Option<UrlAuth>,
    cors: Option<url::Cors>,
    invoke_mode: Option<InvokeMode>,
}

impl Changes {
    fn check(request: PutUrlConfig, violations: &mut Violations) -> Self {
        let auth = request.auth_type.and_then(|word| {
            violations.word(&word, "authType", &["NONE", "AWS_IAM"], |word| match word {
                "NONE" => Some(UrlAuth::None),
                "AWS_IAM" => Some(UrlAuth::Iam),
                _ => None,
            })
        });
        let invoke_mode = request.invoke_mode.and_then(|word| {
            violations.word(&word, "invokeMode", &["RESPONSE_STREAM", "BUFFERED"], |word| match word {
                "BUFFERED" => Some(InvokeMode::Buffered),
                "RESPONSE_STREAM" => Some(InvokeMode::ResponseStream),
                _ => None,
            })
        });
        Self { auth, cors: request.cors.map(|cors| check_cors(cors, violations)), invoke_mode }
    }

    fn apply(self, settings: &mut UrlSettings) {
        settings.auth = self.auth.unwrap_or(settings.auth);
        settings.invoke_mode = self.invoke_mode.or(settings.invoke_mode);
        if let Some(cors) = self.cors {
            settings.cors = Some(cors);
        }
    }
}

const HEADERS: Shape = Shape::List(0, 100, &Shape::Text(0, 1024, LINE));

fn check_cors(cors: Cors, violations: &mut Violations) -> url::Cors {
    let Cors { allow_credentials, allow_headers, allow_methods, allow_origins, expose_headers, max_age } =
        cors;
    for (list, member, form) in [
        (&allow_headers, "cors.allowHeaders", &HEADERS),
        (&allow_methods, "cors.allowMethods", &Shape::List(0, 6, &Shape::Text(0, 6, LINE))),
        (&allow_origins, "cors.allowOrigins", &Shape::List(0, 100, &Shape::Text(1, 253, LINE))),
        (&expose_headers, "cors.exposeHeaders", &HEADERS),
    ] {
        if let Some(items) = list {
            violations.form(items.as_slice(), member, form);
        }
    }
    let max_age = max_age.and_then(|seconds| violations.range(seconds, "cors.maxAge", 0, 86_400));
    url::Cors { allow_credentials, allow_headers, allow_methods, allow_origins, expose_headers, max_age }
}
