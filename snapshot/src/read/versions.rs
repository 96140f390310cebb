//! The versions of one path over many snapshots.

use std::collections::HashMap;
use std::fmt;

use chronos_store::{ChunkId, Reader, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::record::Snapshot;
use crate::tree::{RawEntry, Tree, same_bytes};

/// Identifies a content: the hash of an entry's type and of the chunks, holes and lengths that it is made of.
/// Attributes do not count. Comparable inside one repository only. One content that is stored in two ways has two ids;
/// among [`Versions`] it is one version, with the id that it was first stored with.
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
                    match extent.mark() {
                        Some(mark) => hasher.update(b"d").update(&mark.0),
                        None => hasher.update(b"0"),
                    };
                    hasher.update(&extent.len().to_le_bytes());
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
    let mut known = Known::default();
    let mut last: Option<(ChunkId, Option<usize>)> = None;
    for (id, tree) in trees {
        let place = match last {
            Some((root, place)) if root == tree.root() => Ok(place),
            _ => known.place(id, &tree, path, &mut found.versions),
        };
        match place {
            Ok(place) => {
                match place.and_then(|at| found.versions.get_mut(at)) {
                    Some(version) => version.seen_in(id),
                    None => found.absent.push(id),
                }
                last = Some((tree.root(), place));
            }
            Err(error) => {
                found.errors.push((id, error));
                last = None;
            }
        }
    }
    found
}

impl Version {
    fn seen_in(&mut self, id: SnapshotId) {
        self.last = id;
        self.snapshots.push(id);
    }
}

/// The versions that were found, to recognise them.
#[derive(Default)]
struct Known {
    places: HashMap<VersionId, usize>,
    /// An entry of each version that is a file, with its tree.
    files: Vec<(usize, Tree, RawEntry)>,
}

impl Known {
    /// Which version a snapshot's tree has, as its place in the list, which gets it if it is new; `None` if the path is
    /// not there.
    fn place(
        &mut self,
        id: SnapshotId,
        tree: &Tree,
        path: &TreePath,
        versions: &mut Vec<Version>,
    ) -> Result<Option<usize>> {
        let Some(entry) = tree.find(path)? else { return Ok(None) };
        let version = entry.version();
        if let Some(at) = self.places.get(&version) {
            return Ok(Some(*at));
        }
        for (at, other, stored) in self.files.iter().rev() {
            if same_bytes((other, stored), (tree, &entry))? {
                self.places.insert(version, *at);
                return Ok(Some(*at));
            }
        }
        let at = versions.len();
        self.places.insert(version, at);
        let node = entry.node.clone();
        versions.push(Version { id: version, node, first: id, last: id, snapshots: Vec::new() });
        if matches!(entry.node.kind, NodeKind::File(_)) {
            self.files.push((at, tree.clone(), entry));
        }
        Ok(Some(at))
    }
}
