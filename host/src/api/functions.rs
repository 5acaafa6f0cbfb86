//! Functions: create, read, list, delete. Updates have a module of their own.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::arn::PLAIN;
use super::caller::{Caller, Located};
use super::code::{self, NewCode};
use super::error::ApiError;
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::settings::{Changes, REFUSED, REFUSED_AT_CREATION, architecture};
use super::shape::{Pattern, Shape};
use super::validate::Violations;
use super::wire::function::{Concurrency, CreateFunction, FunctionConfiguration, GetFunction, ListFunctions};
use super::{ApiState, answer, code_signing, layers, tags};
use crate::catalog::function::{
    Architecture, Code, Function, FunctionConfig, FunctionKey, ImageCode, LogFormat, Logging, SnapStart,
    Tracing, Version, VersionName, ZipCode,
};
use crate::catalog::package::Package;
use crate::catalog::qualified::FunctionSettings;
use crate::catalog::{ChangeError, NewFunction};

/// Longest bare name that a function can be given.
const MAX_NAME: usize = 64;
/// Most functions in one page of a list.
const PAGE: usize = 50;
/// The region whose functions an edge location has: there are none of that kind here.
const MASTER_REGION: Shape =
    Shape::Text(1, 50, Pattern::new(r"ALL|(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"));
const DEFAULT_TIMEOUT_SECONDS: u32 = 3;
const DEFAULT_MEMORY_MB: u32 = 128;
const DEFAULT_STORAGE_MB: u32 = 512;

/// `CreateFunction`
pub(super) async fn create(
    State(api): State<Arc<ApiState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let mut request: CreateFunction = code::read_request(&headers, body, "CreateFunction").await?;
    let caller = Caller::of(&headers, &api.settings);

    let mut violations = Violations::default();
    let name = request.function_name.take();
    let name = violations.required(name, "functionName").unwrap_or_default();
    let rule = if name.contains(':') { PLAIN } else { PLAIN.at_most(MAX_NAME) };
    let located = caller.locate_with(&mut violations, &rule, &name, None);
    violations.required(request.settings.role.as_ref(), "role");
    let given_code = violations.required(request.code.take(), "code").unwrap_or_default();
    given_code.s3.check("code", &mut violations);
    let kind = request.package_type.as_deref().unwrap_or("Zip");
    let kind =
        violations.word(kind, "packageType", &["Zip", "Image"], PackageType::parse).unwrap_or_default();
    let architecture = architecture(request.architectures.as_deref(), &mut violations);
    let changes = Changes::parse(request.settings, &[REFUSED, REFUSED_AT_CREATION], &mut violations);
    let labels = request.tags.unwrap_or_default();
    tags::check_tags(&labels, &mut violations);
    let signing = request.code_signing_config_arn.filter(|arn| !arn.is_empty());
    if let Some(arn) = &signing {
        code_signing::check_arn(arn, &mut violations);
    }
    let mut changes = changes?;
    violations.check()?;

    let key = located?.key();
    changes.check(api.settings.memory_budget_mb)?;
    tags::check(&labels)?;
    if api.catalog.function(&key).is_some() {
        return Err(ApiError::change(ChangeError::FunctionExists, &key.arn()));
    }
    let signing = code_signing::find_id(&api, &caller, signing.as_deref())?;
    let settings = FunctionSettings { code_signing_config: signing, ..FunctionSettings::default() };
    let architecture = architecture.unwrap_or(Architecture::X86_64);
    let new = Creation { key: key.clone(), kind, architecture, changes };
    let (config, packages) = new.prepare(&api, code::take(&api, &caller, given_code).await?)?;
    let publish = request.publish.unwrap_or(false);
    let new = NewFunction { key: key.clone(), config, tags: labels, settings, publish, packages };
    let function =
        api.catalog.create_function(new).await.map_err(|error| ApiError::change(error, &key.arn()))?;
    // The answer to a creation with Publish describes the version, under the function's bare ARN.
    let version = function.versions.values().next().unwrap_or(&function.latest);
    answer(StatusCode::CREATED, &FunctionConfiguration::new(&function, version, key.arn()))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PackageType {
    #[default]
    Zip,
    Image,
}

impl PackageType {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "Zip" => Some(Self::Zip),
            "Image" => Some(Self::Image),
            _ => None,
        }
    }
}

/// A creation whose form was found right.
struct Creation {
    key: FunctionKey,
    kind: PackageType,
    architecture: Architecture,
    changes: Changes,
}

impl Creation {
    /// The settings of the new function, and what holds its code until it is stored.
    fn prepare(
        mut self,
        api: &ApiState,
        code: NewCode,
    ) -> Result<(FunctionConfig, Vec<Arc<Package>>), ApiError> {
        let (wanted, mut packages) = layers::find_all(api, &self.key.region, self.changes.layers.take())?;
        let code = match (self.kind, code) {
            (PackageType::Zip, NewCode::Zip(package)) => {
                let (runtime, handler) = self.changes.take_runtime_and_handler().ok_or_else(|| {
                    ApiError::invalid(
                        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
                    )
                })?;
                let reference = package.reference();
                packages.push(package);
                Code::Zip(ZipCode { package: reference, runtime, handler, layers: Vec::new() })
            }
            (PackageType::Image, NewCode::Image(image)) => Code::Image(image),
            (PackageType::Zip, NewCode::Image(ImageCode { .. })) => {
                return Err(ApiError::invalid(
                    "Please don't provide ImageUri when creating a function with packageType Zip.",
                ));
            }
            (PackageType::Image, NewCode::Zip(_)) => {
                return Err(ApiError::invalid(
                    "Please provide ImageUri when creating a function with packageType Image.",
                ));
            }
        };
        let mut config = defaults(&self.key, code, self.architecture);
        self.changes.apply(&mut config, wanted)?;
        Ok((config, packages))
    }
}

