//! What a prune would do, as a plain value.

use std::collections::BTreeSet;

use super::PruneOptions;
use super::mark::Marked;
use crate::id::PackName;
use crate::index::Index;

/// Packs below this are small; many of them are joined.
const SMALL_BYTES: u64 = 4 << 20;
/// How many small packs are worth joining.
const SMALL_PACKS_MIN: usize = 16;

/// What a prune would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Packs that nothing needs.
    pub(crate) delete: BTreeSet<PackName>,
    /// Packs whose live chunks are copied out first.
    pub(crate) repack: BTreeSet<PackName>,
    /// Stored bytes that would come back, before what repacking writes.
    pub(crate) bytes_freed: u64,
    /// Raw bytes to copy.
    pub(crate) bytes_copied: u64,
    /// Raw bytes that are needed, and that are not.
    pub(crate) bytes_live: u64,
    /// Raw bytes that nothing refers to.
    pub(crate) bytes_dead: u64,
}

impl Plan {
    /// Decides from what is needed of each pack. Packs that are condemned, swept or quarantined are left to their own way.
    pub(crate) fn make(index: &Index, marked: &Marked, options: &PruneOptions) -> Self {
        let mut plan = Self::default();
        let mut worth = Vec::new();
        let mut small = Vec::new();
        for (pack, used) in index.packs().iter().zip(&marked.packs) {
            plan.bytes_live += used.live;
            plan.bytes_dead += used.all - used.live;
            if pack.swept || pack.shunned && !pack.quarantined {
                continue;
            }
            let dead = (used.all - used.live) as f64 / used.all.max(1) as f64;
            if used.live == 0 {
                plan.delete.insert(pack.name.clone());
                plan.bytes_freed += pack.size;
            } else if pack.quarantined {
                // Kept for repair while anything in it has no other copy.
            } else if dead > options.dead_share_max {
                worth.push((dead, pack, used));
            } else if pack.size < SMALL_BYTES {
                small.push((dead, pack, used));
            }
        }
        if small.len() >= SMALL_PACKS_MIN {
            worth.extend(small);
        }
        // The deadest first: most space for each byte copied.
        worth.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, pack, used) in worth {
            if options.repack_bytes_max.is_some_and(|max| plan.bytes_copied + used.live > max) {
                continue;
            }
            plan.bytes_copied += used.live;
            plan.bytes_freed += pack.size;
            plan.repack.insert(pack.name.clone());
        }
        plan
    }

    /// All packs that would go.
    pub(crate) fn condemned(&self) -> BTreeSet<PackName> {
        self.delete.union(&self.repack).cloned().collect()
    }
}
