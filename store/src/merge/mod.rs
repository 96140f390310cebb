//! Merging: tables of contents and runs become larger runs, and entries of swept packs are dropped.
//!
//! Sits above the log and the index; sessions, pruning and repair use it, and it knows none of them.

mod plan;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::backend::BackendExt;
use crate::decision::{OwnPack, own_packs};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackName, SessionId};
use crate::index::{Index, IndexBuilder, Source};
use crate::log::Record;
use crate::names;
use crate::repository::Inner;
use crate::state::{Row, State};
use crate::view::View;

use plan::{RUN_RECORDS_MIN, Size, plan, run_records};
use write::write_runs;

/// Unmerged sessions that a reader may have to look at one by one.
const SESSIONS_MAX: usize = 32;

/// Merges if there is reason to; everything if `always`.
pub(crate) fn merge(inner: &Arc<Inner>, view: &Arc<View>, always: bool) -> Result<()> {
    let index = view.index_to_merge()?;
    let tables = always || view.state.rows.values().filter(|r| !r.packs.is_empty()).count() > SESSIONS_MAX;
    let chosen: Vec<&Source> =
        index.sources().iter().filter(|s| tables || matches!(s, Source::Run(_))).collect();
    let sizes: Vec<Size> = chosen.iter().map(|source| size(index, source)).collect();
    let is_table = |at: usize| chosen.get(at).is_some_and(|s| matches!(s, Source::Table(_)));
    let groups = plan(&sizes, &|at| always || is_table(at));
    if groups.is_empty() {
        return Ok(());
    }
    let records_max = run_records(sizes.iter().map(|size| size.records).sum());
    let mut merged = Merged::default();
    for group in &groups {
        let sources: Vec<&Source> = group.iter().filter_map(|at| chosen.get(*at).copied()).collect();
        merged.added.extend(write_runs(inner, index, &sources, records_max)?);
        merged.replaced.extend(sources.into_iter().filter_map(Source::object).map(str::to_owned));
    }
    merged.sessions = sessions(view, tables)?;
    // Runs of sessions that are not replaced become runs of the state as they are.
    let theirs = merged.sessions.iter().filter_map(|s| view.state.rows.get(s)).flat_map(|row| &row.runs);
    merged.adopted.extend(theirs.filter(|run| !merged.replaced.contains(*run)).cloned());
    merged.publish(inner, view).map(|_| ())
}

/// Takes the tables of contents of unmerged sessions into one run (or a few), and leaves the runs that there are alone: what a
/// backup can afford.
pub(crate) fn merge_sessions(inner: &Arc<Inner>) -> Result<()> {
    let view = inner.view()?;
    let swept = &view.state.swept;
    let mut builder = IndexBuilder::new(&view.state);
    let mut merged: BTreeMap<SessionId, Vec<OwnPack>> = BTreeMap::new();
    for (session, row) in view.state.rows.iter().filter(|(_, row)| !row.packs.is_empty()) {
        let packs: Vec<_> =
            own_packs(session, &row.packs).filter(|(name, _)| !swept.contains(name)).collect();
        let tocs = inner.packs.tocs(&inner.catalogue, &packs);
        // A pack whose table of contents cannot be read is in no run: its session goes on naming it.
        let Ok(tocs) = tocs.into_iter().collect::<Result<Vec<_>>>() else { continue };
        for ((name, size), toc) in packs.iter().zip(tocs) {
            builder.add_pack(name, *size, &toc.toc);
        }
        merged.insert(session.clone(), row.packs.clone());
    }
    if merged.len() < 2 {
        return Ok(());
    }
    let index = builder.finish(Arc::clone(&inner.packs));
    let added = write_runs(inner, &index, &index.sources().iter().collect::<Vec<_>>(), RUN_RECORDS_MIN)?;
    let sessions = merged.into_keys().collect();
    Merged { added, sessions, ..Merged::default() }.publish(inner, &view).map(|_| ())
}

