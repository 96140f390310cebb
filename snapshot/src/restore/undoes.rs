//! What another restore did, seen from the snapshot of what was there before it: only that is undone, and what came since stays.

use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;
use crate::tree::Tree;

/// What a restore removed.
#[derive(Clone, Debug)]
pub enum Removed {
    /// Nothing.
    Nothing,
    /// All that its snapshot lacked.
    All,
    /// Of what its snapshot lacked, what is in this tree.
    Of(Tree),
}

impl Removed {
    fn has(&self, path: &TreePath) -> Result<bool> {
        Ok(match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Of(tree) => tree.get(path)?.is_some(),
        })
    }
}

/// A restore that is undone by restoring what was there before with [`Strategy::Replace`](crate::Strategy::Replace).
#[derive(Clone, Debug)]
pub struct Undoes {
    /// What was there before: the snapshot that is restored now.
    pub before: Tree,
    /// The snapshot that the other one restored; `None`: it is gone, and what it changed is not known, nor what it made.
    pub restored: Option<Tree>,
    /// Whether it wrote over what was there.
    pub overwrote: bool,
    /// What it removed.
    pub removed: Removed,
}

impl Undoes {
    /// Whether it may have changed an entry of what was there before.
    pub(crate) fn changed(&self, path: &TreePath, before: &Node) -> Result<bool> {
        let Some(restored) = &self.restored else { return Ok(true) };
        Ok(match restored.get(path)? {
            Some(node) => {
                // What a restore cannot set tells nothing of what it changed.
                let (ctime, dev, inode, links) = (before.ctime, before.dev, before.inode, before.links);
                self.overwrote && !Node { ctime, dev, inode, links, ..node }.is_like(before)
            }
            None => self.removed.has(path)?,
        })
    }

    /// Whether an entry of what was there before was there after it too.
    pub(crate) fn left(&self, path: &TreePath) -> Result<bool> {
        let is_restored = match &self.restored {
            Some(restored) => restored.get(path)?.is_some(),
            None => false,
        };
        Ok(is_restored || !self.removed.has(path)?)
    }

    /// Whether it made what is at this path.
    pub(crate) fn made(&self, path: &TreePath) -> Result<bool> {
        let Some(restored) = &self.restored else { return Ok(false) };
        let Some(node) = restored.get(path)? else { return Ok(false) };
        Ok(self.before.get(path)?.is_none_or(|before| before.is_dir() != node.is_dir()))
    }
}
