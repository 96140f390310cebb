//! Proves that what is listed can be read; repairs what can be.

use crate::error::Result;
use crate::id::{ChunkId, SessionId};
use crate::repository::Repository;
use crate::view::{Verdict, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How much stored data a check reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadData {
    /// Structure only.
    None,
    /// This share of all packs (0.0 to 1.0), the longest unread first.
    Share(f64),
    /// About so many bytes of packs, the longest unread first.
    Bytes(u64),
    /// Every pack, every frame, every chunk.
    All,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the object or chunk.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
    /// Snapshots that need it (session ids), as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<SessionId>,
}

/// Outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Snapshots whose structure was walked.
    pub snapshots: u64,
    /// Packs that count.
    pub packs: u64,
    /// Packs read in full.
    pub packs_read: u64,
    /// Bytes read from the repository.
    pub bytes_read: u64,
    /// Chunks checked against their ids.
    pub chunks_read: u64,
    /// Damage.
    pub errors: Vec<Finding>,
    /// Odd but harmless (files that do not belong here, leftovers).
    pub notes: Vec<Finding>,
}

/// Outcome of a verification of some roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// The verdict.
    pub verdict: Verdict,
    /// Chunks checked.
    pub chunks: u64,
    /// Raw bytes checked.
    pub bytes: u64,
    /// What is wrong.
    pub errors: Vec<Finding>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairReport {
    /// What was done, or would be, in sentences.
    pub actions: Vec<String>,
    /// What could not be mended.
    pub errors: Vec<Finding>,
}

/// Totals of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStats {
    /// Raw bytes of distinct chunks.
    pub unique_bytes: u64,
    /// Bytes of packs that count.
    pub stored_bytes: u64,
    /// Packs that count.
    pub packs: u64,
    /// Distinct chunks.
    pub chunks: u64,
}

impl Repository {
    /// Checks structure, and as much data as asked for. Damaged packs are quarantined so that the next backup writes
    /// their chunks anew (not on read-only storage).
    pub fn check(&self, _read: ReadData) -> Result<CheckReport> {
        unimplemented!()
    }

    /// Checks everything below `roots`: presence only (`quick`), or every byte.
    pub fn verify(&self, _view: &Arc<View>, _roots: &[ChunkId], _quick: bool) -> Result<VerifyReport> {
        unimplemented!()
    }

    /// Writes the index anew from the tables of contents of all packs that count.
    pub fn repair_index(&self, _dry_run: bool) -> Result<RepairReport> {
        unimplemented!()
    }

    /// Saves what is readable of damaged packs into new ones and quarantines the damaged.
    pub fn repair_packs(&self, _dry_run: bool) -> Result<RepairReport> {
        unimplemented!()
    }

    /// Totals.
    pub fn stats(&self) -> Result<StoreStats> {
        unimplemented!()
    }
}
