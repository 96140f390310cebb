//! What a restore would do, and what it did.

use std::path::PathBuf;

use serde::Serialize;

use crate::path::TreePath;
use crate::record::PathError;
use crate::restore::options::Strategy;

/// What a restore would change; paths are relative to `target`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestorePlan {
    /// The folder that is restored into.
    pub target: PathBuf,
    /// What is not there yet.
    pub creates: Vec<TreePath>,
    /// What stands there and is written anew.
    pub overwrites: Vec<TreePath>,
    /// What stays but gets other attributes (mode, owner, time, extended attributes).
    pub attributes: Vec<TreePath>,
    /// What is removed, with everything below it.
    pub removes: Vec<TreePath>,
    /// Bytes of content to be written.
    pub bytes: u64,
    /// What cannot be restored, known beforehand.
    pub problems: Vec<PathError>,
}

/// How a restore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStatus {
    /// A dry run: nothing was touched.
    Planned,
    /// Everything is there.
    Completed,
    /// Something could not be restored; it is named in `errors`.
    Partial,
    /// Part of the repository is damaged; what is good was restored, the rest is named in `errors`.
    Damaged,
}

/// What a restore did (contract §12).
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// How it ended.
    pub status: RestoreStatus,
    /// The folder that was restored into.
    pub path: PathBuf,
    /// The strategy.
    pub strategy: Strategy,
    /// The snapshot that was made before, if one was.
    pub restore_point: Option<String>,
    /// Entries written that are no folders.
    pub files_restored: u64,
    /// Bytes of content written.
    pub bytes_written: u64,
    /// For people.
    pub message: String,
    /// What could not be restored.
    pub errors: Vec<PathError>,
    /// What is worth knowing and is no failure (sockets, owners that only root can set).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What would be done, or was.
    #[serde(skip)]
    pub plan: RestorePlan,
}

/// What became of a restore that was interrupted earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The folder that it restored into.
    pub path: PathBuf,
    /// What was done now.
    pub outcome: RecoveredOutcome,
}

/// See [`Recovered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveredOutcome {
    /// The target is as it was before.
    Undone,
    /// The restore was complete; what it had left to tidy up is done.
    Finished,
    /// It still runs, in another process.
    Running,
    /// It could not be brought to an end; the journal stays for another attempt.
    Failed(String),
}
