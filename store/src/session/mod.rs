//! A session: chunks go in, and count only once the session is decided.

use crate::error::Result;
use crate::id::{ChunkId, ChunkKind, SessionId, SnapshotId};
use crate::view::View;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a session is begun.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Pseudonym of the client in object names, `[0-9a-z]`, at most 32 characters.
    pub client: String,
    /// zstd level, 1 to 19.
    pub level: i32,
}

/// What a session has done until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStats {
    /// Chunks that were not in the repository.
    pub chunks_new: u64,
    /// Chunks that were.
    pub chunks_reused: u64,
    /// Raw bytes of new chunks.
    pub bytes_added: u64,
    /// Bytes written to the repository.
    pub bytes_stored: u64,
    /// Packs written.
    pub packs_written: u64,
}

/// One stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its id.
    pub id: ChunkId,
    /// Whether it was new to the repository.
    pub new: bool,
}

/// A running session; usable from many threads. Ends with [`Session::commit`] or [`Session::close`];
/// when dropped undecided (a crash), the next process closes it and reuses what was uploaded.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// Its id.
    pub fn id(&self) -> &SessionId {
        unimplemented!()
    }

    /// What counted when it began (W2).
    pub fn view(&self) -> &Arc<View> {
        unimplemented!()
    }

    /// Whether chunks of this snapshot may be referred to without asking for each (rule W3).
    pub fn may_reuse(&self, _snapshot: &SessionId) -> bool {
        unimplemented!()
    }

    /// Whether a chunk may be referred to: it lies where this session may deduplicate against (rule R1), or was put here.
    pub fn usable(&self, _kind: ChunkKind, _id: &ChunkId) -> Result<bool> {
        unimplemented!()
    }

    /// The key by which trees decide where a node ends: derived from the chunk secret, so that repositories
    /// that share it (`init --like`) cut their trees alike. One and the same in every session.
    pub fn boundary_key(&self) -> [u8; 32] {
        unimplemented!()
    }

    /// A writer for one thread; consecutive chunks of one writer lie together.
    pub fn writer(&self, _kind: ChunkKind) -> ChunkWriter<'_> {
        unimplemented!()
    }

    /// What was done until now.
    pub fn stats(&self) -> SessionStats {
        unimplemented!()
    }

    /// Makes everything durable, then decides: committed (W5). Every writer must be finished.
    ///
    /// After an error nothing of this session is listed.
    pub fn commit(self, _roots: &[ChunkId], _manifest: &[u8]) -> Result<(SnapshotId, SessionStats)> {
        unimplemented!()
    }

    /// Gives up: decides `closed`, so that later sessions deduplicate against what was uploaded.
    pub fn close(self) -> Result<SessionStats> {
        unimplemented!()
    }
}

/// Puts chunks of one kind into a session, from one thread.
#[derive(Debug)]
pub struct ChunkWriter<'a> {
    _session: &'a Session,
}

impl ChunkWriter<'_> {
    /// Stores a chunk unless it may be referred to already.
    pub fn put(&mut self, _bytes: &[u8]) -> Result<Put> {
        unimplemented!()
    }

    /// Seals what is left. Must be called before the session is decided; dropping a writer loses its open frame.
    pub fn finish(self) -> Result<()> {
        unimplemented!()
    }
}
