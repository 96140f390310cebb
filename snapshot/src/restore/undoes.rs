//! What another restore did, seen from the snapshot of what was there before it: only that is undone, and what came since stays.

use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;
use crate::tree::Tree;

/// A restore that is undone by restoring what was there before with [`Strategy::Replace`](crate::Strategy::Replace).
#[derive(Clone, Debug)]
pub struct Undoes {
    /// What was there before: the snapshot that is restored now.
    pub before: Tree,
    /// The snapshot that the other one restored; `None`: it is gone, and what it changed is not known, nor what it made.
    pub restored: Option<Tree>,
    /// Whether it removed what its snapshot lacked.
    pub removed: bool,
}

impl Undoes {
    /// Whether it may have changed an entry of what was there before.
    pub(crate) fn changed(&self, path: &TreePath, before: &Node) -> Result<bool> {
        let Some(restored) = &self.restored else { return Ok(true) };
        Ok(match restored.get(path)? {
            Some(node) => {
                // What a restore cannot set tells nothing of what it changed.
                let (ctime, dev, inode, links) = (before.ctime, before.dev, before.inode, before.links);
                !Node { ctime, dev, inode, links, ..node }.is_like(before)
            }
            None => self.removed,
        })
    }

    /// Whether its snapshot has this entry, so that it was there after it.
    pub(crate) fn left(&self, path: &TreePath) -> Result<bool> {
        Ok(match &self.restored {
            Some(restored) => restored.get(path)?.is_some(),
            None => !self.removed && self.before.get(path)?.is_some(),
        })
    }

    /// Whether it made what is at this path.
    pub(crate) fn made(&self, path: &TreePath) -> Result<bool> {
        let Some(restored) = &self.restored else { return Ok(false) };
        let Some(node) = restored.get(path)? else { return Ok(false) };
        Ok(self.before.get(path)?.is_none_or(|before| before.is_dir() != node.is_dir()))
    }
}
