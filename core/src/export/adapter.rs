//! One backend, as the host's table of functions sees it.

use std::sync::Arc;

use abi_stable::std_types::{RString, RVec};

use super::launch::{self, on_the_runtime};
use super::logs::Lines;
use super::task::{self, Answer};
use crate::abi::{AbiFuture, BackendApi, LogObject, Wire};
use crate::types::{
    AbiBackendInfo, AbiCallContext, AbiInstance, AbiInstanceStats, AbiInstanceStatus, AbiLaunchSpec,
    AbiReapReport,
};
use crate::{Backend, BackendInfo, CallContext, LaunchSpec, Result};

/// Answers the host's calls with those of `B`.
pub(crate) struct Adapter<B: Backend> {
    /// Always there until it is dropped.
    backend: Option<Arc<B>>,
    /// Asked once, so that asking again runs none of the author's code.
    info: BackendInfo,
}

impl<B: Backend> Adapter<B> {
    pub(crate) fn new(backend: B, info: BackendInfo) -> Self {
        Self { backend: Some(Arc::new(backend)), info }
    }

    fn backend(&self) -> Arc<B> {
        Arc::clone(self.backend.as_ref().expect("only dropping takes it"))
    }

    /// A call that may be dropped half-way.
    fn call<T, F>(
        &self,
        operation: &'static str,
        cx: AbiCallContext,
        call: impl FnOnce(Arc<B>, CallContext) -> F + Send + 'static,
    ) -> AbiFuture<T::Abi>
    where
        T: Answer,
        F: Future<Output = Result<T>> + Send,
    {
        let (backend, cx) = (self.backend(), CallContext::from_abi(cx));
        task::answer(cx.budget_ms, operation, async move { call(backend, cx).await })
    }

    /// A call that is never dropped half-way, even if nobody waits for it any more.
    fn call_to_its_end<F>(
        &self,
        operation: &'static str,
        cx: AbiCallContext,
        call: impl FnOnce(Arc<B>, CallContext) -> F + Send + 'static,
    ) -> AbiFuture<()>
    where
        F: Future<Output = Result<()>> + Send,
    {
        self.call(operation, cx, |backend, cx| task::to_its_end(async move { call(backend, cx).await }))
    }
}

impl<B: Backend> Drop for Adapter<B> {
    fn drop(&mut self) {
        let backend = self.backend.take();
        on_the_runtime(move || drop(backend));
    }
}

impl<B: Backend> BackendApi for Adapter<B> {
    fn info(&self) -> AbiBackendInfo {
        self.info.clone().into_abi()
    }

    fn prepare(&self, cx: AbiCallContext, spec: AbiLaunchSpec) -> AbiFuture<()> {
        let spec = LaunchSpec::from_abi(spec);
        self.call("prepare", cx, |backend, cx| async move { backend.prepare(&cx, &spec).await })
    }

    fn launch(&self, cx: AbiCallContext, spec: AbiLaunchSpec) -> AbiFuture<AbiInstance> {
        launch::launch(self.backend(), CallContext::from_abi(cx), LaunchSpec::from_abi(spec))
    }

    fn terminate(&self, cx: AbiCallContext, handle: RString, grace_ms: u64) -> AbiFuture<()> {
        self.call_to_its_end("terminate", cx, move |backend, cx| async move {
            backend.terminate(&cx, &handle, grace_ms).await
        })
    }

    fn inspect(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<AbiInstanceStatus> {
        self.call("inspect", cx, |backend, cx| async move { backend.inspect(&cx, &handle).await })
    }

    fn list(&self, cx: AbiCallContext) -> AbiFuture<RVec<AbiInstanceStatus>> {
        self.call("list", cx, |backend, cx| async move { backend.list(&cx).await })
    }

    fn reap(&self, cx: AbiCallContext) -> AbiFuture<AbiReapReport> {
        self.call("reap", cx, |backend, cx| async move { backend.reap(&cx).await })
    }

    fn logs(&self, cx: AbiCallContext, handle: RString, since_ms: u64) -> AbiFuture<LogObject> {
        self.call("logs", cx, move |backend, cx| async move {
            Ok(Lines::of(backend.logs(&cx, &handle, since_ms).await?))
        })
    }

    fn stats(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<AbiInstanceStats> {
        self.call("stats", cx, |backend, cx| async move { backend.stats(&cx, &handle).await })
    }

    fn pause(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<()> {
        self.call("pause", cx, |backend, cx| async move { backend.pause(&cx, &handle).await })
    }

    fn resume(&self, cx: AbiCallContext, handle: RString) -> AbiFuture<()> {
        self.call("resume", cx, |backend, cx| async move { backend.resume(&cx, &handle).await })
    }

    fn shutdown(&self, cx: AbiCallContext) -> AbiFuture<()> {
        self.call_to_its_end("shutdown", cx, |backend, cx| async move { backend.shutdown(&cx).await })
    }
}
