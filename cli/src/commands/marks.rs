//! What hold, release, tag, delete, undelete and verify have in common: one record of the log over some snapshots.

use chronos_snapshot::Snapshot;
use chronos_store::{Change, Marks, Repository, View};
use clap::Args;
use serde::Serialize;

use crate::error::{Exit, Failure};

/// Which snapshots, and whether anything is written.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    pub(crate) snapshots: Vec<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// One snapshot in the answer of such a command.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    /// Its name.
    pub(crate) backup_id: String,
    /// Its content id.
    pub(crate) snapshot: String,
}

impl From<&Snapshot> for Named {
    fn from(snapshot: &Snapshot) -> Self {
        Self { backup_id: snapshot.manifest.backup_id.clone(), snapshot: snapshot.id.to_string() }
    }
}

/// Sets marks of snapshots, computed from the newest ones; nothing is written where nothing changes.
pub(crate) fn set(
    repository: &Repository,
    snapshots: &[Snapshot],
    edit: &dyn Fn(&mut Marks),
) -> Result<(), Failure> {
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
pub(crate) fn forget(repository: &Repository, snapshots: &[Snapshot]) -> Result<(), Failure> {
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

/// Refuses held snapshots in words that say what to do.
pub(crate) fn refuse_held(snapshots: &[Snapshot]) -> Result<(), Failure> {
    match snapshots.iter().find(|s| s.marks.held) {
        Some(held) => {
            let id = &held.manifest.backup_id;
            Err(Failure::new(Exit::Failed, format!("{id} is held; nothing was deleted"))
                .hint(format!("`chronos release {id}` first")))
        }
        None => Ok(()),
    }
}

fn gone(snapshot: &Snapshot) -> chronos_store::Error {
    chronos_store::Error::Refused(format!(
        "{} was deleted by another process meanwhile; nothing was changed",
        snapshot.manifest.backup_id
    ))
}
