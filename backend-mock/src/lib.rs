//! A scripted backend: it launches nothing, answers every invocation with its own event, and fails on demand.
//!
//! An instance is an HTTP endpoint inside of this library that speaks the instance protocol
//! (`docs/instance-protocol.md`). So a client's retries, a host's repairs or a dashboard's alarms can be tried
//! out without an engine and without waiting for luck: what goes wrong, and when, is written in the
//! configuration, and goes wrong in the same way each time.
//!
//! ```toml
//! backend = "mock"
//!
//! [backends.mock]
//! prepare_delay_ms = 1000        # every deploy takes this long to become active
//! launch_delay_ms = [200, 900]   # every launch takes from 200 to 900 ms
//! answer_delay_ms = 5            # every invocation takes this long
//! seed = 7                       # with the same seed, chance comes out the same
//!
//! launches = [
//!   { nth = 1, do = { fail = { message = "no such image", kind = "spec_rejected" } } },
//!   { nth = 5, times = 3, do = { delay = { ms = 2000 } } },
//! ]
//! invocations = [
//!   { nth = 2, function = "orders", do = "crash" },
//!   { nth = 3, function = "orders", do = { function_error = { type = "ValueError", message = "no stock" } } },
//!   { probability = 0.1, do = "throttle" },
//! ]
//! logs = [
//!   { every = 10, do = { stderr = ["WARN the cache is cold"] } },
//! ]
//! terminations = [
//!   { nth = 1, do = "hang" },
//! ]
//! ```
//!
//! The same can stand in a file of its own (`script = "faults.toml"`), and be changed while it is followed:
//! `docs/testing-your-client.md`.

#![forbid(unsafe_code)]

mod acts;
mod backend;
mod body;
mod chance;
mod clock;
mod config;
mod control;
mod endpoint;
mod instance;
mod log;
mod script;

pub use self::acts::{CallAct, End, EndKind, Failure, FailureKind, InvocationAct, LaunchAct, Lines, Span};
pub use self::backend::Mock;
pub use self::config::{Config, Probability, Rule};

hearth_core::export_backend!(Mock, "mock");
