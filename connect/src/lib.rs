//! The outside systems, each both ways: read into a snapshot, and written back.
//!
//! Modules in the order of dependence; each uses only those above it.

mod secret;

pub use secret::Secret;
