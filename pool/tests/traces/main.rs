//! Scenarios: a script goes in, what the pool asks for comes out, exactly.
//!
//! Each is named by the hazard that it guards against, and grouped by what is at stake.

mod deploys;
mod failures;
mod fairness;
mod keep_alive;
mod life;
mod limits;
mod memory;
mod prewarming;
mod provisioned;
mod queue;
mod scale_out;
mod script;
mod shutdown;
