//! Reading sources from their first record to their last, a few blocks at a time; and several of them as one sorted sequence.
//!
//! What is held is bounded by the number of sources, never by how many records they have.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::source::{RunSource, Source};
use crate::error::{Error, Result};
use crate::format::Record;
use crate::packs::Packs;

/// Blocks read at once while one source is read: 256 KiB.
const AHEAD: usize = 16;
/// Blocks read ahead of all sources that are merged: 4 MiB.
const AHEAD_OF_ALL: usize = 256;

/// The records of one source in order, places in the index's numbers.
#[derive(Debug)]
pub(crate) enum Cursor<'s> {
    /// Of a run.
    Run(RunCursor<'s>),
    /// Of a table.
    Table(std::iter::Copied<std::slice::Iter<'s, Record>>),
}

/// Reads a run block by block.
#[derive(Debug)]
pub(crate) struct RunCursor<'s> {
    run: &'s RunSource,
    packs: &'s Packs,
    /// Blocks read at once.
    ahead: usize,
    /// The block that is opened next.
    next: usize,
    /// Sealed bytes, and the block that they begin with.
    sealed: (usize, Vec<u8>),
    opened: std::vec::IntoIter<Record>,
}

impl<'s> RunCursor<'s> {
    /// A cursor that reads so many blocks at once.
    pub(super) fn new(run: &'s RunSource, packs: &'s Packs, ahead: usize) -> Self {
        Self {
            run,
            packs,
            ahead: ahead.max(1),
            next: 0,
            sealed: (0, Vec::new()),
            opened: Vec::new().into_iter(),
        }
    }

    fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.opened.next() {
                return Ok(Some(self.run.globally(record)));
            }
            if self.next >= self.run.index().blocks() {
                return Ok(None);
            }
            self.open()?;
        }
    }

    fn open(&mut self) -> Result<()> {
        let index = self.run.index();
        let wanted = index.block_range(self.next);
        let start = index.block_range(self.sealed.0).start;
        if wanted.end > start + self.sealed.1.len() as u64 || self.sealed.1.is_empty() {
            let last = (self.next + self.ahead).min(index.blocks()).saturating_sub(1);
            // The old bytes go before the new ones come.
            self.sealed = (self.next, Vec::new());
            self.sealed.1 =
                self.packs.read(self.run.object(), Some(wanted.start..index.block_range(last).end))?;
        }
        let start = index.block_range(self.sealed.0).start;
        let range = (wanted.start - start) as usize..(wanted.end - start) as usize;
        let sealed = if range == (0..self.sealed.1.len()) {
            // With many sources one block is read at a time, and is not held twice.
            std::mem::take(&mut self.sealed.1)
        } else {
            self.sealed.1.get(range).unwrap_or_default().to_vec()
        };
        let opened = match index.open_block(self.next, sealed) {
            // What was read may be a copy from before it was mended.
            Err(Error::Damaged { .. }) => self
                .packs
                .opened(&|read| index.open_block(self.next, read(self.run.object(), Some(wanted.clone()))?)),
            opened => opened,
        };
        self.opened = opened?.into_iter();
        self.next += 1;
        Ok(())
    }
}

impl<'s> Cursor<'s> {
    /// A cursor at the first record of `source` that reads so many blocks at once.
    fn new(source: &'s Source, packs: &'s Packs, ahead: usize) -> Self {
        match source {
            Source::Run(run) => Self::Run(RunCursor::new(run, packs, ahead)),
            Source::Table(table) => Self::Table(table.records().iter().copied()),
        }
    }

    /// A cursor for reading one source alone.
    pub(super) fn alone(source: &'s Source, packs: &'s Packs) -> Self {
        Self::new(source, packs, AHEAD)
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        match self {
            Self::Run(run) => run.next(),
            Self::Table(table) => Ok(table.next()),
        }
    }

    /// Opened records that are held of a run.
    #[cfg(test)]
    fn held(&self) -> usize {
        match self {
            Self::Run(run) => run.opened.len(),
            Self::Table(_) => 0,
        }
    }
}

/// Several sources as one sequence, sorted by id.
#[derive(Debug)]
pub(crate) struct MergedSources<'s> {
    sources: Vec<(&'s Source, Cursor<'s>)>,
    /// The next record of each source, the number of the source, and the record's ordinal in it.
    next: BinaryHeap<Reverse<(Record, usize, u64)>>,
}

impl<'s> MergedSources<'s> {
    /// Begins with the first record of each.
    pub(crate) fn new(sources: &[&'s Source], packs: &'s Packs) -> Result<Self> {
        let ahead = (AHEAD_OF_ALL / sources.len().max(1)).clamp(1, AHEAD);
        let sources: Vec<_> = sources.iter().map(|s| (*s, Cursor::new(s, packs, ahead))).collect();
        let mut merged = Self { next: BinaryHeap::with_capacity(sources.len()), sources };
        for number in 0..merged.sources.len() {
            merged.refill(number, None, 0)?;
        }
        Ok(merged)
    }

    /// The next record; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        Ok(self.next_from()?.map(|(_, _, record)| record))
    }

    /// The same, with the place of its source in the list, and its ordinal there.
    pub(crate) fn next_from(&mut self) -> Result<Option<(usize, u64, Record)>> {
        let Some(Reverse((record, number, ordinal))) = self.next.pop() else { return Ok(None) };
        self.refill(number, Some(&record), ordinal + 1)?;
        Ok(Some((number, ordinal, record)))
    }

    /// Takes all records of the next chunk, each as [`MergedSources::next_from`] gives it; `false` after the last.
    pub(crate) fn next_chunk(&mut self, records: &mut Vec<(usize, u64, Record)>) -> Result<bool> {
        records.clear();
        while let Some(Reverse((next, ..))) = self.next.peek() {
            if records.first().is_some_and(|(_, _, first)| first.id != next.id) {
                break;
            }
            records.extend(self.next_from()?);
        }
        Ok(!records.is_empty())
    }

    fn refill(&mut self, number: usize, before: Option<&Record>, ordinal: u64) -> Result<()> {
        let Some((source, cursor)) = self.sources.get_mut(number) else { return Ok(()) };
        if let Some(record) = cursor.next()? {
            if before.is_some_and(|before| before.id > record.id) {
                let object = source.object().unwrap_or("the index");
                return Err(Error::damaged(object, "its records are not in order"));
            }
            self.next.push(Reverse((record, number, ordinal)));
        }
        Ok(())
    }

    /// Records that are held in memory for this.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.next.len() + self.sources.iter().map(|(_, cursor)| cursor.held()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
