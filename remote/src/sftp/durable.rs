//! What is safe against loss of power on the server.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use russh_sftp::protocol::StatusCode;

use super::connection::Connection;
use super::failure::Failure;
use super::handle::Open;
use super::place::{Place, Removed, above, folder_of, lock};

/// Folders whose names `sync` makes safe, whoever gave them: decisions and records are relied on before their writers have synced them.
const SYNCED_FOLDERS: [&str; 2] = ["log", "snap"];

impl Connection {
    /// Syncs a folder; `false` if that cannot be done with it: it is not there, not this account's, or the server opens no folders.
    pub(super) async fn sync_folder(&self, path: &str) -> Result<bool, Failure> {
        if !self.can.fsync {
            return Ok(false);
        }
        let open = match self.open_file(path).await {
            Err(Failure::Refused(..)) => return Ok(false),
            open => open?,
        };
        match self.sync_open(open).await {
            Err(Failure::Refused(code, _)) if code != StatusCode::Failure => Ok(false),
            synced => synced.map(|()| true),
        }
    }

    /// Opens, syncs and closes.
    pub(super) async fn sync_file(&self, path: &str) -> Result<(), Failure> {
        let open = self.open_file(path).await?;
        if self.can.fsync { self.sync_open(open).await } else { self.close(open).await }
    }

    /// Syncs what is open, and closes it.
    pub(super) async fn sync_open(&self, open: Open) -> Result<(), Failure> {
        let synced = self.ask(self.session.fsync(open.id.clone()));
        let (synced, closed) = join(synced, self.close(open)).await;
        synced?;
        closed
    }
}

impl Place {
    /// Makes the names in these folders safe, and those of the folders down to them.
    pub(super) async fn sync_folders(
        &self,
        connection: &Connection,
        names: impl IntoIterator<Item = &str>,
    ) -> Result<(), Failure> {
        let mut paths = BTreeSet::new();
        let mut anchors = Vec::new();
        for name in names {
            paths.insert(self.path(name));
            let mut child = name;
            while !lock(&self.anchored).contains(child) {
                anchors.push(child.to_owned());
                if child.is_empty() {
                    paths.insert(above(&self.path("")).to_owned());
                    break;
                }
                child = folder_of(child);
                paths.insert(self.path(child));
            }
        }
        let synced = join_all(paths.iter().map(|path| connection.sync_folder(path))).await;
        synced.into_iter().collect::<Result<Vec<bool>, Failure>>()?;
        lock(&self.anchored).extend(anchors);
        Ok(())
    }

    /// Makes safe what was removed, and what others decided. A connection that broke is replaced once: all that was written is safe already.
    pub(super) async fn sync(&self) -> Result<(), Failure> {
        match self.sync_once().await {
            Err(Failure::Lost(..)) => self.sync_once().await,
            outcome => outcome,
        }
    }

    async fn sync_once(&self) -> Result<(), Failure> {
        let removed = std::mem::take(&mut *lock(&self.removed));
        let outcome = self.sync_with(&removed).await;
        if outcome.is_err() {
            lock(&self.removed).put_back(removed);
        }
        outcome
    }

    async fn sync_with(&self, removed: &Removed) -> Result<(), Failure> {
        let connection = self.pool.lease().await?;
        if self.pool.losses() != removed.losses {
            // The server may have lost its power since, and with it what it had removed.
            for name in &removed.names {
                self.remove_object(&connection, name).await?;
            }
        }
        let folders = removed.names.iter().map(|name| folder_of(name)).chain(SYNCED_FOLDERS);
        self.sync_folders(&connection, folders.collect::<BTreeSet<&str>>()).await
    }
}
