//! n8n: its workflows, tags and the names of its credentials, over the public API and over its command line, both ways.
//!
//! `options`, `client`, `listing`, `version` know the server, `command_line` the command; `instance` is either; `workflow` the stored
//! form; `source` reads, `restore` writes.

mod calls;
mod client;
mod command_line;
mod credentials;
mod error;
mod exported;
mod fetch;
mod import;
mod instance;
mod items;
mod key;
mod listing;
mod node;
mod options;
mod owner;
mod reading;
pub mod restore;
mod said;
mod source;
mod spool;
mod trial;
mod version;
mod workflow;

pub use client::Client;
pub use command_line::CommandLine;
pub use credentials::Credential;
pub use error::{Error, Result};
pub use instance::Instance;
pub use key::closed_to;
pub use options::{Limits, PAGE, Parts, Server};
pub use owner::SEES_NOT_ALL;
pub use source::{Failure, N8nOptions, N8nSource, Way};
pub use trial::{Trial, inactive, try_workflows};
pub use version::{Era, ServerVersion};
pub use workflow::{
    Facts, canonical, check, file_name, fingerprint, id_of_file, published_beside, published_unseen,
};
