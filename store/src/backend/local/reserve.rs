//! A few MiB set aside, so that forgetting and pruning work on a disk with no free byte.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

use super::{BackendError, BackendResult, LocalBackend, TMP, is_absent};
use crate::error::ErrorKind;

/// Size of the reserve: room for the few records and states that a prune writes before it deletes.
const RESERVE_BYTES: u64 = 2 << 20;

/// Whether the reserve may help a write that failed: only records and states, by which space is given back.
pub(super) fn may_use(name: &str, outcome: &BackendResult<()>) -> bool {
    let frees = name.starts_with("log/") || name.starts_with("state/");
    frees && matches!(outcome, Err(e) if e.kind() == ErrorKind::NoSpace)
}

impl LocalBackend {
    pub(super) fn reserve(&self) -> PathBuf {
        self.tmp().join("reserve")
    }

    /// Removes the reserve and returns its size.
    pub(super) fn release_reserve(&self) -> BackendResult<u64> {
        let path = self.reserve();
        let outcome = fs::metadata(&path).and_then(|meta| {
            fs::remove_file(&path)?;
            Ok(meta.len())
        });
        match outcome {
            Err(e) if is_absent(&e) => Ok(0),
            outcome => outcome.map_err(|e| self.error(TMP, e)),
        }
    }

    /// Makes the reserve if it is not there, and returns what was set aside; nothing on a full disk.
    pub(super) fn refill_reserve(&self) -> BackendResult<u64> {
        let path = self.reserve();
        match self.allocate(&path) {
            Ok(()) => Ok(RESERVE_BYTES),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(0),
            Err(e) => {
                match fs::remove_file(&path) {
                    Err(e) if !is_absent(&e) => return Err(self.error(TMP, e)),
                    _ => {}
                }
                match BackendError::io(TMP, e) {
                    e if e.kind() == ErrorKind::NoSpace => Ok(0),
                    e => Err(e),
                }
            }
        }
    }

    fn allocate(&self, path: &std::path::Path) -> io::Result<()> {
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_folder(&self.tmp())?;
                open()?
            }
            file => file?,
        };
        match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
            // Where space cannot be set aside by itself, bytes do it.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                let zeros = vec![0; 1 << 20];
                (0..RESERVE_BYTES >> 20).try_for_each(|_| io::Write::write_all(&mut file, &zeros))
            }
            outcome => Ok(outcome?),
        }
    }
}
