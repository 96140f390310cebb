//! What a restore would do, and what it did.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::path::{TreePath, printable};
use crate::record::PathError;
use crate::restore::options::Strategy;

/// What a restore would change; paths are relative to `target`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RestorePlan {
    /// The folder that is restored into.
    #[serde(serialize_with = "as_shown")]
    pub target: PathBuf,
    /// What is not there yet; of new folders only a dry run tells what they will hold.
    pub creates: Vec<TreePath>,
    /// What stands there and is written anew.
    pub overwrites: Vec<TreePath>,
    /// What stays but gets other attributes (mode, owner, time, extended attributes).
    pub attributes: Vec<TreePath>,
    /// What is removed, with everything below it.
    pub removes: Vec<TreePath>,
    /// The folders and files that the restore covers: the roots of the snapshot, or the chosen path; narrowed to what
    /// changes if filters choose.
    pub covers: Vec<TreePath>,
    /// Hash of what stands there and is written anew or removed, with everything below it: which files they are, how long, and when
    /// they were changed.
    #[serde(skip)]
    pub standing: [u8; 32],
    /// Bytes of content to be written.
    pub bytes: u64,
    /// What cannot be restored, known beforehand.
    pub problems: Vec<PathError>,
}

impl RestorePlan {
    /// Whether nothing in the target changes.
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    /// Whether an absolute path, as it is shown to people, is changed, or holds or lies in what is changed.
    pub fn touches(&self, shown: &str) -> bool {
        let is_in = |path: &str, folder: &str| {
            path.strip_prefix(folder.trim_end_matches('/'))
                .is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        self.stands().any(|path| {
            let full = printable(self.target.join(OsStr::from_bytes(path.as_bytes())).as_os_str().as_bytes());
            is_in(&full, shown) || is_in(shown, &full)
        })
    }

    /// What a restore point must hold so that a restore of it with strategy `replace` brings back what is there now:
    /// absolute paths; those that are not there are left out.
    pub fn roots_before(&self) -> Vec<PathBuf> {
        let at = |path: &TreePath| self.target.join(OsStr::from_bytes(path.as_bytes()));
        let device = |path: &Path| path.symlink_metadata().ok().map(|m| m.dev());
        let mut roots: Vec<PathBuf> =
            self.covers.iter().map(at).filter(|p| p.symlink_metadata().is_ok()).collect();
        // A restore point stays on the file systems of its roots, so that it does not take in what is mounted below;
        // a file system that is changed has to be a root of its own.
        for path in self.stands() {
            // Of a snapshot that does not name its roots each path is one.
            if !self.covers.iter().any(|c| path.strip(c).is_some()) {
                roots.push(at(path));
            }
        }
        let mut known: HashSet<Option<u64>> = roots.iter().map(|r| device(r)).collect();
        for path in self.stands().map(at) {
            let dev = device(&path);
            if known.insert(dev) {
                let top = path.ancestors().take_while(|p| device(p) == dev).last().unwrap_or(&path);
                roots.push(top.to_owned());
            }
        }
        roots
    }

    /// What stands there and is changed.
    fn stands(&self) -> impl Iterator<Item = &TreePath> {
        [&self.overwrites, &self.attributes, &self.removes].into_iter().flatten()
    }

    fn changes(&self) -> impl Iterator<Item = &TreePath> {
        self.creates.iter().chain(self.stands())
    }

    /// Narrows what is covered to the folders in which something changes.
    pub(crate) fn narrow(&mut self) {
        let narrowed = self.covers.iter().filter_map(|cover| {
            let below = self.changes().filter(|p| p.strip(cover).is_some());
            below.cloned().reduce(|a, b| a.common(&b))
        });
        self.covers = narrowed.collect();
    }
}

/// A path of the file system as it is shown: JSON has no other bytes than text.
fn as_shown<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&printable(path.as_os_str().as_bytes()))
}

/// How a restore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStatus {
    /// A dry run: nothing was touched.
    Planned,
    /// Everything is there.
    Completed,
    /// Something could not be restored; it is named in `errors`.
    Partial,
    /// Part of the repository is damaged; what is good was restored, the rest is named in `errors`.
    Damaged,
}

/// What a restore did (contract §12).
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// How it ended.
    pub status: RestoreStatus,
    /// The folder that was restored into.
    #[serde(serialize_with = "as_shown")]
    pub path: PathBuf,
    /// The strategy.
    pub strategy: Strategy,
    /// The snapshot that was made before, if one was.
    pub restore_point: Option<String>,
    /// Regular files written, counted as by the backup: each name of one.
    pub files_restored: u64,
    /// Bytes of content written.
    pub bytes_written: u64,
    /// For people.
    pub message: String,
    /// What could not be restored.
    pub errors: Vec<PathError>,
    /// What is worth knowing and is no failure (sockets, owners that only root can set).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What would be done, in a dry run.
    #[serde(rename = "plan", skip_serializing_if = "Option::is_none")]
    pub planned: Option<RestorePlan>,
    /// What would be done, or was.
    #[serde(skip)]
    pub plan: RestorePlan,
}

/// What became of a restore that was interrupted earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Its name.
    pub id: String,
    /// The folder that it restored into.
    #[serde(serialize_with = "as_shown")]
    pub path: PathBuf,
    /// What was done now.
    pub outcome: RecoveredOutcome,
}

/// See [`Recovered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveredOutcome {
    /// The target is as it was before.
    Undone,
    /// The restore was complete; what it had left to tidy up is done.
    Finished,
    /// It still runs, in another process.
    Running,
    /// It could not be brought to an end; the journal stays for another attempt.
    Failed(String),
}
