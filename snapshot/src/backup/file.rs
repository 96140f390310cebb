//! One regular file of the file system: read until it holds still, with its holes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use chronos_store::ChunkClass;
use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::Errno;

use crate::backup::content::{Cutter, Failure, Known, class_of};
use crate::backup::extents::Extents;
use crate::node::{Content, Node, NodeKind};
use crate::path::TreePath;
use crate::source::{Names, Stat, look, open_holder, xattrs};
use crate::tree::RawEntry;

/// How often a file is read that changes while it is read.
const TRIES: usize = 3;
/// A file from this size on is dropped from the page cache once it is read; smaller ones are likely used by others.
const BIG: u64 = 8 << 20;

/// What became of a file.
#[derive(Debug)]
pub(crate) enum Read1 {
    /// Read; the problem says what is not as it should be.
    Stored(Node, Option<String>),
    /// Removed before it could be opened.
    Vanished,
    /// Not read.
    Failed(String),
}

/// A file to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    pub(crate) path: &'w TreePath,
    /// As it was listed.
    pub(crate) node: &'w Node,
    /// Device and inode of the folder that it was listed in.
    pub(crate) folder: (u64, u64),
    /// The entry of the previous snapshot, if that was a file.
    pub(crate) before: Option<&'w RawEntry>,
}

/// Reads and stores a file of the file system.
pub(crate) fn read(
    cutter: &mut Cutter<'_>,
    folder: &mut Folder,
    names: &Names,
    wanted: Wanted<'_>,
) -> Result<Read1, Failure> {
    let mut last = None;
    for _ in 0..TRIES {
        match attempt(cutter, folder, names, wanted) {
            Ok((node, true)) => return Ok(Read1::Stored(node, None)),
            Ok((node, false)) => last = Some(node),
            Err(Failure::Read(e)) if e.kind() == io::ErrorKind::NotFound => return Ok(Read1::Vanished),
            Err(Failure::Read(e)) => return Ok(Read1::Failed(e.to_string())),
            Err(e) => return Err(e),
        }
    }
    Ok(match last {
        Some(node) => {
            let what = format!("changed while it was read, {TRIES} times; stored as last read");
            Read1::Stored(node, Some(what))
        }
        None => Read1::Failed("changed while it was read".to_owned()),
    })
}

/// Reads once; tells whether the file held still.
fn attempt(
    cutter: &mut Cutter<'_>,
    folder: &mut Folder,
    names: &Names,
    wanted: Wanted<'_>,
) -> Result<(Node, bool), Failure> {
    let Opened { mut file, stat: before, mut node } = opened(folder, names, wanted).map_err(Failure::Read)?;
    let held_still = shows(&node, &before);
    let class = wanted.before.and_then(class_of);
    let known = Known { class, name: wanted.path.name(), size: Some(before.size) };
    let mut extents = cutter.begin(wanted.before);
    let class = read_once(cutter, &mut file, &before, known, &mut extents)?;
    let after = Stat::of(&file).map_err(Failure::Read)?;
    if before.size >= BIG {
        // Advice only: a file system that does not take it loses nothing.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    }
    let size = extents.len;
    let same = held_still && before.same_content(&after) && size == before.size;
    node.kind = NodeKind::File(Content { class, size, extents: extents.list });
    Ok((node, same))
}

struct Opened {
    file: File,
    stat: Stat,
    node: Node,
}

/// The folder that the last file was opened in: its neighbours are opened without a path.
#[derive(Debug, Default)]
pub(crate) struct Folder(Option<((u64, u64), OwnedFd)>);

impl Folder {
    /// The folder of a file, if it is still the one in which the file was listed.
    fn of(&mut self, wanted: Wanted<'_>) -> io::Result<BorrowedFd<'_>> {
        if self.0.as_ref().is_none_or(|(folder, _)| *folder != wanted.folder) {
            self.0 = Some((wanted.folder, open_holder(&wanted.path.to_absolute(), wanted.folder)?));
        }
        self.0.as_ref().map(|(_, dir)| dir.as_fd()).ok_or_else(|| Errno::NOENT.into())
    }
}

/// Opens the file that was listed. If another one is there now, or it has changed since, it is looked at anew, in the
/// folder that it was listed in and in no other.
fn opened(folder: &mut Folder, names: &Names, wanted: Wanted<'_>) -> io::Result<Opened> {
    let dir = folder.of(wanted)?;
    let name = wanted.path.name();
    if let Some(file) = open_in(dir, name)? {
        let stat = Stat::of(&file)?;
        if shows(wanted.node, &stat) {
            let node = Node { xattrs: xattrs::of_file(&file)?, ..wanted.node.clone() };
            return Ok(Opened { file, stat, node });
        }
    }
    let node = look(dir, name, names)?;
    let file = if matches!(node.kind, NodeKind::File(_)) { open_in(dir, name)? } else { None };
    let file =
        file.ok_or_else(|| io::Error::other("was replaced by something that is not a regular file"))?;
    let stat = Stat::of(&file)?;
    Ok(Opened { file, stat, node })
}

/// Opens a file to read it; `None` if it is a link by now.
fn open_in(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<File>> {
    // Not blocking: the file may have been replaced by a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let open = |flags| rustix::fs::openat(dir, name, flags, Mode::empty());
    match open(flags | OFlags::NOATIME) {
        // Only an owner may read without a trace in the access time.
        Err(Errno::PERM) => Ok(Some(open(flags)?.into())),
        Err(Errno::LOOP) => Ok(None),
        file => Ok(Some(file?.into())),
    }
}

/// Whether a node was made from what `stat` shows.
fn shows(node: &Node, stat: &Stat) -> bool {
    (node.inode, node.mtime, node.ctime, node.size()) == (stat.inode, stat.mtime, stat.ctime, stat.size)
}

fn read_once(
    cutter: &mut Cutter<'_>,
    file: &mut File,
    stat: &Stat,
    mut known: Known<'_>,
    extents: &mut Extents,
) -> Result<ChunkClass, Failure> {
    if stat.size >= BIG {
        // Advice only.
        let _ = rustix::fs::fadvise(&*file, 0, None, Advice::Sequential);
    }
    if stat.allocated >= stat.size {
        return cutter.store(&mut file.take(stat.size), known, extents);
    }
    for (start, end) in data_ranges(file, stat.size).map_err(Failure::Read)? {
        extents.hole(start.saturating_sub(extents.len));
        file.seek(SeekFrom::Start(start)).map_err(Failure::Read)?;
        known.class = Some(cutter.store(&mut (&*file).take(end - start), known, extents)?);
        if extents.len < end {
            break;
        }
    }
    if extents.len < stat.size {
        let now = Stat::of(file.as_fd()).map_err(Failure::Read)?;
        extents.hole(now.size.min(stat.size).saturating_sub(extents.len));
    }
    Ok(known.class.unwrap_or(ChunkClass::Std))
}

/// Where a sparse file has data. A file system that does not tell has data everywhere.
fn data_ranges(file: &File, size: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole follows.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(vec![(0, size)]),
            Err(e) => return Err(e.into()),
        };
        let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start))?.min(size);
        if start >= end {
            break;
        }
        ranges.push((start, end));
        at = end;
    }
    Ok(ranges)
}
