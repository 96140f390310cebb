//! Key slots and what is derived from the master key.

use crate::error::Result;
use crate::repository::{Repository, Secret};
use serde::{Deserialize, Serialize};

/// The keys that decide chunk ids and cut points; what `init --like` carries over.
#[derive(Clone)]
pub struct ChunkKeys {}

impl std::fmt::Debug for ChunkKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkKeys(..)")
    }
}

/// One way to open a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// Name of the slot.
    pub slot: String,
    /// `password` or `key-file`.
    pub kind: String,
    /// What the user called it.
    pub label: String,
    /// RFC 3339.
    pub created_at: String,
    /// Whether the present secret opens it.
    pub current: bool,
}

impl Repository {
    /// All key slots.
    pub fn key_slots(&self) -> Result<Vec<SlotInfo>> {
        unimplemented!()
    }

    /// Adds a slot and returns its name.
    pub fn add_key(&self, _secret: &Secret, _label: &str) -> Result<String> {
        unimplemented!()
    }

    /// Removes a slot; the last one stays.
    pub fn remove_key(&self, _slot: &str) -> Result<()> {
        unimplemented!()
    }

    /// The keys for `init --like`.
    pub fn chunk_keys(&self) -> ChunkKeys {
        unimplemented!()
    }
}
