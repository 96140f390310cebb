//! What counts at one moment: the newest state, the decisions after it, and where chunks lie.

use crate::error::Result;
use crate::id::{ChunkId, ChunkKind, SessionId, SnapshotId};
use crate::reader::Reader;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A snapshot as the repository keeps it: what was committed, and what the log said of it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The session that committed it.
    pub session: SessionId,
    /// Content id: hash of `manifest`.
    pub id: SnapshotId,
    /// Ids of the `Refs` chunks that it keeps alive; meaning and order belong to whoever wrote the manifest.
    pub roots: Vec<ChunkId>,
    /// The manifest, as it was committed (JSON text).
    pub manifest: Vec<u8>,
    /// What may change later.
    pub marks: Marks,
}

/// What the log has said of a snapshot since it was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Marks {
    /// When it was forgotten (ns since 1970); hidden, and may be undeleted until purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<i64>,
    /// Can no longer be undeleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub purged: bool,
    /// Retention and delete skip it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Tags, if they were changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Outcome of the last verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// When it was last verified (ns since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<i64>,
    /// When a drill last restored it (ns since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<i64>,
}

/// Outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every chunk was read and is right.
    Verified,
    /// Something does not decode to what it should.
    Corrupted,
    /// Something is not there.
    Missing,
}

/// The repository at one moment; immutable.
#[derive(Debug)]
pub struct View {}

impl View {
    /// Number of log records at this moment.
    pub fn log_len(&self) -> u64 {
        unimplemented!()
    }

    /// Snapshots that are not forgotten, in the repository's own order of events, oldest first.
    pub fn snapshots(&self) -> impl Iterator<Item = &SnapshotRow> {
        std::iter::empty()
    }

    /// Snapshots that are forgotten and can still be undeleted.
    pub fn trash(&self) -> impl Iterator<Item = &SnapshotRow> {
        std::iter::empty()
    }

    /// Whether a chunk can be found for reading.
    pub fn holds(&self, _kind: ChunkKind, _id: &ChunkId) -> Result<bool> {
        unimplemented!()
    }

    /// A reader of chunks.
    pub fn reader(self: &Arc<Self>) -> Reader {
        unimplemented!()
    }
}
