//! G2 to G7: condemn, see who is still running, mark again, sweep, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::mark::Marks;
use super::{PruneOptions, PruneReport, expired, pending, roots};
use crate::backend::{BackendExt, Entry};
use crate::error::{Error, Result};
use crate::id::PackName;
use crate::lanes::spread;
use crate::log::Record;
use crate::names;
use crate::repository::Inner;
use crate::state::Condemned;
use crate::view::View;

/// Those of `packs` that no snapshot needs in `view`: every live chunk keeps a copy elsewhere that stays.
fn unneeded(
    view: &Arc<View>,
    packs: &BTreeSet<PackName>,
    options: &PruneOptions,
    marks: &mut Marks,
) -> Result<BTreeSet<PackName>> {
    let marked = marks.mark(view, &roots(view, options), &|name| packs.contains(name))?;
    let index = view.index()?;
    let used = index.packs().iter().zip(&marked.live);
    Ok(used.filter(|(p, live)| packs.contains(&p.name) && **live == 0).map(|(p, _)| p.name.clone()).collect())
}

/// G1 and G2: announces that packs will go; none that is needed, or announced already.
pub(super) fn condemn(
    inner: &Arc<Inner>,
    packs: &BTreeSet<PackName>,
    options: &PruneOptions,
    marks: &mut Marks,
) -> Result<()> {
    if packs.is_empty() {
        return Ok(());
    }
    inner.append(&mut |view| {
        let gone: BTreeSet<&PackName> =
            view.state.condemned.iter().flat_map(|c| &c.packs).chain(&view.state.swept).collect();
        let fresh: BTreeSet<PackName> = packs.iter().filter(|p| !gone.contains(p)).cloned().collect();
        if fresh.is_empty() {
            return Ok(None);
        }
        let packs = unneeded(view, &fresh, options, marks)?;
        let roots = roots(view, options).into_iter().collect();
        Ok((!packs.is_empty()).then_some(Record::Condemn { packs, roots }))
    })?;
    Ok(())
}

/// G3 to G7 for every pending condemnation, also those of prunes that were stopped.
pub(super) fn finish(
    inner: &Arc<Inner>,
    options: &PruneOptions,
    marks: &mut Marks,
    report: &mut PruneReport,
) -> Result<()> {
    inner.in_view(&mut |view| finish_all(inner, view, options, marks, report))
}

fn finish_all(
    inner: &Arc<Inner>,
    view: &Arc<View>,
    options: &PruneOptions,
    marks: &mut Marks,
    report: &mut PruneReport,
) -> Result<()> {
    delete_swept(inner, view, report)?;
    report.bytes_pending = 0;
    for condemned in &view.state.condemned {
        // G3, G4: sessions that began before the record and are not decided may rely on these packs.
        if pending::still_running(inner, condemned.n)? {
            report.bytes_pending += bytes_of(view, &condemned.packs)?;
            continue;
        }
        sweep(inner, condemned, options, marks, report)?;
    }
    Ok(())
}

/// G5 to G7 for one condemnation.
fn sweep(
    inner: &Arc<Inner>,
    condemned: &Condemned,
    options: &PruneOptions,
    marks: &mut Marks,
    report: &mut PruneReport,
) -> Result<()> {
    let mut purged_now = 0;
    let after = inner.append(&mut |view| {
        if !view.state.condemned.iter().any(|c| c.n == condemned.n) {
            return Ok(None);
        }
        let swept = unneeded(view, &condemned.packs, options, marks)?;
        let purged: BTreeSet<_> = expired(view, options).into_iter().collect();
        purged_now = purged.len() as u64;
        Ok(Some(Record::Sweep { condemned: condemned.n, swept, purged }))
    });
    let after = match after {
        // Another prune carried it out between our look and our record.
        Err(Error::Refused(_)) => inner.view()?,
        view => {
            report.snapshots_purged += purged_now;
            view?
        }
    };
    delete_swept(inner, &after, report)
}

/// G7: deletes what the state says is swept; whoever comes finishes.
fn delete_swept(inner: &Inner, view: &View, report: &mut PruneReport) -> Result<()> {
    if view.state.swept.is_empty() {
        return Ok(());
    }
    // Runs may name packs that are long gone.
    let stored = inner.backend.list_all(names::PACKS)?;
    let swept: BTreeSet<String> = view.state.swept.iter().map(names::pack).collect();
    let gone: Vec<Entry> = stored.into_iter().filter(|entry| swept.contains(&entry.name)).collect();
    remove_packs(inner, &gone, report)
}

/// Removes packs, and counts them.
pub(super) fn remove_packs(inner: &Inner, packs: &[Entry], report: &mut PruneReport) -> Result<()> {
    let removed = spread(inner.backend.lanes(), packs, &|entry| inner.backend.remove(&entry.name));
    for (entry, removed) in packs.iter().zip(removed) {
        removed?;
        report.packs_deleted += 1;
        report.bytes_freed += entry.size;
    }
    Ok(())
}

/// Purges expired snapshots when there was nothing to sweep, so that `undelete` says the truth.
pub(super) fn purge(inner: &Arc<Inner>, options: &PruneOptions, report: &mut PruneReport) -> Result<()> {
    let mut purged_now = 0;
    inner.append(&mut |view| {
        // While a condemnation is pending its sweep will purge them.
        let purged: BTreeSet<_> = expired(view, options).into_iter().collect();
        purged_now = purged.len() as u64;
        Ok((!purged.is_empty() && view.state.condemned.is_empty())
            .then_some(Record::Purge { snapshots: purged }))
    })?;
    report.snapshots_purged += purged_now;
    Ok(())
}

fn bytes_of(view: &View, packs: &BTreeSet<PackName>) -> Result<u64> {
    Ok(view.index()?.packs().iter().filter(|p| packs.contains(&p.name)).map(|p| p.size).sum())
}
