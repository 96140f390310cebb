//! What differs between two trees, or between a tree and what is on disk now.
//!
//! Both sides are merged in the order of paths with bounded memory. A part that one side cannot read is an
//! error once, and says nothing about the other side's entries there.

mod json;
mod live;
#[cfg(test)]
mod tests;
mod trees;

use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::tree::RawEntry;

pub use json::{JSON_BYTES_MAX, JsonChange, json_diff};
pub use live::LiveDiff;
pub use trees::TreeDiff;

/// One way in which two entries differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// One is a file, the other a folder, and so on.
    Type,
    /// The bytes of a file.
    Content,
    /// Where a symbolic link points.
    Target,
    /// The number of a device.
    Device,
    /// Permission bits.
    Mode,
    /// Owner or group, by number or name.
    Owner,
    /// Time of the last change.
    Mtime,
    /// Extended attributes, ACLs among them.
    Xattrs,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is only in the newer.
    Added,
    /// It is only in the older.
    Removed,
    /// It is in both.
    Changed,
}

/// An entry that is not the same on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where.
    pub path: TreePath,
    /// What became of it.
    pub change: Change,
    /// The older entry; without the extents of a large file.
    pub before: Option<Node>,
    /// The newer entry; without the extents of a large file.
    pub after: Option<Node>,
    /// How they differ, if both are there.
    pub aspects: Vec<Aspect>,
}

impl Difference {
    fn added(path: TreePath, node: Node) -> Self {
        Self { path, change: Change::Added, before: None, after: Some(node), aspects: Vec::new() }
    }

    fn removed(entry: RawEntry) -> Self {
        let before = Some(entry.node);
        Self { path: entry.path, change: Change::Removed, before, after: None, aspects: Vec::new() }
    }

    fn changed(path: TreePath, before: Node, after: Node, aspects: Vec<Aspect>) -> Option<Self> {
        let (before, after) = (Some(before), Some(after));
        (!aspects.is_empty()).then_some(Self { path, change: Change::Changed, before, after, aspects })
    }
}

/// How two entries differ, apart from the bytes of files.
fn aspects(before: &Node, after: &Node) -> Vec<Aspect> {
    if discriminant(&before.kind) != discriminant(&after.kind) {
        return vec![Aspect::Type];
    }
    let mut found = Vec::new();
    let mut note = |differs: bool, aspect| {
        if differs {
            found.push(aspect);
        }
    };
    match (&before.kind, &after.kind) {
        (NodeKind::Symlink(a), NodeKind::Symlink(b)) => note(a != b, Aspect::Target),
        (NodeKind::CharDevice { rdev: a }, NodeKind::CharDevice { rdev: b })
        | (NodeKind::BlockDevice { rdev: a }, NodeKind::BlockDevice { rdev: b }) => {
            note(a != b, Aspect::Device);
        }
        _ => {}
    }
    note(before.mode != after.mode, Aspect::Mode);
    let owner = |n: &Node| (n.uid, n.gid, n.user.clone(), n.group.clone());
    note(owner(before) != owner(after), Aspect::Owner);
    note(before.mtime != after.mtime, Aspect::Mtime);
    note(before.xattrs != after.xattrs, Aspect::Xattrs);
    found
}
