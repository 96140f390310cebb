//! One file that is being restored: made with its first piece, given its attributes with its last.
//!
//! Pieces come in any order and from any thread. Whoever brings the last one sets the attributes and closes the file.
//! In memory each piece is read back as soon as it is written: nothing can happen to it on a way to a disk.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::node::Content;
use crate::path::TreePath;
use crate::restore::metadata::{self, Attributes, Tally};
use crate::restore::place::Place;
use crate::restore::verify;

/// Most files kept open between two of their pieces.
const OPEN_FILES_MAX: usize = 256;
/// Smallest run of zeros that becomes a hole: a block of every usual file system.
const HOLE_BYTES: usize = 4096;
/// Zeros written at once.
const ZEROS: &[u8] = &[0; 1 << 16];
/// Rights of a file that is filled in several steps, whatever it is to have at the end.
const WRITABLE: u32 = 0o600;

/// A file that is being restored.
#[derive(Debug)]
pub(crate) struct Target {
    /// In the target, for people.
    pub(crate) path: TreePath,
    folder: Arc<OwnedFd>,
    name: Vec<u8>,
    want: Attributes,
    /// Rights at its making.
    mode: u32,
    size: u64,
    /// Whether it is compared with what was written as it is written, and not later.
    at_once: bool,
    /// Whether some of it is never written.
    has_blanks: bool,
    /// Whether it may have inherited attributes from a folder that somebody else made.
    inherits: bool,
    /// Pieces still to come, and one for whoever asks for them.
    left: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    New,
    Open(Arc<File>),
    /// Made and closed again for a while; with its inode.
    Parked(u64),
    Done,
    Lost,
}

impl Target {
    /// `is_unit`: it is built beside what others can see, not inside a folder of ours.
    pub(crate) fn new(
        path: &TreePath,
        staged: &TreePath,
        folder: Arc<OwnedFd>,
        content: &Content,
        want: Attributes,
        is_unit: bool,
    ) -> Self {
        let blanks = content.extents.iter().filter(|e| e.is_blank()).count();
        let data = content.chunks().count();
        let mode = match (is_unit, data + blanks) {
            (true, _) => WRITABLE,
            (false, 0 | 1) => want.mode & 0o777,
            (false, _) => want.mode & 0o777 | WRITABLE,
        };
        Self {
            path: path.clone(),
            folder,
            name: staged.name().to_vec(),
            want,
            mode,
            size: content.size,
            at_once: false,
            has_blanks: blanks > 0,
            inherits: is_unit,
            left: AtomicUsize::new(data + 1),
            state: Mutex::new(State::New),
        }
    }

    /// The same, compared with what was written as it is written.
    pub(crate) fn compared_at_once(self, at_once: bool) -> Self {
        Self { at_once, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes into targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) place: &'a Place,
    pub(crate) sparse: bool,
    pub(crate) verify: bool,
    pub(crate) tally: &'a Tally,
    pub(crate) unkept: &'a Tally,
}

thread_local! {
    /// What was read back last.
    static BACK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Writer<'_> {
    /// Writes a piece; with the last one the file is complete. Nothing happens to a file that was given up.
    pub(crate) fn write(&self, target: &Target, bytes: &[u8], offset: u64) -> Result<()> {
        let error = |e| self.place.error(&target.path, e);
        let Some(file) = self.file(target).map_err(error)? else { return Ok(()) };
        if self.sparse {
            write_with_holes(&file, bytes, offset).map_err(error)?;
        } else {
            file.write_all_at(bytes, offset).map_err(error)?;
        }
        if target.at_once && !reads_back(&file, bytes, offset).map_err(error)? {
            return Err(error(verify::not_the_same()));
        }
        if target.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            return self.complete(target, &file).map_err(error);
        }
        self.park(target, &file).map_err(error)
    }

    /// Writes zeros.
    pub(crate) fn zeros(&self, target: &Target, mut offset: u64, len: u64) -> Result<()> {
        let error = |e| self.place.error(&target.path, e);
        let Some(file) = self.file(target).map_err(error)? else { return Ok(()) };
        let end = offset.saturating_add(len);
        while offset < end {
            let step = (end - offset).min(ZEROS.len() as u64);
            let piece = ZEROS.get(..step as usize).unwrap_or(ZEROS);
            file.write_all_at(piece, offset).map_err(error)?;
            offset += step;
        }
        self.park(target, &file).map_err(error)
    }

