//! The previous tree, read a little ahead of the walk: shows which chunks are hardly used any more.
//!
//! Small files are stored together in the order of their paths. When most of those in a chunk are gone or have changed, the
//! rest would keep all of it alive; so they are stored anew, with what else is new.

use std::collections::{HashMap, VecDeque};

use chronos_store::ChunkId;

use crate::error::Result;
use crate::node::{Extent, NodeKind, Piece};
use crate::tree::{RawEntry, Walk};

/// How many entries are read ahead: as many as may lie in one chunk, so that all its files are seen. About 200 KB.
const AHEAD: usize = 512;
/// A chunk is hardly used if it is at least this many times as long as what is used of it.
const WASTE: u64 = 3;
/// How many chunks are remembered before those behind the position are forgotten.
const CHUNKS_MAX: usize = 4 * AHEAD;

/// Entries of the previous tree in their order.
#[derive(Debug)]
pub(super) struct Ahead {
    walk: Walk,
    entries: VecDeque<Result<RawEntry>>,
    uses: HashMap<ChunkId, Use>,
    /// Number of the next entry that is read.
    next: u64,
}

/// What is known of a chunk of which pieces are used.
#[derive(Debug, Default)]
struct Use {
    used: u64,
    /// Where its last known piece ends: it is at least as long.
    end: u64,
    /// Number of the last entry that uses it.
    last: u64,
}

impl Ahead {
    pub(super) fn new(walk: Walk) -> Self {
        Self { walk, entries: VecDeque::new(), uses: HashMap::new(), next: 0 }
    }

    /// The next entry, which stays.
    pub(super) fn peek(&mut self) -> Option<&Result<RawEntry>> {
        self.fill();
        self.entries.front()
    }

    /// Takes the next entry.
    pub(super) fn next(&mut self) -> Option<Result<RawEntry>> {
        self.fill();
        self.entries.pop_front()
    }

    /// Whether an entry near the position is one piece of a chunk that is hardly used otherwise.
    pub(super) fn is_stranded(&self, entry: &RawEntry) -> bool {
        let mut pieces = pieces(entry);
        let (Some(only), None) = (pieces.next(), pieces.next()) else { return false };
        self.uses.get(&only.chunk).is_some_and(|found| found.used.saturating_mul(WASTE) <= found.end)
    }

    fn fill(&mut self) {
        while self.entries.len() < AHEAD
            && let Some(entry) = self.walk.next()
        {
            for piece in entry.iter().flat_map(pieces) {
                let found = self.uses.entry(piece.chunk).or_default();
                found.used += u64::from(piece.len);
                found.end = found.end.max(u64::from(piece.start) + u64::from(piece.len));
                found.last = self.next;
            }
            self.entries.push_back(entry);
            self.next += 1;
            if self.uses.len() > CHUNKS_MAX {
                let behind = self.next.saturating_sub(2 * AHEAD as u64);
                self.uses.retain(|_, found| found.last >= behind);
            }
        }
    }
}

/// The pieces that an entry is made of, unless they are in a recipe.
fn pieces(entry: &RawEntry) -> impl Iterator<Item = &Piece> {
    let content = match &entry.node.kind {
        NodeKind::File(content) => Some(content),
        _ => None,
    };
    content.into_iter().flat_map(|content| &content.extents).flat_map(|extent| match extent {
        Extent::Assembled(made) => made.pieces.as_slice(),
        _ => &[],
    })
}
