//! Writing merged runs: sources are read side by side, a few blocks of each at a time, and each block of the new run is sealed as
//! soon as it is full. In memory is the new object as it is stored, and one block of its records.

use std::collections::BTreeSet;

use crate::backend::{BackendExt, Durability};
use crate::error::{Error, Result};
use crate::format::{Place, Record, RunWriter};
use crate::id::PackName;
use crate::index::{Index, MergedSources, Source};
use crate::monitor::check_cancelled;
use crate::names;
use crate::repository::Inner;

/// Of a pack that is in no part.
const NOWHERE: u32 = u32::MAX;

/// Writes the records of `sources` whose packs are not swept as one run, or as a few if they are more than `records_max`; each pack is in
/// one of them.
pub(super) fn write_runs(
    inner: &Inner,
    index: &Index,
    sources: &[&Source],
    records_max: u64,
) -> Result<BTreeSet<String>> {
    let is_swept = |number: u32| index.pack(number).is_none_or(|pack| pack.swept);
    let sources = &naming(sources, &|number| !is_swept(number));
    let records: u64 = sources.iter().map(|s| s.len()).sum();
    let parts = if records <= records_max {
        vec![Part { packs: packs(index, sources), records }]
    } else {
        parts(inner, index, sources, records_max)?
    };
    let mut names = BTreeSet::new();
    for part in parts {
        check_cancelled(inner.monitor.as_ref())?;
        names.extend(write_part(inner, index, sources, &part)?);
    }
    Ok(names)
}

/// Those of `sources` with a pack that is wanted: the others need not be read.
fn naming<'s>(sources: &[&'s Source], is_wanted: &dyn Fn(u32) -> bool) -> Vec<&'s Source> {
    sources.iter().filter(|source| source.named().any(is_wanted)).copied().collect()
}

/// What becomes one run.
#[derive(Debug, Default)]
struct Part {
    /// Numbers of its packs in the index.
    packs: Vec<u32>,
    /// Records at most.
    records: u64,
}

/// The packs that `sources` name and that are not swept, by their numbers in the index.
fn packs(index: &Index, sources: &[&Source]) -> Vec<u32> {
    let mut named = vec![false; index.packs().len()];
    for number in sources.iter().flat_map(|source| source.named()) {
        if let Some(named) = named.get_mut(number as usize) {
            *named = true;
        }
    }
    let all = (0_u32..).zip(index.packs().iter().zip(named));
    all.filter(|(_, (pack, named))| *named && !pack.swept).map(|(number, _)| number).collect()
}

/// Deals packs into parts of about `records_max`.
fn parts(inner: &Inner, index: &Index, sources: &[&Source], records_max: u64) -> Result<Vec<Part>> {
    let mut counts = vec![0_u64; index.packs().len()];
    for source in sources {
        source.each(&inner.packs, &mut |_, record| {
            if let Some(count) = counts.get_mut(record.place.pack as usize) {
                *count += 1;
            }
            Ok(())
        })?;
    }
    let mut parts = Vec::new();
    let mut open = Part::default();
    for number in packs(index, sources) {
        let count = counts.get(number as usize).copied().unwrap_or(0);
        if open.records > 0 && open.records + count > records_max {
            parts.push(std::mem::take(&mut open));
        }
        open.packs.push(number);
        open.records += count;
    }
    parts.push(open);
    Ok(parts)
}

/// Writes the records of one part as one run; none if there are none.
fn write_part(inner: &Inner, index: &Index, sources: &[&Source], part: &Part) -> Result<Option<String>> {
    let mut numbers = vec![NOWHERE; index.packs().len()];
    let mut packs: Vec<(PackName, u64)> = Vec::with_capacity(part.packs.len());
    for number in &part.packs {
        if let (Some(to), Some(pack)) = (numbers.get_mut(*number as usize), index.pack(*number)) {
            *to = packs.len() as u32;
            packs.push((pack.name.clone(), pack.size));
        }
    }
    let object = names::merged_run(inner.env.random_bytes()?);
    let mut run = RunWriter::new(&object, &inner.keys, inner.env.random_bytes()?, part.records)?;
    let is_wanted = |number: u32| numbers.get(number as usize).is_some_and(|number| *number != NOWHERE);
    let mut merged = MergedSources::new(&naming(sources, &is_wanted), &inner.packs)?;
    let mut copies = Vec::new();
    while let Some(record) = merged.next()? {
        if copies.first().is_some_and(|first: &Record| first.id != record.id) {
            write_copies(&mut run, &mut copies)?;
        }
        let number = numbers.get(record.place.pack as usize).copied();
        let number = number.ok_or_else(|| Error::missing("a pack that the index names"))?;
        if number != NOWHERE {
            copies.push(Record { place: Place { pack: number, ..record.place }, ..record });
        }
    }
    write_copies(&mut run, &mut copies)?;
    drop(merged);
    if run.len() == 0 {
        return Ok(None);
    }
    let bytes = run.finish(&packs)?;
    inner.backend.create(&object, &bytes, Durability::Deferred)?;
    Ok(Some(object))
}

/// Writes the records of one chunk, each once.
fn write_copies(run: &mut RunWriter, copies: &mut Vec<Record>) -> Result<()> {
    copies.sort_unstable();
    copies.dedup();
    copies.drain(..).try_for_each(|record| run.push(&record))
}
