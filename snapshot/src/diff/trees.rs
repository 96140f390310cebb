//! Two trees of one repository, merged; nodes that both have are not read.

use std::cmp::Ordering;

use super::{Aspect, Difference, aspects};
use crate::error::{Error, Result};
use crate::node::NodeKind;
use crate::path::TreePath;
use crate::tree::{Cursor, Item, NodeRef, RawEntry, Tree, same_bytes};

impl Tree {
    /// What differs at and below `base` in `newer`, in the order of paths.
    pub fn diff(&self, newer: &Self, base: &TreePath) -> TreeDiff {
        let trees = (self.clone(), newer.clone());
        TreeDiff { left: Side::new(self, base.clone()), right: Side::new(newer, base.clone()), trees }
    }
}

/// Differences between two trees. After an error the iterator goes on behind what cannot be read.
#[derive(Debug)]
pub struct TreeDiff {
    left: Side,
    right: Side,
    /// The older and the newer.
    trees: (Tree, Tree),
}

/// One tree, and its next node or entry.
#[derive(Debug)]
struct Side {
    cursor: Cursor,
    base: TreePath,
    head: Option<Item>,
    done: bool,
}

impl Side {
    fn new(tree: &Tree, base: TreePath) -> Self {
        Self { cursor: tree.cursor(), base, head: None, done: false }
    }

    /// Makes `head` the next item inside the base, if there is one.
    fn fill(&mut self) -> Result<()> {
        while self.head.is_none() && !self.done {
            let Some(item) = self.cursor.step().transpose()? else {
                self.done = true;
                break;
            };
            let (first, before) = match &item {
                Item::Node(node) => (&node.first, node.next.as_ref().is_some_and(|n| *n <= self.base)),
                Item::Entry(entry) => (&entry.path, entry.path < self.base),
            };
            if *first > self.base && first.strip(&self.base).is_none() {
                self.done = true;
            } else if !before {
                self.head = Some(item);
            }
        }
        Ok(())
    }

    /// The path of the next item.
    fn first(&self) -> Option<&TreePath> {
        match self.head.as_ref()? {
            Item::Node(node) => Some(&node.first),
            Item::Entry(entry) => Some(&entry.path),
        }
    }

    fn node(&self) -> Option<&NodeRef> {
        match self.head.as_ref()? {
            Item::Node(node) => Some(node),
            Item::Entry(_) => None,
        }
    }

    /// How high the next item is: the root is highest, an entry lowest.
    fn rank(&self) -> Option<u16> {
        Some(match self.head.as_ref()? {
            Item::Node(node) => node.level.map_or(u16::MAX, |level| u16::from(level) + 1),
            Item::Entry(_) => 0,
        })
    }

    /// Takes the next item: opens a node, gives an entry.
    fn take(&mut self) -> Result<Option<RawEntry>> {
        match self.head.take() {
            Some(Item::Entry(entry)) => Ok(Some(entry)),
            Some(Item::Node(node)) => {
                self.cursor.open(node)?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Whether what is at `path` could not be read.
    fn has_lost(&self, path: &TreePath) -> bool {
        self.cursor.lost().is_some_and(|lost| lost.covers(path))
    }
}

impl TreeDiff {
    /// One step; `None` if it found nothing to report.
    fn step(&mut self) -> Result<Option<Difference>> {
        let same = match (self.left.node(), self.right.node()) {
            (Some(a), Some(b)) => a.id == b.id,
            _ => false,
        };
        if same {
            (self.left.head, self.right.head) = (None, None);
            return Ok(None);
        }
        // The lower path first; of two equal ones the higher node, so that both sides come to the same level.
        let order = match (self.left.first(), self.right.first()) {
            (Some(a), Some(b)) => a.cmp(b).then_with(|| self.right.rank().cmp(&self.left.rank())),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let is_node = |side: &Side| side.node().is_some();
        match order {
            Ordering::Less => {
                let found = self.left.take()?.filter(|e| !self.right.has_lost(&e.path));
                Ok(found.map(Difference::removed))
            }
            Ordering::Equal if is_node(&self.left) => {
                // Equal levels, different nodes: the left one is opened now, the right one when it is higher.
                self.left.take()?;
                Ok(None)
            }
            Ordering::Greater => {
                let found = self.right.take()?.filter(|e| !self.left.has_lost(&e.path));
                Ok(found.map(|e| Difference::added(e.path, e.node)))
            }
            Ordering::Equal => match (self.left.take()?, self.right.take()?) {
                (Some(before), Some(after)) => compare(&self.trees, before, after),
                _ => Ok(None),
            },
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        self.left.fill()?;
        self.right.fill()
    }
}

fn compare(trees: &(Tree, Tree), before: RawEntry, after: RawEntry) -> Result<Option<Difference>> {
    let mut found = aspects(&before.node, &after.node);
    let files = matches!((&before.node.kind, &after.node.kind), (NodeKind::File(_), NodeKind::File(_)));
    if files && before.version() != after.version() && !same_bytes((&trees.0, &before), (&trees.1, &after))? {
        found.insert(0, Aspect::Content);
    }
    Ok(Difference::changed(after.path, before.node, after.node, found))
}

impl Iterator for TreeDiff {
    type Item = Result<Difference>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
            if self.left.head.is_none() && self.right.head.is_none() {
                return None;
            }
            match self.step() {
                Ok(None) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
