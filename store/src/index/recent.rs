//! Places near those that were hit last: chunks that lay together are asked for together.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use crate::format::Place;
use crate::id::ChunkId;

/// Chunks that are taken in together: all of a pack of usual chunks, a part of one of tiny chunks, so that many neighbourhoods are held
/// where copies of chunks lie in many places.
pub(super) const NEAR_CHUNKS: usize = 8 << 10;
/// Most places held; about 13 MB.
const PLACES_MAX: usize = 200_000;
/// Places left when the oldest go: many go at once, since each time all that are held are looked at.
const PLACES_LEFT: usize = PLACES_MAX / 4 * 3;
/// Neighbourhoods remembered as looked at, so that one that cannot be read is not tried for every chunk.
const LOOKED_AT_MAX: usize = 4096;

/// What was asked for: a pack, a frame, and a part of the frame.
type Asked = (u32, u16, usize);

#[derive(Debug, Default)]
struct Held {
    /// Each place with the number of its neighbourhood.
    places: HashMap<ChunkId, (Place, u32)>,
    /// Neighbourhoods in the order in which they came, each with its number and the number of its chunks.
    near: VecDeque<(Asked, u32, usize)>,
    looked_at: VecDeque<Asked>,
    /// Number of the next neighbourhood.
    next: u32,
}

/// A bounded set of places that may be deduplicated against.
#[derive(Debug, Default)]
pub(super) struct Recent(RwLock<Held>);

fn asked(place: Place) -> Asked {
    (place.pack, place.frame, usize::from(place.index) / NEAR_CHUNKS)
}

impl Recent {
    /// Where a chunk lies, if it is held.
    pub(super) fn place(&self, id: &ChunkId) -> Option<Place> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.places.get(id).map(|(place, _)| *place)
    }

    /// Whether the caller should load what lies near this place; says so once while it is remembered.
    pub(super) fn begin(&self, place: Place) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.looked_at.contains(&asked(place)) {
            return false;
        }
        held.looked_at.push_back(asked(place));
        if held.looked_at.len() > LOOKED_AT_MAX {
            held.looked_at.pop_front();
        }
        true
    }

    /// Lets all places go.
    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Held::default();
    }

    /// Takes in what lies near a place, and lets the oldest go.
    pub(super) fn add(&self, place: Place, near: impl Iterator<Item = (ChunkId, Place)>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let number = held.next;
        held.next = number.wrapping_add(1);
        let before = held.places.len();
        held.places.extend(near.map(|(id, place)| (id, (place, number))));
        let added = held.places.len() - before;
        held.near.push_back((asked(place), number, added));
        let mut left = held.places.len();
        if left <= PLACES_MAX {
            return;
        }
        let (mut gone, mut forgotten) = (HashSet::new(), HashSet::new());
        while left > PLACES_LEFT && held.near.len() > 1 {
            let Some((asked, oldest, count)) = held.near.pop_front() else { break };
            left = left.saturating_sub(count);
            gone.insert(oldest);
            forgotten.insert(asked);
        }
        held.places.retain(|_, (_, number)| !gone.contains(number));
        held.looked_at.retain(|asked| !forgotten.contains(asked));
    }
}
