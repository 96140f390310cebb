//! What hold, release, tag, delete and retention have in common: one record of the log over some snapshots.

use chronos_snapshot::Snapshot;
use chronos_store::{Change, Marks, Repository, View};

use crate::error::Result;

/// Sets marks of snapshots, computed from the newest ones; nothing is written where nothing changes.
pub(super) fn set(repository: &Repository, snapshots: &[Snapshot], edit: &dyn Fn(&mut Marks)) -> Result<()> {
    repository.change(&|view: &View| {
        let mut marks = Vec::new();
        for snapshot in snapshots {
            let row = view.snapshots().find(|r| r.session == snapshot.session);
            let row = row.ok_or_else(|| gone(snapshot))?;
            let mut edited = row.marks.clone();
            edit(&mut edited);
            if edited != row.marks {
                marks.push((row.session.clone(), edited));
            }
        }
        Ok((!marks.is_empty()).then_some(Change::Mark { marks }))
    })?;
    Ok(())
}

/// Forgets snapshots: hides them until they are undeleted or purged.
pub(super) fn forget(repository: &Repository, snapshots: &[Snapshot]) -> Result<()> {
    if snapshots.is_empty() {
        return Ok(());
    }
    repository.change(&|view: &View| {
        for snapshot in snapshots {
            let row = view.snapshots().find(|r| r.session == snapshot.session);
            if row.ok_or_else(|| gone(snapshot))?.marks.held {
                return Err(chronos_store::Error::Refused(format!(
                    "{} is held; nothing was deleted",
                    snapshot.manifest.backup_id
                )));
            }
        }
        Ok(Some(Change::Forget { snapshots: snapshots.iter().map(|s| s.session.clone()).collect() }))
    })?;
    Ok(())
}

fn gone(snapshot: &Snapshot) -> chronos_store::Error {
    chronos_store::Error::Refused(format!(
        "{} was deleted by another process meanwhile; nothing was changed",
        snapshot.manifest.backup_id
    ))
}
