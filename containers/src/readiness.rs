//! When a container is ready: its emulator says so (docs/instance-protocol.md).

use std::time::Duration;

use bytes::Bytes;
use hearth_core::{Meta, Protocol};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Between two tries to connect, at first and at most. A container that has just been started is there in a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What an emulator says once its instance takes invocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What it speaks.
    pub protocol: Protocol,
    /// For people: how the init went.
    pub meta: Meta,
}

/// Asks until the emulator answers, however long that takes: its init has ended then. Fails if it is one that does
/// not know this host.
///
/// The connection is closed when this returns: an open one would outlive the container, and the next container with
/// its address would not be reached.
pub async fn wait(endpoint: &str, token: &str) -> Result<Ready, String> {
    let mut pause = FIRST_PAUSE;
    loop {
        // A published port accepts and then resets, as long as nobody listens behind it.
        if let Some((status, body)) = ask(endpoint, token).await {
            return understand(status, &body);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn ask(endpoint: &str, token: &str) -> Option<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(endpoint).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get("/_hearth/instance")
        .header(header::HOST, endpoint)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())
        .ok()?;
    // It takes the sender along, whose end is the end of the connection.
    let exchange = async move {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        Some((status, response.into_body().collect().await.ok()?.to_bytes()))
    };
    tokio::join!(exchange, connection).0
}

fn understand(status: StatusCode, body: &[u8]) -> Result<Ready, String> {
    match status {
        StatusCode::OK => {}
        // AWS's emulator. It starts the function with the first invocation.
        StatusCode::NOT_FOUND => return Ok(Ready { protocol: Protocol::AWS_RIE, meta: Meta::new() }),
        status => return Err(format!("its emulator answers {status}: {}", String::from_utf8_lossy(body))),
    }
    let answer: Value =
        serde_json::from_slice(body).map_err(|_| "its emulator answers what is no JSON".to_owned())?;
    let init = &answer["init"];
    let mut meta = Meta::new();
    for (name, value) in [("outcome", &init["outcome"]), ("duration_ms", &init["duration_ms"])] {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        meta.insert(format!("init.{name}"), text);
    }
    Ok(Ready { protocol: Protocol::HEARTH_1, meta })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn resets_are_waited_out_and_the_connection_is_closed_with_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let far_end = async {
            // As a published port does before anybody listens behind it.
            drop(listener.accept().await.unwrap());
            let (mut far_end, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = far_end.read(&mut request).await.unwrap();
            let body = r#"{"protocol":1,"init":{"outcome":"ready","duration_ms":101.2}}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            far_end.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(far_end.read(&mut [0]).await.unwrap(), 0, "the connection stays open");
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let (ready, request) = tokio::join!(wait(&endpoint, "secret"), far_end);
        let ready = ready.unwrap();
        assert_eq!(ready.protocol, Protocol::HEARTH_1);
        assert_eq!(ready.meta["init.outcome"], "ready");
        assert_eq!(ready.meta["init.duration_ms"], "101.2");
        assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
    }

    #[test]
    fn an_emulator_that_does_not_know_the_question_is_that_of_aws() {
        let ready = understand(StatusCode::NOT_FOUND, b"404 page not found").unwrap();
        assert_eq!(ready.protocol, Protocol::AWS_RIE);
        let error = understand(StatusCode::UNAUTHORIZED, b"no token").unwrap_err();
        assert_eq!(error, "its emulator answers 401 Unauthorized: no token");
    }
}
