//! Stops the processes of an instance that has nothing to do, as Lambda freezes a sandbox between invocations: what
//! a function does behind an answer's back goes on with the next invocation, and an idle instance uses no processor.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::emulator::Emulator;

/// How long an instance rests before it is frozen. One that is invoked again and again is spared the signals.
const DELAY: Duration = Duration::from_millis(10);

/// Freezes until it is aborted. Whoever has something for the processes to do thaws them.
pub(crate) async fn run(emulator: Arc<Emulator>) {
    loop {
        let Some(since) = emulator.resting_since() else {
            emulator.rested().await;
            continue;
        };
        sleep(DELAY).await;
        if emulator.freeze(since) {
            emulator.thawed().await;
        }
    }
}
