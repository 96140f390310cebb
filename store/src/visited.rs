//! Sets of chunks of one view, as one bit per record of its index: what marking and walking have seen.
//!
//! Sits on the index; pruning and checking use it. A set takes an eighth of a byte per record, whatever it holds: 12.5 MB for 10^8
//! chunks.

use std::collections::HashSet;

use crate::error::{ErrorKind, Result};
use crate::id::ChunkId;
use crate::index::Index;

/// Most chunks held that no record knows: a repository that lacks more is lost, and they are only told twice.
const UNKNOWN_MAX: usize = 1 << 16;

/// A set of index records, by source and number in it.
#[derive(Clone, Debug)]
pub(crate) struct RecordSet(Vec<Vec<u64>>);

impl RecordSet {
    /// An empty set over the records of `index`.
    pub(crate) fn new(index: &Index) -> Self {
        Self(index.sources().iter().map(|s| vec![0; s.len().div_ceil(64) as usize]).collect())
    }

    /// Whether the record is in it.
    pub(crate) fn contains(&self, source: usize, ordinal: u64) -> bool {
        let word = self.0.get(source).and_then(|words| words.get((ordinal / 64) as usize));
        word.is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }

    /// Puts a record in; whether it was not there.
    pub(crate) fn insert(&mut self, source: usize, ordinal: u64) -> bool {
        let words = self.0.get_mut(source);
        let Some(word) = words.and_then(|words| words.get_mut((ordinal / 64) as usize)) else { return false };
        let bit = 1 << (ordinal % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

/// A set of chunks of one view: each is stood for by the first record that the index has of it.
#[derive(Debug)]
pub struct ChunkSet<'i> {
    index: &'i Index,
    records: RecordSet,
    /// Chunks that the index does not know.
    unknown: HashSet<ChunkId>,
}

impl<'i> ChunkSet<'i> {
    /// An empty set of chunks of `index`.
    pub(crate) fn new(index: &'i Index) -> Self {
        Self { index, records: RecordSet::new(index), unknown: HashSet::new() }
    }

    /// Whether the chunk is in it.
    pub(crate) fn contains(&self, id: &ChunkId) -> Result<bool> {
        Ok(match self.record(id)? {
            Some((source, ordinal)) => self.records.contains(source, ordinal),
            None => self.unknown.contains(id),
        })
    }

    /// Puts a chunk in; whether it was not there. Asked for in the order of ids, neighbours cost one look into the index.
    pub fn insert(&mut self, id: &ChunkId) -> Result<bool> {
        Ok(match self.record(id)? {
            Some((source, ordinal)) => self.records.insert(source, ordinal),
            None if self.unknown.len() < UNKNOWN_MAX => self.unknown.insert(*id),
            None => !self.unknown.contains(id),
        })
    }

    /// The first record of a chunk; none if it has none, or if damage to the index hides it.
    fn record(&self, id: &ChunkId) -> Result<Option<(usize, u64)>> {
        match self.index.find_all(id) {
            Err(e) if e.kind() == ErrorKind::Damaged => Ok(None),
            found => Ok(found?.first().map(|(source, ordinal, _)| (*source, *ordinal))),
        }
    }
}

#[cfg(test)]
mod tests;
