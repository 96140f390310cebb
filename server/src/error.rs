//! The one error type of this crate: always about something that a person wrote.

use std::io;

/// Result of reading a configuration.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with the configuration. Names the file and the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("configuration {path}: {why}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and what.
        why: String,
    },
    /// A key that is not known.
    #[error("configuration {path}: unknown key {key}{}", .nearest.as_ref().map(|n| format!(": did you mean {n}?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        path: String,
        /// The key with its section.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that is not allowed.
    #[error("{place}: {why}")]
    Value {
        /// File and key, or the environment variable.
        place: String,
        /// What is wrong.
        why: String,
    },
}
