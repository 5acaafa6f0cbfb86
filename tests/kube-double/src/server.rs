//! Listening, and the door that a fault can close.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::api::Reply;

/// Whether connections are taken.
#[derive(Debug)]
pub(crate) struct Door {
    is_closed: watch::Sender<bool>,
    /// Opens it again.
    porter: Mutex<Option<AbortHandle>>,
}

impl Door {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { is_closed: watch::Sender::new(false), porter: Mutex::default() })
    }

    /// Cuts all connections and refuses new ones for so long.
    pub(crate) fn close_for(self: &Arc<Self>, time: Duration) {
        self.is_closed.send_replace(true);
        let door = Arc::clone(self);
        let porter = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            door.is_closed.send_replace(false);
        });
        self.relieve(Some(porter.abort_handle()));
    }

    /// Opens it before its time.
    pub(crate) fn open(&self) {
        self.relieve(None);
        self.is_closed.send_replace(false);
    }

    fn relieve(&self, next: Option<AbortHandle>) {
        let mut porter = self.porter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *porter, next) {
            before.abort();
        }
    }

    /// Waits until it is closed, or until it is open.
    pub(crate) async fn wait(&self, is_closed: bool) {
        let mut changes = self.is_closed.subscribe();
        // The sender is in here: it cannot be gone.
        drop(changes.wait_for(|it| *it == is_closed).await);
    }
}

/// Binds an address anew although connections of before may linger.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves HTTP/1.1 for ever, as long as the door is open.
pub(crate) async fn serve<F, Fut>(
    mut listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
    handle: F,
) -> io::Result<()>
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    let address = listener.local_addr()?;
    loop {
        accept(&listener, tls.as_ref(), &door, &handle).await;
        drop(listener);
        door.wait(false).await;
        listener = bind(address)?;
    }
}

/// Takes connections until the door closes, which cuts them.
async fn accept<F, Fut>(listener: &TcpListener, tls: Option<&TlsAcceptor>, door: &Door, handle: &F)
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(welcome(stream, tls.cloned(), handle.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            () = door.wait(true) => return,
        }
    }
}

async fn welcome<F, Fut>(stream: TcpStream, tls: Option<TlsAcceptor>, handle: F)
where
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    // Events are small and shall not wait for each other.
    drop(stream.set_nodelay(true));
    match tls {
        None => converse(stream, handle).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, handle).await;
            }
        }
    }
}

async fn converse<S, F, Fut>(stream: S, handle: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answering = handle(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    // A client that goes away is none of our business.
    drop(server.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
}
