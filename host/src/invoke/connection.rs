//! An HTTP/1.1 connection to an instance.
//!
//! The connection's machinery is polled by whoever uses it, not by a task of its own: a request then costs no
//! passage through the scheduler. An idle connection is polled by nobody; whether its far end has closed it
//! meanwhile is asked of the socket itself before the next use, so that no request is written into the void.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;

use crate::clock::Clock;

/// How long a connection may take to open. Instances are near; one that does not answer by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// Where an instance listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host:port`.
    Tcp(String),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Understands `host:port`, `http://host:port` and `unix:///path`.
    pub fn parse(endpoint: &str) -> Result<Self, String> {
        if let Some(path) = endpoint.strip_prefix("unix://") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let authority = endpoint.strip_prefix("http://").unwrap_or(endpoint).trim_end_matches('/');
        match authority.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(authority.to_owned()))
            }
            _ => Err(format!("`{endpoint}` is no endpoint (host:port, http://host:port or unix:///path)")),
        }
    }

    /// What goes into the `Host` header.
    pub fn host(&self) -> &str {
        match self {
            Self::Tcp(authority) => authority,
            Self::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => write!(f, "http://{authority}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// What stands between the sides of a connection.
trait Stream: AsyncRead + AsyncWrite + AsFd + Send + Unpin {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

type Machinery = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// An open connection that serves one request at a time, each within a time limit.
pub struct Connection {
    /// The same socket again, to look at without touching what hyper reads.
    socket: socket2::Socket,
    sender: SendRequest<Full<Bytes>>,
    machinery: Option<Machinery>,
    /// Ends the patience with the exchange under way. One timer for the life of the connection: moving it to
    /// later costs next to nothing, while a new one for each request would wake the runtime's driver.
    limit: Pin<Box<Sleep>>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub enum SendError {
    /// Not a byte was sent: the request may safely go elsewhere.
    NotSent(hyper::Error),
    /// The connection broke after the request was on its way: it may have been run.
    Broken(hyper::Error),
    /// There was no answer within the limit.
    TimedOut,
}

/// The limit of an exchange was over before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl Connection {
    /// Opens a connection. Fails with a reason for people; nothing was sent then.
    pub async fn open(address: &Address) -> Result<Self, String> {
        let connect = async {
            let stream: Box<dyn Stream> = match address {
                Address::Tcp(authority) => {
                    let stream = TcpStream::connect(authority.as_str()).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            };
            let socket = stream.as_fd().try_clone_to_owned()?.into();
            Ok::<_, io::Error>((stream, socket))
        };
        let (stream, socket) = tokio::time::timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(|_| format!("{address} did not accept a connection within {CONNECT_TIMEOUT:?}"))?
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        let (sender, machinery) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("cannot speak HTTP with {address}: {error}"))?;
        let limit = Box::pin(tokio::time::sleep(CONNECT_TIMEOUT));
        Ok(Self { socket, sender, machinery: Some(machinery), limit })
    }

    /// Sends a request and waits for the head of its answer. The time `limit` is for the whole exchange.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, SendError> {
        self.limit(limit);
        // Once the machinery is gone, hyper gives the request back instead of sending it.
        if !self.is_quiet() {
            self.machinery = None;
        }
        // hyper takes the next request only after the machinery has asked for it.
        poll_fn(|cx| Poll::Ready(self.poll_machinery(cx).is_ready())).await;
        let response = self.sender.try_send_request(request);
        match self.drive(response).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut failure)) => Err(match failure.take_message() {
                Some(_) => SendError::NotSent(failure.into_error()),
                None => SendError::Broken(failure.into_error()),
            }),
            Err(TimedOut) => Err(SendError::TimedOut),
        }
    }

    /// Lets the connection work while `work`, which depends on it, is waited for: until the limit of the
    /// exchange, which [`send`](Self::send) began.
    pub async fn drive<F: Future>(&mut self, work: F) -> Result<F::Output, TimedOut> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // Whatever the machinery has to say, the work hears of it through its own channel.
            let _ended = self.poll_machinery(cx);
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.limit.as_mut().poll(cx).map(|()| Err(TimedOut))
        })
        .await
    }

    /// Sets the limit of the exchange under way anew, from now.
    pub fn limit(&mut self, limit: Duration) {
        self.limit.as_mut().reset(Clock::after(limit));
    }

    /// Whether another request can follow.
    pub fn is_reusable(&self) -> bool {
        self.machinery.is_some() && !self.sender.is_closed()
    }

    /// Open, and with nothing to read: what every idle connection must be. End of file or stray bytes are not.
    fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        self.socket.peek(&mut byte).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn poll_machinery(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(machinery) = self.machinery.as_mut() else { return Poll::Ready(()) };
        let ended = Pin::new(machinery).poll(cx).map(drop);
        if ended.is_ready() {
            self.machinery = None;
        }
        ended
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_open", &self.machinery.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn request() -> Request<Full<Bytes>> {
        Request::post("/").header("host", "x").body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    }

    async fn answer(socket: &mut TcpStream) {
        let mut buffer = [0; 1024];
        assert!(socket.read(&mut buffer).await.unwrap() > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }

    #[test]
    fn endpoints_in_all_forms_are_understood() {
        assert_eq!(Address::parse("127.0.0.1:80"), Ok(Address::Tcp("127.0.0.1:80".into())));
        assert_eq!(Address::parse("http://[::1]:80/"), Ok(Address::Tcp("[::1]:80".into())));
        assert_eq!(Address::parse("unix:///run/x"), Ok(Address::Unix("/run/x".into())));
        assert!(Address::parse("nowhere").is_err());
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_idle_gives_the_request_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        let mut connection = Connection::open(&address).await.unwrap();
        let (mut far_end, _) = listener.accept().await.unwrap();
        let (first, ()) = tokio::join!(connection.send(request(), CONNECT_TIMEOUT), answer(&mut far_end));
        assert_eq!(first.unwrap().status(), 200);
        assert!(connection.is_reusable());

        far_end.shutdown().await.unwrap();
        drop(far_end);
        assert!(matches!(connection.send(request(), CONNECT_TIMEOUT).await, Err(SendError::NotSent(_))));
        assert!(!connection.is_reusable());
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_was_read_does_not_give_it_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        let mut connection = Connection::open(&address).await.unwrap();
        let far_end = async {
            let (mut far_end, _) = listener.accept().await.unwrap();
            assert!(far_end.read(&mut [0; 1024]).await.unwrap() > 0);
        };
        let (sent, ()) = tokio::join!(connection.send(request(), CONNECT_TIMEOUT), far_end);
        assert!(matches!(sent, Err(SendError::Broken(_))));
    }
}
