//! What is said when something aborts the process: nothing else tells whose fault it was.

#![expect(unsafe_code, reason = "sets a signal handler")]

use std::ffi::c_int;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::write;

static WORDS: OnceLock<String> = OnceLock::new();

/// Has one line written if this process is aborted from here on. The first backend that is loaded is the one it names.
pub(super) fn prepare(backend: &Path) {
    let shown = backend.display();
    let words = format!(
        "hearth: something called abort, most likely the backend {shown} or a library of its: that ends whatever process \
         it runs in; --isolate-backend gives it one of its own\n"
    );
    if WORDS.set(words).is_err() {
        return;
    }
    let action = SigAction::new(SigHandler::Handler(say), SaFlags::SA_RESETHAND, SigSet::empty());
    // SAFETY: `say` does nothing but what a signal handler may: it reads an atomic and writes to a file descriptor.
    if let Err(error) = unsafe { sigaction(Signal::SIGABRT, &action) } {
        tracing::debug!(%error, "nothing will be said of an abort");
    }
}

extern "C" fn say(_signal: c_int) {
    if let Some(words) = WORDS.get() {
        // There is nobody to tell that nobody can be told.
        let _lost = write(io::stderr(), words.as_bytes());
    }
}
