//! Sets of chunks of one view, as one bit per record of its index: what marking and walking have seen.
//!
//! Sits on the index; pruning and checking use it. A set takes an eighth of a byte per record, whatever it holds: 12.5 MB for 10^8
//! chunks.

use std::collections::HashSet;

use crate::error::{ErrorKind, Result};
use crate::id::ChunkId;
use crate::index::{Index, MergedSources, Source};

/// So many looks into sources cost about as much as going through one record in the order of ids: one in 250 opens a block in vain.
const ASKED_PER_RECORD: u64 = 1;
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

    /// Of each chunk the first record in the order of sources, in one pass over all of them side by side.
    fn firsts(index: &Index) -> Result<Self> {
        let mut firsts = Self::new(index);
        let sources: Vec<&Source> = index.sources().iter().collect();
        let mut merged = MergedSources::new(&sources, index.reader())?;
        let mut records = Vec::new();
        while merged.next_chunk(&mut records)? {
            if let Some((source, ordinal)) = records.iter().map(|(s, ordinal, _)| (*s, *ordinal)).min() {
                firsts.insert(source, ordinal);
            }
        }
        Ok(firsts)
    }
}

/// How the first record of a chunk is found.
#[derive(Debug)]
enum Firsts {
    /// By asking all sources; so many looks into one were taken.
    Asked(u64),
    /// By asking, since not all sources can be read.
    Unreadable,
    /// Known of all chunks: who has found the first record need not look for others.
    Known(RecordSet),
}

/// A set of chunks of one view: each is stood for by the first record that the index has of it.
#[derive(Debug)]
pub struct ChunkSet<'i> {
    index: &'i Index,
    records: RecordSet,
    firsts: Firsts,
    /// Looks into sources that cost as much as to know all firsts.
    asked_max: u64,
    /// Chunks that the index does not know.
    unknown: HashSet<ChunkId>,
}

impl<'i> ChunkSet<'i> {
    /// An empty set of chunks of `index`.
    pub(crate) fn new(index: &'i Index) -> Self {
        let records: u64 = index.sources().iter().map(Source::len).sum();
        Self {
            index,
            records: RecordSet::new(index),
            firsts: Firsts::Asked(0),
            asked_max: records * ASKED_PER_RECORD,
            unknown: HashSet::new(),
        }
    }

    /// Whether the chunk is in it.
    pub(crate) fn contains(&mut self, id: &ChunkId) -> Result<bool> {
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
    fn record(&mut self, id: &ChunkId) -> Result<Option<(usize, u64)>> {
        self.count()?;
        let found = match &self.firsts {
            Firsts::Known(firsts) => {
                let mut found = None;
                let mut is_it = |source, ordinal, _| {
                    let is_first = firsts.contains(source, ordinal);
                    if is_first {
                        found = Some((source, ordinal));
                    }
                    is_first
                };
                self.index.find_near(id, &mut is_it).map(|_| found)
            }
            Firsts::Asked(_) | Firsts::Unreadable => {
                let found = self.index.find_all(id);
                found.map(|found| found.first().map(|(source, ordinal, _)| (*source, *ordinal)))
            }
        };
        match found {
            Err(e) if e.kind() == ErrorKind::Damaged => Ok(None),
            found => found,
        }
    }

    /// Counts what asking all sources costs; once that is as much as it costs to know all firsts, these are made known.
    fn count(&mut self) -> Result<()> {
        let Firsts::Asked(asked) = &mut self.firsts else { return Ok(()) };
        // A single source is asked in any case.
        *asked += self.index.sources().len().saturating_sub(1) as u64;
        if *asked <= self.asked_max {
            return Ok(());
        }
        self.firsts = match RecordSet::firsts(self.index) {
            Err(e) if e.kind() == ErrorKind::Damaged => Firsts::Unreadable,
            firsts => Firsts::Known(firsts?),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
