//! What no decision and no record names: packs of ended sessions, replaced runs, old states.
//!
//! Only objects whose names say that they are ours are ever touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::PruneReport;
use super::sweep::remove_packs;
use crate::backend::{BackendError, BackendExt, Entry};
use crate::decision::{Decision, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackName, SessionId};
use crate::log::{LogRecord, Record};
use crate::names;
use crate::repository::Inner;
use crate::state::State;
use crate::view::View;

/// States kept behind the newest: readers that began a while ago still find theirs.
const STATES_KEPT: u64 = 64;

/// Removes what has no effect.
pub(super) fn remove(inner: &Arc<Inner>, report: &mut PruneReport) -> Result<()> {
    orphaned_packs(inner, report)?;
    replaced_runs(inner)?;
    old_states(inner)
}

/// Packs whose session is decided and that rule R1 does not name.
fn orphaned_packs(inner: &Arc<Inner>, report: &mut PruneReport) -> Result<()> {
    // Listed first: a pack that appears later belongs to a session that is left alone.
    let listed = inner.backend.list_all(names::PACKS)?;
    let undecided: BTreeSet<SessionId> = inner.undecided()?.into_iter().collect();
    inner.in_view(&mut |view| orphaned_of(&listed, &undecided, view, report))
}

fn orphaned_of(
    listed: &[Entry],
    undecided: &BTreeSet<SessionId>,
    view: &Arc<View>,
    report: &mut PruneReport,
) -> Result<()> {
    let inner = &view.inner;
    let mut by_session: BTreeMap<SessionId, Vec<(PackName, &Entry)>> = BTreeMap::new();
    for entry in listed {
        if let Some(Ok(name)) = entry.name.strip_prefix(names::PACKS).map(str::parse::<PackName>) {
            by_session.entry(name.session.clone()).or_default().push((name, entry));
        }
    }
    let named: BTreeSet<&PackName> = view.index()?.packs().iter().map(|p| &p.name).collect();
    let sessions: BTreeSet<&SessionId> = named.iter().map(|name| &name.session).collect();
    let is_named = |session: &SessionId| sessions.contains(session);
    for (session, packs) in by_session {
        let orphans: Vec<Entry> = packs
            .into_iter()
            .filter(|(name, _)| !named.contains(name))
            .map(|(_, entry)| entry.clone())
            .collect();
        if orphans.is_empty()
            || undecided.contains(&session)
            || !is_ended(inner, &view.state, &session, &is_named)?
        {
            continue;
        }
        remove_packs(inner, &orphans, report)?;
    }
    Ok(())
}

/// Whether a session that is not announced can never count more packs than the view names. Whoever builds the index anew from the
/// packs that are there must come to the same, so the decision says it: `is_named` tells whether the view names any.
fn is_ended(
    inner: &Inner,
    state: &State,
    session: &SessionId,
    is_named: &dyn Fn(&SessionId) -> bool,
) -> Result<bool> {
    if state.rows.get(session).is_some_and(|row| row.outcome == Outcome::Unknown) {
        // Its decision may name more than what could be read when that was looked for.
        return Ok(false);
    }
    if state.rows.contains_key(session) {
        return Ok(true);
    }
    match inner.decision(session)? {
        // Below the watermark what is not in the table has no effect.
        Some(_) if session.generation() < state.watermark => Ok(true),
        // Decided after the view was made: the next prune sees it.
        Some(decision) => Ok(decision.core.outcome == Outcome::Revoked),
        // It was decided, and the decision is lost: runs name what counts of it.
        None if is_named(session) => Ok(false),
        // Its announcement was lost with the power. It is revoked first, so that it can never count.
        None => match inner.decide(&Decision::without_snapshot(
            session.clone(),
            Outcome::Revoked,
            Vec::new(),
            Vec::new(),
        )) {
            Ok(_) => Ok(true),
            Err(Error::SessionLost(_)) => Ok(false),
            Err(e) => Err(e),
        },
    }
}

/// Runs that neither the newest state nor an unmerged decision names, once nobody can name them any more.
fn replaced_runs(inner: &Arc<Inner>) -> Result<()> {
    let listed = inner.backend.list_all(names::RUNS)?;
    if listed.is_empty() || !inner.undecided()?.is_empty() {
        // A running session may still look into a run that was replaced meanwhile.
        return Ok(());
    }
    let unnamed = |view: &View| -> Vec<String> {
        let named: BTreeSet<&String> =
            view.state.runs.iter().chain(view.state.rows.values().flat_map(|r| &r.runs)).collect();
        listed.iter().map(|e| &e.name).filter(|n| !named.contains(n)).cloned().collect()
    };
    if unnamed(inner.view()?.as_ref()).is_empty() {
        return Ok(());
    }
    // A merge under way has runs that nobody names yet, and can publish only at the log length that it began from. One more
    // record, and what was listed and is still not named never will be.
    inner.append(&mut |_| Ok(Some(Record::Checkpoint)))?;
    inner.in_view(&mut |view| remove_runs(inner, view, unnamed(view)))
}

/// Removes runs that nobody names and whose sessions are ended.
fn remove_runs(inner: &Inner, view: &View, unnamed: Vec<String>) -> Result<()> {
    let sessions: BTreeSet<SessionId> =
        view.index()?.packs().iter().map(|pack| pack.name.session.clone()).collect();
    let is_named = |session: &SessionId| sessions.contains(session);
    for name in unnamed {
        let rest = name.strip_prefix(names::RUNS).unwrap_or_default();
        let is_hex = |h: &str| h.len() == 32 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let merged = rest.strip_prefix("m-").is_some_and(is_hex);
        let session = names::session_of_run(&name);
        if merged || session.map_or(Ok(false), |s| is_ended(inner, &view.state, &s, &is_named))? {
            inner.backend.remove(&name)?;
        }
    }
    Ok(())
}

/// States that records older than the newest [`STATES_KEPT`] name.
fn old_states(inner: &Inner) -> Result<()> {
    let end = inner.log_len()?.saturating_sub(STATES_KEPT);
    let mut old = Vec::new();
    for n in (0..end).rev() {
        match inner.read(&names::log(n)).and_then(|b| LogRecord::decode(&inner.keys, n, &b)) {
            Ok(record) => match inner.backend.stat(&record.state) {
                Err(BackendError::NotFound(_)) => break,
                size => {
                    size?;
                    old.push(record.state);
                }
            },
            // A damaged old record is for check to tell; its state stays.
            Err(e) if e.kind() == ErrorKind::Damaged => {}
            Err(e) => return Err(e),
        }
    }
    // The oldest first: whoever finds one missing knows that those before it are gone as well.
    old.iter().rev().try_for_each(|state| Ok(inner.backend.remove(state)?))
}
