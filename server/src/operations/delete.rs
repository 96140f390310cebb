//! Deleting: forgets the snapshots that were named. They can be undeleted until they are pruned.

use chronos_snapshot::Snapshot;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::operations::{Mode, marks};

/// Deletes snapshots, all or none.
///
/// # Errors
/// [`Error::Held`] if one of them is held.
pub fn delete(catalog: &Catalog, snapshots: &[Snapshot], mode: Mode) -> Result<()> {
    if let Some(held) = snapshots.iter().find(|s| s.marks.held) {
        return Err(Error::Held { backup_id: held.manifest.backup_id.clone() });
    }
    if mode.is_dry() {
        return Ok(());
    }
    marks::forget(&catalog.repository, snapshots)
}
