//! Second and further names of built files: hard links, or files of their own where the target cannot have links.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::error::Result;
use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::restore::exchange;
use crate::restore::metadata::Attributes;
use crate::restore::place::Place;
use crate::restore::write::{Builder, is_impossible};

/// Bytes copied at once.
const BUFFER: usize = 1 << 18;

impl Builder<'_> {
    /// Gives each further name to the file that was built first; that one is complete.
    pub(crate) fn second_names(&mut self) -> Result<()> {
        let plan = self.plan;
        for entry in &plan.entries {
            let Some(first) = entry.link.and_then(|first| plan.entries.get(first)) else { continue };
            if let Some(why) = self.failed.get(&first.path).cloned() {
                self.fail(&entry.path, why);
                continue;
            }
            let (Some(from), Some(to)) = (plan.staged(first), plan.staged(entry)) else { continue };
            match (self.place.make_hard_link(&from, &to), &entry.node) {
                (Ok(()), Some(node)) => self.files += u64::from(matches!(node.kind, NodeKind::File(_))),
                (Ok(()), None) => {}
                (Err(e), Some(node)) if is_unlinkable(&e) => {
                    self.copied.insert(entry.path.clone());
                    self.second_file(&entry.path, node, &from, &to)?;
                }
                (Err(e), _) => return Err(self.error(&entry.path, e)),
            }
        }
        Ok(())
    }

    fn second_file(&mut self, path: &TreePath, node: &Node, from: &TreePath, to: &TreePath) -> Result<()> {
        if !matches!(node.kind, NodeKind::File(_)) {
            return self.special(path, to, &node.kind, node);
        }
        copy(self.place, from, to).map_err(|e| self.error(path, e))?;
        self.files += 1;
        exchange::set(self.place, to, &Attributes::of(node, self.owners), self.tally)
    }
}

/// Rights of a copy until it gets its own.
const WRITABLE: u32 = 0o600;

/// Whether two names cannot be one file here: no links at all, too many, or two mounts of one file system.
fn is_unlinkable(error: &io::Error) -> bool {
    let other = [Errno::XDEV, Errno::MLINK].iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()));
    other || is_impossible(error)
}

/// Copies a built file with its holes.
fn copy(place: &Place, from: &TreePath, to: &TreePath) -> io::Result<()> {
    let source = place.open_to_read(from)?;
    let folder = place.folder(&to.parent().unwrap_or_default())?;
    let target = place.make_file_in(&folder, to.name(), WRITABLE)?;
    let len = source.metadata()?.len();
    target.set_len(len)?;
    let mut at = 0;
    while at < len {
        let start = match seek(&source, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole follows.
            Err(Errno::NXIO) => break,
            // A file system that does not tell has data everywhere.
            Err(_) => return copy_range(&source, &target, at, len),
        };
        at = seek(&source, SeekFrom::Hole(start))?.min(len);
        copy_range(&source, &target, start, at)?;
    }
    Ok(())
}

fn copy_range(source: &File, target: &File, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    while at < end {
        let step = (end - at).min(BUFFER as u64) as usize;
        let piece = buffer.get_mut(..step).unwrap_or_default();
        source.read_exact_at(piece, at)?;
        target.write_all_at(piece, at)?;
        at += step as u64;
    }
    Ok(())
}
