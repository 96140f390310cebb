//! Reads back what was written and compares it with what the repository gave.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Advice, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::restore::metadata::Attributes;
use crate::restore::plan::Planned;
use crate::restore::write::{Builder, Window};
use crate::source::Stat;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

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
    let mut buffer = vec![0; BUFFER];
    for (number, target) in window.files.iter().enumerate().filter(|(n, _)| !lost.contains_key(n)) {
        let error = |e: io::Error| place.error(&target.staged, e);
        let file = place.open_file(&target.staged, target.inode, OFlags::RDONLY).map_err(error)?;
        // Only advice; without it the comparison reads what is in memory.
        let _advised = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        for chunk in chunks.get(&number).map(Vec::as_slice).unwrap_or_default() {
            let (Some(spot), Some(sum)) = (window.spots.get(*chunk), check.get(*chunk)) else { continue };
            if buffer.len() < sum.len {
                buffer.resize(sum.len, 0);
            }
            let bytes = buffer.get_mut(..sum.len).unwrap_or_default();
            file.read_exact_at(bytes, spot.offset).map_err(error)?;
            if hash(bytes) != sum.hash {
                return Err(differs(builder, target.entry));
            }
        }
        for (offset, len) in blanks.get(&number).map(Vec::as_slice).unwrap_or_default() {
            if !is_blank(&file, *offset, *len, &mut buffer).map_err(error)? {
                return Err(differs(builder, target.entry));
            }
        }
    }
    Ok(())
}

fn differs(builder: &Builder<'_>, entry: usize) -> Error {
    let path = builder.plan.entries.get(entry).map(|e| e.path.clone()).unwrap_or_default();
    builder.place.error(&path, io::Error::other("what was written does not read back the same"))
}

/// Whether a range reads as zeros; holes are skipped.
fn is_blank(file: &File, offset: u64, len: u64, buffer: &mut [u8]) -> io::Result<bool> {
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
    // File systems keep times as finely as they can; a coarser clock rounds down.
    let coarse = now.nanos == 0 && now.seconds == want.seconds;
    let time = now.mtime() == want.mtime() || coarse;
    let settled = builder.tally.is_empty();
    let mode = is_link || now.mode == want.mode || !settled;
    let owner = (now.uid, now.gid) == (want.uid, want.gid) || !settled;
    if (is_file && stat.size != size) || !time || !mode || !owner {
        return Err(error(io::Error::other("attributes do not read back the same")));
    }
    Ok(())
}
