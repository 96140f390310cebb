//! Lock files of running sessions, by which other processes of this host tell a dead owner at once.
//!
//! The lock is taken before anything of the session shows in the repository; so whoever knows the
//! session and finds its file here unlocked knows that its owner is gone. The kernel releases the
//! lock with the process, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::{Folders, Host};
use crate::durable;
use crate::error::{Error, Result};
use crate::id::SessionId;

/// Longest lock file that is believed.
const LOCK_BYTES_MAX: u64 = 4096;

/// Whether the owner of a session is alive, as far as this host can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It runs on this host.
    Alive,
    /// It ran on this host and is gone.
    Dead,
    /// It may run on another host, or for another user.
    Unknown,
}

/// Says that a session of this process is running; dropped when it is over.
#[derive(Debug)]
pub struct SessionLock {
    folders: Folders,
    session: SessionId,
    left: bool,
    _file: File,
}

impl SessionLock {
    /// Takes the lock of a session that nobody else knows yet.
    pub fn acquire(folders: &Folders, host: &Host, session: &SessionId) -> Result<Self> {
        durable::create_folder(&folders.locks())?;
        let path = folders.lock_file(session);
        let fail = |e: io::Error| Error::local(&path, e);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        file.try_lock().map_err(|e| fail(e.into()))?;
        let content = serde_json::to_vec(host).map_err(|e| fail(e.into()))?;
        file.write_all(&content).map_err(fail)?;
        Ok(Self { folders: folders.clone(), session: session.clone(), left: false, _file: file })
    }

    /// Lets go of a session that is not decided: its file stays, so that the next process knows it for dead.
    pub fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        if !self.left {
            // If it stays, it is unlocked and says the truth.
            let _ = fs::remove_file(self.folders.lock_file(&self.session));
        }
    }
}

impl Folders {
    /// Whether the owner of `session` is alive. `noted` is the host that the session's record names, if it does.
    pub fn owner(&self, host: &Host, session: &SessionId, noted: Option<&Host>) -> Owner {
        match self.by_lock(host, session) {
            Owner::Unknown if noted.is_some_and(|noted| host.outlived(noted)) => Owner::Dead,
            owner => owner,
        }
    }

    fn by_lock(&self, host: &Host, session: &SessionId) -> Owner {
        // What cannot be read cannot be judged.
        let Ok(file) = File::open(self.lock_file(session)) else { return Owner::Unknown };
        let mut content = Vec::new();
        if (&file).take(LOCK_BYTES_MAX).read_to_end(&mut content).is_err() {
            return Owner::Unknown;
        }
        // The folder may be shared between hosts that do not see each other's locks.
        let owner: Option<Host> = serde_json::from_slice(&content).ok();
        if owner.as_ref().is_some_and(|owner| owner.id != host.id) {
            return Owner::Unknown;
        }
        // Shared, so that two who ask at once do not take each other for the owner.
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Owner::Alive,
            Err(TryLockError::Error(_)) => Owner::Unknown,
            // Died before it could write its host: it can have been any.
            Ok(()) if owner.is_none() => Owner::Unknown,
            Ok(()) => Owner::Dead,
        }
    }

    /// Sessions of this host whose owners left their lock files behind: dead, decided or not.
    pub fn abandoned(&self, host: &Host) -> Result<Vec<SessionId>> {
        let folder = self.locks();
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| Error::local(&folder, e))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| Error::local(&folder, e))?.file_name();
            if let Some(session) = name.to_str().and_then(|n| n.parse().ok())
                && self.by_lock(host, &session) == Owner::Dead
            {
                found.push(session);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes the lock file of a session that is decided.
    pub fn forget_session(&self, session: &SessionId) -> Result<()> {
        match fs::remove_file(self.lock_file(session)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::local(self.lock_file(session), e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::id::RepositoryId;

    fn setup() -> (tempfile::TempDir, Folders, Host, SessionId) {
        let dir = tempfile::tempdir().unwrap();
        let folders =
            Folders::new(&dir.path().join("cache"), &dir.path().join("state"), RepositoryId([1; 16]));
        let host = Host { id: "h".to_owned(), boot: "b".to_owned() };
        (dir, folders, host, SessionId::new(3, "me", 4).unwrap())
    }

    /// What a process leaves behind that was killed: the file without its lock.
    fn kill(lock: SessionLock) {
        let path = lock.folders.lock_file(&lock.session);
        let content = fs::read(&path).unwrap();
        drop(lock);
        durable::replace(&path, &content).unwrap();
    }

    #[test]
    fn a_running_session_is_alive_and_a_finished_one_unknown() {
        let (_dir, folders, host, session) = setup();
        assert_eq!(folders.owner(&host, &session, None), Owner::Unknown);
        let lock = SessionLock::acquire(&folders, &host, &session).unwrap();
        assert_eq!(folders.owner(&host, &session, None), Owner::Alive);
        assert_eq!(folders.owner(&host, &session, Some(&host)), Owner::Alive);
        assert!(folders.abandoned(&host).unwrap().is_empty());
        assert!(SessionLock::acquire(&folders, &host, &session).is_err(), "a session has one owner");
        assert_eq!(folders.owner(&host, &session, None), Owner::Alive);
        drop(lock);
        assert_eq!(folders.owner(&host, &session, None), Owner::Unknown);
    }

    #[test]
    fn a_killed_owner_is_dead_until_it_is_forgotten() {
        let (_dir, folders, host, session) = setup();
        kill(SessionLock::acquire(&folders, &host, &session).unwrap());
        for _ in 0..2 {
            assert_eq!(folders.owner(&host, &session, None), Owner::Dead);
        }
        assert_eq!(folders.abandoned(&host).unwrap(), std::slice::from_ref(&session));
        folders.forget_session(&session).unwrap();
        folders.forget_session(&session).unwrap();
        assert!(folders.abandoned(&host).unwrap().is_empty());
    }

    #[test]
    fn a_restart_kills_every_session_of_the_host() {
        let (_dir, folders, host, session) = setup();
        let before = Host { boot: "earlier".to_owned(), ..host.clone() };
        assert_eq!(folders.owner(&host, &session, Some(&before)), Owner::Dead);
        let elsewhere = Host { id: "other".to_owned(), boot: "earlier".to_owned() };
        assert_eq!(folders.owner(&host, &session, Some(&elsewhere)), Owner::Unknown);
    }

    #[test]
    fn the_locks_of_another_host_on_a_shared_folder_say_nothing() {
        let (_dir, folders, host, session) = setup();
        let other = Host { id: "other".to_owned(), ..host.clone() };
        kill(SessionLock::acquire(&folders, &other, &session).unwrap());
        assert_eq!(folders.owner(&host, &session, None), Owner::Unknown);
        assert!(folders.abandoned(&host).unwrap().is_empty());
        durable::replace(&folders.lock_file(&session), b"").unwrap();
        assert_eq!(folders.owner(&host, &session, None), Owner::Unknown);
    }
}
