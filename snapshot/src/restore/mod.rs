//! Restore: a snapshot, or a part of it, back into a file system.
//!
//! Plan (nothing is touched) → restore point → journal → everything new is built beside its place → what stands there is
//! still as it was when that was planned → switched in by renames → committed → what was kept for undoing is removed.
//! Any failure before the commit is undone; after a crash [`resume_or_undo`] does it.
//!
//! `job` has the order of the steps. `plan` decides, `write`, `fill` and `target` build, `finish` and `verify` read back, `standing`
//! looks whether others changed something, `exchange` switches, and undoes by the `journal`. `supply` and `chosen` are the snapshot's side, `place` and `metadata` the target's.

mod chosen;
mod exchange;
mod fill;
mod finish;
mod job;
pub(crate) mod journal;
mod links;
pub(crate) mod metadata;
mod options;
mod place;
mod plan;
mod recover;
mod report;
mod second;
mod select;
mod standing;
mod supply;
mod target;
#[cfg(test)]
mod tests;
mod undoes;
mod verify;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use chronos_store::{Reader, Repository};
use jiff::Timestamp;

use crate::backup::read_errors;
use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::record::{Manifest, Snapshot};
use crate::shown::file_name;
use crate::tree::Tree;
use job::Job;
use place::Steps;
use supply::{Stored, Supply};

pub use options::{Committed, Overwrite, Owner, RestoreOptions, RestorePoint, Strategy};
pub use recover::resume_or_undo;
pub use report::{Recovered, RecoveredOutcome, RestorePlan, RestoreReport, RestoreStatus};
pub use undoes::{Removed, Undoes};

/// Restores a snapshot or a part of it.
///
/// Restores that an earlier process left unfinished are brought to an end first. After an error the target is as it
/// was, unless the error is [`Error::NotUndone`].
pub fn restore(repo: &Repository, snapshot: &Snapshot, options: &RestoreOptions) -> Result<RestoreReport> {
    let dirs = repo.dirs();
    let reader = repo.view()?.reader();
    let tree = Tree::new(reader.clone(), snapshot.manifest.tree);
    let supply = Stored { tree, reader };
    let is_folder = is_folder(&supply, &options.path)?;
    let manifest = &snapshot.manifest;
    let now = i128::max(repo.env().clock.now(), 0);
    let stamp = Timestamp::from_nanosecond(now).map_err(|e| Error::Invalid(e.to_string()))?;
    let label = manifest.name.as_deref().unwrap_or(&manifest.backup_id);
    let name = file_name(&format!("restore_{label}_{}", stamp.strftime("%Y%m%d_%H%M%S")));
    let default = PathBuf::from("restores").join(name);
    let unread =
        if options.strategy == Strategy::Replace { unread(&supply.reader, manifest)? } else { Vec::new() };
    let job = Job {
        supply: &supply,
        options,
        roots: supply.tree.roots(manifest),
        unread,
        manifest: Some(manifest),
        is_folder,
        default,
        state: &dirs.state,
        id: match &options.id {
            Some(id) => id.clone(),
            None => hex::encode(repo.env().random_bytes::<16>()?),
        },
        own: vec![PathBuf::from(repo.location()), dirs.cache.clone(), dirs.state.clone()],
        monitor: repo.monitor().as_ref(),
        steps: Arc::new(Steps::default()),
    };
    job.run()
}

/// What the snapshot could not read.
fn unread(reader: &Reader, manifest: &Manifest) -> Result<Vec<String>> {
    let errors = read_errors(reader, manifest)?;
    if (errors.len() as u64) < manifest.error_count {
        return Err(Error::Refused(format!(
            "the snapshot does not name all that it could not read ({} things), so that removing what it lacks could \
             remove them: choose overwrite",
            manifest.error_count
        )));
    }
    Ok(errors.into_iter().map(|e| e.path).collect())
}

/// Whether a path of the snapshot is a folder, with an entry of its own or only with something below it.
fn is_folder(supply: &dyn Supply, path: &TreePath) -> Result<bool> {
    if path.is_root() {
        return Ok(true);
    }
    match supply.entries(path).next() {
        Some(Ok((first, node))) => Ok(first != *path || node.is_dir()),
        Some(Err(e)) => Err(e),
        None => Err(Error::NotFound { what: "path", name: path.to_string() }),
    }
}
