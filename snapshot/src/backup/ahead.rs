//! The previous tree, read a little ahead of the walk: shows which chunks are hardly used any more.
//!
//! Small files are stored together in the order of their paths. When most of those in a chunk are gone or have changed, the
//! rest would keep all of it alive; so they are stored anew, with what else is new.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use chronos_store::ChunkId;

use crate::backup::literals::PLACES_MAX;
use crate::error::Result;
use crate::node::{Extent, NodeKind, Piece};
use crate::tree::{RawEntry, Walk};

/// How many entries are read ahead: as many as may lie in one chunk, so that all its files are seen. About 200 KB.
const AHEAD: usize = 512;
/// A chunk is hardly used if it is at least this many times as long as what is used of it.
const WASTE: u64 = 3;
/// How many chunks are remembered before those behind the position are forgotten.
const CHUNKS_MAX: usize = 4 * AHEAD;
/// How many of those that were forgotten are known to be used well: a copy of one of their files, far behind, is not all that
/// is left. As many as a backup remembers small files; about 150 KB.
const WELL_USED_MAX: usize = PLACES_MAX;

/// Entries of the previous tree in their order.
#[derive(Debug)]
pub(super) struct Ahead {
    walk: Walk,
    entries: VecDeque<Result<RawEntry>>,
    uses: HashMap<ChunkId, Use, BuildHasherDefault<ById>>,
    /// The first that were used well and are forgotten, by half of a mark.
    well_used: HashSet<[u8; 8]>,
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

/// Ids are keyed hashes themselves: their first bytes serve as well as any hash of them.
#[derive(Debug, Default)]
struct ById(u64);

impl Hasher for ById {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(self.0, |first| u64::from_le_bytes(*first));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Use {
    fn is_waste(&self) -> bool {
        self.used.saturating_mul(WASTE) <= self.end
    }
}

impl Ahead {
    pub(super) fn new(walk: Walk) -> Self {
        Self { walk, entries: VecDeque::new(), uses: HashMap::default(), well_used: HashSet::new(), next: 0 }
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
        self.uses.get(&only.chunk).is_some_and(Use::is_waste) && !self.well_used.contains(&short(&only.chunk))
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
                let well_used = &mut self.well_used;
                self.uses.retain(|chunk, found| {
                    let stays = found.last >= behind;
                    if !stays && !found.is_waste() && well_used.len() < WELL_USED_MAX {
                        well_used.insert(short(chunk));
                    }
                    stays
                });
            }
        }
    }
}

/// Enough of an id to tell chunks apart where a mistake costs nothing.
fn short(chunk: &ChunkId) -> [u8; 8] {
    chunk.0.first_chunk().copied().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::node::Assembled;
    use crate::path::TreePath;
    use crate::tree::tests::{Memory, build, file, node, path, tree};

    /// A file of a thousand bytes that is the piece of this number in a chunk of four.
    fn small(chunk: u64, number: u32) -> NodeKind {
        let chunk = ChunkId(*blake3::hash(&chunk.to_le_bytes()).as_bytes());
        let pieces = vec![Piece { chunk, start: 1000 * number, len: 1000 }];
        file(vec![Extent::Assembled(Arc::new(Assembled { mark: chunk.mark(), len: 1000, pieces }))])
    }

    #[test]
    fn a_copy_far_behind_is_not_stranded_but_what_is_left_alone_is() {
        let kind = |number: u64| match number {
            11_000 => small(0, 3),
            12_000 => small(1 << 32, 3),
            _ => small(number / 4, (number % 4) as u32),
        };
        let entries: BTreeMap<TreePath, _> =
            (0..12_500).map(|number| (path(&format!("{number:05}")), node(kind(number)))).collect();
        let memory = Arc::new(Memory::default());
        let (root, _) = build(&memory, &entries).unwrap();
        let mut ahead = Ahead::new(tree(&memory, root).walk(&TreePath::root()));
        let mut stranded = Vec::new();
        while let Some(entry) = ahead.next() {
            let entry = entry.unwrap();
            if ahead.is_stranded(&entry) {
                stranded.push(entry.path.to_string());
            }
        }
        assert_eq!(stranded, ["12000"]);
    }
}
