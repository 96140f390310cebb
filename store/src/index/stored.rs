//! Stored runs, opened: one directory for all views that name the run.
//!
//! A run never changes, so whoever looks into it later sees what an earlier view saw.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::error::Result;
use crate::format::{BLOCK_RECORDS, Record, RunIndex};
use crate::id::ChunkId;
use crate::packs::{Packs, lock};

/// A stored run.
#[derive(Debug)]
pub(crate) struct StoredRun {
    object: String,
    index: RunIndex,
    /// Under which its opened blocks are held.
    number: u64,
}

impl StoredRun {
    /// Opens the run `object` of `size` bytes.
    pub(crate) fn open(packs: &Packs, object: &str, size: u64) -> Result<Self> {
        let index = packs
            .opened(&|read| RunIndex::open(object, packs.keys(), size, &|range| read(object, Some(range))))?;
        Ok(Self { object: object.to_owned(), index, number: packs.blocks().number_run() })
    }

    /// Name of the object.
    pub(super) fn object(&self) -> &str {
        &self.object
    }

    /// Its directory.
    pub(super) fn index(&self) -> &RunIndex {
        &self.index
    }

    /// `false` if the id is certainly not here.
    pub(super) fn may_hold(&self, packs: &Packs, id: &ChunkId) -> Result<bool> {
        packs.opened(&|read| self.index.may_hold(id, &|range| read(&self.object, Some(range))))
    }

    /// Lets the filters go until an id is asked for.
    pub(crate) fn forget_filters(&self) {
        self.index.forget_filters();
    }

    /// Hands every record of each of `ids` to `found`: the place of the id in the list, the record's number, and the record, whose
    /// place counts in the run's own packs. Ids in order open each block once.
    pub(super) fn find(
        &self,
        packs: &Packs,
        ids: &[ChunkId],
        found: &mut dyn FnMut(usize, u64, Record),
    ) -> Result<()> {
        let mut open: Option<(usize, Arc<Vec<Record>>)> = None;
        for (at, id) in ids.iter().enumerate() {
            if !self.may_hold(packs, id)? {
                continue;
            }
            let Some((first, last)) = self.index.blocks_of(id) else { continue };
            for number in first..=last {
                let block = match open.take() {
                    Some((opened, block)) if opened == number => block,
                    _ => self.block(packs, number)?,
                };
                let start = block.partition_point(|r| r.id < *id);
                let rest = block.get(start..).unwrap_or_default();
                for (n, record) in (start as u64..).zip(rest.iter().take_while(|r| r.id == *id)) {
                    found(at, (number * BLOCK_RECORDS) as u64 + n, *record);
                }
                open = Some((number, block));
            }
        }
        Ok(())
    }

    fn block(&self, packs: &Packs, number: usize) -> Result<Arc<Vec<Record>>> {
        if let Some(block) = packs.blocks().get((self.number, number)) {
            return Ok(block);
        }
        let range = self.index.block_range(number);
        let block =
            packs.opened(&|read| self.index.open_block(number, read(&self.object, Some(range.clone()))?))?;
        let block = Arc::new(block);
        packs.blocks().hold((self.number, number), &block);
        Ok(block)
    }
}

/// The runs that views of one repository hold open.
#[derive(Debug, Default)]
pub(crate) struct OpenRuns(Mutex<HashMap<String, Weak<StoredRun>>>);

impl OpenRuns {
    /// The run `object` if a view holds it, else what `open` gives.
    pub(crate) fn get(&self, object: &str, open: &dyn Fn() -> Result<StoredRun>) -> Result<Arc<StoredRun>> {
        if let Some(run) = lock(&self.0).get(object).and_then(Weak::upgrade) {
            return Ok(run);
        }
        let run = Arc::new(open()?);
        let mut held = lock(&self.0);
        held.retain(|_, run| run.strong_count() > 0);
        held.insert(object.to_owned(), Arc::downgrade(&run));
        Ok(run)
    }
}
