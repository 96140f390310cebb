//! Reads back what was written and compares it with what the snapshot says.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use chronos_store::ChunkMark;
use rustix::fs::{Advice, Mode, SeekFrom};
use rustix::io::Errno;

use crate::error::Result;
use crate::node::{Content, Extent, Node, NodeKind, Time};
use crate::path::TreePath;
use crate::restore::metadata::{self, Attributes, Owners, Tally};
use crate::restore::place::Place;
use crate::restore::supply::Supply;
use crate::source::Stat;

/// Bytes of zeros read at once.
const BUFFER: usize = 1 << 18;

/// Whether the bytes of each extent come in one go, checked by their id: no blanks, nothing to be put together.
pub(crate) fn is_plain(content: &Content) -> bool {
    content.extents.iter().all(|e| matches!(e, Extent::Data { .. }) || e.only_part().is_some())
}

/// The error of a file that is not what was written.
pub(crate) fn not_the_same() -> io::Error {
    io::Error::other("what was written does not read back the same")
}

/// A file to be read back.
pub(crate) struct Restored {
    pub(crate) path: TreePath,
    pub(crate) file: File,
    pub(crate) node: Node,
}

/// What a reader needs.
#[derive(Debug)]
pub(crate) struct Verifier<'a> {
    pub(crate) place: &'a Place,
    pub(crate) supply: &'a dyn Supply,
    pub(crate) owners: &'a Owners,
    /// Whether every attribute could be set.
    pub(crate) is_complete: bool,
    /// Where attributes are counted that this file system does not keep.
    pub(crate) unkept: &'a Tally,
    /// Whether to read from the disk, not from what the system still remembers.
    pub(crate) past_cache: bool,
}

impl Verifier<'_> {
    /// Compares content and attributes of one file.
    pub(crate) fn file(&self, restored: &Restored, buffer: &mut Vec<u8>) -> Result<()> {
        let Restored { path, file, node } = restored;
        self.compare(file, node, buffer).map_err(|e| self.place.error(path, e))
    }

    fn compare(&self, file: &File, node: &Node, buffer: &mut Vec<u8>) -> io::Result<()> {
        let NodeKind::File(content) = &node.kind else { return Ok(()) };
        if self.past_cache {
            // Only advice; without it the comparison reads what is in memory.
            let _advised = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
        }
        if !self.same_content(file, content, buffer)? {
            return Err(not_the_same());
        }
        let want = Attributes::of(node, self.owners);
        if metadata::needed_to_read(want.mode) != 0 {
            // It was readable for this comparison only.
            rustix::fs::fchmod(file, Mode::from_raw_mode(want.mode))?;
        }
        attributes(file, node, &want, self.is_complete, self.unkept)
    }

    fn same_content(&self, file: &File, content: &Content, buffer: &mut Vec<u8>) -> io::Result<bool> {
        for (offset, extent) in content.placed() {
            let same = match extent {
                Extent::Data { id, len } => self.is_chunk(file, offset, id.mark(), *len, buffer)?,
                Extent::Assembled(made) => self.is_chunk(file, offset, made.mark, made.len, buffer)?,
                Extent::Hole { len } | Extent::Zero { len } => is_blank(file, offset, *len, buffer)?,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_chunk(
        &self,
        file: &File,
        offset: u64,
        mark: ChunkMark,
        len: u32,
        buffer: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let len = len as usize;
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let bytes = buffer.get_mut(..len).unwrap_or_default();
        file.read_exact_at(bytes, offset)?;
        Ok(self.supply.has_mark(mark, bytes))
    }
}

/// Whether a range reads as zeros; holes are skipped.
fn is_blank(file: &File, offset: u64, len: u64, buffer: &mut Vec<u8>) -> io::Result<bool> {
    if buffer.len() < BUFFER {
        buffer.resize(BUFFER, 0);
    }
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

/// Compares attributes. Where some could not be set (`is_complete` is false), those are not compared. Each was set
/// without an error, so that a mode, owner or time that is different now is not kept here: that is counted.
pub(crate) fn attributes(
    handle: &impl AsFd,
    node: &Node,
    want: &Attributes,
    is_complete: bool,
    unkept: &Tally,
) -> io::Result<()> {
    let size = matches!(node.kind, NodeKind::File(_)).then(|| node.size());
    let is_link = matches!(node.kind, NodeKind::Symlink(_));
    compare(handle, size, is_link, want, is_complete, unkept)
}

/// The same of an open regular file of that size.
pub(crate) fn attributes_of_file(
    file: &File,
    size: u64,
    want: &Attributes,
    is_complete: bool,
    unkept: &Tally,
) -> io::Result<()> {
    compare(file, Some(size), false, want, is_complete, unkept)
}

fn compare(
    handle: &impl AsFd,
    size: Option<u64>,
    is_link: bool,
    want: &Attributes,
    is_complete: bool,
    unkept: &Tally,
) -> io::Result<()> {
    let stat = Stat::of(handle)?;
    let now = Attributes::without_xattrs(&stat);
    if size.is_some_and(|size| size != stat.size) || (is_complete && !has_xattrs(handle, want)?) {
        return Err(io::Error::other("attributes do not read back the same"));
    }
    let mode = is_link || now.mode == want.mode || !is_complete;
    let owner = (now.uid, now.gid) == (want.uid, want.gid) || !is_complete;
    let time = now.mtime() == want.mtime() || is_rounded(now.mtime(), want.mtime());
    for (what, is_kept) in [("mode", mode), ("owner", owner), ("time", time)] {
        if !is_kept {
            unkept.add(format!("the {what} is not kept by this file system"));
        }
    }
    Ok(())
}

/// Whether every wanted attribute is there; the kernel may have added labels of its own.
fn has_xattrs(handle: &impl AsFd, want: &Attributes) -> io::Result<bool> {
    if want.xattrs.is_empty() {
        return Ok(true);
    }
    let now = Attributes::read(handle)?;
    Ok(want.xattrs.iter().all(|x| now.xattrs.contains(x)))
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
