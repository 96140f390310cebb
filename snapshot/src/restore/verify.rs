//! Reads back what was written and compares it with what the repository gave.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Advice, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::node::Time;
use crate::path::TreePath;
use crate::restore::metadata::Attributes;
use crate::restore::plan::Planned;
use crate::restore::write::{Builder, Target, Window};
use crate::source::Stat;

/// Bytes read at once.
const BUFFER: usize = 1 << 18;
/// Threads that read back: small files wait for the disk one by one, and a disk serves several at once.
const READERS: usize = 8;

/// What each chunk of a window was when it was written: half of its BLAKE3 hash, and its length.
#[derive(Debug)]
pub(crate) struct Check {
    sums: Option<Mutex<Vec<Sum>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    hash: [u8; 16],
    len: usize,
}

impl Check {
    /// For that many chunks; remembers nothing unless it `is_wanted`.
    pub(crate) fn new(chunks: usize, is_wanted: bool) -> Self {
        Self { sums: is_wanted.then(|| Mutex::new(vec![Sum::default(); chunks])) }
    }

    /// Remembers a chunk.
    pub(crate) fn remember(&self, number: usize, bytes: &[u8]) {
        let Some(sums) = &self.sums else { return };
        let sum = Sum { hash: hash(bytes), len: bytes.len() };
        if let Some(slot) = sums.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number) {
            *slot = sum;
        }
    }

    fn get(&self, number: usize) -> Option<Sum> {
        let sums = self.sums.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        sums.get(number).copied()
    }
}

fn hash(bytes: &[u8]) -> [u8; 16] {
    let full = *blake3::hash(bytes).as_bytes();
    let mut half = [0; 16];
    half.copy_from_slice(full.split_at(16).0);
    half
}

/// Compares the contents of a window, but of files that are `lost`. They are read from the disk where the system allows it.
pub(crate) fn contents(
    builder: &Builder<'_>,
    window: &Window,
    check: &Check,
    lost: &HashMap<usize, String>,
) -> Result<()> {
    let folders: BTreeSet<TreePath> = window.files.iter().filter_map(|f| f.staged.parent()).collect();
    let place = builder.place;
    place.sync(&Vec::from_iter(folders)).map_err(|e| place.error(&TreePath::root(), e))?;
    let mut chunks: HashMap<usize, Vec<usize>> = HashMap::new();
    for (number, spot) in window.spots.iter().enumerate() {
        chunks.entry(spot.file).or_default().push(number);
    }
    let mut blanks: HashMap<usize, Vec<(u64, u64)>> = HashMap::new();
    for (file, offset, len) in &window.blanks {
        blanks.entry(*file).or_default().push((*offset, *len));
    }
    let next = AtomicUsize::new(0);
    let compare = || {
        let mut buffer = vec![0; BUFFER];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = window.files.get(number) else { return Ok(()) };
            if lost.contains_key(&number) {
                continue;
            }
            chronos_store::check_cancelled(builder.monitor)?;
            let file = File { builder, target, window, check };
            let chunks = chunks.get(&number).map(Vec::as_slice).unwrap_or_default();
            let blanks = blanks.get(&number).map(Vec::as_slice).unwrap_or_default();
            if !file.is_same(chunks, blanks, &mut buffer).map_err(|e| place.error(&target.staged, e))? {
                return Err(differs(builder, target.entry));
            }
        }
    };
    let readers = READERS.min(window.files.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..readers).map(|_| scope.spawn(compare)).collect();
        let ended = threads.into_iter().map(|t| {
            let panicked = |_| place.error(&TreePath::root(), io::Error::other("comparing stopped"));
            t.join().map_err(panicked).and_then(|done| done)
        });
        // All are joined before the first error is looked at.
        ended.collect::<Vec<Result<()>>>().into_iter().collect()
    })
}

/// A file to be compared.
#[derive(Debug)]
struct File<'a> {
    builder: &'a Builder<'a>,
    target: &'a Target,
    window: &'a Window,
    check: &'a Check,
}

