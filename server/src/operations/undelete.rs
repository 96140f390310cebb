//! Undeleting: brings forgotten snapshots back, until a prune has purged them.

use chronos_snapshot::{Snapshot, resolve};
use chronos_store::Change;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::operations::Mode;

/// Brings snapshots back that are named as they were before.
pub fn undelete(catalog: &Catalog, names: &[String], mode: Mode) -> Result<Vec<Snapshot>> {
    let trash = catalog.trash()?;
    let mut chosen = Vec::new();
    for name in names {
        let found = resolve(&trash, name).map_err(|e| {
            if resolve(&catalog.snapshots, name).is_ok() {
                return Error::NotDeleted { name: name.clone() };
            }
            Error::NotInTrash(e)
        })?;
        chosen.push(found.snapshot);
    }
    if !mode.is_dry() {
        let snapshots: Vec<_> = chosen.iter().map(|s| s.session.clone()).collect();
        catalog.repository.change(&|_| Ok(Some(Change::Undelete { snapshots: snapshots.clone() })))?;
    }
    Ok(chosen)
}
