//! Where the objects of a repository lie: five methods over bounded, write-once objects.
//!
//! The contract of [`Backend`] is this documentation and the checks of [`conformance`], which
//! every backend and every wrapper passes.

mod cache;
pub mod conformance;
mod extension;
mod fault;
mod local;
mod memory;
mod name;
mod pace;
mod record;
mod retry;
mod throttle;
mod unsound;

pub use cache::CacheBackend;
pub use extension::BackendExt;
pub(crate) use extension::LIST_PAGE;
pub use fault::{Fault, FaultBackend, FaultRule};
pub use local::{LocalBackend, LocalCounters};
pub use memory::{MemoryBackend, check_range, check_size};
pub use name::{NAME_BYTES_MAX, check_name, check_prefix};
pub use pace::{ManualPace, Pace, SystemPace};
pub use record::{Call, Method, RecordBackend};
pub use retry::{RetryBackend, RetryPolicy};
pub use throttle::ThrottleBackend;
pub use unsound::{Flaw, UnsoundBackend};

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{ErrorKind, io_kind};

/// Result of a backend call.
pub type BackendResult<T> = Result<T, BackendError>;

/// Largest object that may be written, in bytes; packs stay far below it.
pub const OBJECT_BYTES_MAX: usize = 256 << 20;

/// Why a backend call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// No object of that name.
    #[error("{0} is missing")]
    NotFound(String),
    /// An object of that name is there already; it was not touched.
    #[error("{0} already exists")]
    AlreadyExists(String),
    /// A range reaches beyond the object's end.
    #[error("{name} has only {size} bytes")]
    OutOfRange {
        /// Name of the object.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A name, size or range outside the limits.
    #[error("{0}")]
    Invalid(String),
    /// The system refused.
    #[error("{name}: {source}")]
    Io {
        /// Name of the object, or the place of the repository.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl BackendError {
    /// Makes a [`BackendError::Io`].
    pub fn io(name: impl Into<String>, source: io::Error) -> Self {
        Self::Io { name: name.into(), source }
    }

    /// The same error once more, for each of several who have to be told.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotFound(name) => Self::NotFound(name.clone()),
            Self::AlreadyExists(name) => Self::AlreadyExists(name.clone()),
            Self::OutOfRange { name, size } => Self::OutOfRange { name: name.clone(), size: *size },
            Self::Invalid(why) => Self::Invalid(why.clone()),
            Self::Io { name, source } => {
                let same = || io::Error::new(source.kind(), source.to_string());
                let source = source.raw_os_error().map_or_else(same, io::Error::from_raw_os_error);
                Self::Io { name: name.clone(), source }
            }
        }
    }

    /// What callers decide by.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::OutOfRange { .. } => ErrorKind::Damaged,
            Self::AlreadyExists(_) => ErrorKind::Exists,
            Self::Invalid(_) => ErrorKind::Refused,
            Self::Io { source, .. } => io_kind(source),
        }
    }
}

/// One listed object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Full name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

/// When a written object must be safe against loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before `write_new` returns.
    Now,
    /// At the latest when the next [`Backend::sync`] returns; the write-back starts at once.
    Deferred,
    /// Whenever; losing it harms nobody.
    Relaxed,
}

/// What a backend can do for its own upkeep; see [`Backend::maintain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep<'n> {
    /// Takes over the object of this name, whose writer may have died before it was safe: from now on it is as if this handle
    /// had written it with [`Durability::Deferred`].
    TakeOver(&'n str),
    /// Removes what interrupted writes left; never shown by `list`.
    RemoveLeftovers,
    /// Gives back the space that is kept for removing things when nothing else is free.
    ReleaseReserve,
    /// Sets that space aside again, as far as it fits.
    RefillReserve,
}

/// A store of write-once objects.
///
/// Names are 1 to 255 bytes of `[0-9a-z._-]` segments joined by `/`; no segment is empty or
/// begins with a dot, and no object's name is the folder of another's. An object is at most
/// [`OBJECT_BYTES_MAX`] bytes.
///
/// - No partial object is ever visible, also after a crash.
/// - Of several `write_new` of one name exactly one succeeds.
/// - Whatever was written or removed shows in every later `list`, `stat` and `read` of any process.
pub trait Backend: Send + Sync + Debug {
    /// Objects whose name begins with `prefix` and is greater than `after`, in byte order, at most `limit`.
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>>;

    /// Size in bytes of an object.
    fn stat(&self, name: &str) -> BackendResult<u64>;

    /// The bytes of an object, or exactly `range` of them.
    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>>;

    /// Creates an object; [`BackendError::AlreadyExists`] if the name is taken.
    ///
    /// After any error but [`BackendError::Invalid`] and that the object may or may not be there
    /// (see [`BackendExt::create`]).
    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()>;

    /// Removes an object; removing what is not there succeeds.
    fn remove(&self, name: &str) -> BackendResult<()>;

    /// Makes all that this handle wrote with [`Durability::Deferred`] safe against loss of power, and all decisions (`snap/`) and
    /// records (`log/`) that any process published before this call, since others may rely on what they saw: whoever publishes
    /// one has made safe what it names. Also what this handle removed, except packs and announcements (`sess/`): should one
    /// come back, the next prune or session removes it again.
    ///
    /// After an error, objects written as deferred may be gone, and asking again proves nothing.
    fn sync(&self) -> BackendResult<()>;

    /// Does a piece of upkeep and returns the bytes it gave back or set aside; 0 where there is nothing of the kind.
    fn maintain(&self, _work: Upkeep<'_>) -> BackendResult<u64> {
        Ok(0)
    }

    /// How many calls are best under way at a time: more than one where each waits for a network longer than it works.
    fn lanes(&self) -> usize {
        1
    }

    /// The same storage without the copies that are kept nearer; `None` if there are none.
    fn stored(&self) -> Option<Arc<dyn Backend>> {
        None
    }

    /// Reads like [`Backend::read`], past the copies that are kept nearer, which it replaces; `None` if there are none of such an
    /// object, so that asking again tells nothing new. For whoever read something damaged: it may have been mended since.
    fn read_anew(&self, _name: &str, _range: Option<Range<u64>>) -> Option<BackendResult<Vec<u8>>> {
        None
    }

    /// Where this is, for people.
    fn location(&self) -> String;
}
