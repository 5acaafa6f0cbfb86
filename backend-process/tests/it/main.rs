//! The backend through its trait, with real interpreters.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod extensions;
mod killed;
mod life;
mod node;
mod provided;
mod python;
mod support;
