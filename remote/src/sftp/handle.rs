//! Files and folders that are open on the server.

use std::future::Future;
use std::io;
use std::sync::Arc;

use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, Handle, OpenFlags};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Connection;
use super::failure::Failure;

/// What is open; to be closed.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: String,
    place: OwnedSemaphorePermit,
}

impl Connection {
    /// Opens a file to be read, or one to be synced.
    pub(super) async fn open_file(&self, path: &str) -> Result<Open, Failure> {
        self.opened(self.session.open(path, OpenFlags::READ, FileAttributes::empty())).await
    }

    /// Makes a file that is not there yet.
    pub(super) async fn new_file(&self, path: &str) -> Result<Open, Failure> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        let mode = FileAttributes { permissions: Some(0o600), ..FileAttributes::empty() };
        self.opened(self.session.open(path, flags, mode)).await
    }

    /// Opens a folder to be listed.
    pub(super) async fn open_folder(&self, path: &str) -> Result<Open, Failure> {
        self.opened(self.session.opendir(path)).await
    }

    async fn opened(&self, answer: impl Future<Output = Result<Handle, Error>>) -> Result<Open, Failure> {
        let closed =
            |_| self.lost(io::ErrorKind::ConnectionReset, "the connection is being closed".to_owned());
        let place = Arc::clone(&self.handles).acquire_owned().await.map_err(closed)?;
        let id = self.ask(answer).await?.handle;
        if id.contains(char::REPLACEMENT_CHARACTER) {
            let told = "the server names open files by bytes that are no text, which is not supported";
            return Err(self.lost(io::ErrorKind::Unsupported, told.to_owned()));
        }
        Ok(Open { id, place })
    }

    /// Closes, and waits for it.
    pub(super) async fn close(&self, open: Open) -> Result<(), Failure> {
        self.ask(self.session.close(open.id)).await?;
        drop(open.place);
        Ok(())
    }

    /// Closes what was read from, with nobody waiting.
    pub(super) fn close_unwatched(self: &Arc<Self>, open: Open) {
        let connection = Arc::clone(self);
        // Nothing depends on it but the number of open files; a connection that breaks shows in the next call.
        tokio::spawn(async move { connection.close(open).await });
    }
}
