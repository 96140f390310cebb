//! The outside systems, each both ways: read into a snapshot, and written back.
//!
//! Modules in the order of dependence; each uses only those above it.

mod assertions;
mod command;
mod entry;
mod error;
pub mod http;
mod names;
pub mod postgres;
mod prefix;
mod process;
mod secret;
pub mod sqlite;
mod stream;
mod unfinished;
mod verdict;

pub mod n8n;

pub use assertions::{Assertions, Proof};
pub use command::{StreamSource, into_command};
pub use error::{Error, ErrorKind, Result};
pub use prefix::{Passing, Prefix};
pub use process::{Account, Process};
pub use secret::{Secret, is_secret_variable};
pub use sqlite::check_space;
pub use stream::Pump;
pub use unfinished::Stands;
pub use verdict::Verdict;
