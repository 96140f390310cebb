//! What interrupted writes left behind.

use russh_sftp::protocol::FileAttributes;

use super::connection::Connection;
use super::failure::Failure;
use super::place::{Place, TMP, lock};

/// Age from which an unfinished file counts as left over, in seconds on the server's own clock. Nobody writes one for so long: an answer is not
/// waited for longer than minutes. Should its writer live all the same, it finds the file gone and writes another.
const LEFTOVER_SECONDS: u32 = 24 * 60 * 60;

impl Place {
    /// Removes unfinished files whose writers are gone, and returns their bytes.
    pub(super) async fn remove_leftovers(&self) -> Result<u64, Failure> {
        let connection = self.pool.lease().await?;
        let mut found = connection.read_folder(&self.path(TMP)).await?;
        found.retain(|(name, found)| is_unfinished(name) && found.file_type().is_file());
        if found.is_empty() {
            return Ok(0);
        }
        let now = self.clock(&connection).await?;
        let mut freed = 0;
        for (name, found) in found {
            let is_old = found.mtime.is_some_and(|time| now.saturating_sub(time) > LEFTOVER_SECONDS);
            if is_old {
                connection.remove(&self.path(&format!("{TMP}/{name}"))).await?;
                freed += found.size.unwrap_or_default();
            }
        }
        Ok(freed)
    }

    /// The server's time, by a file that it makes now.
    async fn clock(&self, connection: &Connection) -> Result<u32, Failure> {
        let path = self.new_tmp()?;
        let open = connection.new_file(&path).await?;
        let found: Result<FileAttributes, Failure> = connection.stat(&path).await;
        connection.close(open).await?;
        connection.remove(&path).await?;
        Ok(found?.mtime.unwrap_or_default())
    }

    /// Makes sure of an object whose writer may have died before it was safe.
    pub(super) async fn take_over(&self, name: &str) -> Result<(), Failure> {
        let connection = self.pool.lease().await?;
        connection.sync_file(&self.path(name)).await?;
        lock(&self.anchored).remove(super::place::folder_of(name));
        self.sync_folders(&connection, [super::place::folder_of(name)]).await
    }
}

/// Whether a file of that folder is one that was being written, here or by a local handle of the same repository.
fn is_unfinished(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit())
}
