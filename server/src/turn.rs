//! One run per target at a time on a host: a lock file per repository and target in the state folder.
//!
//! The lock is the kernel's (`flock`): it is gone with the process that held it, whatever ended that.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronos_store::{Monitor, check_cancelled, durable};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Folder of the lock files, in the state folder.
const FOLDER: &str = "turns";
/// How often a lock that another run holds is tried again: a backup takes seconds at least, and nobody waits longer for a cancel.
const PATIENCE: Duration = Duration::from_millis(100);

/// The turn of one run; given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits until no other run of this target of this repository goes on; says so once.
    ///
    /// # Errors
    /// Interrupted, if the monitor asks to stop meanwhile; [`Error::Local`] if the lock file cannot be made.
    pub(crate) fn take(state: &Path, repository: &str, target: &str, monitor: &dyn Monitor) -> Result<Self> {
        let (file, path) = opened(state, repository, target)?;
        let mut has_told = false;
        while !try_lock(&file, &path)? {
            if !has_told {
                monitor.phase("wait");
                monitor.problem(&format!("another run of {target} goes on; this one waits its turn"));
                has_told = true;
            }
            check_cancelled(monitor)?;
            std::thread::sleep(PATIENCE);
        }
        Ok(Self { _lock: file })
    }

    /// Takes the turn if nobody has it.
    pub(crate) fn try_take(state: &Path, repository: &str, target: &str) -> Result<Option<Self>> {
        let (file, path) = opened(state, repository, target)?;
        Ok(try_lock(&file, &path)?.then_some(Self { _lock: file }))
    }
}

fn opened(state: &Path, repository: &str, target: &str) -> Result<(File, PathBuf)> {
    let folder = state.join(FOLDER);
    durable::create_folder(&folder)?;
    let path = folder.join(format!("{repository}-{target}.lock"));
    let file = OpenOptions::new().create(true).append(true).open(&path);
    Ok((file.map_err(|e| Error::local(&path, e))?, path))
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(Error::local(path, e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use chronos_store::{Collect, Silent};

    use super::*;

    #[test]
    fn a_turn_keeps_others_of_its_target_out_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let turn = Turn::take(dir.path(), "r", "shop", &Silent).unwrap();
        assert!(Turn::try_take(dir.path(), "r", "shop").unwrap().is_none());
        assert!(Turn::try_take(dir.path(), "r", "other").unwrap().is_some());
        assert!(Turn::try_take(dir.path(), "r2", "shop").unwrap().is_some());
        drop(turn);
        assert!(Turn::try_take(dir.path(), "r", "shop").unwrap().is_some());
    }

    #[test]
    fn whoever_waits_says_so_and_can_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let _turn = Turn::take(dir.path(), "r", "shop", &Silent).unwrap();
        let monitor = Collect::default();
        monitor.cancel();
        assert!(Turn::take(dir.path(), "r", "shop", &monitor).is_err());
        assert!(monitor.problems().iter().any(|p| p.contains("shop")));
    }

    #[test]
    fn whoever_waits_goes_on_when_the_other_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let turn = Turn::take(dir.path(), "r", "shop", &Silent).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Turn::take(dir.path(), "r", "shop", &Silent).map(drop));
            drop(turn);
            waiting.join().unwrap().unwrap();
        });
    }
}
