//! Making folders: on demand, with all that are above.

use futures_util::future::join_all;
use russh_sftp::protocol::{FileAttributes, StatusCode};

use super::connection::Connection;
use super::failure::Failure;
use super::place::{Place, above, lock};

impl Place {
    /// Makes folders, by their names, unless this handle has seen them.
    pub(super) async fn make_folders(
        &self,
        connection: &Connection,
        names: [&str; 2],
    ) -> Result<(), Failure> {
        let missing: Vec<&str> = {
            let made = lock(&self.made);
            names.into_iter().filter(|name| !made.contains(*name)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let all: Vec<&str> = missing.iter().flat_map(|name| and_above(name)).collect();
        if self.make(connection, &all).await? {
            self.make_root(connection).await?;
            self.make(connection, &all).await?;
        }
        lock(&self.made).extend(missing.into_iter().map(str::to_owned));
        Ok(())
    }

    /// Folders have gone that this handle had seen.
    pub(super) fn forget_folders(&self) {
        lock(&self.made).clear();
    }

    /// Makes each, and tells whether the folder of the repository is missing.
    async fn make(&self, connection: &Connection, names: &[&str]) -> Result<bool, Failure> {
        let made = join_all(names.iter().map(|name| make(connection, self.path(name)))).await;
        let mut is_root_missing = false;
        for (name, made) in names.iter().zip(made) {
            match made {
                // It may have been there before and have been removed since: its name is not known to be safe.
                Ok(true) => drop(lock(&self.anchored).remove(*name)),
                Ok(false) => {}
                Err(e) if e.is_absent() => is_root_missing = true,
                Err(e) => return Err(e),
            }
        }
        Ok(is_root_missing)
    }

    async fn make_root(&self, connection: &Connection) -> Result<(), Failure> {
        for path in self.paths_to_root() {
            match make(connection, path.clone()).await {
                Ok(true) => drop(connection.sync_folder(above(&path)).await?),
                Ok(false) => {}
                // Above it there may be what is none of this account's; what it lacks shows at the folder itself.
                Err(Failure::Refused(..)) if path != self.path("") => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Makes one folder; `false` if there is something of that name.
async fn make(connection: &Connection, path: String) -> Result<bool, Failure> {
    let mode = FileAttributes { permissions: Some(0o700), ..FileAttributes::empty() };
    match connection.ask(connection.session.mkdir(path, mode)).await {
        Ok(_) => Ok(true),
        // The protocol has no word for it.
        Err(Failure::Refused(StatusCode::Failure, _)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// A name and those above it, beginning with the uppermost.
fn and_above(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
    ends.filter_map(move |end| name.get(..end)).filter(|name| !name.is_empty())
}
