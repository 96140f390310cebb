//! Brings restores to an end that were interrupted: undone, or finished if everything was in place already.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::restore::exchange;
use crate::restore::journal::{Journal, Record, journals};
use crate::restore::place::{Place, Steps};
use crate::restore::report::{Recovered, RecoveredOutcome};

/// Undoes or finishes every interrupted restore whose journal lies in the state folder, and says what it did.
pub fn resume_or_undo(state: &Path) -> Result<Vec<Recovered>> {
    recover(state, &Arc::new(Steps::default()))
}

pub(crate) fn recover(state: &Path, steps: &Arc<Steps>) -> Result<Vec<Recovered>> {
    let mut done = Vec::new();
    for path in journals(state)? {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some(journal) = Journal::open(&path)? else {
            done.push(Recovered { id, path, outcome: RecoveredOutcome::Running });
            continue;
        };
        let target = target(journal.records());
        let shown = target.clone().unwrap_or(path);
        let outcome = match end(journal, target.as_deref(), steps) {
            Ok(outcome) => outcome,
            Err(e) => RecoveredOutcome::Failed(e.to_string()),
        };
        done.push(Recovered { id, path: shown, outcome });
    }
    Ok(done)
}

fn target(records: &[Record]) -> Option<PathBuf> {
    records.iter().find_map(|r| match r {
        Record::Begin { target, .. } => Some(PathBuf::from(OsStr::from_bytes(target))),
        _ => None,
    })
}

fn end(journal: Journal, target: Option<&Path>, steps: &Arc<Steps>) -> Result<RecoveredOutcome> {
    // Without a first record nothing was begun.
    let Some(target) = target else { return journal.remove().map(|()| RecoveredOutcome::Undone) };
    if journal.is_newer() {
        return Err(Error::Refused(format!("{}: its journal is of a newer chronos", target.display())));
    }
    let committed = journal.records().iter().any(|r| matches!(r, Record::Committed));
    match std::fs::symlink_metadata(target) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && !committed => {
            remove_made(journal.records(), steps)?;
            journal.remove()?;
            return Ok(RecoveredOutcome::Undone);
        }
        Err(e) => return Err(Error::file(target, e)),
        Ok(_) => {}
    }
    let place = Place::open(target, Arc::clone(steps))?;
    if committed {
        exchange::finish(&place, journal.records())?;
        journal.remove()?;
        return Ok(RecoveredOutcome::Finished);
    }
    undo(&place, journal, steps)?;
    Ok(RecoveredOutcome::Undone)
}

/// Takes everything back, makes that durable and removes the journal.
pub(crate) fn undo(place: &Place, journal: Journal, steps: &Steps) -> Result<()> {
    exchange::undo(place, journal.records())?;
    let folders = exchange::folders(journal.records());
    place.sync(&folders).map_err(|e| place.error(&crate::path::TreePath::root(), e))?;
    remove_made(journal.records(), steps)?;
    journal.remove()
}

fn is_absent(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// Removes the folders that were made for the target, as far as they are empty.
pub(crate) fn remove_made(records: &[Record], steps: &Steps) -> Result<()> {
    for record in records {
        let Record::Begin { made, .. } = record else { continue };
        for folder in made.iter().rev() {
            let folder = PathBuf::from(OsStr::from_bytes(folder));
            let error = |e| Error::file(&folder, e);
            steps.begin().map_err(error)?;
            match std::fs::remove_dir(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                // A file system that cannot be written says so before it says that there is nothing.
                Err(_) if is_absent(&folder) => {}
                // Somebody put something in: it is theirs now.
                Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                other => other.map_err(error)?,
            }
        }
    }
    Ok(())
}
