//! The folder on the other host, and what this handle knows of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::command::SshCommand;
use super::pool::Pool;
use crate::location::SftpPlace;

/// Folder for what is not an object, as in a local repository.
pub(super) const TMP: &str = ".tmp";

/// A folder, by connections to its host. Names are relative to the folder; the empty one is the folder itself.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) pool: Pool,
    root: String,
    pub(super) shown: String,
    /// Folders that are there, by what this handle has seen.
    pub(super) made: Mutex<HashSet<String>>,
    /// Folders whose own names this handle knows to be safe against loss of power.
    pub(super) anchored: Mutex<HashSet<String>>,
    pub(super) removed: Mutex<Removed>,
}

/// What was removed since the last `sync`, and has to stay so.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) names: BTreeSet<String>,
    /// The connections that had been lost when the first was removed.
    pub(super) losses: u64,
}

impl Removed {
    /// Adds a name that was removed when `losses` connections had been lost.
    pub(super) fn add(&mut self, name: &str, losses: u64) {
        self.put_back(Self { names: BTreeSet::from([name.to_owned()]), losses });
    }

    /// Adds what is not safe after all.
    pub(super) fn put_back(&mut self, other: Self) {
        self.losses = if self.names.is_empty() { other.losses } else { self.losses.min(other.losses) };
        self.names.extend(other.names);
    }
}

impl Place {
    pub(super) fn new(place: &SftpPlace, shown: String, command: SshCommand) -> Self {
        Self {
            pool: Pool::new(command, shown.clone()),
            root: place.path.trim_end_matches('/').to_owned(),
            shown,
            made: Mutex::default(),
            anchored: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    /// Where a name lies on the host.
    pub(super) fn path(&self, name: &str) -> String {
        if name.is_empty() { self.root.clone() } else { format!("{}/{name}", self.root) }
    }

    /// The paths down to the folder of the repository, beginning with the uppermost.
    pub(super) fn paths_to_root(&self) -> Vec<String> {
        let ends = self.root.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
        let above = ends.filter_map(|end| self.root.get(..end));
        above.chain([self.root.as_str()]).map(str::to_owned).collect()
    }
}

/// The folder that a name lies in.
pub(super) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folder that a path lies in.
pub(super) fn above(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((above, _)) => above,
        None => ".",
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
