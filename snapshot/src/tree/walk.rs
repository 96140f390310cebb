//! Walks over a stored tree, holding one open node per level.
//!
//! [`Cursor`] hands out nodes and entries and leaves it to its user which nodes to open; [`Walk`] and
//! [`Entries`] open what a range needs.

use std::sync::Arc;

use chronos_store::ChunkId;

use super::codec::damaged;
use super::inner::{InnerReader, LEVELS_MAX, NodeRef};
use super::leaf::LeafReader;
use super::{Nodes, RawEntry};
use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;

#[derive(Debug)]
enum Open {
    Inner(InnerReader),
    /// A leaf, the path below which all its entries lie, and its first path if that must be this one.
    Leaf {
        reader: LeafReader,
        end: Option<TreePath>,
        first: Option<TreePath>,
    },
}

/// What a cursor finds.
#[derive(Debug)]
pub(crate) enum Item {
    /// A node that may be opened or left aside.
    Node(NodeRef),
    /// An entry.
    Entry(RawEntry),
}

/// Goes through a tree in the order of paths.
#[derive(Debug)]
pub(crate) struct Cursor {
    nodes: Arc<dyn Nodes>,
    root: Option<ChunkId>,
    stack: Vec<Open>,
    lost: Option<Lost>,
}

/// Paths about which nothing is known, because a node could not be read: from the first one to before the second.
#[derive(Clone, Debug)]
pub(crate) struct Lost(TreePath, Option<TreePath>);

impl Lost {
    pub(crate) fn covers(&self, path: &TreePath) -> bool {
        self.0 <= *path && self.1.as_ref().is_none_or(|next| path < next)
    }
}

impl Cursor {
    pub(crate) fn new(nodes: Arc<dyn Nodes>, root: ChunkId) -> Self {
        Self { nodes, root: Some(root), stack: Vec::new(), lost: None }
    }

    /// The next node or entry. After an error it goes on behind what cannot be read.
    pub(crate) fn step(&mut self) -> Option<Result<Item>> {
        if let Some(id) = self.root.take() {
            let first = TreePath::root();
            return Some(Ok(Item::Node(NodeRef { id, level: None, first, next: None })));
        }
        loop {
            let step = match self.stack.last_mut()? {
                Open::Inner(reader) => reader.step().map(|node| node.map(Item::Node)),
                Open::Leaf { reader, end, first } => leaf_step(reader, end.as_ref(), first.take()),
            };
            match step {
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) => self.stack.pop(),
                Err(error) => {
                    self.lost = self.stack.pop().map(|open| match open {
                        Open::Inner(reader) => Lost(reader.reached(), reader.end().cloned()),
                        Open::Leaf { reader, end, .. } => Lost(reader.reached(), end),
                    });
                    return Some(Err(error));
                }
            };
        }
    }

    /// What the last error was about.
    pub(crate) fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }

    /// Opens the node that was found last: what follows is inside it.
    pub(crate) fn open(&mut self, node: NodeRef) -> Result<()> {
        let lost = Lost(node.first.clone(), node.next.clone());
        self.push(node).inspect_err(|_| self.lost = Some(lost))
    }

    fn push(&mut self, node: NodeRef) -> Result<()> {
        let refs = self.nodes.refs(&node.id)?;
        let meta = refs.meta.ok_or_else(|| damaged("it has no description"))?;
        let meta = self.nodes.meta(&meta)?;
        let first = (!node.first.is_root()).then_some(node.first);
        // The second byte is the form; `open` checks it and the version.
        let is_leaf = node.level == Some(0) || node.level.is_none() && meta.get(1) == Some(&0);
        if is_leaf {
            let reader = LeafReader::open(meta, refs)?;
            self.stack.push(Open::Leaf { reader, end: node.next, first });
            return Ok(());
        }
        if self.stack.len() > usize::from(LEVELS_MAX) {
            return Err(damaged("the tree is too high"));
        }
        let reader = InnerReader::open(meta, refs, node.next)?;
        if node.level.is_some_and(|level| level != reader.level()) {
            return Err(damaged("a node is on the wrong level"));
        }
        if first.is_some_and(|first| reader.ahead() != Some(&first)) {
            return Err(damaged("a node does not begin with the path that leads to it"));
        }
        self.stack.push(Open::Inner(reader));
        Ok(())
    }
}

