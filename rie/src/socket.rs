//! A connection that does not report its end while somebody is still busy with what came before.
//!
//! When a client closes, hyper drops the request that is being answered. That is right for one that waits, and
//! wrong for a response that a process sent with its last breath: it is here in full, and must count.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// A connection, as hyper takes it.
pub(crate) struct Socket {
    stream: TokioIo<TcpStream>,
    arrival: Arrival,
    hold: Hold,
}

/// What hyper has made of the last bytes that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// Nothing yet: the request may not have met the one who would hold back the end.
    New,
    Seen,
}

/// Holds back the news of a connection's end. Cheap to clone; all clones are of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
enum Held {
    #[default]
    No,
    /// And whom to tell when it is over, if the end has come.
    Yes(Option<Waker>),
}

/// While it lives, the end is held back.
pub(crate) struct Holding<'a>(&'a Hold);

impl Hold {
    pub(crate) fn begin(&self) -> Holding<'_> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Held::Yes(None);
        Holding(self)
    }

    fn is_held(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Held::Yes(_))
    }

    /// Whether the end is held back, in which case this waker is told when it is not any more.
    fn wait(&self, waker: &Waker) -> bool {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Held::No => false,
            Held::Yes(waiting) => {
                *waiting = Some(waker.clone());
                true
            }
        }
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Held::Yes(Some(waker)) = held {
            waker.wake();
        }
    }
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, hold: Hold) -> Self {
        Self { stream: TokioIo::new(stream), arrival: Arrival::Seen, hold }
    }

    /// Ready when there is something to read that may be told, be it the end.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let arrival = std::mem::replace(&mut self.arrival, Arrival::Seen);
        if arrival == Arrival::Seen && !self.hold.is_held() {
            return Poll::Ready(Ok(()));
        }
        let mut byte = [0];
        let available = ready!(self.stream.inner().poll_peek(cx, &mut ReadBuf::new(&mut byte)))?;
        if available > 0 {
            return Poll::Ready(Ok(()));
        }
        if arrival == Arrival::New {
            // The request is looked at before this is asked again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.hold.wait(cx.waker()) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_news(cx))?;
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.arrival = Arrival::New;
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}