    /// All pieces of a file have been asked for.
    pub(crate) fn release(&self, target: &Target) -> Result<()> {
        if target.left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return Ok(());
        }
        let error = |e| self.place.error(&target.path, e);
        match self.file(target).map_err(error)? {
            Some(file) => self.complete(target, &file).map_err(error),
            None => Ok(()),
        }
    }

    /// Removes what was made of a file that cannot be had; whether it is given up only now.
    pub(crate) fn give_up(&self, target: &Target) -> Result<bool> {
        let mut state = target.state();
        let is_made = match std::mem::replace(&mut *state, State::Lost) {
            State::Lost => return Ok(false),
            State::New => false,
            State::Open(_) => {
                self.place.opened.fetch_sub(1, Ordering::Relaxed);
                true
            }
            State::Parked(_) | State::Done => true,
        };
        if is_made {
            let removed = self.place.remove_file_in(&target.folder, &target.name);
            removed.map_err(|e| self.place.error(&target.path, e))?;
        }
        Ok(true)
    }

    /// The file, made or opened again if need be; `None` if it was given up.
    fn file(&self, target: &Target) -> io::Result<Option<Arc<File>>> {
        let mut state = target.state();
        let file = match &*state {
            State::Open(file) => return Ok(Some(Arc::clone(file))),
            State::Lost | State::Done => return Ok(None),
            State::New => {
                let file = self.place.make_file_in(&target.folder, &target.name, target.mode)?;
                if target.has_blanks || self.sparse {
                    file.set_len(target.size)?;
                }
                file
            }
            State::Parked(inode) => Place::open_file_in(&target.folder, &target.name, *inode)?,
        };
        let file = Arc::new(file);
        self.place.opened.fetch_add(1, Ordering::Relaxed);
        *state = State::Open(Arc::clone(&file));
        Ok(Some(file))
    }

    /// Closes a file that waits for more if too many are open.
    fn park(&self, target: &Target, file: &File) -> io::Result<()> {
        if self.place.opened.load(Ordering::Relaxed) <= OPEN_FILES_MAX {
            return Ok(());
        }
        let inode = file.metadata()?.ino();
        let mut state = target.state();
        if matches!(*state, State::Open(_)) {
            *state = State::Parked(inode);
            self.place.opened.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sets the attributes and closes. Who may not read back what it wrote keeps the right to until it has.
    fn complete(&self, target: &Target, file: &File) -> io::Result<()> {
        self.place.step()?;
        let mut want = target.want.clone();
        if self.verify && !target.at_once {
            want.mode |= metadata::needed_to_read(want.mode);
        }
        let seen = metadata::apply_to_made(file, &want, target.inherits, self.tally)?;
        if target.at_once && seen.is_none_or(|stat| stat.size != target.size) {
            verify::attributes_of_file(file, target.size, &want, self.tally.is_empty(), self.unkept)?;
        }
        let mut state = target.state();
        if matches!(*state, State::Open(_)) {
            self.place.opened.fetch_sub(1, Ordering::Relaxed);
        }
        *state = State::Done;
        Ok(())
    }
}

/// Whether the file holds these bytes there.
fn reads_back(file: &File, bytes: &[u8], offset: u64) -> io::Result<bool> {
    BACK.with_borrow_mut(|back| {
        if back.len() < bytes.len() {
            back.resize(bytes.len(), 0);
        }
        let back = back.get_mut(..bytes.len()).unwrap_or_default();
        file.read_exact_at(back, offset)?;
        Ok(back == bytes)
    })
}

/// Writes all but aligned blocks of zeros.
fn write_with_holes(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let lead = (HOLE_BYTES - (offset % HOLE_BYTES as u64) as usize) % HOLE_BYTES;
    let (head, body) = bytes.split_at(lead.min(bytes.len()));
    let blocks = std::iter::once(head).chain(body.chunks(HOLE_BYTES)).filter(|b| !b.is_empty());
    let (mut start, mut at) = (0, 0);
    for block in blocks {
        let is_hole = block.len() == HOLE_BYTES && block.iter().all(|b| *b == 0);
        if is_hole {
            file.write_all_at(bytes.get(start..at).unwrap_or_default(), offset + start as u64)?;
            start = at + block.len();
        }
        at += block.len();
    }
    file.write_all_at(bytes.get(start..).unwrap_or_default(), offset + start as u64)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn other_bytes_do_not_read_back_the_same() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 5).unwrap();
        assert!(reads_back(&file, b"0123456789", 5).unwrap());
        assert!(reads_back(&file, b"345", 8).unwrap());
        assert!(!reads_back(&file, b"346", 8).unwrap());
        assert!(!reads_back(&file, b"0123456789", 4).unwrap());
        assert!(reads_back(&file, b"9 and more", 14).is_err(), "the file ends before");
    }
}
