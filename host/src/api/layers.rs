//! Layers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::error::{ApiError, RESOURCE_NOT_FOUND};
use super::pages::Page;
use super::path::Path;
use super::query::Params;
use super::shape::{LINE, Shape};
use super::validate::Violations;
use super::wire::layer::{
    LayerContent, LayerSummary, LayerVersionConfiguration, ListLayerVersions, ListLayers, PublishLayerVersion,
};
use super::{ApiState, answer, arn, code, runtimes};
use crate::catalog::NewLayerVersion;
use crate::catalog::function::LayerRef;
use crate::catalog::layer::{LayerKey, LayerVersion};
use crate::catalog::package::Package;

/// Most layers in one page of a list.
const PAGE: u32 = 50;
const NAME_PATTERN: &str =
    r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+";

/// `PublishLayerVersion`
pub(super) async fn publish(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let request: PublishLayerVersion = code::read_request(&headers, body, "PublishLayerVersion").await?;
    let mut violations = Violations::default();
    let key = locate_with(&api, &headers, &name, &mut violations);
    let description = request.description.unwrap_or_default();
    violations.length(&description, "description", 0, 256);
    if let Some(license) = &request.license_info {
        violations.form(license.as_str(), "licenseInfo", &LICENSE);
    }
    let runtimes = request.compatible_runtimes.unwrap_or_default();
    let architectures = request.compatible_architectures.unwrap_or_default();
    check_compatible(&runtimes, &architectures, &mut violations);
    let content = violations.required(request.content, "content");
    if let Some(content) = &content {
        content.s3.check("content", &mut violations);
    }
    violations.check()?;
    let package = match content {
        Some(content) => take_content(&api, &Caller::of(&headers, &api.settings), content).await?,
        // Told as a violation.
        None => return Err(neither()),
    };
    let key = key?;
    let new = NewLayerVersion {
        key: key.clone(),
        package,
        description,
        license: request.license_info,
        runtimes,
        architectures,
    };
    let published = api.catalog.publish_layer_version(new).await;
    let version = published.map_err(|error| ApiError::change(error, &key.arn()))?;
    answer(StatusCode::CREATED, &shown(&api, &key, &version, &headers))
}

async fn take_content(
    api: &ApiState,
    caller: &Caller<'_>,
    content: LayerContent,
) -> Result<Arc<Package>, ApiError> {
    match (content.zip_file, content.s3.given()) {
        (Some(zip), None) => code::take_zip(api, zip).await,
        (None, Some(object)) => code::fetch_zip(api, caller, object).await,
        _ => Err(neither()),
    }
}

fn neither() -> ApiError {
    ApiError::invalid("Please provide exactly one of the following: ZipFile, or S3Bucket and S3Key.")
}

/// `GetLayerVersion`
pub(super) async fn get(
    State(api): State<Arc<ApiState>>,
    Path((name, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = locate(&api, &headers, &name)?;
    let number = version_number(&number)?;
    let version = find(&api, &key, number).ok_or_else(missing)?;
    answer(StatusCode::OK, &shown(&api, &key, &version, &headers))
}

/// `DeleteLayerVersion`
pub(super) async fn delete(
    State(api): State<Arc<ApiState>>,
    Path((name, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = locate(&api, &headers, &name)?;
    let arn = key.arn();
    let deleted = api.catalog.delete_layer_version(key, version_number(&number)?).await;
    deleted.map_err(|error| ApiError::change(error, &arn))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `ListLayerVersions`: the newest first.
pub(super) async fn list_versions(
    State(api): State<Arc<ApiState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    let page = Page::short(params, PAGE)?;
    let mut violations = Violations::default();
    let key = locate_with(&api, &headers, &name, &mut violations);
    check_filter(params, &mut violations);
    violations.check()?;
    let key = key?;
    let layer = api.catalog.layer(&key).unwrap_or_default();
    let versions: Vec<_> =
        layer.versions.values().rev().filter(|version| is_wanted(version, params)).collect();
    let (versions, next_marker) = page.cut(versions, |version| format!("{:010}", u32::MAX - version.number));
    let layer_versions =
        versions.into_iter().map(|version| LayerVersionConfiguration::listed(&key, version)).collect();
    answer(StatusCode::OK, &ListLayerVersions { layer_versions, next_marker })
}

/// `ListLayers`, and `GetLayerVersionByArn`, which shares its path.
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::new(query.as_deref());
    if params.get("find").as_deref() == Some("LayerVersion") {
        return get_by_arn(&api, &headers, params);
    }
    let page = Page::short(params, PAGE)?;
    let mut violations = Violations::default();
    check_filter(params, &mut violations);
    violations.check()?;
    let caller = Caller::of(&headers, &api.settings);
    let layers = api.catalog.layers(caller.account, caller.region);
    let layers = layers.into_iter().filter(|(_, version)| is_wanted(version, params)).collect();
    let (layers, next_marker) = page.cut(layers, |(name, _)| name.clone());
    let summary = |(name, version): (String, Arc<LayerVersion>)| {
        let key = LayerKey { account: caller.account.to_owned(), region: caller.region.to_owned(), name };
        LayerSummary {
            layer_arn: key.arn(),
            latest_matching_version: LayerVersionConfiguration::listed(&key, &version),
            layer_name: key.name,
        }
    };
    answer(StatusCode::OK, &ListLayers { layers: layers.into_iter().map(summary).collect(), next_marker })
}

fn get_by_arn(api: &ApiState, headers: &HeaderMap, params: Params<'_>) -> Result<Response, ApiError> {
    let mut violations = Violations::default();
    let given = violations.required(params.get("Arn"), "arn").unwrap_or_default();
    let parsed = parse_version_arn(&given);
    violations.length(&given, "arn", 1, 2048);
    violations.pattern(&given, "arn", VERSION_ARN_PATTERN, |_| parsed.is_some());
    violations.check()?;
    let (key, number) = parsed.ok_or_else(missing)?;
    let version = find(api, &key, number).ok_or_else(missing)?;
    answer(StatusCode::OK, &shown(api, &key, &version, headers))
}

const VERSION_ARN_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)";

/// Takes the ARN of a layer's version apart.
pub(super) fn parse_version_arn(text: &str) -> Option<(LayerKey, u32)> {
    let parts: Vec<_> = text.split(':').collect();
    let ["arn", partition, "lambda", region, account, "layer", name, number] = parts[..] else { return None };
    let is_word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let fits = is_word(partition) && is_word(region) && arn::is_account(account) && is_word(name);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !fits || !digits {
        return None;
    }
    let key = LayerKey { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
    // A number that is too large was never published, and neither was 0.
    Some((key, number.parse().unwrap_or(0)))
}

/// What a list of layers stands for, and what holds their code.
pub(super) type FoundLayers = (Option<Vec<LayerRef>>, Vec<Arc<Package>>);

/// Looks up the layers that a function in this region wants.
pub(super) fn find_all(
    api: &ApiState,
    region: &str,
    arns: Option<Vec<String>>,
) -> Result<FoundLayers, ApiError> {
    let Some(arns) = arns else { return Ok((None, Vec::new())) };
    let mut references: Vec<LayerRef> = Vec::new();
    let mut packages = Vec::new();
    for version_arn in arns {
        let gone = || ApiError::invalid(format!("Layer version {version_arn} does not exist."));
        let (key, number) = parse_version_arn(&version_arn).ok_or_else(gone)?;
        if key.region != region {
            return Err(ApiError::invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in region {region}."
            )));
        }
        let version = find(api, &key, number).ok_or_else(gone)?;
        let package = version.hold.clone().ok_or_else(gone)?;
        let layer_arn = key.arn();
        let same = |other: &&LayerRef| other.arn.rsplit_once(':').is_some_and(|(arn, _)| arn == layer_arn);
        if let Some(other) = references.iter().find(same) {
            return Err(ApiError::invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {} and \
                 {version_arn} are versions of the same layer.",
                other.arn
            )));
        }
        references.push(LayerRef { arn: version_arn, package: version.package });
        packages.push(package);
    }
    Ok((Some(references), packages))
}

