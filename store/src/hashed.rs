//! A chunk's bytes with the id that they have: hashed once, whatever is asked about the chunk.

use crate::crypto::Keys;
use crate::error::{Error, Result};
use crate::id::{ChunkId, ChunkKind};

/// Longest chunk in bytes: with it even the longest frame stays far below what a reader accepts.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// A chunk's bytes with the id that they have.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'b> {
    id: ChunkId,
    bytes: &'b [u8],
}

impl<'b> Hashed<'b> {
    /// [`Error::Invalid`] if there are none, or too many.
    pub(crate) fn new(keys: &Keys, kind: ChunkKind, bytes: &'b [u8]) -> Result<Self> {
        if bytes.is_empty() || bytes.len() > CHUNK_BYTES_MAX {
            return Err(Error::Invalid(format!("a chunk of {} bytes is outside the limits", bytes.len())));
        }
        Ok(Self { id: keys.chunk_id(kind, bytes), bytes })
    }

    /// The id.
    pub fn id(&self) -> ChunkId {
        self.id
    }

    /// The bytes.
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }
}
