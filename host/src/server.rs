//! Accepts connections and serves them until it is told to stop.

use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Door, Front};

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address that is listened on.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

/// Connections that were accepted.
#[derive(Debug, Default)]
pub struct Connections {
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Server {
    /// Takes the address; nothing is accepted yet.
    pub async fn bind(address: &str) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// The address, with the port that the system chose where 0 was asked for.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts and serves until `stop` completes. From then on whoever connects is refused at once; connections
    /// that are there stay.
    pub async fn run(self, front: Front, stop: impl Future<Output = ()>) -> Connections {
        let connections = Connections::default();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => return connections,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let door = front.open(peer.ip());
                    connections.tasks.spawn(serve(stream, door, connections.closing.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Connections {
    /// Lets every connection finish the request that it serves, and waits for that up to `limit`.
    pub async fn close(self, limit: Duration) {
        self.closing.cancel();
        self.tasks.close();
        let _ran_over = tokio::time::timeout(limit, self.tasks.wait()).await;
    }
}

async fn serve(stream: TcpStream, door: Door, closing: CancellationToken) {
    // Answers are small and must leave at once.
    let _best_effort = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), door);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
