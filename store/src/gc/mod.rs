//! Gives space back while backups run: mark, condemn, wait, mark again, sweep, delete (G1 to G7 of `docs/design.md`).
//!
//! May be stopped at any moment: what the log says is finished by the next prune.

mod mark;
mod pending;
mod plan;
mod repack;
mod rubbish;
mod sweep;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend::Upkeep;
use crate::error::{Error, Result};
use crate::id::{PackName, SessionId};
use crate::merge::merge;
use crate::names;
use crate::repository::{Inner, Repository};
use crate::view::View;

use mark::Marks;
use plan::Plan;

/// How much a prune may do.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Forgotten snapshots can be undeleted this long (ns); 0 purges them in this run.
    pub keep_deleted: i64,
    /// Most raw bytes that may be copied out of half-empty packs in this run; `None`: as needed.
    pub repack_bytes_max: Option<u64>,
    /// Packs are repacked until at most this share of everything stored is dead (0.0 to 1.0).
    pub dead_share_max: f64,
    /// A pack is repacked in any case when more than this share of it is dead.
    pub pack_dead_share_max: f64,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            keep_deleted: 0,
            repack_bytes_max: None,
            dead_share_max: 0.04,
            pack_dead_share_max: 0.4,
        }
    }
}

/// What a prune did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneReport {
    /// Packs that counted before.
    pub packs_before: u64,
    /// Bytes that they held.
    pub bytes_before: u64,
    /// Packs deleted.
    pub packs_deleted: u64,
    /// Packs copied into new ones.
    pub packs_repacked: u64,
    /// Bytes written by repacking.
    pub bytes_repacked: u64,
    /// Bytes given back.
    pub bytes_freed: u64,
    /// Bytes that wait for a running session.
    pub bytes_pending: u64,
    /// Snapshots purged: they can no longer be undeleted.
    pub snapshots_purged: u64,
    /// Raw bytes that snapshots need.
    pub bytes_live: u64,
    /// Raw bytes that nothing refers to.
    pub bytes_dead: u64,
}

impl Repository {
    /// Deletes what no snapshot needs; may run beside backups and other prunes, and may be stopped at any moment.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport> {
        let inner = &self.inner;
        let mut report = PruneReport::default();
        if options.dry_run {
            let view = inner.view()?;
            let plan = survey(&view, options, &mut Marks::default(), &mut report)?;
            report.packs_deleted = plan.condemned().len() as u64;
            report.packs_repacked = plan.repack.len() as u64;
            report.bytes_freed = plan.bytes_freed;
            report.snapshots_purged = expired(&view, options).len() as u64;
            return Ok(report);
        }
        inner.writable()?;
        may_delete(inner)?;
        // What sessions have uploaded that nobody will end any more is rubbish, also when nothing is condemned.
        pending::still_running(inner, u64::MAX)?;
        let mut marks = Marks::default();
        // First what earlier prunes left: on a full disk this gives room to copy.
        sweep::finish(inner, options, &mut marks, &mut report)?;
        rubbish::remove(inner, &mut report)?;
        let cleared = inner.log_len()?;
        let plan = inner.in_view(&mut |view| survey(view, options, &mut marks, &mut report))?;
        sweep::condemn(inner, &plan.delete, options, &mut marks)?;
        sweep::finish(inner, options, &mut marks, &mut report)?;
        if !plan.repack.is_empty() {
            let repacked =
                inner.in_view(&mut |view| copy_out(view, &plan, options, &mut marks, &mut report))?;
            sweep::condemn(inner, &repacked, options, &mut marks)?;
            sweep::finish(inner, options, &mut marks, &mut report)?;
        }
        sweep::purge(inner, options, &mut report)?;
        // Merging takes memory of its own.
        drop(marks);
        inner.packs.forget();
        inner.in_view(&mut |view| merge(inner, view, false))?;
        // Nothing becomes rubbish without a record that says so, or a session that ends: the next prune has that.
        if inner.log_len()? != cleared {
            rubbish::remove(inner, &mut report)?;
        }
        upkeep(inner);
        Ok(report)
    }
}

/// Refuses before anything is planned or written where nothing may be deleted.
fn may_delete(inner: &Inner) -> Result<()> {
    // A name that nobody has: whoever may delete is told that it is gone.
    let nobody = format!("{}{}", names::SESSIONS, hex::encode(inner.env.random_bytes::<16>()?));
    if inner.discard(&nobody)? {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "these keys may delete nothing at {}: prune with keys that may; backups, restores and listings need no others",
        inner.backend.location()
    )))
}

/// Copies what is needed out of the packs that the plan repacks and that are still there; returns these.
fn copy_out(
    view: &Arc<View>,
    plan: &Plan,
    options: &PruneOptions,
    marks: &mut Marks,
    report: &mut PruneReport,
) -> Result<BTreeSet<PackName>> {
    let marked = marks.mark(view, &roots(view, options), &|_| false)?;
    let present = view.index()?.packs().iter().filter(|p| !p.shunned).map(|p| p.name.clone()).collect();
    let packs = plan.repack.intersection(&present).cloned().collect();
    // Repacking takes memory of its own.
    view.index()?.forget();
    repack::repack(view, &marked, &packs, plan.frame_dead_share_max, report)?;
    Ok(packs)
}

/// Clears what interrupted writes left, and sets the space aside again that a full disk may have taken.
fn upkeep(inner: &Inner) {
    for work in [Upkeep::RemoveLeftovers, Upkeep::RefillReserve] {
        if let Err(e) = inner.backend.maintain(work) {
            inner.monitor.problem(&format!("{e}: upkeep of the storage is left to the next prune"));
        }
    }
}

/// Marks, counts and plans.
fn survey(
    view: &Arc<View>,
    options: &PruneOptions,
    marks: &mut Marks,
    report: &mut PruneReport,
) -> Result<Plan> {
    let marked = marks.mark(view, &roots(view, options), &|_| false)?;
    let index = view.index()?;
    let plan = Plan::make(index.packs(), &marked.frames(view)?, options);
    let there = || index.packs().iter().filter(|p| !p.swept);
    report.packs_before = there().count() as u64;
    report.bytes_before = there().map(|p| p.size).sum();
    report.bytes_live = plan.bytes_live;
    report.bytes_dead = plan.bytes_dead;
    Ok(plan)
}

fn now(inner: &Inner) -> i64 {
    i64::try_from(inner.env.clock.now()).unwrap_or(i64::MAX)
}

/// Forgotten snapshots that may no longer be brought back.
fn expired(view: &View, options: &PruneOptions) -> Vec<SessionId> {
    let limit = now(&view.inner).saturating_sub(options.keep_deleted);
    let is_expired = |at: i64| at <= limit || options.keep_deleted == 0;
    view.state
        .unpurged()
        .filter(|(_, row)| row.marks.forgotten_at.is_some_and(is_expired))
        .map(|(session, _)| session.clone())
        .collect()
}

/// Snapshots to mark from: listed ones, and forgotten ones that may still come back.
fn roots(view: &View, options: &PruneOptions) -> Vec<SessionId> {
    let gone = expired(view, options);
    view.state.unpurged().map(|(s, _)| s).filter(|s| !gone.contains(s)).cloned().collect()
}
