//! A drill of the whole recovery: everything that `recover` would put back now, in its order, each step into a scratch place of its own.
//!
//! What always holds: it passes only if every source that is configured came back from a good snapshot and holds.

use chronos_snapshot::Snapshot;
use chronos_store::ErrorKind;

use crate::catalog::{Catalog, LATEST};
use crate::error::{Error, Kind, Result};
use crate::operations::drill::findings::verdict;
use crate::operations::drill::record::Begun;
use crate::operations::drill::report::{Drilled, RecoveryPart, SourceProof};
use crate::operations::drill::trial::Trial;
use crate::operations::drill::{short, turn};
use crate::operations::recover::{StepReport, steps};
use crate::operations::restore::ALL;
use crate::state::DrillStatus;
use crate::workplace::Workplace;

/// Tries the whole recovery, keeps the outcome in the history of this host, and tells of it. How long it took is the measured time of a
/// recovery.
///
/// # Errors
/// What keeps it from being made at all: nothing is configured, nothing is stored, an order to stop.
pub fn drill_recovery(workplace: &Workplace, catalog: &Catalog) -> Result<Drilled> {
    let _turn = turn(workplace, catalog)?;
    let whole = Drilled { backup_id: LATEST.to_owned(), target: ALL.to_owned(), ..Drilled::default() };
    let begun = Begun::new(workplace, &catalog.repository, whole);
    match tried(workplace, catalog) {
        // It says nothing of a snapshot as a whole: that it is proven stands in the history alone.
        Ok((sources, bytes)) => Ok(begun.of_size(bytes).ended(workplace, sources, |status, now| {
            Ok((status == DrillStatus::Passed).then(|| short(now)))
        })),
        Err(error) => {
            begun.not_made(workplace, &error);
            Err(error)
        }
    }
}

/// What came of each source, and how many bytes they are.
fn tried(workplace: &Workplace, catalog: &Catalog) -> Result<(Vec<SourceProof>, u64)> {
    let (steps, missing) = steps(workplace, catalog)?;
    let catalog = &catalog.as_stored()?;
    let (mut proofs, mut bytes) = (Vec::new(), 0);
    for step in &steps {
        let found = catalog.snapshots.iter().find(|s| s.manifest.backup_id == step.backup_id);
        let Some(snapshot) = found else {
            proofs.extend(lacking(step, &format!("there is no snapshot {}", step.backup_id)));
            continue;
        };
        bytes += size(snapshot, &step.sources);
        let trial = Trial::begin(workplace, catalog, snapshot, None, &step.sources);
        match trial.and_then(|trial| trial.run()) {
            Ok(of_step) => proofs.extend(of_step.into_iter().map(|proof| part(step, proof))),
            Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => return Err(error),
            Err(error) => {
                proofs.extend(step.sources.iter().map(|source| part(step, not_made(source, &error))));
            }
        }
    }
    for step in &missing {
        proofs.extend(lacking(step, step.error.as_deref().unwrap_or_default()));
    }
    Ok((proofs, bytes))
}

fn part(step: &StepReport, proof: SourceProof) -> SourceProof {
    let (phase, target, backup_id) = (step.phase, step.target.clone(), step.backup_id.clone());
    SourceProof { part: Some(RecoveryPart { phase, target, backup_id }), ..proof }
}

/// The sources of a step for which there is nothing.
fn lacking(step: &StepReport, why: &str) -> Vec<SourceProof> {
    let failed = |source: &String| SourceProof {
        source: source.clone(),
        status: DrillStatus::Failed,
        errors: vec![why.to_owned()],
        ..SourceProof::default()
    };
    step.sources.iter().map(failed).map(|proof| part(step, proof)).collect()
}

/// A source of a step that could not be begun.
fn not_made(source: &str, error: &Error) -> SourceProof {
    let verdict = verdict(error);
    let why = vec![verdict.why];
    let (status, not_tried, errors) = if verdict.is_of_host {
        (DrillStatus::Partial, why, Vec::new())
    } else {
        (DrillStatus::Failed, Vec::new(), why)
    };
    SourceProof { source: source.to_owned(), status, not_tried, errors, ..SourceProof::default() }
}

fn size(snapshot: &Snapshot, sources: &[String]) -> u64 {
    snapshot.manifest.sources.iter().filter(|s| sources.contains(&s.name)).map(|s| s.size).sum()
}