fn leaf_step(
    reader: &mut LeafReader,
    end: Option<&TreePath>,
    first: Option<TreePath>,
) -> Result<Option<Item>> {
    let entry = reader.step()?;
    if let Some(first) = first
        && entry.as_ref().map(|e| &e.path) != Some(&first)
    {
        return Err(damaged("a leaf does not begin with the path that leads to it"));
    }
    if let (Some(entry), Some(end)) = (&entry, end)
        && entry.path >= *end
    {
        return Err(damaged("a path lies outside its leaf"));
    }
    Ok(entry.map(Item::Entry))
}

/// The entries at and below one path, as they are stored.
#[derive(Debug)]
pub(crate) struct Walk {
    cursor: Cursor,
    base: TreePath,
    /// Entries below this path are passed over.
    behind: Option<TreePath>,
    /// Whether only entries directly inside the base are wanted.
    flat: bool,
    done: bool,
}

impl Walk {
    pub(crate) fn range(nodes: Arc<dyn Nodes>, root: ChunkId, base: TreePath) -> Self {
        Self { cursor: Cursor::new(nodes, root), base, behind: None, flat: false, done: false }
    }

    pub(crate) fn children(nodes: Arc<dyn Nodes>, root: ChunkId, base: TreePath) -> Self {
        Self { flat: true, ..Self::range(nodes, root, base) }
    }

    /// Passes over everything below `path`, which must be the entry handed out last.
    pub(crate) fn skip_below(&mut self, path: TreePath) {
        self.behind = Some(path);
    }

    /// What the last error was about.
    pub(crate) fn lost(&self) -> Option<&Lost> {
        self.cursor.lost()
    }

    /// Whether `path` lies behind everything that is wanted.
    fn past(&self, path: &TreePath) -> bool {
        *path > self.base && path.strip(&self.base).is_none()
    }

    /// Whether a node whose paths all lie before `next` may hold something wanted.
    fn may_hold(&self, next: Option<&TreePath>) -> bool {
        let Some(next) = next else { return true };
        match &self.behind {
            Some(behind) => next > behind && next.strip(behind).is_none(),
            None => *next > self.base,
        }
    }

    fn wants(&self, path: &TreePath) -> bool {
        *path >= self.base && self.behind.as_ref().is_none_or(|b| path > b && path.strip(b).is_none())
    }
}

impl Iterator for Walk {
    type Item = Result<RawEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            match self.cursor.step()? {
                Err(error) => return Some(Err(error)),
                Ok(Item::Node(node)) if self.past(&node.first) => self.done = true,
                Ok(Item::Node(node)) => {
                    if self.may_hold(node.next.as_ref())
                        && let Err(error) = self.cursor.open(node)
                    {
                        return Some(Err(error));
                    }
                }
                Ok(Item::Entry(entry)) if self.past(&entry.path) => self.done = true,
                Ok(Item::Entry(entry)) if !self.wants(&entry.path) => {}
                Ok(Item::Entry(entry)) if self.flat && entry.path == self.base => {}
                Ok(Item::Entry(entry)) => {
                    if self.flat {
                        self.behind = direct_child(&self.base, &entry.path);
                        if self.behind.as_ref() != Some(&entry.path) {
                            continue;
                        }
                    }
                    return Some(Ok(entry));
                }
            }
        }
        None
    }
}

/// The path directly inside `base` at or above `path`.
fn direct_child(base: &TreePath, path: &TreePath) -> Option<TreePath> {
    let name = path.strip(base)?.split(|b| *b == b'/').next()?;
    base.join(name).ok()
}

/// Entries in the order of their paths. After an error the iterator goes on behind the part that cannot be read.
#[derive(Debug)]
pub struct Entries {
    nodes: Arc<dyn Nodes>,
    walk: Walk,
    completes: bool,
}

impl Entries {
    pub(crate) fn new(nodes: Arc<dyn Nodes>, walk: Walk) -> Self {
        Self { nodes, walk, completes: true }
    }

    /// Leaves out the extents of large files, so that no more is read than names and attributes.
    #[must_use]
    pub fn without_extents(self) -> Self {
        Self { completes: false, ..self }
    }

    /// Passes over everything below the folder `path`, which was handed out last.
    pub fn skip_below(&mut self, path: &TreePath) {
        self.walk.skip_below(path.clone());
    }
}

impl Iterator for Entries {
    type Item = Result<(TreePath, Node)>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = match self.walk.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        Some(if self.completes { entry.complete(&self.nodes) } else { Ok((entry.path, entry.node)) })
    }
}
