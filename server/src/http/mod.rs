//! The HTTP service: what CHRONOS and HADES offer to callers, and everything that stands between a connection and a handler.
//!
//! What always holds: every handler extracts, crosses over in `blocking`, calls one operation and gives a typed answer; every
//! failure leaves through `problem`. Modules in the order of dependence.

mod problem;

mod fields;

pub mod auth;
mod guard;
pub mod options;
mod reporter;

mod metrics;
mod service;
mod shared;

mod blocking;
mod body;
mod idempotency;
mod name;
mod observe;
mod query;

mod common;

mod chronos;
mod hades;

mod document;

mod router;

mod peers;

mod connections;
pub mod log;
mod tls;
mod watch;

mod serve;
mod systemd;

pub use options::ServeOptions;
pub use serve::{Listening, serve};
