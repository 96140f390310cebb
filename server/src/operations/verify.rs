//! Verifying: reads back all that a snapshot needs, and keeps the outcome with it.

use chronos_snapshot::{Depth, Snapshot};
use chronos_store::{CheckReport, ErrorKind, Finding, ReadData, Repository, Verdict, VerifyReport};
use serde::Serialize;

use crate::catalog::{Catalog, rfc3339};
use crate::error::Result;
use crate::events::{damaged, record, verified};
use crate::state::{Alert, Noted};
use crate::workplace::Workplace;

/// What became of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It stands in the repository.
    Yes,
    /// It need not: everything is present, which is less than a verification tells.
    NotNeeded,
    /// The repository cannot be written.
    ReadOnly,
}

/// The outcome for one snapshot. What is serialised are the fields of `verify --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Its name.
    pub backup_id: String,
    /// Its content id.
    pub snapshot: String,
    /// `verified` or `failed`.
    pub status: &'static str,
    /// Whether everything is good.
    pub valid: bool,
    /// Root of the tree.
    pub checksum: String,
    /// Regular files.
    pub file_count: u64,
    /// Chunks that were looked at.
    pub chunks: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// When.
    pub verified_at: Option<String>,
    /// What is damaged or missing.
    pub errors: Vec<Finding>,
    /// What it is now.
    #[serde(skip)]
    pub verdict: Verdict,
    /// What became of the outcome.
    #[serde(skip)]
    pub kept: Kept,
}

/// Verifies a snapshot, and tells what was found.
pub fn verify(
    workplace: &Workplace,
    catalog: &Catalog,
    snapshot: &Snapshot,
    depth: Depth,
) -> Result<Verified> {
    let stored = catalog.as_stored()?;
    let report = chronos_snapshot::verify(&stored.repository, &stored.view, snapshot, depth)?;
    // A clock beyond the years that 64 bits can tell (1677 to 2262): the outcome counts, its time is left out.
    let at = i64::try_from(catalog.repository.env().clock.now()).ok();
    let kept = keep(catalog, snapshot, &report, depth, at)?;
    let is_good = report.verdict == Verdict::Verified;
    if kept != Kept::NotNeeded {
        tell(workplace, catalog, snapshot, &report);
    }
    Ok(Verified {
        backup_id: snapshot.manifest.backup_id.clone(),
        snapshot: snapshot.id.to_string(),
        status: if is_good { "verified" } else { "failed" },
        valid: is_good,
        checksum: snapshot.manifest.tree.to_string(),
        file_count: snapshot.manifest.files,
        chunks: report.chunks,
        bytes_read: report.bytes,
        verified_at: at.and_then(rfc3339),
        errors: report.errors,
        verdict: report.verdict,
        kept,
    })
}

fn tell(workplace: &Workplace, catalog: &Catalog, snapshot: &Snapshot, report: &VerifyReport) {
    let m = &snapshot.manifest;
    let events =
        |_: &Noted| vec![verified(&workplace.env, &m.target, &m.backup_id, report.verdict, &report.errors)];
    if let Err(error) = record(workplace, Alert::Untouched, &events) {
        catalog.repository.monitor().problem(&format!("nobody is told of this verification: {error}"));
    }
}

/// Looks at the repository as a whole, and tells of damage.
pub fn check(workplace: &Workplace, repository: &Repository, read: ReadData) -> Result<CheckReport> {
    let report = repository.check(read)?;
    if !report.errors.is_empty()
        && let Err(error) =
            record(workplace, Alert::Untouched, &|_| vec![damaged(&workplace.env, &report.errors)])
    {
        repository.monitor().problem(&format!("nobody is told of this damage: {error}"));
    }
    Ok(report)
}

/// Keeps the outcome in the repository, if it can be written.
fn keep(
    catalog: &Catalog,
    snapshot: &Snapshot,
    report: &VerifyReport,
    depth: Depth,
    at: Option<i64>,
) -> Result<Kept> {
    let verdict = report.verdict;
    if matches!(depth, Depth::Presence) && verdict == Verdict::Verified {
        return Ok(Kept::NotNeeded);
    }
    let kept = catalog.repository.change(&|view| {
        let row = view.snapshots().find(|r| r.session == snapshot.session);
        // A snapshot that was deleted meanwhile needs no verdict.
        let Some(row) = row else { return Ok(None) };
        let mut edited = row.marks.clone();
        edited.verdict = Some(verdict);
        edited.verified_at = at;
        Ok(Some(chronos_store::Change::Mark { marks: vec![(row.session.clone(), edited)] }))
    });
    match kept {
        Ok(_) => Ok(Kept::Yes),
        Err(e) if e.kind() == ErrorKind::ReadOnly => Ok(Kept::ReadOnly),
        Err(e) => Err(e.into()),
    }
}
