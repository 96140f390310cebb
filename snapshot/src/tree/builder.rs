//! Builds a tree from entries in the order of their paths, holding one unfinished node per level.
//!
//! Where a node ends depends on paths alone, unless extended attributes are very long: an entry whose contents or attributes
//! change rewrites exactly one node per level, and trees built in different sessions share all others.

use chronos_store::{ChunkId, ChunkKind, RefList, Session};

use super::codec::{ENTRIES_MAX, damaged};
use super::inner::{self, LEVELS_MAX};
use super::leaf::LeafWriter;
use super::{SessionSink, Sink};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::path::TreePath;

/// A node ends after a path whose keyed hash has these bits zero, but has at least `ENTRIES_MIN` entries: some
/// 48 entries, and 4 KiB of paths, attributes and ids, on average. Twice as many cost 60 % more when single files
/// change all over a tree, and save 0.2 % of a first backup.
const END_MASK: u64 = 31;

/// Fewest entries of a node that is not the last of its level.
const ENTRIES_MIN: usize = 16;

/// A node ends once its paths are this long together, so that long paths do not make big nodes.
const KEY_BYTES_MAX: usize = 1 << 16;

/// A leaf ends once it is this long, which it is only with many long extended attributes or link targets: it is one chunk, and
/// chunks have a limit.
const LEAF_BYTES_MAX: usize = 1 << 20;

/// Fewest entries even then, so that every level is shorter than the one below.
const ENTRIES_LEAST: usize = 4;

/// Builds a tree from entries in the order of their paths.
#[derive(Debug)]
pub struct TreeBuilder<'s> {
    sink: SessionSink<'s>,
    build: Build,
}

impl<'s> TreeBuilder<'s> {
    /// A builder that stores into `session`.
    pub fn new(session: &'s Session) -> Self {
        Self { sink: SessionSink::new(session), build: Build::new(session.boundary_key()) }
    }

    /// Adds an entry; its path must be greater than the last one's. The root itself is no entry.
    ///
    /// A node outside the limits of the format is [`Error::Invalid`] and is not added; the builder can go on.
    pub fn add(&mut self, path: &TreePath, node: &Node) -> Result<()> {
        self.build.add(&mut self.sink, path, node)
    }

    /// Adds an entry as another tree holds it: a large file by its recipe, which must be stored already.
    pub(crate) fn add_stored(&mut self, path: &TreePath, node: &Node, recipe: Option<ChunkId>) -> Result<()> {
        self.build.add_stored(&mut self.sink, path, node, recipe)
    }

    /// Stores what is left and returns the root: the id of a `Refs` chunk.
    pub fn finish(mut self) -> Result<ChunkId> {
        let root = self.build.finish(&mut self.sink)?;
        self.sink.finish()?;
        Ok(root)
    }
}

/// Decides where nodes end: an unfinished node's entries and key bytes so far.
#[derive(Debug, Default)]
struct Length {
    entries: usize,
    key_bytes: usize,
}

impl Length {
    /// Counts one more entry; whether the node ends after it.
    fn ends_after(&mut self, key: &[u8; 32], level: u8, path: &TreePath) -> bool {
        self.entries += 1;
        self.key_bytes += path.as_bytes().len();
        let end = self.entries >= ENTRIES_MAX
            || self.entries >= ENTRIES_LEAST && self.key_bytes >= KEY_BYTES_MAX
            || self.entries >= ENTRIES_MIN && is_boundary(key, level, path);
        if end {
            *self = Self::default();
        }
        end
    }
}

fn is_boundary(key: &[u8; 32], level: u8, path: &TreePath) -> bool {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[level]);
    hasher.update(path.as_bytes());
    let hash = hasher.finalize();
    let low = hash.as_bytes().first_chunk().map_or(0, |low| u64::from_le_bytes(*low));
    low & END_MASK == 0
}

