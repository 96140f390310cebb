//! Reading stored data: whole packs against their hashes, frames against their seals, chunks against their ids.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{CheckReport, Finding, ReadData, add};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackName;
use crate::local::CheckMemory;
use crate::monitor::check_cancelled;
use crate::packs::{chunks_of, lock};
use crate::repository::Inner;
use crate::view::View;

/// Threads that read packs; each holds one pack in memory.
const THREADS_MAX: usize = 4;

/// Reads as many packs as asked for, the longest unread first, and remembers them. Returns those that are damaged.
pub(super) fn read(view: &Arc<View>, what: ReadData, report: &mut CheckReport) -> Result<HashSet<PackName>> {
    let inner = &view.inner;
    let mut memory = CheckMemory::load(&inner.folders)?;
    let sizes: BTreeMap<PackName, u64> =
        view.index()?.packs().iter().filter(|p| !p.swept).map(|p| (p.name.clone(), p.size)).collect();
    memory.retain(sizes.keys());
    let mut packs: Vec<PackName> = sizes.keys().cloned().collect();
    memory.sort_longest_unread(&mut packs);
    let total: u64 = sizes.values().sum();
    let budget = match what {
        ReadData::None => return Ok(HashSet::new()),
        ReadData::All => u64::MAX,
        ReadData::Bytes(bytes) => bytes,
        ReadData::Share(share) => (total as f64 * share.clamp(0.0, 1.0)).ceil() as u64,
    };
    let mut left = budget;
    packs.retain(|name| {
        let size = sizes.get(name).copied().unwrap_or(0);
        let wanted = left > 0;
        left = left.saturating_sub(size);
        wanted
    });
    inner.monitor.phase("read");
    inner.monitor.total(packs.len() as u64, packs.iter().filter_map(|p| sizes.get(p)).sum());
    let (read, bad) = read_packs(inner, &packs, &sizes, report)?;
    let seconds = i64::try_from(inner.env.clock.now() / 1_000_000_000).unwrap_or(0);
    read.iter().for_each(|name| memory.note(name, seconds));
    if let Err(e) = memory.save() {
        inner
            .monitor
            .problem(&format!("{e}: what was read is not remembered, the next check may read it again"));
    }
    Ok(bad)
}

/// Packs that were read in full, and packs that are damaged.
type Outcome = (Vec<PackName>, HashSet<PackName>);

fn read_packs(
    inner: &Arc<Inner>,
    packs: &[PackName],
    sizes: &BTreeMap<PackName, u64>,
    report: &mut CheckReport,
) -> Result<Outcome> {
    let next = AtomicUsize::new(0);
    let gathered = Mutex::new((Outcome::default(), CheckReport::default()));
    let work = || -> Result<()> {
        while let Some(name) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            check_cancelled(inner.monitor.as_ref())?;
            let outcome = read_pack(inner, name, sizes.get(name).copied());
            inner.monitor.advance(1, sizes.get(name).copied().unwrap_or(0));
            let mut gathered = lock(&gathered);
            let ((read, bad), report) = &mut *gathered;
            match outcome {
                Ok(chunks) => {
                    report.packs_read += 1;
                    report.chunks_read += chunks;
                    read.push(name.clone());
                }
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    report.packs_read += 1;
                    add(&mut report.errors, Finding::of(&e));
                    bad.insert(name.clone());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    };
    let threads = inner.env.cores().max(inner.backend.lanes()).min(THREADS_MAX);
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut outcome = work();
        for helper in helpers {
            outcome = outcome.and(
                helper.join().map_err(|_| Error::Invalid("a reading thread panicked".into())).and_then(|r| r),
            );
        }
        outcome
    })?;
    let (outcome, part) = gathered.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report.packs_read += part.packs_read;
    report.chunks_read += part.chunks_read;
    part.errors.into_iter().for_each(|f| add(&mut report.errors, f));
    Ok(outcome)
}

/// Reads one pack in full; how many chunks were checked.
pub(super) fn read_pack(inner: &Inner, name: &PackName, size: Option<u64>) -> Result<u64> {
    let toc = inner.packs.toc(name, size)?;
    let pack = inner.read(&toc.object)?;
    toc.footer.check_whole(&toc.object, &pack)?;
    let mut chunks_read = 0;
    for (_, frame, chunks) in toc.toc.iter() {
        let from = frame.offset as usize;
        let sealed = pack.get(from..from + frame.sealed as usize).unwrap_or_default().to_vec();
        let plain = inner.packs.open(&toc, frame, sealed)?;
        for (id, bytes) in chunks_of(&plain, chunks) {
            if inner.keys.chunk_id(frame.kind, bytes) != id {
                return Err(Error::damaged(
                    &toc.object,
                    format!("chunk {id} has other bytes than its id says"),
                ));
            }
            chunks_read += 1;
        }
    }
    Ok(chunks_read)
}
