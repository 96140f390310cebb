//! Merging: tables of contents and small runs become large runs, and entries of swept packs are dropped.
//!
//! Sits above the log and the index; sessions, pruning and repair use it, and it knows none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::backend::{BackendExt, Durability};
use crate::decision::{OwnPack, own_packs};
use crate::error::{Error, Result};
use crate::format::{Place, Record as IndexRecord, encode_run};
use crate::id::{PackName, SessionId};
use crate::index::{Index, IndexBuilder};
use crate::log::Record;
use crate::names;
use crate::repository::Inner;

/// Unmerged sessions that a reader may have to look at one by one.
const SESSIONS_MAX: usize = 32;
/// Runs that a look-up may have to ask.
const RUNS_MAX: usize = 12;
/// Records of one new run: bounds the memory of merging to about 50 MB. A power of two.
const RUN_RECORDS: u64 = 1 << 20;

/// Merges if there is reason to, or if `always`.
pub(crate) fn merge(inner: &Arc<Inner>, always: bool) -> Result<()> {
    let view = inner.view()?;
    let unmerged = Inner::unmerged(&view.state).len();
    let runs = view.state.runs.len() + view.state.rows.values().map(|r| r.runs.len()).sum::<usize>();
    let partitions = partitions(view.index()?);
    let reason = always
        || unmerged > SESSIONS_MAX
        || runs > RUNS_MAX.max(partitions * 2)
        || !view.state.swept.is_empty();
    if !reason || (unmerged == 0 && runs == 0) {
        return Ok(());
    }
    let added = write_runs(inner, view.index()?, partitions)?;
    let kept: BTreeSet<_> = view.index()?.unreadable().iter().map(|name| &name.session).collect();
    let unswept: BTreeSet<PackName> =
        view.state.swept.iter().filter(|name| !kept.contains(&name.session)).cloned().collect();
    inner.backend.sync()?;
    let mut outcome = None;
    inner.append(&mut |now| {
        // The new runs hold what the state of `view` named. If anything but new decisions came, they may be wrong: leave it.
        if now.state.n != view.state.n {
            return Ok(None);
        }
        // A pack whose table of contents cannot be read is in no run: its session goes on naming it.
        let sessions = view.state.rows.keys().filter(|s| !kept.contains(s)).cloned().collect();
        outcome = Some(());
        Ok(Some(Record::Merge {
            sessions,
            removed: view.state.runs.clone(),
            added: added.clone(),
            unswept: unswept.clone(),
        }))
    })?;
    if outcome.is_none() {
        for run in &added {
            inner.backend.remove(run)?;
        }
    }
    Ok(())
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
    let added = write_runs(inner, &index, partitions(&index))?;
    inner.backend.sync()?;
    let mut done = false;
    inner.append(&mut |now| {
        // Only these rows named their packs; as long as they still do, the new runs say the same.
        let same =
            merged.iter().all(|(s, packs)| now.state.rows.get(s).is_some_and(|row| row.packs == *packs));
        done = same && now.state.n == view.state.n;
        let theirs: BTreeSet<PackName> =
            merged.iter().flat_map(|(s, packs)| own_packs(s, packs)).map(|(name, _)| name).collect();
        Ok(done.then(|| Record::Merge {
            sessions: merged.keys().cloned().collect(),
            removed: BTreeSet::new(),
            added: added.clone(),
            unswept: now.state.swept.intersection(&theirs).cloned().collect(),
        }))
    })?;
    if !done {
        added.iter().try_for_each(|run| inner.backend.remove(run))?;
    }
    Ok(())
}

/// Into how many runs an index goes.
pub(crate) fn partitions(index: &Index) -> usize {
    let records: u64 = index.sources().iter().map(crate::index::Source::len).sum();
    (records.div_ceil(RUN_RECORDS).max(1) as usize).next_power_of_two().min(256)
}

/// Writes all records of packs that are not swept, as runs over equal parts of the space of ids.
pub(crate) fn write_runs(inner: &Inner, index: &Index, partitions: usize) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for part in 0..partitions {
        let mut numbers = vec![u32::MAX; index.packs().len()];
        let mut packs = Vec::new();
        let mut records = Vec::new();
        for source in index.sources() {
            source.each(&inner.packs, &mut |_, record| {
                let [first, ..] = record.id.0;
                let Some(pack) = index.pack(record.place.pack).filter(|p| !p.swept) else { return Ok(()) };
                if usize::from(first) * partitions / 256 != part {
                    return Ok(());
                }
                let number = numbers
                    .get_mut(record.place.pack as usize)
                    .ok_or_else(|| Error::missing("a pack that the index names"))?;
                if *number == u32::MAX {
                    *number = packs.len() as u32;
                    packs.push((pack.name.clone(), pack.size));
                }
                records.push(IndexRecord { place: Place { pack: *number, ..record.place }, ..record });
                Ok(())
            })?;
        }
        if records.is_empty() {
            continue;
        }
        records.sort_unstable();
        records.dedup();
        let object = names::merged_run(inner.env.random_bytes()?);
        let bytes = encode_run(&object, &inner.keys, inner.env.random_bytes()?, &packs, &records)?;
        inner.backend.create(&object, &bytes, Durability::Deferred)?;
        names.insert(object);
    }
    Ok(names)
}