/// Writes the index anew from the tables of contents of `packs`; tells of packs that cannot be read. [`Error::Busy`] if the log
/// grew meanwhile. Returns how many runs there are now.
pub(crate) fn rebuild(
    inner: &Arc<Inner>,
    view: &Arc<View>,
    packs: &[(PackName, u64)],
    unreadable: &mut dyn FnMut(&Error),
) -> Result<usize> {
    let mut added = BTreeSet::new();
    let mut builder = IndexBuilder::new(&view.state);
    let mut records = 0;
    let mut kept = BTreeSet::new();
    let write = |builder: IndexBuilder, added: &mut BTreeSet<String>| -> Result<()> {
        let index = builder.finish(Arc::clone(&inner.packs));
        added.extend(write_runs(
            inner,
            &index,
            &index.sources().iter().collect::<Vec<_>>(),
            RUN_RECORDS_MIN,
        )?);
        Ok(())
    };
    for (name, size) in packs {
        match inner.packs.toc(name, Some(*size)) {
            Ok(toc) => {
                let chunks = toc.toc.chunks.len() as u64;
                if records + chunks > RUN_RECORDS_MIN {
                    write(std::mem::replace(&mut builder, IndexBuilder::new(&view.state)), &mut added)?;
                    records = 0;
                }
                records += chunks;
                builder.add_pack(name, *size, &toc.toc);
            }
            Err(e) if e.kind() == ErrorKind::Damaged => {
                unreadable(&e);
                kept.insert(&name.session);
            }
            Err(e) => return Err(e),
        }
    }
    write(builder, &mut added)?;
    let runs = added.len();
    // A pack whose table of contents cannot be read is in no run: its session goes on naming it.
    let named = |(session, row): &(&SessionId, &Row)| row.packs.is_empty() || !kept.contains(session);
    let sessions = view.state.rows.iter().filter(named).map(|(session, _)| session.clone()).collect();
    let merged = Merged { added, sessions, replaced: view.state.runs.clone(), ..Merged::default() };
    if merged.publish(inner, view)? {
        Ok(runs)
    } else {
        Err(Error::Busy("the log of the repository grew meanwhile: run repair again; it".into()))
    }
}

fn size(index: &Index, source: &Source) -> Size {
    let packs = source.packs();
    let is_swept = |number: &&u32| index.pack(**number).is_some_and(|p| p.swept);
    Size {
        records: source.len(),
        packs: packs.len() as u64,
        swept: packs.iter().filter(is_swept).count() as u64,
    }
}

/// Sessions of which all that counts is in runs now; those with tables of contents only if these were merged.
fn sessions(view: &View, tables: bool) -> Result<BTreeSet<SessionId>> {
    // A pack whose table of contents cannot be read is in no run: its session goes on naming it.
    let kept: BTreeSet<&SessionId> = view.index()?.unreadable().iter().map(|name| &name.session).collect();
    let rows = view.state.rows.iter().filter(|(_, row)| !row.merged && (tables || row.packs.is_empty()));
    Ok(rows.map(|(session, _)| session).filter(|s| !kept.contains(s)).cloned().collect())
}

/// What was written, and what it stands for.
#[derive(Debug, Default)]
struct Merged {
    /// New runs.
    added: BTreeSet<String>,
    /// Runs of sessions that the state takes over as they are.
    adopted: BTreeSet<String>,
    /// Runs that the new ones replace.
    replaced: BTreeSet<String>,
    /// Sessions whose packs and runs all are in runs of the state now.
    sessions: BTreeSet<SessionId>,
}

impl Merged {
    /// Publishes the record. The new runs hold what the state of `view` named: if anything but new decisions came since, they may
    /// be wrong, and go again; `false` then.
    fn publish(self, inner: &Arc<Inner>, view: &Arc<View>) -> Result<bool> {
        inner.backend.sync()?;
        let unswept = self.unswept(inner, view)?;
        let mut done = false;
        inner.append(&mut |now| {
            done = now.state.n == view.state.n && self.still_says(&now.state, &view.state);
            Ok(done.then(|| Record::Merge {
                sessions: self.sessions.clone(),
                removed: self.replaced.intersection(&view.state.runs).cloned().collect(),
                added: self.added.union(&self.adopted).cloned().collect(),
                unswept: unswept.clone(),
            }))
        })?;
        if !done {
            self.added.iter().try_for_each(|run| inner.discard(run).map(drop))?;
        }
        Ok(done)
    }

    /// Whether the rows of the sessions still name what was merged.
    fn still_says(&self, now: &State, then: &State) -> bool {
        self.sessions.iter().all(|s| match (now.rows.get(s), then.rows.get(s)) {
            (Some(now), Some(then)) => now.packs == then.packs && now.runs == then.runs,
            _ => false,
        })
    }

    /// Swept packs that neither a run nor a session names any more, and that are deleted: were one still there, whoever builds the
    /// index from packs could take it for one that counts, while a slow prune is about to delete it.
    fn unswept(&self, inner: &Inner, view: &View) -> Result<BTreeSet<PackName>> {
        let mut left = view.state.swept.clone();
        for (session, row) in view.state.rows.iter().filter(|(s, _)| !self.sessions.contains(s)) {
            for (name, _) in own_packs(session, &row.packs) {
                left.remove(&name);
            }
        }
        if left.is_empty() {
            return Ok(left);
        }
        let index = view.places()?;
        for source in index.sources() {
            if source.object().is_some_and(|run| !self.replaced.contains(run)) {
                for pack in source.packs().iter().filter_map(|number| index.pack(*number)) {
                    left.remove(&pack.name);
                }
            }
        }
        let mut gone = BTreeSet::new();
        for name in left {
            if !inner.backend.exists(&names::pack(&name))? {
                gone.insert(name);
            }
        }
        Ok(gone)
    }
}
