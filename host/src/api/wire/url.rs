//! Function URLs.

use serde::{Deserialize, Serialize};

use crate::catalog::url::{self, FunctionUrl, InvokeMode, UrlAuth};

/// `POST` and `PUT /2021-10-31/functions/{FunctionName}/url`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct PutUrlConfig {
    pub(in crate::api) auth_type: Option<String>,
    pub(in crate::api) cors: Option<Cors>,
    pub(in crate::api) invoke_mode: Option<String>,
}

/// Member `Cors`: only what was given.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Cors {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) allow_credentials: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) allow_headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) allow_methods: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) allow_origins: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) expose_headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) max_age: Option<i64>,
}

/// Answer of every operation on a URL.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct UrlConfig {
    function_url: String,
    function_arn: String,
    auth_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cors: Option<Cors>,
    creation_time: String,
    /// Missing in the answer to the creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_time: Option<String>,
    /// Missing if nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoke_mode: Option<&'static str>,
}

/// Answer of `GET /2021-10-31/functions/{FunctionName}/urls`
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListUrlConfigs {
    pub(in crate::api) function_url_configs: Vec<UrlConfig>,
    pub(in crate::api) next_marker: Option<String>,
}

impl UrlConfig {
    /// The URL of what has this ARN, as it is written out.
    pub(in crate::api) fn new(function_arn: String, function_url: String, url: &FunctionUrl) -> Self {
        let date = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        Self {
            function_url,
            function_arn,
            auth_type: match url.settings.auth {
                UrlAuth::None => "NONE",
                UrlAuth::Iam => "AWS_IAM",
            },
            cors: url.settings.cors.clone().map(Cors::from),
            creation_time: date(url.created),
            last_modified_time: Some(date(url.last_modified)),
            invoke_mode: url.settings.invoke_mode.map(|mode| match mode {
                InvokeMode::Buffered => "BUFFERED",
                InvokeMode::ResponseStream => "RESPONSE_STREAM",
            }),
        }
    }

    /// The answer to its creation.
    pub(in crate::api) fn created(self) -> Self {
        Self { last_modified_time: None, ..self }
    }
}

impl From<url::Cors> for Cors {
    fn from(cors: url::Cors) -> Self {
        let url::Cors {
            allow_credentials,
            allow_headers,
            allow_methods,
            allow_origins,
            expose_headers,
            max_age,
        } = cors;
        let max_age = max_age.map(i64::from);
        Self { allow_credentials, allow_headers, allow_methods, allow_origins, expose_headers, max_age }
    }
}
