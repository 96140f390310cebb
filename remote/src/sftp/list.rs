//! Listing folders as one flat, ordered space of names.
//!
//! A folder sorts as its name with a slash behind it; with that a walk in order gives the full names in byte order (`a-b` before `a/b`
//! before `a0`). Several folders are read at once, ahead of those whose turn it is.

use chronos_store::backend::{Entry, check_name};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use russh_sftp::protocol::{FileAttributes, FileType, StatusCode};

use super::connection::Connection;
use super::failure::Failure;
use super::place::Place;

/// Folders read at once below one.
const FOLDERS: usize = 16;

/// Requests for more of one folder at once; OpenSSH answers each with 100 names.
const REQUESTS: usize = 16;

/// What is listed.
pub(super) struct Wanted {
    pub(super) prefix: String,
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

impl Place {
    /// The objects that are wanted, in order.
    pub(super) async fn list(&self, wanted: &Wanted) -> Result<Vec<Entry>, Failure> {
        if wanted.limit == 0 {
            return Ok(Vec::new());
        }
        let connection = self.pool.lease().await?;
        let folder = wanted.prefix.rfind('/').and_then(|end| wanted.prefix.get(..=end)).unwrap_or_default();
        self.walk(&connection, folder.to_owned(), wanted).await
    }

    /// What is wanted of the folder `base`, which is empty or ends with a slash.
    fn walk<'p>(
        &'p self,
        connection: &'p Connection,
        base: String,
        wanted: &'p Wanted,
    ) -> BoxFuture<'p, Result<Vec<Entry>, Failure>> {
        let walk = async move {
            let found = self.of_folder(connection, &base, wanted).await?;
            let entries = found.into_iter().map(|entry| {
                if entry.name.ends_with('/') {
                    self.walk(connection, entry.name, wanted)
                } else {
                    std::future::ready(Ok(vec![entry])).boxed()
                }
            });
            let mut parts = stream::iter(entries).buffered(FOLDERS.min(wanted.limit));
            let mut all = Vec::new();
            while let Some(part) = parts.try_next().await? {
                all.extend(part);
                if all.len() >= wanted.limit {
                    all.truncate(wanted.limit);
                    break;
                }
            }
            Ok(all)
        };
        walk.boxed()
    }

    /// The objects and folders (with a slash behind) of one folder that matter here, in order.
    async fn of_folder(
        &self,
        connection: &Connection,
        base: &str,
        wanted: &Wanted,
    ) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for (segment, mut found) in connection.read_folder(&self.path(base.trim_end_matches('/'))).await? {
            let mut name = format!("{base}{segment}");
            if segment.contains('/') || check_name(&name).is_err() {
                continue;
            }
            if found.file_type().is_symlink() || found.permissions.is_none() || found.size.is_none() {
                found = match connection.stat(&self.path(&name)).await {
                    Err(e) if e.is_absent() => continue,
                    found => found?,
                };
            }
            match found.file_type() {
                FileType::Dir => name.push('/'),
                FileType::File => {}
                FileType::Symlink | FileType::Other => continue,
            }
            if wanted.wants(&name) {
                entries.push(Entry { name, size: found.size.unwrap_or_default() });
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

impl Wanted {
    /// Whether an object is to be shown, or a folder can hold such.
    fn wants(&self, name: &str) -> bool {
        let folder = name.ends_with('/');
        let begins = name.starts_with(&self.prefix) || folder && self.prefix.starts_with(name);
        begins && self.after.as_deref().is_none_or(|after| name > after || folder && after.starts_with(name))
    }
}

impl Connection {
    /// All that is in a folder, in no order; nothing if it is not there.
    pub(super) async fn read_folder(&self, path: &str) -> Result<Vec<(String, FileAttributes)>, Failure> {
        let open = match self.open_folder(path).await {
            Err(e) if e.is_absent() => return Ok(Vec::new()),
            open => open?,
        };
        let mut all = Vec::new();
        // The second tells that there was no more.
        let mut requests = 2;
        let outcome = 'all: loop {
            let answers = (0..requests).map(|_| self.ask(self.session.readdir(open.id.as_str())));
            for answer in join_all(answers).await {
                match answer {
                    Ok(names) => all.extend(names.files.into_iter().map(|file| (file.filename, file.attrs))),
                    Err(Failure::Refused(StatusCode::Eof, _)) => break 'all Ok(()),
                    Err(e) => break 'all Err(e),
                }
            }
            requests = REQUESTS;
        };
        let closed = self.close(open).await;
        outcome?;
        closed.map(|()| all)
    }
}
