//! A session: chunks go in, and count only once the session is decided.
//!
//! The order of writes is that of `docs/design.md`, "Orderings": packs, runs, then everything durable, then the decision.

mod adopt;
pub(crate) mod begin;
mod decide;
mod lost;
mod own;
mod packer;
mod sealer;
mod uploader;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::crypto::SessionKeys;
use crate::error::{Error, Result};
use crate::format::{Frame, TocChunk};
use crate::id::{ChunkId, ChunkKind, SessionId};
use crate::local::SessionLock;
use crate::packs::{PackToc, lock};
use crate::repository::Inner;
use crate::view::View;

pub use writer::ChunkWriter;

use sealer::{Sealer, Works};

/// A running session gives a sign of life this often: half an hour, in ns.
const BEAT: u64 = 1800 * 1_000_000_000;

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

#[derive(Debug, Default)]
struct Counters {
    chunks_new: AtomicU64,
    chunks_reused: AtomicU64,
    bytes_added: AtomicU64,
    bytes_stored: AtomicU64,
    packs_written: AtomicU64,
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
pub struct Session {
    inner: Arc<Inner>,
    id: SessionId,
    view: Arc<View>,
    keys: SessionKeys,
    level: i32,
    works: Arc<Works>,
    sealer: Sealer,
    counters: Arc<Counters>,
    /// The announcement, and signs of life beside it.
    signs: Mutex<Vec<String>>,
    /// When the last sign of life was given (ns since the kernel's start).
    beaten: AtomicU64,
    /// Held while the session runs, so that others on this host see that its owner is alive.
    lock: Option<SessionLock>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            // What is on its way may still arrive; whoever closes the session looks at what is there by then.
            let _ = self.sealer.drain();
            let _ = self.works.packer.drain();
            lock.leave();
        }
    }
}

impl Session {
    /// Its id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// What counted when it began (W2).
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether chunks of this snapshot may be referred to without asking for each (rule W3).
    pub fn may_reuse(&self, snapshot: &SessionId) -> bool {
        let state = &self.view.state;
        let listed = state.rows.get(snapshot).is_some_and(|r| r.marks.forgotten_at.is_none());
        let kept = |c: &crate::state::Condemned| snapshot.generation() > c.n || c.roots.contains(snapshot);
        listed && state.condemned.iter().all(kept) && state.quarantined.is_empty()
    }

    /// Whether a chunk may be referred to: it lies where this session may deduplicate against (rule R1), or was put here.
    pub fn usable(&self, _kind: ChunkKind, id: &ChunkId) -> Result<bool> {
        Ok(self.works.own.holds(&self.inner.packs, id)? || self.view.places()?.usable(id)?)
    }

    /// The key by which trees decide where a node ends: derived from the chunk secret, so that repositories
    /// that share it (`init --like`) cut their trees alike. One and the same in every session.
    pub fn boundary_key(&self) -> [u8; 32] {
        self.inner.keys.boundary()
    }

    /// A writer for one thread; consecutive chunks of one writer lie together.
    pub fn writer(&self, kind: ChunkKind) -> ChunkWriter<'_> {
        ChunkWriter::new(self, kind)
    }

    /// Gives a sign of life, if the last is a while ago: whoever prunes on another host waits for this session as long as it does.
    fn beat(&self) -> Result<()> {
        let now = self.inner.uptime();
        let last = self.beaten.load(Ordering::Relaxed);
        let due = now.abs_diff(last) >= BEAT;
        if due && self.beaten.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let sign = self.inner.sign_of(&self.id)?;
            // Noted first: it may be there although nobody says so.
            lock(&self.signs).push(sign.clone());
            self.inner.heartbeat(&sign)?;
        }
        Ok(())
    }

    /// Takes a frame of another pack, which was opened and is whole, over as it is; its chunks become this session's.
    pub(crate) fn move_frame(
        &self,
        from: &PackToc,
        frame: &Frame,
        chunks: &[TocChunk],
        bytes: Vec<u8>,
    ) -> Result<()> {
        self.beat()?;
        let origin = from.toc.origins.get(usize::from(frame.origin));
        let origin = *origin.ok_or_else(|| Error::damaged(&from.object, "a frame names no origin"))?;
        chunks.iter().for_each(|chunk| {
            self.works.own.claim(&chunk.id);
        });
        let Frame { raw, codec, kind, number, .. } = *frame;
        let sealed = packer::SealedFrame { bytes, raw, codec, kind, origin, number, chunks: chunks.to_vec() };
        self.works.packer.add(&self.inner, &sealed, &self.works.own)
    }

    /// What was done until now.
    pub fn stats(&self) -> SessionStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SessionStats {
            chunks_new: get(&self.counters.chunks_new),
            chunks_reused: get(&self.counters.chunks_reused),
            bytes_added: get(&self.counters.bytes_added),
            bytes_stored: get(&self.counters.bytes_stored),
            packs_written: get(&self.counters.packs_written),
        }
    }
}

#[cfg(test)]
mod tests;
