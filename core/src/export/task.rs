//! Running the author's futures on the plugin's runtime, and waiting for them from the host's.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use abi_stable::std_types::RResult;
use async_ffi::FutureExt as _;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::error::Elapsed;

use super::runtime;
use crate::abi::{AbiFuture, Wire};
use crate::{BackendError, ErrorKind, Result};

/// What a call answers, on its way to the host.
pub(super) trait Answer: Send + 'static {
    /// The form in which it crosses.
    type Abi: 'static;

    /// Called on a thread of the host's, when the answer is taken.
    fn hand_over(self) -> Self::Abi;
}

impl<T: Wire + Send + 'static> Answer for T
where
    T::Abi: 'static,
{
    type Abi = T::Abi;

    fn hand_over(self) -> T::Abi {
        self.into_abi()
    }
}

/// Runs `call` on the plugin's runtime for at most `budget_ms` (0: without limit). Dropping the answer's future
/// drops `call`, over there.
pub(super) fn answer<T: Answer>(
    budget_ms: u64,
    operation: &'static str,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> AbiFuture<T::Abi> {
    let task = runtime::handle().map(|runtime| {
        CancelOnDrop::new(runtime.spawn(async move {
            match within(budget_ms, call).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Err(out_of_time(operation, budget_ms)),
            }
        }))
    });
    async move {
        let outcome = match task {
            Ok(task) => task.await.unwrap_or_else(|failure| Err(lost(failure))),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(value) => RResult::ROk(value.hand_over()),
            Err(error) => RResult::RErr(error.into_abi()),
        }
    }
    .into_ffi()
}

/// Runs `call` to its end, whether or not anybody waits for it any more. Must be called on the runtime.
pub(super) async fn to_its_end<T: Send + 'static>(
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(call).await.unwrap_or_else(|failure| Err(lost(failure)))
}

async fn within<T>(budget_ms: u64, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    if budget_ms == 0 {
        return Ok(call.await);
    }
    tokio::time::timeout(Duration::from_millis(budget_ms), call).await
}

fn out_of_time(operation: &str, budget_ms: u64) -> BackendError {
    BackendError::new(ErrorKind::TIMEOUT, format!("{operation} took longer than {budget_ms} ms")).retryable()
}

fn lost(failure: JoinError) -> BackendError {
    match failure.try_into_panic() {
        Ok(panic) => {
            let message = format!("the backend panicked: {}", panic_message(&*panic));
            // What was thrown may panic again when it is dropped; then its message would be lost.
            std::mem::forget(panic);
            BackendError::new(ErrorKind::PANICKED, message)
        }
        Err(_cancelled) => BackendError::new(ErrorKind::CANCELLED, "the call was cancelled"),
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// A task that nobody needs once nobody waits for it.
pub(super) struct CancelOnDrop<T>(JoinHandle<T>);

impl<T> CancelOnDrop<T> {
    pub(super) fn new(task: JoinHandle<T>) -> Self {
        Self(task)
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
