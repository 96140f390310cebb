//! Writing merged runs.

use std::collections::BTreeSet;

use super::plan::RUN_RECORDS;
use crate::backend::{BackendExt, Durability};
use crate::error::{Error, Result};
use crate::format::{Place, Record, encode_run};
use crate::index::{Index, Source};
use crate::names;
use crate::repository::Inner;

/// Writes the records of `sources` whose packs are not swept as one run, or as a few if they are many; each pack is in one of them.
pub(super) fn write_runs(inner: &Inner, index: &Index, sources: &[&Source]) -> Result<BTreeSet<String>> {
    let records: u64 = sources.iter().map(|s| s.len()).sum();
    let parts =
        if records <= RUN_RECORDS { vec![0; index.packs().len()] } else { parts(inner, index, sources)? };
    let count = parts.iter().max().map_or(0, |last| last + 1);
    let mut names = BTreeSet::new();
    for part in 0..count {
        crate::monitor::check_cancelled(inner.monitor.as_ref())?;
        names.extend(write_part(inner, index, sources, &|pack| parts.get(pack as usize) == Some(&part))?);
    }
    Ok(names)
}

/// Deals packs into parts of about [`RUN_RECORDS`].
fn parts(inner: &Inner, index: &Index, sources: &[&Source]) -> Result<Vec<u32>> {
    let mut counts = vec![0_u64; index.packs().len()];
    for source in sources {
        source.each(&inner.packs, &mut |_, record| {
            if let Some(count) = counts.get_mut(record.place.pack as usize) {
                *count += 1;
            }
            Ok(())
        })?;
    }
    let (mut part, mut records) = (0, 0);
    let deal = counts.into_iter().map(|count| {
        if records > 0 && records + count > RUN_RECORDS {
            part += 1;
            records = 0;
        }
        records += count;
        part
    });
    Ok(deal.collect())
}

/// Writes the records of the packs that `wanted` names as one run; none if there are none.
fn write_part(
    inner: &Inner,
    index: &Index,
    sources: &[&Source],
    wanted: &dyn Fn(u32) -> bool,
) -> Result<Option<String>> {
    let mut numbers = vec![u32::MAX; index.packs().len()];
    let mut packs = Vec::new();
    let mut records = Vec::new();
    for source in sources {
        source.each(&inner.packs, &mut |_, record| {
            let Some(pack) = index.pack(record.place.pack).filter(|p| !p.swept && wanted(record.place.pack))
            else {
                return Ok(());
            };
            let number = numbers
                .get_mut(record.place.pack as usize)
                .ok_or_else(|| Error::missing("a pack that the index names"))?;
            if *number == u32::MAX {
                *number = packs.len() as u32;
                packs.push((pack.name.clone(), pack.size));
            }
            records.push(Record { place: Place { pack: *number, ..record.place }, ..record });
            Ok(())
        })?;
    }
    if records.is_empty() {
        return Ok(None);
    }
    records.sort_unstable();
    records.dedup();
    let object = names::merged_run(inner.env.random_bytes()?);
    let bytes = encode_run(&object, &inner.keys, inner.env.random_bytes()?, &packs, &records)?;
    inner.backend.create(&object, &bytes, Durability::Deferred)?;
    Ok(Some(object))
}
