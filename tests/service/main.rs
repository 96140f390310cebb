//! Tests against the real servers that are backed up, each started once.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod http;
mod n8n;
mod postgres;
mod sqlite;
