//! Places in the packs that were hit last: chunks that lay together are asked for together.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use crate::format::Place;
use crate::id::ChunkId;

/// Most places held; about 12 MB.
const PLACES_MAX: usize = 200_000;
/// Places left when the oldest go: many go at once, since each time all that are held are looked at.
const PLACES_LEFT: usize = PLACES_MAX / 4 * 3;
/// Packs remembered as looked at, so that a pack that was pushed out is not read again for every chunk.
const LOOKED_AT_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Held {
    places: HashMap<ChunkId, Place>,
    /// Packs in the order in which they came, each with the number of its chunks.
    packs: VecDeque<(u32, usize)>,
    looked_at: VecDeque<u32>,
}

/// A bounded set of places that may be deduplicated against.
#[derive(Debug, Default)]
pub(super) struct Recent(RwLock<Held>);

impl Recent {
    /// Where a chunk lies, if it is held.
    pub(super) fn place(&self, id: &ChunkId) -> Option<Place> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).places.get(id).copied()
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

    /// Lets all places go.
    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Held::default();
    }

    /// Takes the places in a pack in, and lets the oldest go.
    pub(super) fn add(&self, pack: u32, places: impl Iterator<Item = (ChunkId, Place)>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = held.places.len();
        held.places.extend(places);
        let added = held.places.len() - before;
        held.packs.push_back((pack, added));
        let mut left = held.places.len();
        if left <= PLACES_MAX {
            return;
        }
        let mut gone = HashSet::new();
        while left > PLACES_LEFT && held.packs.len() > 1 {
            let Some((oldest, count)) = held.packs.pop_front() else { break };
            left = left.saturating_sub(count);
            gone.insert(oldest);
        }
        held.places.retain(|_, p| !gone.contains(&p.pack));
        held.looked_at.retain(|p| !gone.contains(p));
    }
}
