//! Inner nodes: the first path of each child, and the children's ids.
//!
//! `Meta`: version, form, level (1 is directly above the leaves), number of children, prefix-compressed first
//! paths. `Refs`: the children in the same order.

use std::sync::Arc;

use chronos_store::{ChunkId, RefList};

use super::codec::{Dec, ENTRIES_MAX, Form, VERSION, damaged, put_int, put_path};
use crate::error::{Error, Result};
use crate::path::TreePath;

/// Most levels above the leaves: with at least four entries a node, 4 to the 20th leaves.
pub(crate) const LEVELS_MAX: u8 = 20;

/// Encodes an inner node.
pub(crate) fn encode(level: u8, children: &[(TreePath, ChunkId)]) -> (Vec<u8>, RefList) {
    let mut out = vec![VERSION, Form::Inner as u8];
    put_int(&mut out, u64::from(level));
    put_int(&mut out, children.len() as u64);
    let mut last: &[u8] = &[];
    for (path, _) in children {
        put_path(&mut out, last, path.as_bytes());
        last = path.as_bytes();
    }
    let children = children.iter().map(|(_, id)| *id).collect();
    (out, RefList { children, ..RefList::default() })
}

/// A node that is referred to, before it is read.
#[derive(Clone, Debug)]
pub(crate) struct NodeRef {
    /// Its id.
    pub(crate) id: ChunkId,
    /// Its level, 0 for a leaf; unknown for the root of a tree.
    pub(crate) level: Option<u8>,
    /// Its first path; the empty path for the root of a tree.
    pub(crate) first: TreePath,
    /// All its paths are less than this one.
    pub(crate) next: Option<TreePath>,
}

/// Reads the children of one inner node one by one.
#[derive(Debug)]
pub(crate) struct InnerReader {
    meta: Arc<[u8]>,
    at: usize,
    left: usize,
    level: u8,
    ids: std::vec::IntoIter<ChunkId>,
    /// First path of the next child.
    ahead: Option<TreePath>,
    /// All paths of this node are less than this one.
    end: Option<TreePath>,
    /// Why there is no next child; told after the last good one.
    failed: Option<Error>,
    /// First path of the last child that was handed out.
    reached: TreePath,
}

impl InnerReader {
    /// Reads the head of an inner node.
    pub(crate) fn open(meta: Arc<[u8]>, refs: RefList, end: Option<TreePath>) -> Result<Self> {
        let mut dec = Dec::new(&meta);
        if dec.form()? != Form::Inner {
            return Err(damaged("an inner node is of the wrong form"));
        }
        let level = dec.at_most(u64::from(LEVELS_MAX), "the level of a node")? as u8;
        let left = dec.count(ENTRIES_MAX, "the number of children")?;
        if level == 0 || left == 0 || left != refs.children.len() || !refs.data.is_empty() {
            return Err(damaged("an inner node's level or counts are wrong"));
        }
        let at = meta.len() - dec.left();
        let mut reader = Self {
            meta,
            at,
            left,
            level,
            ids: refs.children.into_iter(),
            ahead: None,
            end,
            failed: None,
            reached: TreePath::root(),
        };
        reader.ahead = reader.path()?;
        Ok(reader)
    }

    /// Level of this node.
    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    /// First path of the next child.
    pub(crate) fn ahead(&self) -> Option<&TreePath> {
        self.ahead.as_ref()
    }

    /// First path of the last child that was handed out.
    pub(crate) fn reached(&self) -> TreePath {
        self.reached.clone()
    }

    /// All paths of this node are less than this one.
    pub(crate) fn end(&self) -> Option<&TreePath> {
        self.end.as_ref()
    }

    fn path(&mut self) -> Result<Option<TreePath>> {
        let meta = Arc::clone(&self.meta);
        let mut dec = Dec::new(meta.get(self.at..).unwrap_or_default());
        if self.left == 0 {
            dec.end()?;
            return Ok(None);
        }
        let path = dec.path(self.ahead.as_ref())?;
        if self.end.as_ref().is_some_and(|end| path >= *end) {
            return Err(damaged("a path lies outside its node"));
        }
        self.at = meta.len() - dec.left();
        self.left -= 1;
        Ok(Some(path))
    }

    /// The next child.
    pub(crate) fn step(&mut self) -> Result<Option<NodeRef>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let following = self.path();
        let Some(first) = self.ahead.take() else { return Ok(None) };
        let Some(id) = self.ids.next() else { return Ok(None) };
        self.reached.clone_from(&first);
        match following {
            Ok(ahead) => self.ahead = ahead,
            Err(error) => self.failed = Some(error),
        }
        let next = self.ahead.clone().or_else(|| self.end.clone());
        Ok(Some(NodeRef { id, level: Some(self.level - 1), first, next }))
    }
}
