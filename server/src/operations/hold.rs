//! Holding: snapshots that neither retention nor deletion removes, and the end of that.

use chronos_snapshot::Snapshot;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::operations::{Mode, marks};

/// Whether a snapshot is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing may remove it.
    Held,
    /// Retention decides about it.
    Released,
}

/// Holds or releases snapshots; those that are so already stay as they are.
pub fn hold(catalog: &Catalog, snapshots: &[Snapshot], hold: Hold, mode: Mode) -> Result<()> {
    if mode.is_dry() {
        return Ok(());
    }
    marks::set(&catalog.repository, snapshots, &|marks| marks.held = hold == Hold::Held)
}
