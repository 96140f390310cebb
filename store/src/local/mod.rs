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

/// Hex digits that tell the places of one repository apart.
const PLACE_DIGITS: usize = 16;

/// The folders of one repository on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    cache: PathBuf,
    state: PathBuf,
}

impl Folders {
    /// The folders of repository `id` at `location` below the program's own two folders.
    ///
    /// Copies are the same wherever they were read, so a mirror shares the cache of its source. What is known of running sessions
    /// and of what was checked is only true of one place.
    pub fn new(cache: &Path, state: &Path, id: RepositoryId, location: &str) -> Self {
        let place = blake3::derive_key("chronos v1 state of a place", location.as_bytes());
        let place: String = hex::encode(place).chars().take(PLACE_DIGITS).collect();
        Self { cache: cache.join(id.to_string()), state: state.join(format!("{id}-{place}")) }
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
