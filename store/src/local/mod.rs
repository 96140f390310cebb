//! What the program keeps on this host for one repository, outside of it.
//!
//! The cache folder may vanish at any moment; the state folder must survive. Neither holds
//! anything that a restore needs. Folders are made by the first write.

pub(crate) mod check_memory;
mod host;
mod lock;
pub(crate) mod silence;

pub use check_memory::CheckMemory;
pub use host::Host;
pub(crate) use host::boot_id;
pub use lock::{Owner, SessionLock};
pub(crate) use silence::Silence;

use std::path::{Path, PathBuf};

use crate::id::{RepositoryId, SessionId};

/// The folders of one repository on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    cache: PathBuf,
    state: PathBuf,
}

impl Folders {
    /// The folders of repository `id` below the program's own two folders, wherever it lies: it may be moved.
    pub fn new(cache: &Path, state: &Path, id: RepositoryId) -> Self {
        let id = id.to_string();
        Self { cache: cache.join(&id), state: state.join(&id) }
    }

    /// Holds only what can be made again.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Holds what must survive.
    pub fn state(&self) -> &Path {
        &self.state
    }

    fn locks(&self) -> PathBuf {
        self.state.join("sessions")
    }

    fn lock_file(&self, session: &SessionId) -> PathBuf {
        self.locks().join(session.as_str())
    }

    fn check_memory(&self) -> PathBuf {
        self.state.join("checked")
    }
}
