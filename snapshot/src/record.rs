//! The manifest of a snapshot and the row that users see.

use chronos_store::{ChunkId, Marks, SessionId, SnapshotId, SnapshotRow, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Newest version of a manifest that this program reads.
const VERSION: u32 = 1;

/// The one field of every version's manifest.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

/// Begins the last of `paths` where the list of roots was too long.
pub(crate) const ROOTS_CUT: &str = "… and ";

/// What is committed with a snapshot: JSON, never changed afterwards. The version of its fields is `v` = 1;
/// unknown fields are refused only if `v` is greater.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this record: 1.
    pub v: u32,
    /// `{target}_{tier}_{YYYYMMDD_HHMMSS}[_n]`, unique for ever.
    pub backup_id: String,
    /// Name given by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Target that it belongs to.
    pub target: String,
    /// Why it was made (contract §2).
    pub tier: String,
    /// Which components it took: `full`, `workflows`, `database`, `config`, `incremental`.
    pub backup_type: String,
    /// When it was taken, RFC 3339 UTC with nanoseconds; may be given by the user.
    pub created_at: String,
    /// When it began by the clock of its host, if `created_at` was given: tells which files may have changed since they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// Host it was taken on.
    pub host: String,
    /// User that ran it.
    #[serde(default)]
    pub user: String,
    /// The roots as the user named them, for people (`/home/me`, `stdin`).
    pub paths: Vec<String>,
    /// Description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Tags at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// `completed` or `partial`.
    pub status: String,
    /// Nothing differs from the newest good snapshot of the same scope.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// Limited to these components or workflows; empty: everything of the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// Per-source results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceResult>,
    /// Content id of the snapshot it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// Root of the tree.
    pub tree: ChunkId,
    /// Where the full list of errors is, if it is longer than `errors`: a `Refs` chunk whose data is JSON lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ChunkId>,
    /// The first errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PathError>,
    /// How many things could not be read.
    #[serde(default)]
    pub error_count: u64,
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Logical bytes.
    pub size_bytes: u64,
    /// Bytes that it added to the repository.
    pub added_bytes: u64,
    /// Program version.
    pub program: String,
    /// Time a server received it; reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// Ed25519 signature; reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Manifest {
    /// Whether `paths` is the whole list of roots: a long one is cut.
    pub(crate) fn names_all_roots(&self) -> bool {
        !self.paths.iter().any(|p| p.starts_with(ROOTS_CUT))
    }
}

/// What one source of a snapshot gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceResult {
    /// Name of the source.
    pub name: String,
    /// `files`, `stdin`, `command`, later `n8n`, `postgres`, `sqlite`.
    pub kind: String,
    /// Which component of its target it is; `files` in snapshots that do not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub component: String,
    /// What of the snapshot's `paths` is of it; left out if it is all there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Files it gave.
    pub files: u64,
    /// Logical bytes it gave.
    pub size: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Not all that it is there for is in the snapshot: it could not be opened, ended early, or one of its parts could not be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// What it is made of, as the source itself tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<SourcePart>,
    /// How consistent it is, and which versions were met, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A part of a source that users know by itself: the workflows of an n8n, one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePart {
    /// Its file or folder in the snapshot.
    pub file: String,
    /// `workflows`, `credentials`, `database`, …
    pub kind: String,
    /// How many things it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Its logical bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What of it is not there. This alone does not make a snapshot partial: what does is told by the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl SourceResult {
    /// Which component of its target it is.
    pub fn component(&self) -> &str {
        if self.component.is_empty() { "files" } else { &self.component }
    }
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathError {
    /// Where, for people.
    pub path: String,
    /// Why.
    pub error: String,
}

/// A snapshot as users see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Content id.
    pub id: SnapshotId,
    /// Its key in the store.
    pub session: SessionId,
    /// What was committed.
    pub manifest: Manifest,
    /// What was said of it since.
    pub marks: Marks,
}

impl Snapshot {
    /// Decodes a row of the store.
    pub fn from_row(row: &SnapshotRow) -> Result<Self> {
        let damaged = |e: serde_json::Error| Error::Damaged {
            what: format!("manifest of snapshot {}", row.id),
            why: e.to_string(),
        };
        let Versioned { v } = serde_json::from_slice(&row.manifest).map_err(damaged)?;
        if v > VERSION {
            let object = format!("snapshot {}", row.id);
            return Err(chronos_store::Error::TooNew { object, what: format!("manifest version {v}") }.into());
        }
        let manifest = serde_json::from_slice(&row.manifest).map_err(damaged)?;
        Ok(Self { id: row.id, session: row.session.clone(), manifest, marks: row.marks.clone() })
    }

    /// `completed`, `partial`, `verified`, `corrupted`, `missing` (contract §2, §3).
    pub fn status(&self) -> &str {
        match self.marks.verdict {
            Some(Verdict::Corrupted) => "corrupted",
            Some(Verdict::Missing) => "missing",
            Some(Verdict::Verified) if self.manifest.status == "completed" => "verified",
            _ => &self.manifest.status,
        }
    }

    /// Whether it counts for freshness and the retention floor.
    pub fn is_good(&self) -> bool {
        matches!(self.status(), "completed" | "verified")
    }

    /// Tags as they are now.
    pub fn tags(&self) -> &[String] {
        self.marks.tags.as_deref().unwrap_or(&self.manifest.tags)
    }
}