impl File<'_> {
    fn is_same(&self, chunks: &[usize], blanks: &[(u64, u64)], buffer: &mut Vec<u8>) -> io::Result<bool> {
        let file = self.builder.place.open_file(&self.target.staged, self.target.inode, OFlags::RDONLY)?;
        // Only advice; without it the comparison reads what is in memory.
        let _advised = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        for chunk in chunks {
            let (Some(spot), Some(sum)) = (self.window.spots.get(*chunk), self.check.get(*chunk)) else {
                continue;
            };
            if buffer.len() < sum.len {
                buffer.resize(sum.len, 0);
            }
            let bytes = buffer.get_mut(..sum.len).unwrap_or_default();
            file.read_exact_at(bytes, spot.offset)?;
            if hash(bytes) != sum.hash {
                return Ok(false);
            }
        }
        for (offset, len) in blanks {
            if !is_blank(&file, *offset, *len, buffer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn differs(builder: &Builder<'_>, entry: usize) -> Error {
    let path = builder.plan.entries.get(entry).map(|e| e.path.clone()).unwrap_or_default();
    builder.place.error(&path, io::Error::other("what was written does not read back the same"))
}

/// Whether a range reads as zeros; holes are skipped.
fn is_blank(file: &std::fs::File, offset: u64, len: u64, buffer: &mut [u8]) -> io::Result<bool> {
    let end = offset.saturating_add(len);
    let mut at = offset;
    while at < end {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) if data < end => data.max(at),
            Ok(_) | Err(Errno::NXIO) => return Ok(true),
            Err(e) => return Err(e.into()),
        };
        let step = (end - at).min(buffer.len() as u64);
        let piece = buffer.get_mut(..step as usize).unwrap_or_default();
        file.read_exact_at(piece, at)?;
        if piece.iter().any(|b| *b != 0) {
            return Ok(false);
        }
        at += step;
    }
    Ok(true)
}

/// Compares attributes, but for what is known not to be settable here.
pub(crate) fn attributes(
    builder: &Builder<'_>,
    entry: &Planned,
    staged: &TreePath,
    want: &Attributes,
) -> Result<()> {
    let error = |e: io::Error| builder.place.error(&entry.path, e);
    let handle = builder.place.handle(staged).map_err(error)?;
    let now = Attributes::read(&handle).map_err(error)?;
    let stat = Stat::of(&handle).map_err(error)?;
    let size = entry.node.as_ref().map_or(0, crate::node::Node::size);
    let is_link = matches!(entry.node.as_ref().map(|n| &n.kind), Some(crate::node::NodeKind::Symlink(_)));
    let is_file = matches!(entry.node.as_ref().map(|n| &n.kind), Some(crate::node::NodeKind::File(_)));
    let time = now.mtime() == want.mtime() || is_rounded(now.mtime(), want.mtime());
    let settled = builder.tally.is_empty();
    let mode = is_link || now.mode == want.mode || !settled;
    let owner = (now.uid, now.gid) == (want.uid, want.gid) || !settled;
    if (is_file && stat.size != size) || !time || !mode || !owner {
        return Err(error(io::Error::other("attributes do not read back the same")));
    }
    Ok(())
}

/// Whether `found` is `wanted` as a file system with a coarser clock keeps it: rounded down.
fn is_rounded(found: Time, wanted: Time) -> bool {
    /// Nanoseconds: NTFS, network file systems, exFAT, ext3 and most archives.
    const GRAINS: [u32; 5] = [100, 1_000, 1_000_000, 10_000_000, 1_000_000_000];
    /// Seconds: FAT.
    const FAT: i64 = 2;
    let within = GRAINS.iter().any(|grain| found.nanos == wanted.nanos - wanted.nanos % grain);
    (found.seconds == wanted.seconds && within)
        || (found.nanos == 0 && found.seconds == wanted.seconds - wanted.seconds.rem_euclid(FAT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarser_clock_rounds_down_and_nothing_else_is_the_same_time() {
        let time = |seconds, nanos| Time { seconds, nanos };
        let wanted = time(1_001, 123_456_789);
        for nanos in [123_456_700, 123_456_000, 123_000_000, 120_000_000, 0] {
            assert!(is_rounded(time(1_001, nanos), wanted), "{nanos}");
        }
        assert!(is_rounded(time(1_000, 0), wanted));
        assert!(is_rounded(time(-4, 0), time(-3, 5)));
        for other in
            [time(1_001, 123_456_800), time(1_001, 500), time(1_002, 0), time(999, 0), time(1_000, 1)]
        {
            assert!(!is_rounded(other, wanted), "{other:?}");
        }
    }
}
