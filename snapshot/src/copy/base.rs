//! What a copy need not read again: an earlier snapshot that was copied before, and its copy, walked side by side with the new one.
//!
//! Both have the same paths, and files that are cut alike. So where the new snapshot has a piece of a file that the earlier one has at the
//! same path, the copy says what that piece is called at the destination.

use std::collections::HashMap;
use std::iter::Peekable;

use chronos_store::{ChunkMark, Repository, Session};

use crate::error::{ErrorKind, Result};
use crate::node::{Extent, Node, NodeKind};
use crate::path::TreePath;
use crate::record::Snapshot;
use crate::tree::{RawEntry, Tree, Walk};

/// One of the two trees, up to where the new snapshot is.
#[derive(Debug)]
struct Side {
    tree: Tree,
    walk: Peekable<Walk>,
}

impl Side {
    fn new(tree: Tree) -> Self {
        let walk = tree.walk(&TreePath::root()).peekable();
        Self { tree, walk }
    }

    /// The entry at `path`, if there is one; everything before it is passed over.
    fn at(&mut self, path: &TreePath) -> Result<Option<RawEntry>> {
        while let Some(entry) = self.walk.next_if(|e| e.as_ref().map_or(true, |e| e.path <= *path)) {
            let entry = entry?;
            if entry.path == *path {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn complete(&self, entry: RawEntry) -> Result<Node> {
        self.tree.complete(entry)
    }
}

/// An earlier snapshot and its copy.
#[derive(Debug)]
pub(super) struct Base {
    old: Side,
    copy: Side,
    /// Whether chunks of the copy may be referred to without asking for each (rule W3).
    trusted: bool,
    /// One of them cannot be read: everything from here on is read anew.
    given_up: bool,
}

/// What pieces of one file are called at the destination, by what they are called at the source.
pub(super) type Names = HashMap<(ChunkMark, u64), Extent>;

impl Base {
    /// `old` of `from` was copied as `copy`, into the repository of `session`.
    pub(super) fn new(from: &Repository, old: &Snapshot, session: &Session, copy: &Snapshot) -> Result<Self> {
        Ok(Self {
            old: Side::new(Tree::new(from.view()?.reader(), old.manifest.tree)),
            copy: Side::new(Tree::new(session.view().reader(), copy.manifest.tree)),
            trusted: session.may_reuse(&copy.session),
            given_up: false,
        })
    }

    /// Whether what it names may be referred to without asking for each chunk.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The names of the pieces of the file at `path`. Paths must rise.
    pub(super) fn names(&mut self, path: &TreePath) -> Result<Names> {
        if self.given_up {
            return Ok(Names::new());
        }
        match self.looked_up(path) {
            Err(e) if e.kind() == ErrorKind::Damaged => {
                self.given_up = true;
                Ok(Names::new())
            }
            names => names,
        }
    }

    fn looked_up(&mut self, path: &TreePath) -> Result<Names> {
        let (Some(old), Some(copy)) = (self.old.at(path)?, self.copy.at(path)?) else {
            return Ok(Names::new());
        };
        let (old, copy) = (self.old.complete(old)?, self.copy.complete(copy)?);
        let (NodeKind::File(old), NodeKind::File(copy)) = (old.kind, copy.kind) else {
            return Ok(Names::new());
        };
        let is_cut_alike = old.extents.iter().map(Extent::len).eq(copy.extents.iter().map(Extent::len));
        if !is_cut_alike {
            return Ok(Names::new());
        }
        let pairs = old.extents.iter().zip(copy.extents);
        Ok(pairs.filter_map(|(old, copy)| Some(((old.mark()?, old.len()), copy))).collect())
    }
}
