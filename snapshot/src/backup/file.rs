//! One regular file of the file system: read until it holds still, with its holes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use chronos_store::ChunkClass;
use rustix::fs::{Advice, OFlags};
use rustix::io::Errno;

use crate::backup::content::{Cutter, Extents, Failure, Known};
use crate::node::{Content, Node, NodeKind};
use crate::path::TreePath;
use crate::source::{Names, Stat, look, open};

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

/// Reads and stores the file at `path` of the file system, which looked like `node` when it was listed. `class` is that
/// of its previous version.
pub(crate) fn read(
    cutter: &mut Cutter<'_>,
    names: &Names,
    path: &TreePath,
    node: &Node,
    class: Option<ChunkClass>,
) -> Result<Read1, Failure> {
    let mut last = None;
    for _ in 0..TRIES {
        match attempt(cutter, names, path, node, class) {
            Ok((node, true)) => return Ok(Read1::Stored(node, None)),
            Ok((node, false)) => last = Some(node),
            Err(Failure::Read(e)) if e.kind() == io::ErrorKind::NotFound => return Ok(Read1::Vanished),
            Err(Failure::Read(e)) => return Ok(Read1::Failed(e.to_string())),
            Err(e) => return Err(e),
        }
    }
    Ok(match last {
        Some(node) => Read1::Stored(
            node,
            Some(format!("changed while it was read, {TRIES} times; stored as last read")),
        ),
        None => Read1::Failed("changed while it was read".to_owned()),
    })
}

/// Reads once; tells whether the file held still.
fn attempt(
    cutter: &mut Cutter<'_>,
    names: &Names,
    path: &TreePath,
    listed: &Node,
    class: Option<ChunkClass>,
) -> Result<(Node, bool), Failure> {
    let mut absolute = vec![b'/'];
    absolute.extend_from_slice(path.as_bytes());
    let mut file = open_file(&absolute).map_err(Failure::Read)?;
    let before = Stat::of(&file).map_err(Failure::Read)?;
    let mut node = if shows(listed, &before) {
        listed.clone()
    } else {
        look(&absolute, names).map_err(Failure::Read)?
    };
    if !matches!(node.kind, NodeKind::File(_)) {
        return Err(Failure::Read(io::Error::other("was replaced by something that is not a regular file")));
    }
    let held_still = shows(&node, &before);
    let known = Known { class, name: path.name(), size: Some(before.size) };
    let mut extents = Extents::default();
    let class = read_once(cutter, &mut file, &before, known, &mut extents)?;
    let after = Stat::of(&file).map_err(Failure::Read)?;
    if before.size >= BIG {
        // Advice only: a file system that does not take it loses nothing.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    }
    let same = held_still && before.same_content(&after) && extents.len == before.size;
    node.kind = NodeKind::File(Content { class, size: extents.len, extents: extents.list });
    Ok((node, same))
}

/// Whether a node was made from what `stat` shows.
fn shows(node: &Node, stat: &Stat) -> bool {
    (node.inode, node.mtime, node.ctime, node.size()) == (stat.inode, stat.mtime, stat.ctime, stat.size)
}

fn open_file(absolute: &[u8]) -> io::Result<File> {
    // Not blocking: the file may have been replaced by a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = match open(absolute, flags | OFlags::NOATIME) {
        // Only an owner may read without a trace in the access time.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => open(absolute, flags),
        other => other,
    };
    Ok(file?.into())
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
