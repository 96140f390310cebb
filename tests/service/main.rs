//! Tests against the real servers that are backed up, each started once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests lay out and damage files directly"
)]

mod acceptance;
mod disaster;
mod drills;
mod hades;
mod http;
mod n8n;
mod own;
mod postgres;
mod sqlite;
