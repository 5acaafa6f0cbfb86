//! Calls of other AWS services, at endpoints that the operator names: signed with Signature Version 4, over HTTP or
//! HTTPS.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::clock::Clock;
use crate::sigv4::{self, Keys};

mod arn;
pub mod events;
pub mod logs;
pub mod s3;
pub mod sns;
pub mod sqs;
mod tls;

pub use arn::Arn;
pub use tls::TlsError;

/// How long a service has for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Most that an answer may measure which is no object of a bucket, in bytes: ten messages of a queue are less than 3 MB.
const SMALL_ANSWER: usize = 16 * 1024 * 1024;
/// Most that is shown of what a service says of a refusal, in characters.
const SHOWN: usize = 500;

/// A service that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `EventBridge`.
    Events,
    /// `CloudWatch Logs`.
    Logs,
    /// The Simple Storage Service.
    S3,
    /// The Simple Notification Service.
    Sns,
    /// The Simple Queue Service.
    Sqs,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Events, Self::Logs, Self::S3, Self::Sns, Self::Sqs];

    /// What the variable of its endpoint ends in; in lower case, what requests are signed for.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Events => "EVENTS",
            Self::Logs => "LOGS",
            Self::S3 => "S3",
            Self::Sns => "SNS",
            Self::Sqs => "SQS",
        }
    }
}

/// Where the services are, and who calls them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `http://host:port` or `https://host`, perhaps with a path, without a slash at the end.
    pub endpoints: BTreeMap<Service, String>,
    /// Without them, requests are signed with the account's number as access key: emulators take it for that.
    pub keys: Option<Keys>,
    /// A file of certificates, in PEM, to trust instead of the system's.
    pub ca_bundle: Option<PathBuf>,
}

/// Why a call has not done what it was for.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody said where the service is.
    #[error("no endpoint is known for it; set AWS_ENDPOINT_URL_{0}")]
    NoEndpoint(&'static str),
    /// There can be no such request.
    #[error("the request cannot be made: {0}")]
    Request(String),
    /// The service was not reached, or did not answer.
    #[error("{endpoint} does not answer: {problem}")]
    Unreachable {
        /// As configured.
        endpoint: String,
        /// What went wrong.
        problem: String,
    },
    /// The service refused.
    #[error("{endpoint} refused with status {status}: {text}")]
    Refused {
        /// As configured.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// The beginning of what it says.
        text: String,
    },
}

impl CallError {
    /// Whether the same call may go well later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoEndpoint(_) | Self::Request(_) => false,
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
        }
    }
}

/// One request, not signed yet.
#[derive(Debug)]
struct Call<'a> {
    service: Service,
    account: &'a str,
    region: &'a str,
    method: Method,
    /// With a slash in front, percent-encoded.
    path: &'a str,
    headers: &'a [(&'static str, &'static str)],
    body: Bytes,
    /// A longer answer is an error, in bytes.
    answer_limit: usize,
}

/// Calls services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aws {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Settings,
}

impl Aws {
    /// A caller with these settings. Connects when it is used.
    ///
    /// # Errors
    ///
    /// If an endpoint is `https://` and there are no certificates to trust.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let connector = tls::connector(&settings)?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), settings })
    }

    /// Whether somebody said where the service is.
    pub fn knows(&self, service: Service) -> bool {
        self.settings.endpoints.contains_key(&service)
    }

    fn endpoint(&self, service: Service) -> Result<&str, CallError> {
        let endpoint = self.settings.endpoints.get(&service);
        endpoint.map(String::as_str).ok_or(CallError::NoEndpoint(service.variable()))
    }

    /// Makes a call, and answers the body of an answer that is no refusal.
    async fn call(&self, call: Call<'_>) -> Result<Bytes, CallError> {
        let endpoint = self.endpoint(call.service)?;
        let limit = call.answer_limit;
        let request = self.request(endpoint, call).map_err(CallError::Request)?;
        let unreachable = |problem| CallError::Unreachable { endpoint: endpoint.to_owned(), problem };
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| root_cause(&error))?;
            read(response, limit).await
        };
        let (status, body) = tokio::time::timeout(ANSWER_LIMIT, exchange)
            .await
            .map_err(|_| unreachable(format!("no answer within {ANSWER_LIMIT:?}")))?
            .map_err(unreachable)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
        Err(CallError::Refused { endpoint: endpoint.to_owned(), status, text })
    }

    fn request(&self, endpoint: &str, call: Call<'_>) -> Result<Request<Full<Bytes>>, String> {
        let Call { service, account, region, method, path, headers, body, answer_limit: _ } = call;
        let mut request = Request::builder().method(method).uri(format!("{endpoint}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Full::new(body.clone())).map_err(|error| error.to_string())?;
        let service = service.variable().to_ascii_lowercase();
        let scope = sigv4::Scope { region, service: &service, at: Clock::wall() };
        sigv4::sign(&mut request, &body, &self.keys(account), scope)?;
        Ok(request)
    }

    fn keys(&self, account: &str) -> Cow<'_, Keys> {
        match &self.settings.keys {
            Some(keys) => Cow::Borrowed(keys),
            None => {
                Cow::Owned(Keys { id: account.to_owned(), secret: "hearth".to_owned(), session_token: None })
            }
        }
    }
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<(u16, Bytes), String> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), limit).collect().await;
    Ok((status, body.map_err(|error| root_cause(error.as_ref()))?.to_bytes()))
}

/// The HTTP client's own words say only that something failed; what failed is at the end of the chain.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}
