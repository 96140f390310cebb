//! Merging: tables of contents and small runs become large runs, and entries of swept packs are dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::backend::{BackendExt, Durability};
use crate::error::{Error, Result};
use crate::format::{Place, Record as IndexRecord, encode_run};
use crate::id::PackName;
use crate::index::Index;
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

/// Into how many runs an index goes.
pub(super) fn partitions(index: &Index) -> usize {
    let records: u64 = index.sources().iter().map(crate::index::Source::len).sum();
    (records.div_ceil(RUN_RECORDS).max(1) as usize).next_power_of_two().min(256)
}

/// Writes all records of packs that are not swept, as runs over equal parts of the space of ids.
pub(super) fn write_runs(inner: &Inner, index: &Index, partitions: usize) -> Result<BTreeSet<String>> {
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
