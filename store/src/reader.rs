//! Reads chunks back: finds them, decodes each frame once, checks every id.

use crate::error::{Error, Result};
use crate::id::{ChunkId, ChunkKind};
use crate::refs::RefList;
use std::sync::Arc;

/// Most requests in one [`Reader::fetch`]; about 24 MB of plan.
pub const FETCH_MAX: usize = 1 << 20;

/// One wanted chunk.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The chunk, of kind `Data`.
    pub id: ChunkId,
    /// Handed back with it.
    pub token: u64,
}

/// Reads chunks of one view; cheap to clone, usable from many threads, keeps a bounded number of decoded frames.
#[derive(Clone, Debug)]
pub struct Reader {}

impl Reader {
    /// The bytes of one chunk, checked against its id. [`Error::Missing`] or [`Error::Damaged`] if it cannot be had.
    pub fn read(&self, _kind: ChunkKind, _id: &ChunkId) -> Result<Arc<[u8]>> {
        unimplemented!()
    }

    /// Reads and decodes a reference list.
    pub fn refs(&self, id: &ChunkId) -> Result<RefList> {
        RefList::decode(&self.read(ChunkKind::Refs, id)?)
    }

    /// Reads many `Data` chunks in the order in which they lie, each frame once, on `threads` threads.
    ///
    /// `sink` gets token and bytes, from any thread, in any order; a chunk wanted several times is
    /// handed out several times. An error of the sink stops the work and is returned. Chunks that cannot be
    /// had do not stop it: they are returned with their errors.
    pub fn fetch(
        &self,
        _wanted: &[Wanted],
        _threads: usize,
        _sink: &(dyn Fn(u64, &[u8]) -> Result<()> + Sync),
    ) -> Result<Vec<(Wanted, Error)>> {
        unimplemented!()
    }

    /// Bytes read from the backend by this reader and its clones.
    pub fn bytes_read(&self) -> u64 {
        unimplemented!()
    }
}
