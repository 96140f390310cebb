//! Gives space back while backups run: mark, condemn, wait, mark again, sweep, delete.

use crate::error::Result;
use crate::repository::Repository;
use serde::{Deserialize, Serialize};

/// How much a prune may do.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Forgotten snapshots stay undeletable-back this long (ns); 0 purges them in this run.
    pub keep_deleted: i64,
    /// Most bytes that may be copied out of half-empty packs in this run; `None`: as needed.
    pub repack_bytes_max: Option<u64>,
    /// A pack is repacked when more than this share of it is dead (0.0 to 1.0).
    pub dead_share_max: f64,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { dry_run: false, keep_deleted: 0, repack_bytes_max: None, dead_share_max: 0.4 }
    }
}

/// What a prune did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneReport {
    /// Packs before and how many bytes they hold.
    pub packs_before: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Packs deleted.
    pub packs_deleted: u64,
    /// Packs copied into new ones.
    pub packs_repacked: u64,
    /// Bytes written by repacking.
    pub bytes_repacked: u64,
    /// Bytes given back.
    pub bytes_freed: u64,
    /// Bytes that wait for a running session of another host.
    pub bytes_pending: u64,
    /// Snapshots purged: they can no longer be undeleted.
    pub snapshots_purged: u64,
    /// Live and dead raw bytes found by marking.
    pub bytes_live: u64,
    /// Raw bytes that nothing refers to.
    pub bytes_dead: u64,
}

impl Repository {
    /// Deletes what no snapshot needs; may run beside backups and other prunes, and may be stopped at any moment.
    pub fn prune(&self, _options: &PruneOptions) -> Result<PruneReport> {
        unimplemented!()
    }
}
