//! What a backup did: counters while it runs, and the report at its end.

use chronos_store::{SessionId, SessionStats, SnapshotId};
use serde::Serialize;

use crate::node::{Node, NodeKind};
use crate::record::{PathError, SourceResult};

/// Errors that stand in the manifest itself; longer lists are stored beside the tree.
pub(crate) const MANIFEST_ERRORS_MAX: usize = 100;
/// Errors that are kept at all; more are only counted. About 20 MB.
pub(crate) const ERRORS_MAX: usize = 100_000;

/// The outcome of a backup. The fields of the first paragraph are those of `backup --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BackupReport {
    /// Unique name of the snapshot; empty if none was made.
    pub backup_id: String,
    /// Its content id; `None` if none was made.
    pub snapshot: Option<SnapshotId>,
    /// `completed`, `partial` or `unchanged`.
    pub status: String,
    /// Regular files that the previous snapshot does not have.
    pub files_new: u64,
    /// Regular files whose content or attributes differ.
    pub files_changed: u64,
    /// Regular files that are as they were.
    pub files_unmodified: u64,
    /// Folders.
    pub dirs: u64,
    /// Logical bytes of all regular files.
    pub bytes_processed: u64,
    /// Raw bytes of new chunks.
    pub bytes_added: u64,
    /// Bytes written to the repository.
    pub bytes_stored: u64,
    /// Chunks that were not in the repository.
    pub chunks_new: u64,
    /// Chunks that were.
    pub chunks_reused: u64,
    /// Packs written.
    pub packs_written: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// What could not be read; at most 100,000 of them.
    pub errors: Vec<PathError>,

    /// Target.
    pub target: String,
    /// Tier.
    pub tier: String,
    /// Components taken.
    pub backup_type: String,
    /// Time of the snapshot.
    pub created_at: String,
    /// Nothing differs from the newest good snapshot of the same scope.
    pub unchanged: bool,
    /// How many things could not be read.
    pub error_count: u64,
    /// How many of them the requirements allow.
    pub errors_allowed: u64,
    /// Bytes of file content that were read.
    pub bytes_read: u64,
    /// Per-source results.
    pub sources: Vec<SourceResult>,
    /// The snapshot it was compared with.
    pub parent: Option<SnapshotId>,
    /// Its key in the store.
    pub session: Option<SessionId>,
    /// Nothing was written on purpose.
    pub dry_run: bool,
}

impl BackupReport {
    /// Takes over the store's counters.
    pub(crate) fn take_stats(&mut self, stats: &SessionStats) {
        self.bytes_added = stats.bytes_added;
        self.bytes_stored = stats.bytes_stored;
        self.chunks_new = stats.chunks_new;
        self.chunks_reused = stats.chunks_reused;
        self.packs_written = stats.packs_written;
    }

    /// Whether something is missing that must not be.
    pub fn is_partial(&self) -> bool {
        self.error_count > self.errors_allowed
    }

    /// Regular files.
    pub fn files(&self) -> u64 {
        self.files_new + self.files_changed + self.files_unmodified
    }

    /// Counts an entry of source `source`; `same` tells whether it is as before, `None` that it is new.
    pub(crate) fn count(&mut self, source: usize, node: &Node, same: Option<bool>) {
        match &node.kind {
            NodeKind::Dir => self.dirs += 1,
            NodeKind::File(content) => {
                match same {
                    None => self.files_new += 1,
                    Some(true) => self.files_unmodified += 1,
                    Some(false) => self.files_changed += 1,
                }
                self.bytes_processed += content.size;
                if let Some(source) = self.sources.get_mut(source) {
                    source.files += 1;
                    source.size += content.size;
                }
            }
            _ => {}
        }
    }

    /// Notes why a source, which covers `paths`, is not whole: in each of them something is missing.
    pub(crate) fn fail_source(&mut self, source: usize, paths: &[String], why: &str) {
        for path in paths {
            self.fail(source, PathError { path: path.clone(), error: why.to_owned() });
        }
        if let Some(source) = self.sources.get_mut(source) {
            // This weighs more than any single file that could not be read.
            source.error = Some(why.to_owned());
        }
    }

    /// Notes that something of source `source` could not be read.
    pub(crate) fn fail(&mut self, source: usize, error: PathError) {
        self.error_count += 1;
        if let Some(source) = self.sources.get_mut(source) {
            // The first one stands for the source; the full list is the snapshot's.
            source.error.get_or_insert_with(|| format!("{}: {}", error.path, error.error));
        }
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }
}
