//! Work that outlives whoever waits for it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

/// A future that runs where it is awaited, and goes on as a task of the host if it is dropped before its end.
///
/// An invocation must not stop because its client hangs up. Spawning it and waiting for the task would do,
/// but costs two passes through the scheduler on every call; this costs them only when somebody does hang up.
pub struct Detach<F: Future<Output: Send> + Send + 'static> {
    work: Option<Pin<Box<F>>>,
    tracker: TaskTracker,
}

impl<F: Future<Output: Send> + Send + 'static> Detach<F> {
    /// `tracker` is where the work goes on, and what shutdown waits for.
    pub fn new(work: F, tracker: &TaskTracker) -> Self {
        Self { work: Some(Box::pin(work)), tracker: tracker.clone() }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Detach<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = self.work.as_mut() else { return Poll::Pending };
        let output = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Detach<F> {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(work), Ok(runtime)) = (self.work.take(), runtime) {
            self.tracker.spawn_on(work, &runtime);
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> fmt::Debug for Detach<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detach").field("finished", &self.work.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_goes_on() {
        let tracker = TaskTracker::new();
        let (go, gate) = oneshot::channel::<()>();
        let (done, was_done) = oneshot::channel();
        let mut work = Detach::new(
            async move {
                gate.await.unwrap();
                done.send(()).unwrap();
            },
            &tracker,
        );
        tokio::select! { biased; () = &mut work => unreachable!(), () = std::future::ready(()) => {} }
        drop(work);
        go.send(()).unwrap();
        was_done.await.unwrap();
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn work_that_is_awaited_is_no_task() {
        let tracker = TaskTracker::new();
        assert_eq!(Detach::new(async { 7 }, &tracker).await, 7);
        assert!(tracker.is_empty());
    }
}
