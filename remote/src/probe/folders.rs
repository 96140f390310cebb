//! Folders of this host that a probe makes on its way, and which go again if nothing else came into them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::location::Location;

/// The folders that were not there before, the innermost first.
#[derive(Debug)]
pub(super) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Looks before anything is written.
    pub(super) fn before(location: &Location) -> Self {
        let Location::Local(root) = location else { return Self(Vec::new()) };
        let below = [root.join("probe"), root.join(".tmp")];
        let all = below.iter().map(PathBuf::as_path).chain(root.ancestors());
        Self(all.filter(|path| !path.as_os_str().is_empty() && !path.exists()).map(Path::to_owned).collect())
    }

    /// Removes those of them that are empty now.
    pub(super) fn restore(self) {
        for folder in self.0 {
            // One that is not empty is somebody's: it stays.
            let _ = fs::remove_dir(folder);
        }
    }
}
