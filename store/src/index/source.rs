//! One sorted source of an index: a run read in place, or a table in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::error::Result;
use crate::format::{Place, Record, RunIndex};
use crate::id::ChunkId;
use crate::packs::{Packs, lock};

/// Opened blocks kept of one run at most; 16 KiB each as stored, about 4 MB.
const BLOCKS_MAX: usize = 256;
/// Opened blocks kept of all runs of an index: about 37 MB.
const BLOCKS_OF_ALL: usize = 2048;
/// Opened blocks kept of one run at least.
const BLOCKS_MIN: usize = 8;

/// One sorted source.
#[derive(Debug)]
pub(crate) enum Source {
    /// A stored run.
    Run(Box<RunSource>),
    /// Tables of contents of sessions without runs.
    Table(TableSource),
}

impl Source {
    /// Hands every record of `id` to `found`: its ordinal in this source, and its place with the pack's number in the index.
    pub(crate) fn find(&self, packs: &Packs, id: &ChunkId, found: &mut dyn FnMut(u64, Place)) -> Result<()> {
        match self {
            Self::Run(run) => run.find(packs, id, found),
            Self::Table(table) => {
                table.find(id, found);
                Ok(())
            }
        }
    }

    /// Number of records.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Run(run) => run.index.len(),
            Self::Table(table) => table.records.len() as u64,
        }
    }

    /// Name of the object, if it is one.
    pub(crate) fn object(&self) -> Option<&str> {
        match self {
            Self::Run(run) => Some(&run.object),
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

    /// Hands over every record in order, with its ordinal.
    pub(crate) fn each(&self, packs: &Packs, visit: &mut dyn FnMut(u64, Record) -> Result<()>) -> Result<()> {
        match self {
            Self::Run(run) => run.each(packs, visit),
            Self::Table(table) => (0..).zip(&table.records).try_for_each(|(n, r)| visit(n, *r)),
        }
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

    fn find(&self, id: &ChunkId, found: &mut dyn FnMut(u64, Place)) {
        let first = self.records.partition_point(|r| r.id < *id);
        let rest = self.records.get(first..).unwrap_or_default();
        for (n, record) in (first as u64..).zip(rest.iter().take_while(|r| r.id == *id)) {
            found(n, record.place);
        }
    }
}

/// A stored run, and the blocks of it that were opened last.
#[derive(Debug)]
pub(crate) struct RunSource {
    object: String,
    index: RunIndex,
    numbers: Vec<u32>,
    blocks: Mutex<Blocks>,
    /// How many of them are kept.
    blocks_max: usize,
}

#[derive(Debug, Default)]
struct Blocks {
    held: HashMap<usize, (u64, Arc<Vec<Record>>)>,
    clock: u64,
}

impl RunSource {
    /// Opens the run `object`.
    pub(crate) fn open(packs: &Packs, object: &str, size: u64) -> Result<Self> {
        let index = RunIndex::open(object, packs.keys(), size, &|range| packs.read(object, Some(range)))?;
        Ok(Self {
            object: object.to_owned(),
            index,
            numbers: Vec::new(),
            blocks: Mutex::default(),
            blocks_max: BLOCKS_MAX,
        })
    }

    /// Its directory.
    pub(crate) fn index(&self) -> &RunIndex {
        &self.index
    }

    pub(super) fn with_numbers(self, numbers: Vec<u32>) -> Self {
        Self { numbers, ..self }
    }

    /// Shares the memory for opened blocks with the other runs of an index.
    pub(super) fn share_blocks(&mut self, runs: usize) {
        self.blocks_max = (BLOCKS_OF_ALL / runs.max(1)).clamp(BLOCKS_MIN, BLOCKS_MAX);
    }

    /// Whether the run holds an id.
    pub(crate) fn holds(&self, packs: &Packs, id: &ChunkId) -> Result<bool> {
        let mut held = false;
        self.find(packs, id, &mut |_, _| held = true)?;
        Ok(held)
    }

    fn find(&self, packs: &Packs, id: &ChunkId, found: &mut dyn FnMut(u64, Place)) -> Result<()> {
        if !self.index.may_hold(id) {
            return Ok(());
        }
        let Some((first, last)) = self.index.blocks_of(id) else { return Ok(()) };
        for number in first..=last {
            let block = self.block(packs, number)?;
            let start = block.partition_point(|r| r.id < *id);
            let rest = block.get(start..).unwrap_or_default();
            for (n, record) in (start as u64..).zip(rest.iter().take_while(|r| r.id == *id)) {
                found(Self::ordinal(number) + n, self.globally(record.place));
            }
        }
        Ok(())
    }

    fn each(&self, packs: &Packs, visit: &mut dyn FnMut(u64, Record) -> Result<()>) -> Result<()> {
        for number in 0..self.index.blocks() {
            let sealed = packs.read(&self.object, Some(self.index.block_range(number)))?;
            for (n, record) in (Self::ordinal(number)..).zip(self.index.open_block(number, sealed)?) {
                visit(n, Record { place: self.globally(record.place), ..record })?;
            }
        }
        Ok(())
    }

    fn ordinal(block: usize) -> u64 {
        (block * crate::format::BLOCK_RECORDS) as u64
    }

    fn globally(&self, place: Place) -> Place {
        Place { pack: self.numbers.get(place.pack as usize).copied().unwrap_or(u32::MAX), ..place }
    }

    fn block(&self, packs: &Packs, number: usize) -> Result<Arc<Vec<Record>>> {
        {
            let mut blocks = lock(&self.blocks);
            blocks.clock += 1;
            let now = blocks.clock;
            if let Some((used, block)) = blocks.held.get_mut(&number) {
                *used = now;
                return Ok(Arc::clone(block));
            }
        }
        let sealed = packs.read(&self.object, Some(self.index.block_range(number)))?;
        let block = Arc::new(self.index.open_block(number, sealed)?);
        let mut blocks = lock(&self.blocks);
        if blocks.held.len() >= self.blocks_max {
            // Half of them go at once, so that letting go costs nothing on average.
            let mut used: Vec<u64> = blocks.held.values().map(|(used, _)| *used).collect();
            used.sort_unstable();
            let middle = used.get(used.len() / 2).copied().unwrap_or(0);
            blocks.held.retain(|_, (used, _)| *used >= middle);
        }
        let now = blocks.clock;
        blocks.held.insert(number, (now, Arc::clone(&block)));
        Ok(block)
    }
}
