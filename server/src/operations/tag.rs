//! Tagging: adds, removes and replaces tags of snapshots.

use chronos_snapshot::Snapshot;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::operations::{Mode, marks};

/// What becomes of the tags of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct TagEdit {
    /// These are added.
    pub add: Vec<String>,
    /// These are removed.
    pub remove: Vec<String>,
    /// If there are any, they replace what was there.
    pub set: Vec<String>,
}

impl TagEdit {
    /// The tags afterwards.
    pub fn applied(&self, tags: &[String]) -> Vec<String> {
        let mut edited: Vec<String> = Vec::new();
        let before = if self.set.is_empty() { tags } else { &self.set };
        for tag in before.iter().chain(&self.add) {
            if !self.remove.contains(tag) && !edited.contains(tag) {
                edited.push(tag.clone());
            }
        }
        edited
    }
}

/// Edits the tags of snapshots; each edit starts from the newest ones.
pub fn tag(catalog: &Catalog, snapshots: &[Snapshot], edit: &TagEdit, mode: Mode) -> Result<()> {
    if mode.is_dry() {
        return Ok(());
    }
    for snapshot in snapshots {
        let committed = snapshot.manifest.tags.clone();
        marks::set(&catalog.repository, std::slice::from_ref(snapshot), &|marks| {
            let now = marks.tags.clone().unwrap_or_else(|| committed.clone());
            let wanted = edit.applied(&now);
            if wanted != now {
                marks.tags = Some(wanted);
            }
        })?;
    }
    Ok(())
}
