//! The versions of one path over many snapshots.

use std::collections::HashMap;
use std::fmt;

use chronos_store::{ChunkId, Reader, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::node::{Extent, Node, NodeKind};
use crate::path::TreePath;
use crate::record::Snapshot;
use crate::tree::{RawEntry, Tree};

/// Identifies a content: the hash of an entry's type and of the chunks, holes and lengths that it is made of.
/// Attributes do not count. Comparable inside one repository only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub [u8; 32]);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

impl Serialize for VersionId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let id: ChunkId = String::deserialize(d)?.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(id.0))
    }
}

/// One version of a path.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its content.
    pub id: VersionId,
    /// The entry as it was first seen; without the extents of a large file.
    pub node: Node,
    /// The first snapshot that has it.
    pub first: SnapshotId,
    /// The last snapshot that has it.
    pub last: SnapshotId,
    /// All snapshots that have it, oldest first.
    pub snapshots: Vec<SnapshotId>,
}

/// What is known of a path.
#[derive(Debug, Default)]
pub struct Versions {
    /// Distinct versions, in the order in which they first appear.
    pub versions: Vec<Version>,
    /// Snapshots that do not have the path.
    pub absent: Vec<SnapshotId>,
    /// Snapshots that could not be read there.
    pub errors: Vec<(SnapshotId, Error)>,
}

impl RawEntry {
    /// The content's identity.
    pub(crate) fn version(&self) -> VersionId {
        let mut hasher = blake3::Hasher::new();
        match &self.node.kind {
            NodeKind::File(content) => {
                hasher.update(b"f").update(&content.size.to_le_bytes());
                if let Some(recipe) = &self.recipe {
                    hasher.update(b"r").update(&recipe.0);
                }
                for extent in &content.extents {
                    match extent {
                        Extent::Data { id, len } => {
                            hasher.update(b"d").update(&len.to_le_bytes()).update(&id.0)
                        }
                        // The same bytes, however they are stored.
                        Extent::Assembled(made) => {
                            hasher.update(b"d").update(&made.len.to_le_bytes()).update(&made.id.0)
                        }
                        Extent::Hole { len } | Extent::Zero { len } => {
                            hasher.update(b"0").update(&len.to_le_bytes())
                        }
                    };
                }
            }
            NodeKind::Dir => drop(hasher.update(b"d")),
            NodeKind::Symlink(to) => drop(hasher.update(b"l").update(to)),
            NodeKind::Fifo => drop(hasher.update(b"p")),
            NodeKind::Socket => drop(hasher.update(b"s")),
            NodeKind::CharDevice { rdev } => drop(hasher.update(b"c").update(&rdev.to_le_bytes())),
            NodeKind::BlockDevice { rdev } => drop(hasher.update(b"b").update(&rdev.to_le_bytes())),
        }
        VersionId(*hasher.finalize().as_bytes())
    }
}

/// The versions of `path` in `snapshots`, looked at from the oldest to the newest.
pub fn versions(reader: &Reader, snapshots: &[Snapshot], path: &TreePath) -> Versions {
    let mut sorted: Vec<_> = snapshots.iter().collect();
    sorted.sort_by_key(|s| s.taken_at());
    let trees = sorted.iter().map(|s| (s.id, Tree::new(reader.clone(), s.manifest.tree)));
    collect(trees, path)
}

/// The versions of `path` in trees from the oldest to the newest; equal trees are read once.
pub(crate) fn collect(trees: impl Iterator<Item = (SnapshotId, Tree)>, path: &TreePath) -> Versions {
    let mut found = Versions::default();
    let mut places: HashMap<VersionId, usize> = HashMap::new();
    let mut last: Option<(ChunkId, Option<RawEntry>)> = None;
    for (id, tree) in trees {
        let entry = match last.take() {
            Some((root, entry)) if root == tree.root() => entry,
            _ => match tree.find(path) {
                Ok(entry) => entry,
                Err(error) => {
                    found.errors.push((id, error));
                    continue;
                }
            },
        };
        match &entry {
            None => found.absent.push(id),
            Some(entry) => {
                let version = entry.version();
                let known = places.get(&version).and_then(|at| found.versions.get_mut(*at));
                if let Some(known) = known {
                    known.last = id;
                    known.snapshots.push(id);
                } else {
                    places.insert(version, found.versions.len());
                    let node = entry.node.clone();
                    found.versions.push(Version {
                        id: version,
                        node,
                        first: id,
                        last: id,
                        snapshots: vec![id],
                    });
                }
            }
        }
        last = Some((tree.root(), entry));
    }
    found
}
