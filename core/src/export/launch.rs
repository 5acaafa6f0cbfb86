//! Launches that may lose the one who asked for them.

use std::sync::Arc;

use super::task::Answer;
use super::{runtime, task};
use crate::abi::{AbiFuture, Wire};
use crate::types::AbiInstance;
use crate::{Backend, CallContext, Instance, LaunchSpec, Meta};

/// Launches an instance. The launch runs to its end even if the host gives up or runs out of patience; nobody
/// would know of the instance then, so it is terminated.
pub(super) fn launch<B: Backend>(
    backend: Arc<B>,
    cx: CallContext,
    spec: LaunchSpec,
) -> AbiFuture<AbiInstance> {
    let budget_ms = cx.budget_ms;
    task::answer(
        budget_ms,
        "launch",
        task::to_its_end(async move {
            let instance = backend.launch(&cx, &spec).await?;
            Ok(Unclaimed(Some((instance, backend))))
        }),
    )
}

/// A launched instance that nobody has taken yet. Dropping it terminates the instance.
struct Unclaimed<B: Backend>(Option<(Instance, Arc<B>)>);

impl<B: Backend> Answer for Unclaimed<B> {
    type Abi = AbiInstance;

    fn hand_over(mut self) -> AbiInstance {
        let (instance, backend) = self.0.take().expect("only taking or dropping it empties it");
        on_the_runtime(move || drop(backend));
        instance.into_abi()
    }
}

impl<B: Backend> Drop for Unclaimed<B> {
    fn drop(&mut self) {
        if let Some((instance, backend)) = self.0.take() {
            on_the_runtime(move || {
                tokio::spawn(terminate_abandoned(instance.handle, backend));
            });
        }
    }
}

async fn terminate_abandoned<B: Backend>(handle: String, backend: Arc<B>) {
    tracing::warn!(handle, "launch was abandoned by the host; terminating its instance");
    let cx = CallContext { request_id: String::new(), budget_ms: 0, meta: Meta::new() };
    if let Err(error) = backend.terminate(&cx, &handle, 0).await {
        tracing::error!(handle, %error, "an abandoned instance could not be terminated");
    }
}

/// Runs what may run the author's code away from the host's threads.
pub(super) fn on_the_runtime(work: impl FnOnce() + Send + 'static) {
    match runtime::handle() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => unreachable!("whatever there is to be dropped was made on the runtime"),
    }
}
