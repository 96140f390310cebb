//! The entries of a snapshot that are restored, with their places in the target, in the order of their paths.
//!
//! Folders above a chosen entry come before it, also those that the snapshot has no entry for. A tree may lie: what
//! is out of order or lies below something that is no folder is given as damage, and never leaves this module.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::path::TreePath;
use crate::restore::select::{Choice, Selection};
use crate::restore::supply::{EntryIter, Supply};

/// An entry to be restored.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Where, in the target.
    pub(crate) path: TreePath,
    /// What; `None`: a folder that the snapshot has no entry for.
    pub(crate) node: Option<Node>,
    /// A folder that is there only because of what is below it: if it exists it is left alone.
    pub(crate) leads: bool,
}

impl Chosen {
    /// Whether it is a folder.
    pub(crate) fn is_dir(&self) -> bool {
        self.node.as_ref().is_none_or(Node::is_dir)
    }
}

/// Goes through a tree once.
pub(crate) struct Walk<'a> {
    selection: &'a Selection,
    entries: EntryIter<'a>,
    /// Given next.
    ready: VecDeque<Chosen>,
    /// Folders of the snapshot that are given if something below them is.
    waiting: Vec<(TreePath, Node)>,
    /// Folders of the target that lead to where the walk is.
    folders: Vec<TreePath>,
    /// The last entry given that is no folder.
    leaf: Option<TreePath>,
    last: Option<TreePath>,
    /// Whether an entry was chosen for itself.
    pub(crate) any: bool,
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Walk(after {:?})", self.last)
    }
}

impl<'a> Walk<'a> {
    /// Begins at the base of the selection.
    pub(crate) fn new(supply: &'a dyn Supply, selection: &'a Selection) -> Self {
        Self {
            selection,
            entries: supply.entries(&selection.base),
            ready: VecDeque::new(),
            waiting: Vec::new(),
            folders: Vec::new(),
            leaf: None,
            last: None,
            any: false,
        }
    }

    fn entry(&mut self, origin: TreePath, node: Node) -> Result<()> {
        if self.last.as_ref().is_some_and(|last| *last >= origin) {
            let why = "the entries are out of order".to_owned();
            return Err(Error::Damaged { what: origin.to_string(), why });
        }
        self.last = Some(origin.clone());
        self.waiting.retain(|(path, _)| origin.strip(path).is_some());
        match self.selection.choose(&origin, node.is_dir()) {
            Choice::Skip => return Ok(()),
            Choice::Below => {
                self.waiting.push((origin, node));
                return Ok(());
            }
            Choice::Take => self.any = true,
        }
        for (path, node) in std::mem::take(&mut self.waiting) {
            let target = self.selection.target(&path)?;
            self.give(target, Some(node), true)?;
        }
        let target = self.selection.target(&origin)?;
        let leads = self.selection.is_above_roots(&origin);
        self.give(target, Some(node), leads)
    }

    /// Gives an entry, and before it the folders above that were not given yet.
    fn give(&mut self, path: TreePath, node: Option<Node>, leads: bool) -> Result<()> {
        let damaged = |why: String| Err(Error::Damaged { what: path.to_string(), why });
        if let Some(leaf) = self.leaf.as_ref().filter(|l| path.strip(l).is_some()) {
            return damaged(format!("it lies below {leaf}, which is no folder"));
        }
        while self.folders.last().is_some_and(|f| path.strip(f).is_none()) {
            self.folders.pop();
        }
        let Some(parent) = path.parent() else {
            if node.as_ref().is_none_or(Node::is_dir) {
                self.ready.push_back(Chosen { path, node, leads });
                return Ok(());
            }
            return damaged("the root is no folder".to_owned());
        };
        let known = self.folders.last().cloned().unwrap_or_default();
        let missing = parent.strip(&known).unwrap_or_default();
        let mut above = known;
        for name in missing.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            above = above.join(name)?;
            self.folders.push(above.clone());
            self.ready.push_back(Chosen { path: above.clone(), node: None, leads: true });
        }
        let chosen = Chosen { path, node, leads };
        if chosen.is_dir() {
            self.folders.push(chosen.path.clone());
        } else {
            self.leaf = Some(chosen.path.clone());
        }
        self.ready.push_back(chosen);
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Chosen>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chosen) = self.ready.pop_front() {
                return Some(Ok(chosen));
            }
            match self.entries.next()? {
                Ok((path, node)) => {
                    if let Err(e) = self.entry(path, node) {
                        return Some(Err(e));
                    }
                }
                Err(e) => return Some(Err(e)),
            }
        }
    }
}
