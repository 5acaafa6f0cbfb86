//! Function URLs: what a function, or one of its aliases, is reached by over plain HTTP.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A URL of a function. It does not change while it exists; how it is served may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrl {
    /// The first label of its host name: 32 letters and digits, unique in the catalog.
    pub id: String,
    /// How it is served.
    pub settings: UrlSettings,
    /// When it was made.
    pub created: Timestamp,
    /// When its settings were last given.
    pub last_modified: Timestamp,
}

/// How a URL is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlSettings {
    /// Who may call it.
    pub auth: UrlAuth,
    /// What browsers are told about other sites that call it.
    pub cors: Option<Cors>,
    /// How the response leaves; buffered if nobody has said.
    pub invoke_mode: Option<InvokeMode>,
}

/// Who may call a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlAuth {
    /// Everybody.
    None,
    /// Whoever signs the request.
    Iam,
}

/// How a response leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvokeMode {
    /// Whole, at the end.
    Buffered,
    /// As the function writes it.
    ResponseStream,
}

/// Cross-origin resource sharing. Only what was given is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// Whether requests may carry cookies and credentials.
    pub allow_credentials: Option<bool>,
    /// Headers that requests may have.
    pub allow_headers: Option<Vec<String>>,
    /// Methods that requests may have.
    pub allow_methods: Option<Vec<String>>,
    /// Sites that may call; `*` for all.
    pub allow_origins: Option<Vec<String>>,
    /// Headers of responses that scripts may read.
    pub expose_headers: Option<Vec<String>>,
    /// Seconds for which a browser may remember this.
    pub max_age: Option<u32>,
}
