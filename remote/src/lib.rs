//! Places for a repository: folders, object stores and hosts that are reached by `ssh`.
//!
//! [`open`] makes a [`Backend`](chronos_store::backend::Backend) of a [`Location`], with whatever stands between: attempts that are
//! repeated, limits of speed, copies of what is read often. Object stores and hosts are spoken to by asynchronous libraries; a few threads
//! of this crate run these, and callers wait (`runtime.rs`).

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests lay out files directly"))]

mod location;
mod object;
mod open;
mod probe;
mod runtime;
mod sftp;
mod variables;

pub use location::{Bucket, Location, Provider, SftpPlace, Style};
pub use open::{OpenOptions, is_remote, open};
pub use probe::{Capability, Depth, ProbeReport, Suitability, probe};
pub use variables::Variables;