/// The unfinished node of one level above the leaves.
#[derive(Debug, Default)]
struct Above {
    children: Vec<(TreePath, ChunkId)>,
    length: Length,
    /// Whether a node of this level is stored already.
    stored: bool,
}

/// The builder without the place where it stores.
#[derive(Debug)]
pub(crate) struct Build {
    key: [u8; 32],
    last: Option<TreePath>,
    leaf: LeafWriter,
    length: Length,
    levels: Vec<Above>,
}

impl Build {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, last: None, leaf: LeafWriter::default(), length: Length::default(), levels: Vec::new() }
    }

    pub(crate) fn add(&mut self, sink: &mut dyn Sink, path: &TreePath, node: &Node) -> Result<()> {
        self.add_stored(sink, path, node, None)
    }

    fn add_stored(
        &mut self,
        sink: &mut dyn Sink,
        path: &TreePath,
        node: &Node,
        recipe: Option<ChunkId>,
    ) -> Result<()> {
        if path.is_root() || self.last.as_ref().is_some_and(|last| last >= path) {
            return Err(Error::Invalid(format!("{path} does not follow the entry before it")));
        }
        self.leaf.add(sink, path, node, recipe)?;
        self.last.get_or_insert_default().clone_from(path);
        let is_long = self.leaf.count() >= ENTRIES_LEAST && self.leaf.bytes() >= LEAF_BYTES_MAX;
        if self.length.ends_after(&self.key, 0, path) || is_long {
            self.length = Length::default();
            self.close_leaf(sink)?;
        }
        Ok(())
    }

    fn close_leaf(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let Some(first) = self.leaf.first().cloned() else { return Ok(()) };
        let (meta, refs) = self.leaf.take();
        let id = store(sink, &meta, refs)?;
        self.push(sink, 1, first, id)
    }

    /// Adds a child to the unfinished node of `level`.
    fn push(&mut self, sink: &mut dyn Sink, level: u8, first: TreePath, id: ChunkId) -> Result<()> {
        let at = usize::from(level) - 1;
        if self.levels.len() == at {
            if level > LEVELS_MAX {
                return Err(damaged("the tree grows too high"));
            }
            self.levels.push(Above::default());
        }
        let Some(above) = self.levels.get_mut(at) else { return Ok(()) };
        let ends = above.length.ends_after(&self.key, level, &first);
        above.children.push((first, id));
        if ends { self.close(sink, level) } else { Ok(()) }
    }

    fn close(&mut self, sink: &mut dyn Sink, level: u8) -> Result<()> {
        let Some(above) = self.levels.get_mut(usize::from(level) - 1) else { return Ok(()) };
        let children = std::mem::take(&mut above.children);
        above.stored = true;
        let Some((first, _)) = children.first().cloned() else { return Ok(()) };
        let (meta, refs) = inner::encode(level, &children);
        let id = store(sink, &meta, refs)?;
        self.push(sink, level + 1, first, id)
    }

    /// Stores what is unfinished from below; the node with nothing beside it is the root.
    pub(crate) fn finish(&mut self, sink: &mut dyn Sink) -> Result<ChunkId> {
        if self.leaf.count() == 0 && self.levels.is_empty() {
            let (meta, refs) = self.leaf.take();
            return store(sink, &meta, refs);
        }
        self.close_leaf(sink)?;
        let mut level = 1;
        loop {
            let top = self.levels.len() == usize::from(level);
            let above = self.levels.get(usize::from(level) - 1);
            match above.map(|a| (a.children.as_slice(), a.stored)) {
                Some(([(_, id)], false)) if top => return Ok(*id),
                Some(([], _)) => {}
                Some(_) => self.close(sink, level)?,
                None => return Err(damaged("the tree has no root")),
            }
            level += 1;
        }
    }
}

fn store(sink: &mut dyn Sink, meta: &[u8], mut refs: RefList) -> Result<ChunkId> {
    refs.meta = Some(sink.put(ChunkKind::Meta, meta)?);
    sink.put(ChunkKind::Refs, &refs.encode())
}
