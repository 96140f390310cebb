//! Writing and removing objects.

use bytes::Bytes;
use chronos_store::backend::{BackendError, BackendResult, Durability};
use futures_util::future::{join, ready};
use futures_util::{StreamExt, TryStreamExt, stream};
use russh_sftp::protocol::StatusCode;

use super::connection::Connection;
use super::failure::Failure;
use super::handle::Open;
use super::place::{Place, TMP, folder_of, lock};

/// How often a write makes its folder again when a concurrent removal takes it away while empty.
const FOLDER_TRIES: usize = 8;

/// The folder of announcements: that one is gone need not outlast a loss of power.
const ANNOUNCEMENTS: &str = "sess";

impl Place {
    /// Creates an object.
    pub(super) async fn write_new(
        &self,
        name: &str,
        bytes: Bytes,
        durability: Durability,
    ) -> BackendResult<()> {
        let connection = self.pool.lease().await.map_err(|e| e.of(name))?;
        let is_safe = durability != Durability::Relaxed;
        let folder = folder_of(name);
        let mut tries = 1;
        loop {
            let made = self.make_folders(&connection, [TMP, folder]).await;
            made.map_err(|e| self.told(e, name))?;
            match self.write_and_name(&connection, name, &bytes, is_safe).await {
                Err(Failure::Refused(StatusCode::NoSuchFile, _)) if tries < FOLDER_TRIES => {
                    self.forget_folders();
                    tries += 1;
                }
                Err(Failure::Refused(StatusCode::Failure, said)) => {
                    return Err(self.reason(&connection, name, bytes.len(), said).await);
                }
                outcome => {
                    outcome.map_err(|e| self.told(e, name))?;
                    break;
                }
            }
        }
        if is_safe {
            self.sync_folders(&connection, [folder]).await.map_err(|e| self.told(e, name))?;
        }
        Ok(())
    }

    /// A failure of a write: what is missing then is the folder of the repository, not the object.
    fn told(&self, failure: Failure, name: &str) -> BackendError {
        if !failure.is_absent() {
            return failure.of(name);
        }
        let why = "the folder is not there and cannot be made: look at the path, or make it on the server";
        BackendError::io(&self.shown, std::io::Error::new(std::io::ErrorKind::NotFound, why))
    }

    /// Writes a file of another name, and gives it its own.
    async fn write_and_name(
        &self,
        connection: &Connection,
        name: &str,
        bytes: &Bytes,
        is_safe: bool,
    ) -> Result<(), Failure> {
        let tmp = self.new_tmp()?;
        let open = connection.new_file(&tmp).await?;
        if let Err(e) = connection.fill(open, bytes, is_safe && connection.can.fsync).await {
            // The error that matters is on its way; what stays is found as a leftover.
            let _ = connection.remove(&tmp).await;
            return Err(e);
        }
        let path = self.path(name);
        if connection.can.hardlink {
            let linked = connection.ask(connection.session.hardlink(tmp.as_str(), path));
            // Without waiting for the answer to the first; what stays is found as a leftover.
            let (linked, _) = join(linked, connection.remove(&tmp)).await;
            return linked.map(drop);
        }
        let renamed = connection.ask(connection.session.rename(tmp.as_str(), path)).await;
        if renamed.is_err() {
            let _ = connection.remove(&tmp).await;
        }
        renamed.map(drop)
    }

    /// The path of a file that has no name yet.
    pub(super) fn new_tmp(&self) -> Result<String, Failure> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|e| Failure::Lost(std::io::ErrorKind::Other, e.to_string()))?;
        Ok(self.path(&format!("{TMP}/{:016x}", u64::from_le_bytes(bytes))))
    }

    /// What a refusal means that has no meaning of its own: the name is taken, the disk is full, or nobody knows.
    async fn reason(&self, connection: &Connection, name: &str, size: usize, said: String) -> BackendError {
        if connection.stat(&self.path(name)).await.is_ok() {
            return BackendError::AlreadyExists(name.to_owned());
        }
        if connection.can.statvfs
            && let Ok(disk) = connection.ask(connection.session.statvfs(self.path(""))).await
            && disk.blocks_avail.saturating_mul(disk.fragment_size) <= size as u64
        {
            return BackendError::io(name, std::io::ErrorKind::StorageFull.into());
        }
        Failure::Refused(StatusCode::Failure, said).of(name)
    }

    /// Removes an object, and its folder if that is one of many and empty now.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Failure> {
        let connection = self.pool.lease().await?;
        let losses = self.pool.losses();
        self.remove_object(&connection, name).await?;
        let folder = folder_of(name);
        if !folder.is_empty() && !folder.contains('/') && folder != ANNOUNCEMENTS {
            lock(&self.removed).add(name, losses);
        }
        Ok(())
    }

    pub(super) async fn remove_object(&self, connection: &Connection, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        let folder = folder_of(name);
        let removed = if folder.contains('/') {
            // Fails while the folder holds anything, which is right; a leftover empty folder is not shown.
            let emptied = connection.ask(connection.session.rmdir(self.path(folder)));
            let (removed, emptied) = join(connection.remove(&path), emptied).await;
            if emptied.is_ok() {
                self.forget_folders();
            }
            removed
        } else {
            connection.remove(&path).await
        };
        match removed {
            Err(Failure::Refused(code, said)) if code != StatusCode::NoSuchFile => {
                match connection.stat(&path).await {
                    // A folder is no object, so there is none of that name.
                    Ok(found) if found.file_type().is_dir() => Ok(()),
                    Err(e) if e.is_absent() => Ok(()),
                    _ => Err(Failure::Refused(code, said)),
                }
            }
            Err(Failure::Refused(..)) => Ok(()),
            outcome => outcome,
        }
    }
}

impl Connection {
    pub(super) async fn remove(&self, path: &str) -> Result<(), Failure> {
        self.ask(self.session.remove(path)).await.map(drop)
    }

    /// Fills a new file, makes it safe if so wanted, and closes it. Several parts are on their way at once; what is written is synced when all
    /// have arrived.
    async fn fill(&self, open: Open, bytes: &Bytes, is_safe: bool) -> Result<(), Failure> {
        let step = self.can.write_bytes;
        let write = |(n, part): (usize, &[u8])| {
            self.ask(self.session.write(open.id.as_str(), n as u64 * step, part.to_vec()))
        };
        let parts = bytes.chunks(step as usize).enumerate().map(write);
        let written = stream::iter(parts).buffered(self.can.writes()).try_for_each(|_| ready(Ok(()))).await;
        match written {
            Ok(()) if is_safe => self.sync_open(open).await,
            written => {
                let closed = self.close(open).await;
                written?;
                closed
            }
        }
    }
}
