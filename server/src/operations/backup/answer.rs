//! What `POST /backup` answers (contract §3): the fields of a snapshot as it was just made.

use chronos_snapshot::{SourcePart, SourceResult};
use chronos_store::Repository;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::Result;
use crate::operations::backup::Backup;

/// The fields of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Answer {
    /// Its name.
    pub backup_id: String,
    /// Its content id; none was made if there is none.
    pub snapshot: Option<String>,
    /// Target.
    pub target: String,
    /// The same, by the name that older callers know.
    pub component: String,
    /// Which components it took.
    pub backup_type: String,
    /// The tier, by the name that older callers know.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it was made.
    pub tier: String,
    /// `completed`, `partial`, `unchanged` or `failed`.
    pub status: String,
    /// The repository's location, `#`, the backup id.
    pub path: String,
    /// Logical bytes.
    pub size_bytes: u64,
    /// The same in megabytes, with two decimals.
    pub size_mb: f64,
    /// Bytes that are new in the repository.
    pub added_bytes: u64,
    /// Root of the tree.
    pub checksum: Option<String>,
    /// When it was taken.
    pub created_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// What each source gave.
    pub files: Vec<AnswerFile>,
}

/// What a source, or a part of one, gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AnswerFile {
    /// Its file or folder in the snapshot, or the source's name.
    pub file: String,
    /// `workflows`, `credentials`, `database`, `files`, …
    pub kind: String,
    /// How many workflows it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_count: Option<u64>,
    /// How many credentials it describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_count: Option<u64>,
    /// Its logical bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Backup {
    /// The answer; what only the repository knows of the snapshot is read there.
    pub fn answer(&self, config: &Config, repository: &Repository) -> Result<Answer> {
        let report = &self.report;
        let checksum = match &report.session {
            Some(session) => {
                let catalog = Catalog::new(config, repository.clone())?;
                catalog.of_session(session).map(|s| s.manifest.tree.to_string())
            }
            None => None,
        };
        Ok(Answer {
            backup_id: report.backup_id.clone(),
            snapshot: report.snapshot.as_ref().map(ToString::to_string),
            target: report.target.clone(),
            component: report.target.clone(),
            backup_type: report.backup_type.clone(),
            kind: report.tier.clone(),
            tier: report.tier.clone(),
            status: report.status.clone(),
            path: format!("{}#{}", repository.location(), report.backup_id),
            size_bytes: report.bytes_processed,
            size_mb: megabytes(report.bytes_processed),
            added_bytes: report.bytes_stored,
            checksum,
            created_at: report.created_at.clone(),
            duration_ms: report.duration_ms,
            files: report.sources.iter().flat_map(files_of).collect(),
        })
    }
}

/// Bytes in millions, with two decimals.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 10_000.0).round() / 100.0
}

/// A source as its parts; as itself if it names none.
pub(crate) fn files_of(source: &SourceResult) -> Vec<AnswerFile> {
    let mut files: Vec<AnswerFile> = source.parts.iter().map(of_part).collect();
    if files.is_empty() {
        files.push(AnswerFile {
            file: source.name.clone(),
            kind: source.component().to_owned(),
            size: Some(source.size),
            ..AnswerFile::default()
        });
    }
    // What the source says of itself belongs to no part alone; the first tells it, if it tells nothing of its own.
    if let Some(first) = files.first_mut()
        && first.error.is_none()
    {
        first.error.clone_from(&source.error);
    }
    files
}

fn of_part(part: &SourcePart) -> AnswerFile {
    let count = |kind: &str| part.count.filter(|_| part.kind == kind);
    AnswerFile {
        file: part.file.clone(),
        kind: part.kind.clone(),
        workflow_count: count("workflows"),
        credential_count: count("credentials"),
        size: part.size,
        error: part.error.clone(),
    }
}
