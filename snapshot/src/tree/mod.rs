//! The tree of a snapshot: one path-sorted prolly tree, its nodes cut by their keys.

use chronos_store::{ChunkId, Reader, Session};

use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;

/// Builds a tree from entries in the order of their paths.
#[derive(Debug)]
pub struct TreeBuilder<'s> {
    _session: &'s Session,
}

impl<'s> TreeBuilder<'s> {
    /// A builder that stores into `session`.
    pub fn new(session: &'s Session) -> Self {
        Self { _session: session }
    }

    /// Adds an entry; its path must be greater than the last one's. The root itself is no entry.
    pub fn add(&mut self, _path: &TreePath, _node: &Node) -> Result<()> {
        unimplemented!()
    }

    /// Stores what is left and returns the root: the id of a `Refs` chunk.
    pub fn finish(self) -> Result<ChunkId> {
        unimplemented!()
    }
}

/// Reads a tree; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tree {}

impl Tree {
    /// The tree below `root`. Nothing is read yet.
    pub fn new(_reader: Reader, _root: ChunkId) -> Self {
        Self {}
    }

    /// The entry at `path`.
    pub fn get(&self, _path: &TreePath) -> Result<Option<Node>> {
        unimplemented!()
    }

    /// The entry at `base` (unless it is the root) and everything below it, in the order of paths.
    /// Reads only the nodes that it needs. Paths are checked: strictly rising, inside limits.
    pub fn range(&self, _base: &TreePath) -> Entries {
        unimplemented!()
    }

    /// The entries directly inside the folder `base`, in order; skips what lies deeper without reading it all.
    pub fn children(&self, _base: &TreePath) -> Entries {
        unimplemented!()
    }
}

/// Entries in the order of their paths. After an error the iterator goes on behind the part that cannot be read.
#[derive(Debug)]
pub struct Entries {}

impl Iterator for Entries {
    type Item = Result<(TreePath, Node)>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