/// The settings of a function whose creator says nothing.
fn defaults(key: &FunctionKey, code: Code, architecture: Architecture) -> FunctionConfig {
    FunctionConfig {
        code,
        architecture,
        role: String::new(),
        description: String::new(),
        timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
        memory_mb: DEFAULT_MEMORY_MB,
        ephemeral_storage_mb: DEFAULT_STORAGE_MB,
        environment: None,
        kms_key_arn: None,
        tracing: Tracing::PassThrough,
        logging: Logging { group: format!("/aws/lambda/{}", key.name), format: LogFormat::Text },
        vpc: None,
        dead_letter_arn: None,
        file_systems: Vec::new(),
        snap_start: SnapStart::None,
    }
}

/// `GetFunction`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let found = find(&api, &headers, &name, query.as_deref())?;
    let function = &found.function;
    let reserved = function.reserved_concurrency.map(i64::from);
    answer(
        StatusCode::OK,
        &GetFunction {
            configuration: found.configuration(),
            code: code::location(&api, &found.version.config.code, &headers),
            tags: function.tags.clone(),
            concurrency: reserved
                .map(|reserved| Concurrency { reserved_concurrent_executions: Some(reserved) }),
        },
    )
}

/// `GetFunctionConfiguration`
pub(super) async fn get_configuration(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(StatusCode::OK, &find(&api, &headers, &name, query.as_deref())?.configuration())
}

fn find(api: &ApiState, headers: &HeaderMap, name: &str, query: Option<&str>) -> Result<Found, ApiError> {
    let caller = Caller::of(headers, &api.settings);
    let qualifier = Params::new(query).get("Qualifier");
    let located = caller.locate(name, qualifier.as_deref())?;
    found(api, &located)
}

/// A function that was found, with the version that was asked for.
#[derive(Debug)]
pub(super) struct Found {
    /// All of it.
    pub(super) function: Arc<Function>,
    /// The version, or the main one of the alias.
    pub(super) version: Arc<Version>,
    /// Qualified if the caller qualified it.
    pub(super) arn: String,
}

impl Found {
    /// In full.
    pub(super) fn configuration(&self) -> FunctionConfiguration {
        FunctionConfiguration::new(&self.function, &self.version, self.arn.clone())
    }
}

/// The function and version that a request means.
pub(super) fn found(api: &ApiState, located: &Located<'_>) -> Result<Found, ApiError> {
    let arn = located.arn();
    let function = api.catalog.function(&located.key());
    let version = function.as_ref().and_then(|function| match located.qualifier {
        None => Some(&function.latest),
        Some(qualifier) => function.qualified(qualifier),
    });
    match version.cloned().zip(function.clone()) {
        Some((version, function)) => Ok(Found { function, version, arn }),
        None => Err(ApiError::no_function(&arn)),
    }
}

/// `DeleteFunction`: all of it, or one version.
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = Caller::of(&headers, &api.settings);
    let qualifier = Params::new(query.as_deref()).get("Qualifier");
    let located = caller.locate(&name, qualifier.as_deref())?;
    let (key, arn) = (located.key(), located.arn());
    let deleted = match located.qualifier.map(str::parse) {
        None => api.catalog.delete_function(key).await,
        Some(Ok(VersionName::Number(number))) => api.catalog.delete_version(key, number).await,
        Some(Ok(VersionName::Latest)) => {
            return Err(ApiError::invalid(
                "$LATEST version cannot be deleted without deleting the function.",
            ));
        }
        Some(Err(_)) => {
            return Err(ApiError::invalid("Deletion of aliases is not currently supported."));
        }
    };
    deleted.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `ListFunctions`
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    let page = Page::of(params, PAGE)?;
    let every_version = every_version(params)?;
    let caller = Caller::of(&headers, &api.settings);
    let functions = api.catalog.functions(caller.account, caller.region);
    let listed = functions.iter().flat_map(|function| list_one(function, every_version)).collect();
    let (functions, next_marker) = page.cut(listed, |(key, _)| key.clone());
    let functions = functions.into_iter().map(|(_, configuration)| configuration).collect();
    answer(StatusCode::OK, &ListFunctions { functions, next_marker })
}

fn every_version(params: Params<'_>) -> Result<bool, ApiError> {
    let mut violations = Violations::default();
    let is_all = |word: &str| (word == "ALL").then_some(());
    let given = params.get("FunctionVersion");
    let every = given.map(|word| violations.word(&word, "functionVersion", &["ALL"], is_all));
    if let Some(region) = params.get("MasterRegion") {
        violations.form(&*region, "masterRegion", &MASTER_REGION);
    }
    violations.check()?;
    Ok(every.is_some())
}

/// A function's entries in a list, each with what the list is sorted by.
fn list_one(function: &Function, every_version: bool) -> Vec<(String, FunctionConfiguration)> {
    let arn = function.key.arn();
    if !every_version {
        let configuration = FunctionConfiguration::listed(function, &function.latest, arn);
        return vec![(function.key.name.to_string(), configuration)];
    }
    let listed = |(place, version): (usize, &Arc<Version>)| {
        let configuration =
            FunctionConfiguration::listed(function, version, format!("{arn}:{}", version.name));
        // A space sorts before every character of a name.
        (format!("{} {place:010}", function.key.name), configuration)
    };
    function.all_versions().enumerate().map(listed).collect()
}
