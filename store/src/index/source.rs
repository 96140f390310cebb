//! One sorted source of an index: a run read in place, or a table in memory.

use std::sync::Arc;

use super::cursor::Cursor;
use super::stored::StoredRun;
use crate::error::Result;
use crate::format::{Place, Record, RunIndex};
use crate::id::ChunkId;
use crate::packs::Packs;

/// One sorted source.
#[derive(Debug)]
pub(crate) enum Source {
    /// A stored run.
    Run(Box<RunSource>),
    /// Tables of contents of sessions without runs.
    Table(TableSource),
}

impl Source {
    /// Hands every record of each of `ids` to `found`: the place of the id in the list, the record's ordinal in this source, and its
    /// place with the pack's number in the index. Ids in order cost least.
    pub(crate) fn find(
        &self,
        packs: &Packs,
        ids: &[ChunkId],
        found: &mut dyn FnMut(usize, u64, Place),
    ) -> Result<()> {
        match self {
            Self::Run(run) => run.find(packs, ids, found),
            Self::Table(table) => {
                ids.iter()
                    .enumerate()
                    .for_each(|(at, id)| table.find(id, &mut |n, place| found(at, n, place)));
                Ok(())
            }
        }
    }

    /// `false` if the id is certainly not here.
    pub(super) fn may_hold(&self, packs: &Packs, id: &ChunkId) -> Result<bool> {
        match self {
            Self::Run(run) => run.run.may_hold(packs, id),
            Self::Table(table) => Ok(table.holds(id)),
        }
    }

    /// Lets go what only answers for absent ids, until it is asked for.
    pub(super) fn forget(&self) {
        if let Self::Run(run) = self {
            run.run.forget_filters();
        }
    }

    /// Number of records.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Run(run) => run.index().len(),
            Self::Table(table) => table.records.len() as u64,
        }
    }

    /// Name of the object, if it is one.
    pub(crate) fn object(&self) -> Option<&str> {
        match self {
            Self::Run(run) => Some(run.object()),
            Self::Table(_) => None,
        }
    }

    /// The packs that it names, by their numbers in the index; a table is never asked for old ones.
    pub(crate) fn packs(&self) -> &[u32] {
        match self {
            Self::Run(run) => &run.numbers,
            Self::Table(_) => &[],
        }
    }

    /// The packs of its records, some perhaps more than once, by their numbers in the index.
    pub(crate) fn named(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::Run(run) => Box::new(run.numbers.iter().copied()),
            Self::Table(table) => Box::new(table.records.iter().map(|record| record.place.pack)),
        }
    }

    /// Hands over every record in order, with its ordinal.
    pub(crate) fn each(&self, packs: &Packs, visit: &mut dyn FnMut(u64, Record) -> Result<()>) -> Result<()> {
        let mut cursor = Cursor::alone(self, packs);
        for ordinal in 0.. {
            let Some(record) = cursor.next()? else { break };
            visit(ordinal, record)?;
        }
        Ok(())
    }
}

/// Records in memory, sorted; places are in the index's numbers.
#[derive(Debug)]
pub(crate) struct TableSource {
    records: Vec<Record>,
}

impl TableSource {
    /// Takes sorted records over.
    pub(crate) fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    fn holds(&self, id: &ChunkId) -> bool {
        self.records.binary_search_by_key(id, |record| record.id).is_ok()
    }

    fn find(&self, id: &ChunkId, found: &mut dyn FnMut(u64, Place)) {
        let first = self.records.partition_point(|r| r.id < *id);
        let rest = self.records.get(first..).unwrap_or_default();
        for (n, record) in (first as u64..).zip(rest.iter().take_while(|r| r.id == *id)) {
            found(n, record.place);
        }
    }
}

/// A stored run, its packs by their numbers in the index.
#[derive(Debug)]
pub(crate) struct RunSource {
    run: Arc<StoredRun>,
    numbers: Vec<u32>,
}

impl RunSource {
    /// Opens the run `object`.
    pub(crate) fn open(packs: &Packs, object: &str, size: u64) -> Result<Self> {
        StoredRun::open(packs, object, size).map(Arc::new).map(Self::new)
    }

    /// A run whose packs have no numbers yet.
    pub(crate) fn new(run: Arc<StoredRun>) -> Self {
        Self { run, numbers: Vec::new() }
    }

    /// Name of the object.
    pub(super) fn object(&self) -> &str {
        self.run.object()
    }

    /// Its directory.
    pub(crate) fn index(&self) -> &RunIndex {
        self.run.index()
    }

    pub(super) fn with_numbers(self, numbers: Vec<u32>) -> Self {
        Self { numbers, ..self }
    }

    /// Whether the run holds an id.
    pub(crate) fn holds(&self, packs: &Packs, id: &ChunkId) -> Result<bool> {
        let mut held = false;
        self.find(packs, std::slice::from_ref(id), &mut |_, _, _| held = true)?;
        Ok(held)
    }

    fn find(&self, packs: &Packs, ids: &[ChunkId], found: &mut dyn FnMut(usize, u64, Place)) -> Result<()> {
        let found = &mut |at, ordinal, record: Record| found(at, ordinal, self.globally(record).place);
        self.run.find(packs, ids, found)
    }

    /// The record with its place in the index's numbers.
    pub(super) fn globally(&self, record: Record) -> Record {
        let pack = self.numbers.get(record.place.pack as usize).copied().unwrap_or(u32::MAX);
        Record { place: Place { pack, ..record.place }, ..record }
    }
}
