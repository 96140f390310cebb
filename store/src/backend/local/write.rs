//! Writing files: whole under another name, then moved into place without replacing anything.
//!
//! Order for a durable object: bytes, `fdatasync`, move, `fsync` of the folder and of every folder
//! above it that may be new. The move is `renameat2` with `NOREPLACE`, or `link` where a file
//! system lacks that.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;

use super::{
    BackendError, BackendResult, Durability, LocalBackend, SYNCED_FOLDERS, Unsynced, check_name, is_absent,
    lock,
};
use crate::durable::{self, move_new};

/// Deferred files kept open; beyond it the oldest, whose write-back is likely done, is waited for.
const UNSYNCED_MAX: usize = 64;

/// How often a write makes its folder again when a concurrent removal takes it away while empty.
const FOLDER_TRIES: usize = 16;

/// Age from which an unlocked unfinished file counts as left over; its writer locks it as long as it lives.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

impl LocalBackend {
    pub(super) fn write_file(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        let (file, tmp) = self.write_tmp(bytes, durability).map_err(|e| self.error(name, e))?;
        let outcome = self.publish(&tmp, name);
        if outcome.is_err() {
            // The error that matters is on its way; what stays is found as a leftover.
            let _ = fs::remove_file(&tmp);
        }
        outcome?;
        Self::count(&self.counting.writes, 1);
        Self::count(&self.counting.bytes_written, bytes.len() as u64);
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root);
        match durability {
            Durability::Now => self.sync_folders([folder]).map_err(|e| {
                // Whoever finds the object there all the same asks for a `sync`.
                lock(&self.pending).folders.insert(folder.to_owned());
                self.error(name, e)
            }),
            Durability::Deferred => {
                self.defer(Unsynced { name: name.to_owned(), file }, folder);
                Ok(())
            }
            Durability::Relaxed => Ok(()),
        }
    }

    /// Writes a file in the folder for unfinished ones and returns it, still locked, with its path.
    fn write_tmp(&self, bytes: &[u8], durability: Durability) -> io::Result<(File, PathBuf)> {
        let (mut file, path) = self.new_tmp()?;
        let outcome = (|| {
            // Not every network file system can lock; then only the age tells a leftover.
            let _ = file.try_lock();
            file.write_all(bytes)?;
            match durability {
                Durability::Now => self.sync_data(&file),
                // Starts the write-back without waiting for it. Only advice: a refusal costs nothing but time.
                Durability::Deferred => {
                    let _ = fadvise(&file, 0, None, Advice::DontNeed);
                    Ok(())
                }
                Durability::Relaxed => Ok(()),
            }
        })();
        match outcome {
            Ok(()) => Ok((file, path)),
            Err(e) => {
                // The error that matters is on its way; what stays is found as a leftover.
                let _ = fs::remove_file(&path);
                Err(e)
            }
        }
    }

    fn new_tmp(&self) -> io::Result<(File, PathBuf)> {
        let folder = self.tmp();
        loop {
            let mut random = [0; 8];
            getrandom::fill(&mut random)?;
            let path = folder.join(hex::encode(random));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.make_folder(&folder)?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Moves a finished file to its name unless that is taken.
    fn publish(&self, tmp: &Path, name: &str) -> BackendResult<()> {
        let path = self.path(name);
        for _ in 0..FOLDER_TRIES {
            match move_new(tmp, &path) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => return Err(BackendError::AlreadyExists(name.to_owned())),
                Err(Errno::NOENT) => {
                    let folder = path.parent().unwrap_or(&self.root);
                    self.make_folder(folder).map_err(|e| self.error(name, e))?;
                }
                Err(e) => return Err(self.error(name, e.into())),
            }
        }
        Err(self.error(name, io::ErrorKind::NotFound.into()))
    }

    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if !self.root.exists() {
            durable::make_folder(&self.root)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // It may have been there before and have been removed since: its name is not known to be durable.
        lock(&self.anchored).remove(folder);
        Ok(())
    }

    fn defer(&self, file: Unsynced, folder: &Path) {
        let full = {
            let mut pending = lock(&self.pending);
            pending.folders.insert(folder.to_owned());
            pending.files.push_back(file);
            pending.files.len() > UNSYNCED_MAX
        };
        if full {
            let _settling = self.settling.read().unwrap_or_else(PoisonError::into_inner);
            let oldest = lock(&self.pending).files.pop_front();
            if let Some(file) = oldest {
                self.settle(&file);
            }
        }
    }

    /// Defers an object that is there, whoever wrote it.
    pub(super) fn take_over(&self, name: &str) -> BackendResult<()> {
        check_name(name)?;
        let path = self.path(name);
        let file = File::open(&path).map_err(|e| {
            if is_absent(&e) { BackendError::NotFound(name.to_owned()) } else { self.error(name, e) }
        })?;
        self.defer(Unsynced { name: name.to_owned(), file }, path.parent().unwrap_or(&self.root));
        Ok(())
    }

    /// Waits until the bytes of a deferred file are safe.
    ///
    /// If they cannot be made so, the object goes, and every later `sync` of this handle fails: the system
    /// reports such a loss once, and whoever asks again would be told that all is well.
    fn settle(&self, file: &Unsynced) {
        if let Err(error) = self.sync_data(&file.file) {
            // The object is useless either way, and `sync` will say so.
            let _ = fs::remove_file(self.path(&file.name));
            lock(&self.pending).lost.get_or_insert((file.name.clone(), error));
        }
    }

    pub(super) fn sync_all(&self) -> BackendResult<()> {
        // Nobody returns while another still waits for bytes that were pending when both began.
        let _settling = self.settling.write().unwrap_or_else(PoisonError::into_inner);
        let (files, mut folders) = {
            let mut pending = lock(&self.pending);
            (std::mem::take(&mut pending.files), std::mem::take(&mut pending.folders))
        };
        for file in &files {
            self.settle(file);
        }
        folders.extend(SYNCED_FOLDERS.iter().map(|f| self.root.join(f)));
        let outcome = self.sync_folders(folders.iter().map(PathBuf::as_path)).map_err(|e| self.error("", e));
        let mut pending = lock(&self.pending);
        if outcome.is_err() {
            pending.folders.extend(folders);
        }
        match &pending.lost {
            Some((name, error)) => Err(self.error(name, copy_of(error))),
            None => outcome,
        }
    }

    /// Makes the names in these folders durable, and those of the folders down to them; each folder is synced once.
    fn sync_folders<'f>(&self, folders: impl IntoIterator<Item = &'f Path>) -> io::Result<()> {
        let mut above = BTreeSet::new();
        let mut anchored = HashSet::new();
        let mut synced = HashSet::new();
        for folder in folders {
            if !self.sync_folder(folder)? {
                continue;
            }
            synced.insert(folder);
            for (child, parent) in folder.ancestors().zip(folder.ancestors().skip(1)) {
                if lock(&self.anchored).contains(child) {
                    break;
                }
                above.insert(parent);
                anchored.insert(child.to_owned());
                if child == self.root {
                    break;
                }
            }
        }
        for folder in above.into_iter().rev().filter(|f| !synced.contains(f)) {
            self.sync_folder(folder)?;
        }
        lock(&self.anchored).extend(anchored);
        Ok(())
    }

    /// Syncs one folder; `false` if there is none, or if it is above the repository and not ours to read.
    fn sync_folder(&self, folder: &Path) -> io::Result<bool> {
        match durable::sync_folder(folder) {
            Ok(()) => {
                Self::count(&self.counting.fsyncs, 1);
                Ok(true)
            }
            Err(e) if is_absent(&e) || e.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(e) => Err(e),
        }
    }

    pub(super) fn sync_data(&self, file: &File) -> io::Result<()> {
        Self::count(&self.counting.fsyncs, 1);
        file.sync_data()
    }

    /// Removes unfinished files whose writers are gone, and returns their bytes.
    pub(super) fn remove_leftovers(&self) -> BackendResult<u64> {
        let entries = match fs::read_dir(self.tmp()) {
            Err(e) if is_absent(&e) => return Ok(0),
            entries => entries.map_err(|e| self.error(super::TMP, e))?,
        };
        let mut freed = 0;
        for entry in entries {
            let path = entry.map_err(|e| self.error(super::TMP, e))?.path();
            if path != self.reserve()
                && let Some(size) = leftover(&path)
            {
                fs::remove_file(&path).map_err(|e| self.error(super::TMP, e))?;
                freed += size;
            }
        }
        Ok(freed)
    }
}

/// The size of an unfinished file if nobody writes it any more.
fn leftover(path: &Path) -> Option<u64> {
    let file = File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let age = SystemTime::now().duration_since(meta.modified().ok()?).ok()?;
    (age > LEFTOVER_AGE && file.try_lock().is_ok()).then_some(meta.len())
}

/// The same error once more.
fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
