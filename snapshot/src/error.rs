//! The one error type of this crate; its [`ErrorKind`] is what callers decide by.

use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::shown::printable;

pub use chronos_store::ErrorKind;

/// Result of a snapshot operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on snapshots failed. Names the thing, and what happened to the data where that matters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] chronos_store::Error),
    /// A file or folder outside the repository failed.
    #[error("{path}: {source}")]
    File {
        /// The file, for people.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// No snapshot, path or item of that name.
    #[error("{what} {name:?} not found")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// A name fits several things.
    #[error("{name:?} is ambiguous: it fits {}", matches.join(", "))]
    Ambiguous {
        /// The name that was asked for.
        name: String,
        /// What it fits.
        matches: Vec<String>,
    },
    /// A value outside its limits or not understood.
    #[error("{0}")]
    Invalid(String),
    /// Not allowed as things stand; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Stored structure that no honest program wrote.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Which part.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A restore failed and was undone.
    #[error("{0}; the target is as it was before")]
    Undone(Box<Error>),
    /// A restore failed and could not be undone; the journal stays, and the next restore tries again.
    #[error(
        "{cause}; undoing it failed too: {undo}; what is needed to undo it is kept, the next restore tries again"
    )]
    NotUndone {
        /// Why the restore failed.
        cause: Box<Error>,
        /// Why it could not be undone.
        undo: Box<Error>,
    },
    /// A source failed; these are its own words.
    #[error("source {name} failed: {why}")]
    Source {
        /// The source.
        name: String,
        /// What it said.
        why: String,
    },
    /// Every source failed before it gave anything whole.
    #[error("no snapshot was made, since every source failed: {}", listed(.0))]
    AllFailed(Vec<FailedSource>),
    /// A command that was to give data failed.
    #[error("command {command:?} failed: {why}")]
    Command {
        /// The command.
        command: String,
        /// Exit status and the end of its standard error.
        why: String,
    },
}

/// One of several sources, and why it failed.
#[derive(Debug)]
pub struct FailedSource {
    /// The source.
    pub name: String,
    /// Why.
    pub error: Error,
}

fn listed(failed: &[FailedSource]) -> String {
    let one = |f: &FailedSource| match &f.error {
        error @ Error::Source { .. } => error.to_string(),
        error => format!("source {} failed: {error}", f.name),
    };
    failed.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// Makes a [`Error::File`].
    pub fn file(path: impl AsRef<std::path::Path>, source: io::Error) -> Self {
        Self::File { path: printable(path.as_ref().as_os_str().as_bytes()), source }
    }

    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
                io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
                _ => ErrorKind::Io,
            },
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::NotFound { .. } | Self::Ambiguous { .. } | Self::Invalid(_) | Self::Refused(_) => {
                ErrorKind::Refused
            }
            Self::Undone(cause) | Self::NotUndone { cause, .. } => cause.kind(),
            Self::AllFailed(failed) => {
                let mut kinds = failed.iter().map(|f| f.error.kind());
                let first = kinds.next().unwrap_or(ErrorKind::Io);
                if kinds.all(|kind| kind == first) { first } else { ErrorKind::Io }
            }
            Self::Command { .. } | Self::Source { .. } => ErrorKind::Io,
        }
    }
}
