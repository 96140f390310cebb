//! A snapshot as an answer: the JSON object of contract `GET /backups`.

use std::collections::BTreeMap;

use chronos_snapshot::{PathError, Snapshot, SourceResult, file_name};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The fields of one snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub struct Row<'a> {
    backup_id: &'a str,
    snapshot: String,
    target: &'a str,
    component: &'a str,
    backup_type: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    tier: &'a str,
    status: &'a str,
    unchanged: bool,
    path: String,
    size_bytes: u64,
    size_mb: f64,
    added_bytes: u64,
    checksum: String,
    created_at: &'a str,
    duration_ms: u64,
    name: Option<&'a str>,
    description: &'a str,
    tags: &'a [String],
    metadata: &'a BTreeMap<String, String>,
    filename: String,
    verified_at: Option<String>,
    proven_at: Option<String>,
    held: bool,
    host: &'a str,
    user: &'a str,
    paths: &'a [String],
    scope: &'a [String],
    #[schema(value_type = Vec<Object>)]
    sources: &'a [SourceResult],
    file_count: u64,
    dir_count: u64,
    #[schema(value_type = Vec<Object>)]
    errors: &'a [PathError],
    error_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten_at: Option<String>,
}

impl<'a> Row<'a> {
    /// The fields of a snapshot of the repository at `location`.
    pub fn new(snapshot: &'a Snapshot, location: &str) -> Self {
        let m = &snapshot.manifest;
        Self {
            backup_id: &m.backup_id,
            snapshot: snapshot.id.to_string(),
            target: &m.target,
            component: &m.target,
            backup_type: &m.backup_type,
            kind: &m.tier,
            tier: &m.tier,
            status: snapshot.status(),
            unchanged: m.unchanged,
            path: format!("{location}#{}", m.backup_id),
            size_bytes: m.size_bytes,
            size_mb: (m.size_bytes as f64 / 10_000.0).round() / 100.0,
            added_bytes: m.added_bytes,
            checksum: m.tree.to_string(),
            created_at: &m.created_at,
            duration_ms: m.duration_ms,
            name: m.name.as_deref(),
            description: &m.description,
            tags: snapshot.tags(),
            metadata: &m.metadata,
            filename: export_name(snapshot, "tar.zst"),
            verified_at: snapshot.marks.verified_at.and_then(rfc3339),
            proven_at: snapshot.marks.proven_at.and_then(rfc3339),
            held: snapshot.marks.held,
            host: &m.host,
            user: &m.user,
            paths: &m.paths,
            scope: &m.scope,
            sources: &m.sources,
            file_count: m.files,
            dir_count: m.dirs,
            errors: &m.errors,
            error_count: m.error_count,
            forgotten_at: snapshot.marks.forgotten_at.and_then(rfc3339),
        }
    }
}

/// Name of the export file of a snapshot; also a name by which it can be found.
pub fn export_name(snapshot: &Snapshot, extension: &str) -> String {
    let m = &snapshot.manifest;
    let name = match &m.name {
        Some(name) => {
            format!("{}_backup_{}_{name}_{}.{extension}", m.target, m.tier, snapshot.timestamp())
        }
        None => format!("{}.{extension}", m.backup_id),
    };
    file_name(&name)
}

/// Nanoseconds since 1970 as RFC 3339; `None` outside the years that it can write.
pub fn rfc3339(nanos: i64) -> Option<String> {
    Timestamp::from_nanosecond(i128::from(nanos)).ok().map(|t| t.to_string())
}
