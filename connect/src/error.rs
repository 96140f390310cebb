//! The one error type of this crate; its [`ErrorKind`] is what callers decide by.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use chronos_snapshot::printable;

/// Result of an operation on an outside system.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an outside system could not be read or written. Names it, and what state it is in where that matters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A snapshot could not be read.
    #[error(transparent)]
    Snapshot(#[from] chronos_snapshot::Error),
    /// A file of this host failed.
    #[error("{path}: {source}")]
    File {
        /// The file, for people.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command failed.
    #[error("command {command:?} failed: {why}")]
    Command {
        /// The command, without its environment.
        command: String,
        /// Exit status and the end of its standard error.
        why: String,
    },
    /// A server answered otherwise than it should, or not at all.
    #[error("{system}: {why}")]
    Upstream {
        /// Which server.
        system: String,
        /// Its own status code, if it has such.
        status: Option<u16>,
        /// What it said.
        why: String,
    },
    /// Something took too long and was ended.
    #[error("{what} was ended after {} s, its time limit", limit.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// Others hold what is needed.
    #[error("{0}")]
    Busy(String),
    /// What should be there is not.
    #[error("{what} {name:?} not found")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// What was read is not whole, or not what it should be.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Which thing.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A place has too little space.
    #[error("{place} has {free} bytes left, {needed} are needed; nothing was changed")]
    NoSpace {
        /// The folder.
        place: String,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Not allowed as things stand; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// A value outside its limits or not understood.
    #[error("{0}")]
    Invalid(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A change failed and was undone.
    #[error("{0}; everything is as it was before")]
    Undone(Box<Error>),
    /// A change failed and could not be undone.
    #[error("{cause}; undoing it failed too: {undo}")]
    NotUndone {
        /// Why the change failed.
        cause: Box<Error>,
        /// Why it could not be undone, and where what was there before is.
        undo: Box<Error>,
    },
}

/// What a caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A server or a command failed.
    Upstream,
    /// It took too long.
    TimedOut,
    /// Held by another.
    Busy,
    /// Not there.
    NotFound,
    /// Not whole.
    Damaged,
    /// No space left.
    NoSpace,
    /// Not allowed in the present state, or a bad value.
    Refused,
    /// Stopped on request.
    Interrupted,
    /// Anything else that the system or the repository reported.
    Io,
}

impl Error {
    /// Makes a [`Error::File`].
    pub(crate) fn file(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File { path: shown(path), source }
    }

    /// The status that a server answered, if it did and has such.
    pub fn upstream_status(&self) -> Option<u16> {
        match self {
            Self::Upstream { status, .. } => *status,
            Self::Undone(cause) | Self::NotUndone { cause, .. } => cause.upstream_status(),
            _ => None,
        }
    }

    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        use chronos_store::ErrorKind as Stored;
        match self {
            Self::Command { .. } | Self::Upstream { .. } => ErrorKind::Upstream,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Busy(_) => ErrorKind::Busy,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::Refused(_) | Self::Invalid(_) => ErrorKind::Refused,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Undone(cause) | Self::NotUndone { cause, .. } => cause.kind(),
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            },
            Self::Snapshot(error) => match error.kind() {
                Stored::Damaged => ErrorKind::Damaged,
                Stored::Busy => ErrorKind::Busy,
                Stored::NoSpace => ErrorKind::NoSpace,
                Stored::Refused => ErrorKind::Refused,
                Stored::Interrupted => ErrorKind::Interrupted,
                _ => ErrorKind::Io,
            },
        }
    }
}

/// How a source tells the engine why it failed.
impl From<Error> for chronos_snapshot::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Snapshot(error) => error,
            Error::File { path, source } => Self::File { path, source },
            Error::Command { command, why } => Self::Command { command, why },
            Error::Invalid(why) => Self::Invalid(why),
            Error::Damaged { what, why } => Self::Damaged { what, why },
            Error::Upstream { system, why, .. } => Self::Source { name: system, why },
            Error::TimedOut { what, limit } => Self::Source {
                name: what,
                why: format!("it was ended after {} s, its time limit", limit.as_secs_f64()),
            },
            Error::NoSpace { place, needed, free } => {
                let why = format!("{free} bytes are left, {needed} are needed");
                Self::File { path: place, source: io::Error::new(io::ErrorKind::StorageFull, why) }
            }
            Error::Interrupted => chronos_store::Error::Interrupted.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// A path, for people.
pub(crate) fn shown(path: impl AsRef<Path>) -> String {
    printable(path.as_ref().as_os_str().as_bytes())
}
