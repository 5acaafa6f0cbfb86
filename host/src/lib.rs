//! The host of Hearth: loads a backend, drives the pool, serves the Lambda API.
//!
//! ```text
//! client ─HTTP─► api ─► invoke ─► driver ── (now, Event) ──► pool::Pool
//!                         │  ▲       ▲                          │
//!                         │  └ Lease ┤◄── Effect, next_deadline ┘
//!                         ▼          └──► core::Backend ─► .so ─► processes, containers, pods
//!            HTTP to the instance ─► rie ─► Runtime API ─► the function
//! ```
//!
//! Only [`api`] knows the Lambda API's JSON, headers, ARNs and error names, and only [`aws`], [`destinations`]
//! and [`event_sources`] those of other services. Only [`config`] reads files of settings and the
//! environment. Only [`clock`] reads time. [`serve`] is the one place that knows all parts.

pub mod api;
pub mod aws;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conformance;
pub mod data_dir;
pub mod destinations;
pub mod detach;
pub mod driver;
pub mod event_queue;
pub mod event_sources;
pub mod function_logs;
pub mod invoke;
pub mod metrics;
pub mod plugin;
pub mod serve;
pub mod server;
pub mod sigv4;
pub mod simulate;
pub mod trace;
