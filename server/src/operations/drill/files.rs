//! Files of a source in the scratch place: restored by the engine, which reads back what it wrote, and laid beside what the snapshot says.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{Permissions, set_permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chronos_connect::Verdict;
use chronos_snapshot::{
    Error as Failed, Node, NodeKind, RestoreOptions, RestoreStatus, SourceResult, Strategy, TreePath,
    counted, restore,
};

use crate::error::Result;
use crate::operations::drill::findings::{Findings, of_words};
use crate::operations::drill::trial::{Trial, folder};
use crate::operations::restore::roots;
use crate::values::shown;

/// Bits of a mode that are compared: all of them where every one could be set.
const MODE_OF_ROOT: u32 = 0o7777;
const MODE_OF_USERS: u32 = 0o777;

/// What is restored, and where it is.
pub(super) struct Restored {
    /// The folder.
    pub(super) to: PathBuf,
    /// The path of the snapshot that lies there.
    pub(super) path: TreePath,
    /// What belongs to the source.
    pub(super) roots: Vec<TreePath>,
}

impl Restored {
    /// Where an entry of the snapshot lies.
    pub(super) fn at(&self, path: &TreePath) -> PathBuf {
        let rest = path.strip(&self.path).unwrap_or_default();
        self.to.join(OsStr::from_bytes(rest))
    }
}

/// Restores the files of a source, and compares them. `None`: not all of it could be put there, which says nothing of the snapshot.
pub(super) fn restored(
    trial: &Trial<'_>,
    number: usize,
    source: &SourceResult,
    found: &mut Findings,
) -> Result<Option<Restored>> {
    let manifest = &trial.snapshot.manifest;
    let to = trial.place(number);
    let of_connector = matches!(&*source.kind, "n8n" | "sqlite");
    let (path, sources) = match manifest.sources.is_empty() {
        false if of_connector => (folder(source)?, Vec::new()),
        false => (TreePath::root(), vec![source.name.clone()]),
        true => (TreePath::root(), Vec::new()),
    };
    let roots = match manifest.sources.is_empty() {
        false if of_connector => vec![path.clone()],
        false => roots(&trial.tree, manifest, source)?,
        true => vec![TreePath::root()],
    };
    let strategy = Strategy::NewLocation;
    let options = RestoreOptions {
        path: path.clone(),
        sources,
        to: Some(to.clone()),
        strategy,
        ..RestoreOptions::default()
    };
    let report = restore(&trial.catalog.repository, trial.snapshot, &options)?;
    if report.status != RestoreStatus::Completed && report.errors.is_empty() {
        found.fails(report.message.clone());
    }
    let mut lacking = BTreeSet::new();
    for lacks in &report.errors {
        let verdict = of_words(&lacks.error);
        found.blame(&lacks.path, &verdict);
        if verdict.is_of_host {
            lacking.insert(lacks.path.clone());
        }
    }
    let place = Restored { to, path, roots };
    let entries = compare(trial, &place, &lacking, found)?;
    found.holds(format!(
        "{} restored and read back; {} compared with modes and sizes",
        counted(report.files_restored, "file"),
        counted(entries, "thing")
    ));
    Ok(lacking.is_empty().then_some(place))
}

/// Lays every entry of the snapshot that is not `lacking` beside what is there now; gives how many there are.
fn compare(
    trial: &Trial<'_>,
    place: &Restored,
    lacking: &BTreeSet<String>,
    found: &mut Findings,
) -> Result<u64> {
    let mask = if rustix::process::geteuid().is_root() { MODE_OF_ROOT } else { MODE_OF_USERS };
    let mut entries = 0;
    for root in &place.roots {
        for entry in trial.tree.range(root) {
            let (path, node) = match entry {
                Ok(entry) => entry,
                // What lies behind it cannot be read, and the restore has said so of each.
                Err(error @ Failed::Damaged { .. }) => {
                    found.fails(error.to_string());
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            // The folder that the content of a path went into is the scratch place's own.
            if path == place.path {
                continue;
            }
            let at = place.at(&path);
            // What this host could not make was told.
            if lacking.contains(&shown(&at)) {
                continue;
            }
            entries += 1;
            if let Some(why) = differs(&node, &at) {
                found.fails(format!("{path}: {why}"));
            } else if let Some((why, is_of_host)) = differs_in_mode(&node, &at, mask) {
                found.blame(&path.to_string(), &Verdict { is_of_host, why });
            }
        }
    }
    Ok(entries)
}

/// What is not as the snapshot says.
fn differs(node: &Node, at: &Path) -> Option<String> {
    let is_compared = matches!(node.kind, NodeKind::File(_) | NodeKind::Dir | NodeKind::Symlink(_));
    if !is_compared {
        return None;
    }
    let now = match at.symlink_metadata() {
        Ok(now) => now,
        Err(e) => return Some(format!("it was not restored: {e}")),
    };
    let is_same_kind = match &node.kind {
        NodeKind::File(_) => now.is_file(),
        NodeKind::Dir => now.is_dir(),
        _ => now.is_symlink(),
    };
    if !is_same_kind {
        return Some("it is something else than in the snapshot".to_owned());
    }
    if now.is_file() && now.len() != node.size() {
        return Some(format!("it has {} bytes instead of {}", now.len(), node.size()));
    }
    None
}

/// What of a mode is not as the snapshot says, and whether that is because the scratch place does not keep it.
fn differs_in_mode(node: &Node, at: &Path, mask: u32) -> Option<(String, bool)> {
    let mode = || at.symlink_metadata().ok().filter(|now| !now.is_symlink()).map(|now| now.mode() & mask);
    let (is, wanted) = (mode()?, node.mode & mask);
    if !matches!(node.kind, NodeKind::File(_) | NodeKind::Dir) || is == wanted {
        return None;
    }
    // Set once more, it is still another one where no mode is kept.
    let is_kept = set_permissions(at, Permissions::from_mode(wanted)).is_ok() && mode() == Some(wanted);
    let way_out = "name a folder that keeps modes as drill.scratch";
    let why = format!("its mode is {is:o} instead of {wanted:o}");
    let why = if is_kept { why } else { format!("{why}, as the scratch place keeps no other ({way_out})") };
    Some((why, !is_kept))
}

impl Restored {
    /// The regular files of the source, as they lie in the scratch place.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for root in &self.roots {
            walk(&self.at(root), &mut files)?;
        }
        files.sort();
        Ok(files)
    }
}

fn walk(at: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |e| crate::error::Error::local(at, e);
    let Ok(kind) = at.symlink_metadata() else { return Ok(()) };
    if kind.is_file() {
        files.push(at.to_owned());
    }
    if kind.is_dir() {
        for found in std::fs::read_dir(at).map_err(failed)? {
            walk(&found.map_err(failed)?.path(), files)?;
        }
    }
    Ok(())
}
