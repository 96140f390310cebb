//! The manifest of a new snapshot: its id, its time, its fields, and the list of errors beside the tree.

use chronos_store::{ChunkId, ChunkKind, Reader, RefList, Repository, Session};
use jiff::Timestamp;

use crate::backup::options::BackupOptions;
use crate::backup::report::{BackupReport, MANIFEST_ERRORS_MAX};
use crate::backup_id;
use crate::error::{Error, Result};
use crate::record::{Manifest, PathError};

/// Bytes of a chunk of the list of errors.
const ERRORS_CHUNK: usize = 128 << 10;

/// Fills in what is known without reading: target, tier, type, time.
pub(crate) fn describe(
    report: &mut BackupReport,
    repository: &Repository,
    options: &BackupOptions,
    began: i128,
) -> Result<()> {
    report.target.clone_from(&options.target);
    report.tier.clone_from(&options.tier);
    report.backup_type.clone_from(&options.backup_type);
    report.created_at = format!("{:.9}", timestamp(options.time.unwrap_or(began))?);
    report.duration_ms = elapsed_ms(repository, began);
    Ok(())
}

/// `partial`, `unchanged` or `completed`.
pub(crate) fn status(report: &BackupReport) -> &'static str {
    match (report.is_partial(), report.unchanged) {
        (true, _) => "partial",
        (false, true) => "unchanged",
        (false, false) => "completed",
    }
}

/// Milliseconds since `began`.
pub(crate) fn elapsed_ms(repository: &Repository, began: i128) -> u64 {
    u64::try_from((repository.env().clock.now() - began).max(0) / 1_000_000).unwrap_or(u64::MAX)
}

fn timestamp(nanos: i128) -> Result<Timestamp> {
    Timestamp::from_nanosecond(nanos).map_err(|e| Error::Invalid(format!("{nanos} ns is not a time: {e}")))
}

/// Takes the first free `{target}_{tier}_{YYYYMMDD_HHMMSS}[_n]` for ever.
pub(crate) fn claim_id(
    repository: &Repository,
    session: &Session,
    options: &BackupOptions,
    created_at: &str,
) -> Result<String> {
    let time: Timestamp = created_at.parse().map_err(|e| Error::Invalid(format!("{created_at}: {e}")))?;
    let base = format!("{}_{}_{}", options.target, options.tier, time.strftime("%Y%m%d_%H%M%S"));
    backup_id::claim(repository, session, &base, false)
}

/// Stores the errors as JSON lines if they are too many for the manifest; returns their `Refs` chunk.
pub(crate) fn store_errors(session: &Session, errors: &[PathError]) -> Result<Option<ChunkId>> {
    if errors.len() <= MANIFEST_ERRORS_MAX {
        return Ok(None);
    }
    let mut lines = Vec::new();
    for error in errors {
        serde_json::to_writer(&mut lines, error).map_err(|e| not_json(&e))?;
        lines.push(b'\n');
    }
    let mut list = RefList::default();
    let mut data = session.writer(ChunkKind::Data);
    for chunk in lines.chunks(ERRORS_CHUNK) {
        list.data.push(data.put(chunk)?.id);
    }
    data.finish()?;
    let mut refs = session.writer(ChunkKind::Refs);
    let id = refs.put(&list.encode())?.id;
    refs.finish()?;
    Ok(Some(id))
}

/// All errors of a snapshot that were kept, also those that its manifest has no room for.
pub fn read_errors(reader: &Reader, manifest: &Manifest) -> Result<Vec<PathError>> {
    let Some(report) = manifest.report else { return Ok(manifest.errors.clone()) };
    let mut lines = Vec::new();
    for id in reader.refs(&report)?.data {
        lines.extend_from_slice(&reader.read(ChunkKind::Data, &id)?);
    }
    let line = |l: &[u8]| {
        serde_json::from_slice(l).map_err(|e| Error::Damaged {
            what: format!("the list of errors of {}", manifest.backup_id),
            why: e.to_string(),
        })
    };
    lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(line).collect()
}

/// The manifest as it is committed.
pub(crate) fn encode(
    report: &BackupReport,
    options: &BackupOptions,
    paths: Vec<String>,
    tree: ChunkId,
    errors: Option<ChunkId>,
    began: i128,
) -> Result<Vec<u8>> {
    let clock = || Ok::<_, Error>(format!("{:.9}", timestamp(began)?));
    let manifest = Manifest {
        v: 1,
        backup_id: report.backup_id.clone(),
        name: options.name.clone(),
        target: options.target.clone(),
        tier: options.tier.clone(),
        backup_type: options.backup_type.clone(),
        created_at: report.created_at.clone(),
        began_at: options.time.map(|_| clock()).transpose()?,
        duration_ms: report.duration_ms,
        host: options.host.clone(),
        user: options.user.clone(),
        paths,
        description: options.description.clone(),
        tags: options.tags.clone(),
        metadata: options.metadata.clone(),
        status: if report.is_partial() { "partial" } else { "completed" }.to_owned(),
        unchanged: report.unchanged,
        scope: options.scope.clone(),
        sources: report.sources.clone(),
        parent: report.parent,
        tree,
        report: errors,
        errors: report.errors.iter().take(MANIFEST_ERRORS_MAX).cloned().collect(),
        error_count: report.error_count,
        files: report.files(),
        dirs: report.dirs,
        size_bytes: report.bytes_processed,
        added_bytes: report.bytes_stored,
        program: options.program.clone(),
        received_at: None,
        signature: None,
    };
    serde_json::to_vec(&manifest).map_err(|e| not_json(&e))
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::Invalid(format!("a value cannot be written as JSON: {error}"))
}
