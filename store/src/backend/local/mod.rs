//! Objects as files of a folder: one file per object, created whole or not at all.
//!
//! Reading never writes, so read-only media work. Everything that is not an object (unfinished
//! writes, the reserve) lies in the folder `.tmp`, whose name no object can have. Folders are made
//! by the first write that needs them, with mode 0700; files have mode 0600.

mod list;
mod read;
mod reserve;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::{Backend, BackendError, BackendResult, Durability, Entry, Upkeep, check_name, check_prefix};

/// Folder for what is not an object; lies in the repository so that a finished file can be moved into place.
const TMP: &str = ".tmp";

/// Folders whose names [`Backend::sync`] makes durable, whoever published them there: of what others wrote, decisions and
/// records alone are relied on before their writers have synced them. What these name was safe before they came into being.
const SYNCED_FOLDERS: [&str; 2] = ["log", "snap"];

/// The folder of announcements: that one is gone need not outlast a loss of power.
const ANNOUNCEMENTS: &str = "sess";

/// What a local backend has done until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalCounters {
    /// Calls of `list`, `stat` and `read`.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Objects written.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Waits for the disk: `fdatasync` of files and `fsync` of folders.
    pub fsyncs: u64,
}

#[derive(Debug, Default)]
struct Counting {
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    fsyncs: AtomicU64,
}

/// A written file whose bytes may not be on the disk yet; kept open so that no write-back error goes unseen.
#[derive(Debug)]
struct Unsynced {
    name: String,
    file: File,
}

#[derive(Debug, Default)]
struct Pending {
    files: VecDeque<Unsynced>,
    folders: HashSet<PathBuf>,
    /// The first object whose bytes the system could not save.
    lost: Option<(String, io::Error)>,
}

/// A repository in a folder of a mounted file system.
#[derive(Debug)]
pub struct LocalBackend {
    root: PathBuf,
    counting: Counting,
    pending: Mutex<Pending>,
    /// Held for reading while one file is waited for, for writing while all are.
    settling: RwLock<()>,
    /// Folders whose own names this handle knows to be durable.
    anchored: Mutex<HashSet<PathBuf>>,
}

impl LocalBackend {
    /// A handle of the folder `root`, which the first write makes if it is not there.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            counting: Counting::default(),
            pending: Mutex::default(),
            settling: RwLock::default(),
            anchored: Mutex::default(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What this handle has done until now.
    pub fn counters(&self) -> LocalCounters {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        LocalCounters {
            reads: get(&self.counting.reads),
            bytes_read: get(&self.counting.bytes_read),
            writes: get(&self.counting.writes),
            bytes_written: get(&self.counting.bytes_written),
            fsyncs: get(&self.counting.fsyncs),
        }
    }

    fn count(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn tmp(&self) -> PathBuf {
        self.root.join(TMP)
    }

    fn error(&self, name: &str, source: io::Error) -> BackendError {
        BackendError::io(self.path(name).display().to_string(), source)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for LocalBackend {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        check_prefix(prefix)?;
        Self::count(&self.counting.reads, 1);
        self.list_files(prefix, after, limit)
    }

    fn stat(&self, name: &str) -> BackendResult<u64> {
        check_name(name)?;
        Self::count(&self.counting.reads, 1);
        self.stat_file(name)
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        check_name(name)?;
        Self::count(&self.counting.reads, 1);
        self.read_file(name, range)
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        check_name(name)?;
        super::memory::check_size(name, bytes.len() as u64)?;
        let mut outcome = self.write_file(name, bytes, durability);
        if reserve::may_use(name, &outcome) && self.release_reserve()? > 0 {
            let again = self.write_file(name, bytes, durability);
            // The name may be taken by the first try, which failed after it: then it stays open whether the object is there.
            if !matches!(again, Err(BackendError::AlreadyExists(_))) {
                outcome = again;
            }
        }
        outcome
    }

    fn remove(&self, name: &str) -> BackendResult<()> {
        check_name(name)?;
        match fs::remove_file(self.path(name)) {
            // A folder is no object, so there is none of that name.
            Err(e) if !is_absent(&e) && e.kind() != io::ErrorKind::IsADirectory => {
                return Err(self.error(name, e));
            }
            _ => {}
        }
        let mut folder = name.rsplit_once('/').map(|(folder, _)| folder);
        match folder {
            Some(ANNOUNCEMENTS) | None => {}
            // The next `sync` makes it durable.
            Some(top) if !top.contains('/') => drop(lock(&self.pending).folders.insert(self.path(top))),
            // Fails while the folder holds anything, which is right; a leftover empty folder is not shown.
            Some(_) => {
                while let Some((above, _)) = folder.and_then(|f| f.rsplit_once('/')) {
                    if folder.is_none_or(|f| fs::remove_dir(self.path(f)).is_err()) {
                        break;
                    }
                    folder = Some(above);
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> BackendResult<()> {
        self.sync_all()
    }

    fn maintain(&self, work: Upkeep<'_>) -> BackendResult<u64> {
        match work {
            Upkeep::TakeOver(name) => self.take_over(name).map(|()| 0),
            Upkeep::RemoveLeftovers => self.remove_leftovers(),
            Upkeep::ReleaseReserve => self.release_reserve(),
            Upkeep::RefillReserve => self.refill_reserve(),
        }
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }
}

/// Whether the system said that there is no such file, in whatever way.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
