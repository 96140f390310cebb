//! Trees and snapshots: backup, restore, read, diff, retention. Knows paths and files, not packs or keys.
//!
//! Modules in the order of dependence; each uses only those above it.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests lay out and damage files directly"))]

mod backup;
mod backup_id;
mod copy;
mod diff;
mod error;
mod export;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod node;
mod path;
mod prefix;
mod read;
mod record;
mod repair;
mod resolve;
mod restore;
pub mod retention;
mod rewrite;
mod shown;
mod source;
mod successor;
mod tree;
mod verify;

pub use backup::{
    BACKUP_TYPES, BackupOptions, BackupReport, ChangeTest, NAME_BYTES_MAX, Outcome, ParentChoice,
    Requirement, TAGS_MAX, TEXT_BYTES_MAX, TIERS, backup, check_name, check_target, read_errors,
};
pub use copy::{Copier, CopyOutcome};
pub use diff::{Aspect, Change, Difference, JSON_BYTES_MAX, JsonChange, LiveDiff, TreeDiff, json_diff};
pub use error::{Error, ErrorKind, FailedSource, Result};
pub use export::{ExportFormat, ExportOptions, ExportReport};
pub use node::{Content, Extent, Node, NodeKind, Time, Xattr};
pub use path::{PATH_BYTES_MAX, TreePath, printable};
pub use read::{ByteRange, Case, Matches, Patterns, Version, VersionId, Versions, find, versions};
pub use record::{Manifest, PathError, Snapshot, SourcePart, SourceResult};
pub use repair::{SnapshotRepair, repair_snapshot};
pub use resolve::{Resolved, latest, listed, locate, parse_path, resolve};
pub use restore::{
    Committed, Overwrite, Owner, Recovered, RecoveredOutcome, Removed, RestoreOptions, RestorePlan,
    RestorePoint, RestoreReport, RestoreStatus, Strategy, Undoes, restore, resume_or_undo,
};
pub use rewrite::{RewriteMode, RewriteOptions, RewriteReport, chunks_of_excluded, rewrite};
pub use shown::{counted, file_name, harmless, harmless_json};
pub use source::{
    AbsentSource, COMPONENTS, Entry, Explanation, FileOptions, FileSource, Item, LabelledSource,
    MemorySource, Origin, Preset, Reason, Source, SourceOutcome, Tag, read_path_list,
};
pub use tree::{Entries, Tree, TreeBuilder};
pub use verify::{Depth, verify};
