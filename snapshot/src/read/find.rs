//! Patterns over many snapshots: only what differs from one to the next is looked at.

use std::collections::BTreeMap;

use chronos_store::{Reader, SnapshotId};

use super::Patterns;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::path::TreePath;
use crate::record::Snapshot;
use crate::tree::Tree;

/// What fits in one snapshot, by path; without the extents of large files.
pub type Matches = BTreeMap<TreePath, Node>;

/// Finds what fits at and below `base` in each snapshot, in the order in which they are given.
///
/// `sink` gets every snapshot with its matches. Parts that cannot be read are returned with the snapshots they
/// belong to; the rest is found all the same. Where nothing but the times of the inode differs between two
/// snapshots, an entry is handed out as the first of them has it.
pub fn find(
    reader: &Reader,
    snapshots: &[Snapshot],
    base: &TreePath,
    patterns: &Patterns,
    sink: &mut dyn FnMut(&Snapshot, &Matches) -> Result<()>,
) -> Result<Vec<(SnapshotId, Error)>> {
    let mut search = Search { base, patterns, last: None };
    let mut errors = Vec::new();
    for snapshot in snapshots {
        let tree = Tree::new(reader.clone(), snapshot.manifest.tree);
        let (matches, failed) = search.next(tree);
        errors.extend(failed.into_iter().map(|e| (snapshot.id, e)));
        sink(snapshot, matches)?;
    }
    Ok(errors)
}

/// What fits in one tree after the other.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) base: &'a TreePath,
    pub(crate) patterns: &'a Patterns,
    /// The last tree, if all of it could be read, and what fits in it.
    pub(crate) last: Option<(Option<Tree>, Matches)>,
}

impl Search<'_> {
    /// What fits in `tree`, and what could not be read of it.
    pub(crate) fn next(&mut self, tree: Tree) -> (&Matches, Vec<Error>) {
        let (mut matches, mut errors) = (None, Vec::new());
        if let Some((Some(old), found)) = self.last.take() {
            // Where the way from the last tree to this one cannot be read, this one is searched whole, and that names
            // what cannot be read.
            matches = self.follow(&old, &tree, found).ok();
        }
        let matches = matches.unwrap_or_else(|| {
            let mut all = Matches::new();
            for entry in tree.search(self.base, self.patterns) {
                match entry {
                    Ok((path, node)) => drop(all.insert(path, node)),
                    Err(error) => errors.push(error),
                }
            }
            all
        });
        let last = self.last.insert((errors.is_empty().then_some(tree), matches));
        (&last.1, errors)
    }

    /// Changes the matches of one tree into those of the next.
    fn follow(&self, old: &Tree, new: &Tree, mut matches: Matches) -> Result<Matches> {
        for difference in old.diff(new, self.base) {
            let difference = difference?;
            match difference.after {
                Some(node) if self.patterns.fits(&difference.path, &node) => {
                    matches.insert(difference.path, node);
                }
                _ => drop(matches.remove(&difference.path)),
            }
        }
        Ok(matches)
    }
}
