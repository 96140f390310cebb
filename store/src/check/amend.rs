//! Damaged decisions: what stands for them under a name of its own. A decision is created once (rule R2), so it is neither changed nor
//! removed, whatever became of it: should its bytes come back, they count.
//!
//! What a state holds of a decision is written as it was. Of one that no state holds nothing is known but its packs: as others may
//! have deduplicated against them they can be read, and as it may have been a snapshot they are kept.

use std::sync::Arc;

use super::{CheckReport, Finding, RepairReport, add};
use crate::backend::{BackendError, BackendExt, Durability};
use crate::decision::{Core, Decision, Outcome};
use crate::error::{ErrorKind, Result};
use crate::id::SessionId;
use crate::log::Record;
use crate::names;
use crate::repository::Inner;
use crate::state::State;
use crate::view::View;

/// What is to be said of a decision: damage, or which other object stands for it.
pub(super) fn note(
    inner: &Inner,
    session: &SessionId,
    state: &State,
    report: &mut CheckReport,
) -> Result<()> {
    let finding = match inner.decision(session) {
        Err(e) if e.kind() == ErrorKind::Damaged => Finding::of(&e),
        decision => return decision.map(|_| ()),
    };
    let Some(amended) = inner.amended(session)? else {
        add(&mut report.errors, finding);
        return Ok(());
    };
    let is_unknown = amended.core.outcome == Outcome::Unknown
        && state.rows.get(session).is_none_or(|row| row.outcome == Outcome::Unknown);
    let problem = format!(
        "{}: {} stands for it{}",
        finding.problem,
        names::amended(session),
        if is_unknown {
            "; what it said is not known, so its packs are kept as long as it is there"
        } else {
            ""
        }
    );
    add(&mut report.notes, Finding { problem, ..finding });
    Ok(())
}

/// Writes what the state holds of damaged decisions.
pub(super) fn known(inner: &Arc<Inner>, view: &View, dry_run: bool, report: &mut RepairReport) -> Result<()> {
    for entry in inner.backend.list_all(names::DECISIONS)? {
        let Some(session) = names::session_of(names::DECISIONS, &entry.name) else { continue };
        let state = &view.state;
        let is_held = state.rows.contains_key(&session) || session.generation() < state.watermark;
        match inner.decision(&session) {
            Err(e) if e.kind() == ErrorKind::Damaged => {}
            decision => {
                decision?;
                continue;
            }
        }
        if !is_held || inner.amended(&session)?.is_some() {
            continue;
        }
        let name = names::amended(&session);
        report
            .actions
            .push(format!("{} is damaged: write what the state of the log says of it to {name}", entry.name));
        if !dry_run {
            write(inner, &held(state, session), report)?;
        }
    }
    Ok(())
}

/// What a state holds of a decision below its watermark: what is not in its table has no effect.
fn held(state: &State, session: SessionId) -> Decision {
    let Some(row) = state.rows.get(&session) else {
        return Decision::without_snapshot(session, Outcome::Revoked, Vec::new(), Vec::new());
    };
    let core = Core {
        outcome: row.outcome,
        roots: row.roots.clone(),
        packs: row.packs.clone(),
        runs: row.runs.clone(),
    };
    let manifest = state.manifests.get(&session).cloned().unwrap_or_default().into_bytes();
    Decision { session, core, manifest }
}

/// Goes on without decisions that cannot be read and that no state holds; the view in which they no longer stand in the way.
pub(super) fn unknown(
    inner: &Arc<Inner>,
    view: &Arc<View>,
    dry_run: bool,
    report: &mut RepairReport,
) -> Result<Arc<View>> {
    if view.state.unreadable.is_empty() {
        return Ok(Arc::clone(view));
    }
    for session in &view.state.unreadable {
        let object = names::decision(session);
        let action = format!("{object} cannot be read: keep the packs of its session and go on without it");
        report.actions.push(action);
        let problem = "what it says is not known: if it was a snapshot, that is not listed";
        add(&mut report.errors, Finding::new(object, problem));
        if !dry_run {
            write(inner, &inner.with_whole_packs(session, Outcome::Unknown)?, report)?;
        }
    }
    if dry_run {
        return Ok(Arc::clone(view));
    }
    // Taken into the table, so that a look at what counts need not read it again.
    inner.append(&mut |_| Ok(Some(Record::Checkpoint)))
}

/// Writes what stands for a decision from now on.
fn write(inner: &Inner, decision: &Decision, report: &mut RepairReport) -> Result<()> {
    let name = names::amended(&decision.session);
    let bytes = decision.encode_as(&name, &inner.keys, inner.env.random_bytes()?)?;
    inner.backend.sync()?;
    match inner.backend.create(&name, &bytes, Durability::Now) {
        Err(BackendError::AlreadyExists(_)) => {
            let problem = "it is there and cannot be read: move it away, then run repair again";
            add(&mut report.errors, Finding::new(name, problem));
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}
