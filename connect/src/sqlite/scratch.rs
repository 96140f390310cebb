//! A temporary file for a copy: mode 0600, its space looked at first, gone in every outcome.
//!
//! A lock on the file tells that its process lives. Whoever needs the folder next removes what a killed process left there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chronos_store::durable;
use rustix::fs::{FlockOperation, flock, statvfs};

use crate::entry::PRIVATE;
use crate::error::{Error, Result, shown};
use crate::names::random_name;

/// How the names of such files begin.
const BEGINNING: &str = "chronos-copy-";
/// What SQLite writes beside a database.
pub(crate) const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The file; removed when dropped, with what SQLite left beside it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// Keeps others from removing it.
    _lock: File,
}

impl Scratch {
    /// An empty file in `folder`, which is made if it is missing.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        durable::create_folder(folder).map_err(chronos_snapshot::Error::from)?;
        sweep(folder)?;
        loop {
            let path = folder.join(format!("{BEGINNING}{}.db", random_name()?));
            let failed = |e| Error::file(&path, e);
            let lock = OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(&path);
            let lock = lock.map_err(failed)?;
            flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
            // Before it was locked somebody may have taken it for a dead process's.
            let links = lock.metadata().map_err(failed)?.nlink();
            if links > 0 {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading, and takes its name away: it is gone with the last who reads it.
    pub(crate) fn into_reader(self) -> Result<File> {
        File::open(&self.path).map_err(|e| Error::file(&self.path, e))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Fails unless `folder` has room for `needed` bytes.
pub fn check_space(folder: &Path, needed: u64) -> Result<()> {
    let found = statvfs(folder).map_err(|e| Error::file(folder, e.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < needed {
        return Err(Error::NoSpace { place: shown(folder), needed, free });
    }
    Ok(())
}

/// `path` with `ending` behind its name.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Removes the files of processes that are no more.
fn sweep(folder: &Path) -> Result<()> {
    for found in fs::read_dir(folder).map_err(|e| Error::file(folder, e))? {
        let path = found.map_err(|e| Error::file(folder, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let is_copy = name.starts_with(BEGINNING) && path.extension().is_some_and(|e| e == "db");
        if is_copy && is_left(&path) {
            remove(&path);
        }
    }
    Ok(())
}

fn is_left(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
}

fn remove(path: &Path) {
    for file in BESIDE.map(|ending| beside(path, ending)).iter().map(PathBuf::as_path).chain([path]) {
        match fs::remove_file(file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                // Nothing is lost but space; the next sweep tries again.
            }
            _ => {}
        }
    }
}
