//! The tree of a snapshot: one path-sorted prolly tree, its nodes cut by their keys.
//!
//! A node is a `Refs` chunk (ids) and the `Meta` chunk that it names (paths, attributes). Leaves hold entries,
//! inner nodes the first paths of their children; large files have a small tree of their own ([`recipe`]).
//! What is read is not trusted: every path is checked to lie where the nodes above say, every length to fit.

mod builder;
mod codec;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod inner;
mod leaf;
mod recipe;
mod same;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

use std::fmt::Debug;
use std::sync::Arc;

use chronos_store::{ChunkId, ChunkKind, ChunkMark, ChunkWriter, Reader, RefList, Session};

use crate::error::{Error, Result};
use crate::node::{Extent, Node, NodeKind};
use crate::path::TreePath;

pub use builder::TreeBuilder;
pub(crate) use inner::NodeRef;
pub(crate) use recipe::{ASSEMBLED_BYTES_MAX, Part, Recipe};
pub(crate) use same::same_bytes;
pub use walk::Entries;
pub(crate) use walk::{Cursor, Item, Walk};

/// Where nodes are stored.
pub(crate) trait Sink {
    /// Stores a chunk.
    fn put(&mut self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId>;
}

/// Where nodes are read.
pub(crate) trait Nodes: Debug + Send + Sync {
    /// A reference list.
    fn refs(&self, id: &ChunkId) -> Result<RefList>;
    /// The bytes of a `Meta` chunk.
    fn meta(&self, id: &ChunkId) -> Result<Arc<[u8]>>;
    /// The bytes of a `Data` chunk.
    fn data(&self, id: &ChunkId) -> Result<Arc<[u8]>>;
    /// Whether these bytes are those of a `Data` chunk of that mark.
    fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool;

    /// The bytes of an extent that is not blank, checked.
    fn bytes(&self, extent: &Extent) -> Result<Arc<[u8]>> {
        let assembled = match extent {
            Extent::Data { id, len } => {
                let bytes = self.data(id)?;
                return if bytes.len() as u64 == u64::from(*len) {
                    Ok(bytes)
                } else {
                    Err(codec::damaged(format!("chunk {id} has {} bytes instead of {len}", bytes.len())))
                };
            }
            Extent::Assembled(assembled) => assembled,
            Extent::Hole { .. } | Extent::Zero { .. } => return Ok(Arc::new([])),
        };
        let mut bytes = Vec::with_capacity(assembled.len.min(recipe::ASSEMBLED_BYTES_MAX) as usize);
        for piece in &assembled.pieces {
            let chunk = self.data(&piece.chunk)?;
            let part = piece.of(&chunk);
            let part = part.ok_or_else(|| codec::damaged(format!("chunk {} is too short", piece.chunk)))?;
            bytes.extend_from_slice(part);
        }
        if self.has_mark(assembled.mark, &bytes) {
            Ok(bytes.into())
        } else {
            Err(codec::damaged(format!("the pieces of chunk {} make something else", assembled.mark)))
        }
    }
}

impl Nodes for Reader {
    fn refs(&self, id: &ChunkId) -> Result<RefList> {
        Ok(Reader::refs(self, id)?)
    }

    fn meta(&self, id: &ChunkId) -> Result<Arc<[u8]>> {
        Ok(self.read(ChunkKind::Meta, id)?)
    }

    fn data(&self, id: &ChunkId) -> Result<Arc<[u8]>> {
        Ok(self.read(ChunkKind::Data, id)?)
    }

    fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool {
        Reader::has_mark(self, mark, bytes)
    }
}

/// A session's two writers of tree chunks.
#[derive(Debug)]
pub(crate) struct SessionSink<'s> {
    refs: ChunkWriter<'s>,
    meta: ChunkWriter<'s>,
}

impl<'s> SessionSink<'s> {
    pub(crate) fn new(session: &'s Session) -> Self {
        Self { refs: session.writer(ChunkKind::Refs), meta: session.writer(ChunkKind::Meta) }
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.refs.finish()?;
        Ok(self.meta.finish()?)
    }
}

impl Sink for SessionSink<'_> {
    fn put(&mut self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId> {
        let writer = match kind {
            ChunkKind::Refs => &mut self.refs,
            ChunkKind::Meta => &mut self.meta,
            ChunkKind::Data => return Err(Error::Invalid("a tree holds no data chunks".into())),
        };
        Ok(writer.put(bytes)?.id)
    }
}

/// An entry as a leaf holds it.
#[derive(Clone, Debug)]
pub(crate) struct RawEntry {
    /// Where it is.
    pub(crate) path: TreePath,
    /// What it is; without extents if there is a recipe.
    pub(crate) node: Node,
    /// The recipe that has its extents.
    pub(crate) recipe: Option<ChunkId>,
}

