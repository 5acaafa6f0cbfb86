//! Black-box suites: the real binary, the real plugins, from outside.
#![expect(clippy::unwrap_used, reason = "in tests, helpers included, a failure is a panic")]

mod backend_api;
mod backends;
mod cli;
mod durability;
mod faults;
mod isolation;
mod metrics;
mod plugins;
mod recording;
mod shutdown;
mod support;
mod tidy;
mod warm_path;
