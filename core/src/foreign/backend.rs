//! One backend of a plugin.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use abi_stable::std_types::{ROption, RResult, RVec};
use async_ffi::FfiFuture;
use futures_core::Stream;

use crate::abi::{AbiFuture, BackendObject, LogObject, Wire};
use crate::types::AbiLogLine;
use crate::{
    Backend, BackendError, BackendInfo, CallContext, ErrorKind, Instance, InstanceStats, InstanceStatus,
    LaunchSpec, LogLine, LogStream, ReapReport, Result,
};

/// A plugin's backend behind the trait that its author implemented.
///
/// Dropping the future of a call cancels it over there, except that a launch, a termination and a shutdown run
/// to their end; an instance whose launch was dropped is terminated.
pub struct ForeignBackend {
    object: BackendObject,
    info: BackendInfo,
}

impl ForeignBackend {
    pub(super) fn new(object: BackendObject) -> Self {
        let info = BackendInfo::from_abi(object.info());
        Self { object, info }
    }
}

#[async_trait::async_trait]
impl Backend for ForeignBackend {
    fn info(&self) -> BackendInfo {
        self.info.clone()
    }

    async fn prepare(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        answered(self.object.prepare(cx.clone().into_abi(), spec.clone().into_abi())).await
    }

    async fn launch(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        value(self.object.launch(cx.clone().into_abi(), spec.clone().into_abi())).await
    }

    async fn terminate(&self, cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        answered(self.object.terminate(cx.clone().into_abi(), handle.into(), grace_ms)).await
    }

    async fn inspect(&self, cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        value(self.object.inspect(cx.clone().into_abi(), handle.into())).await
    }

    async fn list(&self, cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        value(self.object.list(cx.clone().into_abi())).await
    }

    async fn reap(&self, cx: &CallContext) -> Result<ReapReport> {
        value(self.object.reap(cx.clone().into_abi())).await
    }

    async fn logs(&self, cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        let source = answered(self.object.logs(cx.clone().into_abi(), handle.into(), since_ms)).await?;
        Ok(Box::pin(ForeignLines { next: None, ready: Vec::new().into_iter(), source }))
    }

    async fn stats(&self, cx: &CallContext, handle: &str) -> Result<InstanceStats> {
        value(self.object.stats(cx.clone().into_abi(), handle.into())).await
    }

    async fn pause(&self, cx: &CallContext, handle: &str) -> Result<()> {
        answered(self.object.pause(cx.clone().into_abi(), handle.into())).await
    }

    async fn resume(&self, cx: &CallContext, handle: &str) -> Result<()> {
        answered(self.object.resume(cx.clone().into_abi(), handle.into())).await
    }

    async fn shutdown(&self, cx: &CallContext) -> Result<()> {
        answered(self.object.shutdown(cx.clone().into_abi())).await
    }
}

impl fmt::Debug for ForeignBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignBackend").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Waits for a call whose answer needs no conversion.
pub(super) async fn answered<T>(call: AbiFuture<T>) -> Result<T> {
    match Guarded(call).await? {
        RResult::ROk(value) => Ok(value),
        RResult::RErr(error) => Err(BackendError::from_abi(error)),
    }
}

async fn value<T: Wire>(call: AbiFuture<T::Abi>) -> Result<T> {
    answered(call).await.map(T::from_abi)
}

/// The glue in a plugin never panics while it is polled; should it do so all the same, `async-ffi` would pass
/// the panic on to whoever waits.
struct Guarded<T>(FfiFuture<T>);

impl<T> Future for Guarded<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx).map(Ok))).unwrap_or_else(|_panic| {
            Poll::Ready(Err(BackendError::new(
                ErrorKind::PANICKED,
                "the backend panicked while it was waited for",
            )))
        })
    }
}

/// A log, pulled over in batches. `next` is declared before `source`, because it is dropped first.
struct ForeignLines {
    next: Option<Guarded<ROption<RVec<AbiLogLine>>>>,
    ready: vec::IntoIter<LogLine>,
    source: LogObject,
}

// Nothing in it is ever pinned: the future is an owned pointer.
impl Unpin for ForeignLines {}

impl Stream for ForeignLines {
    type Item = LogLine;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogLine>> {
        let this = &mut *self;
        loop {
            if let Some(line) = this.ready.next() {
                return Poll::Ready(Some(line));
            }
            let source = &mut this.source;
            let next = this.next.get_or_insert_with(|| Guarded(source.next_lines()));
            let lines = ready!(Pin::new(next).poll(cx));
            this.next = None;
            match lines {
                Ok(ROption::RSome(lines)) => this.ready = Vec::from_abi(lines).into_iter(),
                Ok(ROption::RNone) | Err(_) => return Poll::Ready(None),
            }
        }
    }
}
