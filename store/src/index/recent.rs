//! Ids of the packs that were hit last: neighbours of a known chunk are known chunks.

use std::collections::{HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use crate::id::ChunkId;

/// Most ids held; about 10 MB.
const IDS_MAX: usize = 200_000;
/// Packs remembered as looked at, so that a pack that was pushed out is not read again for every chunk.
const LOOKED_AT_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Held {
    ids: HashSet<ChunkId>,
    packs: VecDeque<(u32, Vec<ChunkId>)>,
    looked_at: VecDeque<u32>,
}

/// A bounded set of ids that may be deduplicated against.
#[derive(Debug, Default)]
pub(super) struct Recent(RwLock<Held>);

impl Recent {
    /// Whether an id is held.
    pub(super) fn holds(&self, id: &ChunkId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ids.contains(id)
    }

    /// Whether the caller should load this pack; says so once while it is remembered.
    pub(super) fn begin(&self, pack: u32) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.looked_at.contains(&pack) {
            return false;
        }
        held.looked_at.push_back(pack);
        if held.looked_at.len() > LOOKED_AT_MAX {
            held.looked_at.pop_front();
        }
        true
    }

    /// Takes the ids of a pack in, and lets the oldest go.
    pub(super) fn add(&self, pack: u32, ids: impl Iterator<Item = ChunkId>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let ids: Vec<ChunkId> = ids.collect();
        held.ids.extend(ids.iter().copied());
        held.packs.push_back((pack, ids));
        while held.ids.len() > IDS_MAX && held.packs.len() > 1 {
            let Some((gone, ids)) = held.packs.pop_front() else { break };
            for id in ids {
                held.ids.remove(&id);
            }
            held.looked_at.retain(|p| *p != gone);
        }
    }
}
