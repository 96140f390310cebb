//! Proves that what is listed can be read; repairs what can be.

mod amend;
mod data;
mod judge;
mod rebuild;
mod recover;
mod repair;
mod structure;
mod totals;
mod verify;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackName, SessionId};
use crate::names;
use crate::repository::{Inner, Repository};
use crate::view::Verdict;

/// Most findings of one kind that a report lists; beyond that damage is general.
const FINDINGS_MAX: usize = 10_000;

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

impl Finding {
    pub(crate) fn new(object: impl ToString, problem: impl ToString) -> Self {
        Self { object: object.to_string(), problem: problem.to_string(), snapshots: Vec::new() }
    }

    /// The finding that an error tells of.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Damaged { object, what } => Self::new(object, what),
            Error::Missing { object } => Self::new(object, "it is missing"),
            other => Self::new("the repository", other),
        }
    }
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
    /// their chunks anew, and snapshots that need what is damaged are marked so (not on read-only storage).
    pub fn check(&self, read: ReadData) -> Result<CheckReport> {
        let stored = self.as_stored();
        let inner = &stored.inner;
        let before = inner.packs.bytes_read();
        let (mut found, mut read) = (Found::default(), read);
        for passes_left in (0..PASSES_MAX).rev() {
            let length = inner.log_len()?;
            let mut report = CheckReport::default();
            let looked = look(inner, read, &mut found, &mut report);
            let is_clean = match &looked {
                Ok(_) => report.errors.is_empty(),
                Err(e) => e.kind() != ErrorKind::Damaged,
            };
            // What a view names may be gone because a prune has moved or deleted it since: then a newer one tells.
            if is_clean || passes_left == 0 || inner.log_len()? == length {
                let bad = looked?;
                (report.packs_read, report.chunks_read) = (found.report.packs_read, found.report.chunks_read);
                report.bytes_read = inner.packs.bytes_read() - before;
                let kept = inner.mark_damaged(&bad.snapshots, length);
                match kept.and_then(|()| inner.quarantine(&bad.packs.into_iter().collect())) {
                    // What was found must be told, whatever became of the notes.
                    Err(e) if e.kind() != ErrorKind::Interrupted => {
                        inner
                            .monitor
                            .problem(&format!("{e}: what the check found is not noted in the repository"));
                    }
                    kept => kept?,
                }
                return Ok(report);
            }
            if found.is_read {
                read = ReadData::None;
            } else {
                found = Found::default();
            }
        }
        Ok(found.report)
    }
}

/// How often the structure is looked at while the log grows and something seems wrong.
const PASSES_MAX: usize = 5;

/// What reading data has found.
#[derive(Debug, Default)]
struct Found {
    report: CheckReport,
    bad: HashSet<PackName>,
    /// It came to its end.
    is_read: bool,
}

/// What is damaged.
#[derive(Debug, Default)]
struct Bad {
    packs: HashSet<PackName>,
    /// Snapshots that need something that cannot be read; they may be in the trash.
    snapshots: BTreeSet<SessionId>,
}

/// Looks at everything once.
fn look(inner: &Arc<Inner>, read: ReadData, found: &mut Found, report: &mut CheckReport) -> Result<Bad> {
    structure::small_objects(inner, report)?;
    let view = match inner.view() {
        Ok(view) => view,
        Err(e @ (Error::Damaged { .. } | Error::Missing { .. })) => {
            add(&mut report.errors, Finding::of(&e));
            return Ok(Bad::default());
        }
        Err(e) => return Err(e),
    };
    if let Err(e @ (Error::Damaged { .. } | Error::Missing { .. })) = view.index() {
        add(&mut report.errors, Finding::of(&e));
        return Ok(Bad::default());
    }
    let bad_runs = repair::damaged_runs(&view)?;
    if !bad_runs.is_empty() {
        bad_runs.into_iter().for_each(|run| add(&mut report.errors, run));
        return Ok(Bad::default());
    }
    let mut bad = structure::packs(&view, report)?;
    found.bad.extend(data::read(&view, read, &mut found.report)?);
    found.is_read = true;
    // Of what an earlier look has read, packs that still count.
    let still = view.index()?.packs().iter().filter(|pack| !pack.swept && found.bad.contains(&pack.name));
    let still: HashSet<PackName> = still.map(|pack| pack.name.clone()).collect();
    let gone: HashSet<String> = found.bad.difference(&still).map(names::pack).collect();
    for finding in found.report.errors.iter().filter(|finding| !gone.contains(&finding.object)) {
        add(&mut report.errors, finding.clone());
    }
    bad.extend(still);
    let snapshots = structure::walk(&view, &bad, report)?;
    Ok(Bad { packs: bad, snapshots })
}

/// Adds a finding, unless it is known or there are too many.
pub(crate) fn add(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX && !findings.contains(&finding) {
        findings.push(finding);
    }
}
