//! The backend through its trait, with real interpreters.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod life;
mod node;
mod provided;
mod python;
mod support;
