//! What commands ask a running hearth.

use std::time::Duration;

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde::Deserialize;

use crate::api::access::Access;
use crate::clock::Clock;
use crate::config::HostConfig;
use crate::invoke::connection::{Address, Connection, SendError, TimedOut};
use crate::sigv4::{self, Scope};

/// How long a running hearth may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long somebody may wait for the next line of a log.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// An answer that was not refused, on its way.
pub(super) struct Answer {
    address: Address,
    connection: Connection,
    body: Incoming,
}

/// What a hearth says when it refuses.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Answer {
    /// Asks the hearth that the settings name; signed, if they name keys.
    pub(super) async fn get(config: &HostConfig, path: &str) -> Result<Self, String> {
        let address = Address::parse(&config.listen)?;
        let mut connection = Connection::open(&address)
            .await
            .map_err(|problem| format!("{problem}; is hearth running? (--listen HOST:PORT says where)"))?;
        let request = request(config, &address, path)?;
        let response = connection.send(request, PATIENCE).await.map_err(|error| match error {
            SendError::NotSent(error) | SendError::Broken(error) => format!("{address}: {error}"),
            SendError::TimedOut => too_late(&address),
        })?;
        let status = response.status();
        let answer = Self { address, connection, body: response.into_body() };
        if status == StatusCode::OK { Ok(answer) } else { Err(answer.refused(status).await?) }
    }

    /// All of it.
    pub(super) async fn text(mut self) -> Result<String, String> {
        let body = self.connection.drive(self.body.collect()).await;
        let body = body.map_err(|TimedOut| too_late(&self.address))?;
        let body = body.map_err(|error| format!("{}: {error}", self.address))?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }

    /// The next piece, however long it takes; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<bytes::Bytes>, String> {
        loop {
            self.connection.limit(FOR_EVER);
            let frame = self.connection.drive(self.body.frame()).await;
            match frame.map_err(|TimedOut| too_late(&self.address))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(format!("{}: {error}", self.address)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn refused(self, status: StatusCode) -> Result<String, String> {
        let address = self.address.clone();
        let text = self.text().await?;
        let told = serde_json::from_str(&text).map_or(text, |Refusal { message }| message);
        Ok(match status {
            StatusCode::FORBIDDEN => {
                format!("{address} refused: {told}; name a file with its keys with --credentials FILE")
            }
            StatusCode::NOT_FOUND => told,
            _ => format!("{address} answered {status}: {told}"),
        })
    }
}

fn too_late(address: &Address) -> String {
    format!("{address} did not answer within {PATIENCE:?}")
}

fn request(
    config: &HostConfig,
    address: &Address,
    path: &str,
) -> Result<Request<Full<bytes::Bytes>>, String> {
    let mut request = Request::get(format!("http://{}{path}", address.host()))
        .header(header::HOST, address.host())
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    if let Access::KeyHolders(ring) = &config.access
        && let Some(holder) = ring.first()
    {
        let scope = Scope { region: &config.region, service: "lambda", at: Clock::wall() };
        sigv4::sign(&mut request, b"", &holder.keys, scope)?;
    }
    // Signed with its host, sent without.
    *request.uri_mut() = path.parse::<Uri>().map_err(|error| format!("{path}: {error}"))?;
    Ok(request)
}