/// One version of a layer.
pub(super) fn find(api: &ApiState, key: &LayerKey, number: u32) -> Option<Arc<LayerVersion>> {
    api.catalog.layer(key)?.versions.get(&number).cloned()
}

/// A layer by its name or ARN.
pub(super) fn locate(api: &ApiState, headers: &HeaderMap, name: &str) -> Result<LayerKey, ApiError> {
    let mut violations = Violations::default();
    let key = locate_with(api, headers, name, &mut violations);
    violations.check()?;
    key
}

/// A layer by its name or ARN. What is wrong with the form is added to `violations`.
pub(super) fn locate_with(
    api: &ApiState,
    headers: &HeaderMap,
    name: &str,
    violations: &mut Violations,
) -> Result<LayerKey, ApiError> {
    let caller = Caller::of(headers, &api.settings);
    violations.length(name, "layerName", 1, 140);
    if name.starts_with("arn:") {
        let parsed = parse_version_arn(&format!("{name}:1"));
        violations.pattern(name, "layerName", NAME_PATTERN, |_| parsed.is_some());
        return parsed.map(|(key, _)| key).ok_or_else(missing);
    }
    violations.pattern(name, "layerName", NAME_PATTERN, |name| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    });
    let Caller { account, region, confined: _ } = caller;
    Ok(LayerKey { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() })
}

/// The number of a version in a path.
pub(super) fn version_number(text: &str) -> Result<u32, ApiError> {
    match text.parse() {
        Ok(0) | Err(_) => Err(ApiError::invalid("Layer Version Cannot be less than 1.")),
        Ok(number) => Ok(number),
    }
}

const ARCHITECTURE: Shape = Shape::Word(&["x86_64", "arm64"]);
const LICENSE: Shape = Shape::Text(0, 512, LINE);
const RUNTIME: Shape = Shape::Word(&runtimes::ALL);

fn check_compatible(runtimes: &[String], architectures: &[String], violations: &mut Violations) {
    violations.form(runtimes, "compatibleRuntimes", &Shape::List(0, 15, &RUNTIME));
    violations.form(architectures, "compatibleArchitectures", &Shape::List(0, 2, &ARCHITECTURE));
}

/// What lists may be restricted to.
fn check_filter(params: Params<'_>, violations: &mut Violations) {
    if let Some(architecture) = params.get("CompatibleArchitecture") {
        violations.form(&*architecture, "compatibleArchitecture", &ARCHITECTURE);
    }
    if let Some(runtime) = params.get("CompatibleRuntime") {
        violations.form(&*runtime, "compatibleRuntime", &RUNTIME);
    }
}

fn is_wanted(version: &LayerVersion, params: Params<'_>) -> bool {
    let has = |list: &[String], wanted: Option<std::borrow::Cow<'_, str>>| {
        wanted.is_none_or(|wanted| list.iter().any(|one| *one == *wanted))
    };
    has(&version.runtimes, params.get("CompatibleRuntime"))
        && has(&version.architectures, params.get("CompatibleArchitecture"))
}

fn shown(
    api: &ApiState,
    key: &LayerKey,
    version: &LayerVersion,
    headers: &HeaderMap,
) -> LayerVersionConfiguration {
    LayerVersionConfiguration::new(key, version, code::url(api, version.package.sha256, headers))
}

fn missing() -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, "The resource you requested does not exist.")
}