impl RawEntry {
    /// Reads the extents of a large file.
    fn complete(self, nodes: &Arc<dyn Nodes>) -> Result<(TreePath, Node)> {
        let Self { path, mut node, recipe } = self;
        if let (Some(root), NodeKind::File(content)) = (recipe, &mut node.kind) {
            for extent in Recipe::new(Arc::clone(nodes), root, content.size, 0) {
                if content.extents.len() == recipe::EXTENTS_MAX {
                    return Err(codec::damaged(format!("{path} has too many extents")));
                }
                content.extents.push(extent?.1);
            }
        }
        Ok((path, node))
    }
}

/// Reads a tree; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Arc<dyn Nodes>,
    root: ChunkId,
}

impl Tree {
    /// The tree below `root`. Nothing is read yet.
    pub fn new(reader: Reader, root: ChunkId) -> Self {
        Self::over(Arc::new(reader), root)
    }

    /// The tree below `root`, read from anywhere.
    pub(crate) fn over(nodes: Arc<dyn Nodes>, root: ChunkId) -> Self {
        Self { nodes, root }
    }

    /// The id of its root.
    pub fn root(&self) -> ChunkId {
        self.root
    }

    /// The entry at `path`; without the extents of a large file.
    pub fn get(&self, path: &TreePath) -> Result<Option<Node>> {
        Ok(self.find(path)?.map(|entry| entry.node))
    }

    /// The entry at `path` as it is stored.
    pub(crate) fn find(&self, path: &TreePath) -> Result<Option<RawEntry>> {
        // The first entry of the range is at `path`, or there is none there.
        match self.walk(path).next().transpose()? {
            Some(entry) if entry.path == *path => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    /// The entry at `base` (unless it is the root) and everything below it, in the order of paths.
    /// Reads only the nodes that it needs. Paths are checked: strictly rising, inside limits.
    pub fn range(&self, base: &TreePath) -> Entries {
        Entries::new(Arc::clone(&self.nodes), self.walk(base))
    }

    /// Like [`Tree::range`], as it is stored: recipes of large files are not read.
    pub(crate) fn walk(&self, base: &TreePath) -> Walk {
        Walk::range(Arc::clone(&self.nodes), self.root, base.clone())
    }

    /// An entry with its extents.
    pub(crate) fn complete(&self, entry: RawEntry) -> Result<Node> {
        Ok(entry.complete(&self.nodes)?.1)
    }

    /// The entries directly inside the folder `base`, in order; skips what lies deeper without reading it all.
    pub fn children(&self, base: &TreePath) -> Entries {
        Entries::new(Arc::clone(&self.nodes), self.walk_children(base))
    }

    /// Like [`Tree::children`], as it is stored.
    pub(crate) fn walk_children(&self, base: &TreePath) -> Walk {
        Walk::children(Arc::clone(&self.nodes), self.root, base.clone())
    }

    /// Where its nodes and chunks are read.
    pub(crate) fn nodes(&self) -> &dyn Nodes {
        &*self.nodes
    }

    /// The same, shared.
    pub(crate) fn shared_nodes(&self) -> Arc<dyn Nodes> {
        Arc::clone(&self.nodes)
    }

    /// A cursor at the start.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(Arc::clone(&self.nodes), self.root)
    }

    /// The extents of a file, and the nodes that hold them.
    pub(crate) fn recipe(&self, entry: &RawEntry) -> Recipe {
        let nodes = Arc::clone(&self.nodes);
        match (&entry.node.kind, entry.recipe) {
            (NodeKind::File(content), Some(root)) => Recipe::new(nodes, root, content.size, 0),
            (NodeKind::File(content), None) => Recipe::known(nodes, content.extents.clone()),
            _ => Recipe::known(nodes, Vec::new()),
        }
    }

    /// The extents of a file with their offsets, one node of its recipe at a time; those that end at or before
    /// `from` are skipped.
    pub(crate) fn extents(&self, entry: &RawEntry, from: u64) -> Extents {
        let NodeKind::File(content) = &entry.node.kind else { return Box::new(std::iter::empty()) };
        if let Some(root) = entry.recipe {
            return Box::new(Recipe::new(Arc::clone(&self.nodes), root, content.size, from));
        }
        let place = |at: &mut u64, extent: Extent| {
            let start = *at;
            *at += extent.len();
            Some((start, *at, extent))
        };
        let placed = content.extents.clone().into_iter().scan(0, place);
        Box::new(placed.filter(move |p| p.1 > from).map(|(start, _, e)| Ok((start, e))))
    }
}

/// Extents of a file with their offsets.
pub(crate) type Extents = Box<dyn Iterator<Item = Result<(u64, Extent)>>>;
