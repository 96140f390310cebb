//! What can be done with a repository, one file per verb: a request in, a result out. The command line, HTTP and schedules call
//! the same functions; nothing here prints, and whoever calls is told of progress through the monitor of the workplace.

pub mod backup;
pub mod cleanup;
pub mod delete;
pub mod diff;
pub mod drill;
pub mod emergency;
pub mod failures;
pub mod gathered;
pub mod history;
pub mod hold;
pub mod kit;
mod marks;
pub mod offsite;
pub mod probe;
pub mod prune;
pub mod recover;
mod restart;
pub mod restore;
pub mod rollback;
pub mod schedules;
pub mod sync;
pub mod tag;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod undelete;
pub mod undo;
pub mod verify;
pub mod versions;

use chronos_snapshot::Snapshot;
use serde::Serialize;

/// Whether anything is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is done.
    #[default]
    Apply,
    /// It is only said what would be done.
    DryRun,
}

impl Mode {
    /// As the usual switch says it.
    pub fn dry(is_dry: bool) -> Self {
        if is_dry { Self::DryRun } else { Self::Apply }
    }

    /// Whether nothing is written.
    pub fn is_dry(self) -> bool {
        self == Self::DryRun
    }
}

/// One snapshot in the answer of an operation on some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its name.
    pub backup_id: String,
    /// Its content id.
    pub snapshot: String,
}

impl From<&Snapshot> for Named {
    fn from(snapshot: &Snapshot) -> Self {
        Self { backup_id: snapshot.manifest.backup_id.clone(), snapshot: snapshot.id.to_string() }
    }
}
