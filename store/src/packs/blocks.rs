//! Opened blocks of the runs of a repository: those that were looked into last.
//!
//! One bound for all runs, however many there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::format::Record;

/// Opened blocks kept, of 16 KiB each: about 17 MB.
const BLOCKS_MAX: usize = 1024;

/// A block: the number of its run in this process, and its own number in the run.
pub(crate) type BlockNumber = (u64, usize);

/// The blocks that were looked into last.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    blocks: HashMap<BlockNumber, (u64, Arc<Vec<Record>>)>,
    clock: u64,
    runs: u64,
}

impl Blocks {
    /// A number for a run.
    pub(crate) fn number_run(&self) -> u64 {
        let mut held = lock(&self.0);
        held.runs += 1;
        held.runs
    }

    /// A block, if it is held.
    pub(crate) fn get(&self, number: BlockNumber) -> Option<Arc<Vec<Record>>> {
        let mut held = lock(&self.0);
        held.clock += 1;
        let now = held.clock;
        let (used, block) = held.blocks.get_mut(&number)?;
        *used = now;
        Some(Arc::clone(block))
    }

    /// Holds a block, and lets those go that were not used for longest.
    pub(crate) fn hold(&self, number: BlockNumber, block: &Arc<Vec<Record>>) {
        let mut held = lock(&self.0);
        if held.blocks.len() >= BLOCKS_MAX {
            // Half of them go at once, so that letting go costs nothing on average.
            let mut used: Vec<u64> = held.blocks.values().map(|(used, _)| *used).collect();
            let middle = used.len() / 2;
            let (_, middle, _) = used.select_nth_unstable(middle);
            let middle = *middle;
            held.blocks.retain(|_, (used, _)| *used >= middle);
        }
        let now = held.clock;
        held.blocks.insert(number, (now, Arc::clone(block)));
    }

    /// Lets all go.
    pub(crate) fn clear(&self) {
        lock(&self.0).blocks = HashMap::new();
    }

    /// Blocks that are held.
    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.0).blocks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_that_were_used_last_stay_whatever_run_they_are_of() {
        let blocks = Blocks::default();
        let (one, other) = (blocks.number_run(), blocks.number_run());
        assert_ne!(one, other);
        for number in 0..10 * BLOCKS_MAX {
            blocks.hold((one, number), &Arc::default());
            blocks.hold((other, number), &Arc::default());
            assert!(blocks.get((one, 0)).is_some() && blocks.get((other, number)).is_some());
            assert!(blocks.len() <= BLOCKS_MAX + 1);
        }
        assert!(blocks.get((one, 1)).is_none() && blocks.get((other, 0)).is_none());
        assert!(blocks.len() >= BLOCKS_MAX / 2);
        blocks.clear();
        assert!(blocks.get((one, 0)).is_none() && blocks.len() == 0);
    }
}
