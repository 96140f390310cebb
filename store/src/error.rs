//! The one error type of the store; its [`ErrorKind`] is what callers decide by.

use std::io;

use crate::backend::BackendError;
use crate::id::BadName;

/// Result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store operation failed. Names the object, says what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no repository at the location.
    #[error("no repository at {0}")]
    NoRepository(String),
    /// A repository stands where one was to be created.
    #[error("a repository already exists at {0}")]
    RepositoryExists(String),
    /// No key slot opens with the given password or key file.
    #[error("wrong password or key: none of {slots} key slots opens with it")]
    WrongKey {
        /// How many undamaged slots were tried.
        slots: usize,
    },
    /// The repository is of a later format version or has a feature that this program lacks.
    #[error("{object} needs a newer chronos: {what}")]
    TooNew {
        /// Name of the object.
        object: String,
        /// The version or feature that is not known.
        what: String,
    },
    /// Stored bytes are not what was written.
    #[error("{object} is damaged: {what}")]
    Damaged {
        /// Name of the object.
        object: String,
        /// What does not fit.
        what: String,
    },
    /// Something that is referred to is not there.
    #[error("{object} is missing")]
    Missing {
        /// Name of the object or the chunk.
        object: String,
    },
    /// The session was closed or revoked by another process; nothing of it counts, start again.
    #[error("session {0} was ended by another process")]
    SessionLost(String),
    /// Another process holds what is needed.
    #[error("{0} is busy")]
    Busy(String),
    /// A log change does not apply to the newest state (held, unknown, already purged …).
    #[error("{0}")]
    Refused(String),
    /// Only a sync may write here.
    #[error(
        "this is a mirror of {0}: write to that one, or make this one independent with `chronos sync DEST --promote`"
    )]
    Mirror(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A value that the caller gave is outside its limits.
    #[error("{0}")]
    Invalid(String),
    /// The storage behind the repository failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A local file of the program (catalogue, state folder, key file) failed.
    #[error("{path}: {source}")]
    Local {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What a caller decides by; mapped to exit codes and HTTP statuses in one place each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing there.
    NoRepository,
    /// Already there.
    Exists,
    /// Wrong password or key.
    WrongKey,
    /// Format or feature not known.
    TooNew,
    /// Damage, or something missing that must be there.
    Damaged,
    /// Held by another.
    Busy,
    /// Not allowed in the present state, or a bad value.
    Refused,
    /// Stopped on request.
    Interrupted,
    /// No space left.
    NoSpace,
    /// Read-only storage, or a mirror.
    ReadOnly,
    /// Anything else that the system reported.
    Io,
}

impl Error {
    /// Makes a [`Error::Damaged`].
    pub fn damaged(object: impl ToString, what: impl ToString) -> Self {
        Self::Damaged { object: object.to_string(), what: what.to_string() }
    }

    /// Makes a [`Error::Missing`].
    pub fn missing(object: impl ToString) -> Self {
        Self::Missing { object: object.to_string() }
    }

    /// Makes a [`Error::Local`].
    pub fn local(path: impl AsRef<std::path::Path>, source: io::Error) -> Self {
        Self::Local { path: path.as_ref().display().to_string(), source }
    }

    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRepository(_) => ErrorKind::NoRepository,
            Self::RepositoryExists(_) => ErrorKind::Exists,
            Self::WrongKey { .. } => ErrorKind::WrongKey,
            Self::TooNew { .. } => ErrorKind::TooNew,
            Self::Damaged { .. } | Self::Missing { .. } => ErrorKind::Damaged,
            Self::SessionLost(_) | Self::Busy(_) => ErrorKind::Busy,
            Self::Refused(_) | Self::Invalid(_) => ErrorKind::Refused,
            Self::Mirror(_) => ErrorKind::ReadOnly,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Backend(e) => e.kind(),
            Self::Local { source, .. } => io_kind(source),
        }
    }
}

/// The kind of a plain system error.
pub(crate) fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        _ => ErrorKind::Io,
    }
}

impl From<BadName> for Error {
    fn from(e: BadName) -> Self {
        Self::Invalid(e.to_string())
    }
}
