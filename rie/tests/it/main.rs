//! The emulator with real processes: scripts that speak the Runtime API, well or badly.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::needless_raw_string_hashes, reason = "scripts are all quoted in the same way")]

mod binary;
mod extensions;
mod life;
mod outcomes;
mod protocol;
mod stream;
mod support;
mod telemetry;
