//! Repositories behind a network, against real servers.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod probe;
mod program;
mod s3;
mod sftp;
