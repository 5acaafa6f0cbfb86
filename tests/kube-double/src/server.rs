//! Listening, and the door that a fault can close.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Reply;

/// Whether connections are taken.
#[derive(Debug)]
pub(crate) struct Door(watch::Sender<Option<Duration>>);

impl Door {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(None)))
    }

    /// Cuts all connections and refuses new ones for so long.
    pub(crate) fn close_for(&self, time: Duration) {
        self.0.send_replace(Some(time));
    }

    /// Waits until it is closed.
    pub(crate) async fn closed(&self) {
        let mut orders = self.0.subscribe();
        // The sender is in here: it cannot be gone.
        drop(orders.wait_for(Option::is_some).await);
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(None);
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
pub(crate) async fn serve<F, Fut>(mut listener: TcpListener, door: Arc<Door>, handle: F) -> io::Result<()>
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    let address = listener.local_addr()?;
    let mut orders = door.0.subscribe();
    loop {
        accept(&listener, &mut orders, &handle).await;
        drop(listener);
        let time = orders.borrow_and_update().unwrap_or_default();
        // It may be opened before its time.
        drop(tokio::time::timeout(time, orders.wait_for(Option::is_none)).await);
        door.open();
        orders.mark_unchanged();
        listener = bind(address)?;
    }
}

/// Takes connections until the door closes, which cuts them.
async fn accept<F, Fut>(listener: &TcpListener, orders: &mut watch::Receiver<Option<Duration>>, handle: &F)
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(stream, handle.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            closed = orders.wait_for(Option::is_some) => {
                drop(closed);
                return;
            }
        }
    }
}

async fn converse<F, Fut>(stream: TcpStream, handle: F)
where
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Reply> + Send + 'static,
{
    // Events are small and shall not wait for each other.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let answering = handle(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    // A client that goes away is none of our business.
    drop(server.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
}
