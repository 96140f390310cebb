//! Tests of trees over a store in memory that counts what is read and can be tampered with.

mod damage;
mod golden;
mod limits;
mod model;
pub(crate) mod same;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::{ChunkClass, ChunkId, ChunkKind, ChunkMark, RefList};

use super::builder::Build;
use super::{Nodes, Sink, Tree};
use crate::error::Result;
use crate::node::{Content, Extent, Node, NodeKind, Time, Xattr};
use crate::path::TreePath;

/// Chunks by kind and id, and the ids that were read.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    chunks: Mutex<BTreeMap<(ChunkKind, ChunkId), Vec<u8>>>,
    read: Mutex<BTreeSet<ChunkId>>,
}

/// Stores into a [`Memory`] and notes every id that was put.
pub(crate) struct Puts<'a> {
    store: &'a Memory,
    pub(crate) ids: BTreeSet<(ChunkKind, ChunkId)>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for Puts<'_> {
    fn put(&mut self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId> {
        let id = ChunkId(*blake3::hash(bytes).as_bytes());
        lock(&self.store.chunks).insert((kind, id), bytes.to_vec());
        self.ids.insert((kind, id));
        Ok(id)
    }
}

impl Memory {
    fn bytes(&self, kind: ChunkKind, id: &ChunkId) -> Result<Vec<u8>> {
        lock(&self.read).insert(*id);
        let found = lock(&self.chunks).get(&(kind, *id)).cloned();
        Ok(found.ok_or_else(|| chronos_store::Error::missing(id))?)
    }
}

impl Nodes for Memory {
    fn refs(&self, id: &ChunkId) -> Result<RefList> {
        Ok(RefList::decode(&self.bytes(ChunkKind::Refs, id)?)?)
    }

    fn meta(&self, id: &ChunkId) -> Result<Arc<[u8]>> {
        Ok(self.bytes(ChunkKind::Meta, id)?.into())
    }

    fn data(&self, id: &ChunkId) -> Result<Arc<[u8]>> {
        Ok(self.bytes(ChunkKind::Data, id)?.into())
    }

    fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool {
        ChunkId(*blake3::hash(bytes).as_bytes()).mark() == mark
    }
}

/// Builds a tree; returns its root and what was put.
pub(crate) fn build(
    store: &Memory,
    entries: &BTreeMap<TreePath, Node>,
) -> Result<(ChunkId, BTreeSet<(ChunkKind, ChunkId)>)> {
    let mut puts = Puts { store, ids: BTreeSet::new() };
    let mut build = Build::new([7; 32]);
    for (path, node) in entries {
        build.add(&mut puts, path, node)?;
    }
    let root = build.finish(&mut puts)?;
    Ok((root, puts.ids))
}

pub(crate) fn tree(store: &Arc<Memory>, root: ChunkId) -> Tree {
    Tree::over(Arc::clone(store) as Arc<dyn Nodes>, root)
}

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap_or_default()
}

pub(crate) fn data(seed: u64, len: u32) -> Extent {
    Extent::Data { id: ChunkId(*blake3::hash(&seed.to_le_bytes()).as_bytes()), len }
}

pub(crate) fn file(extents: Vec<Extent>) -> NodeKind {
    let size = extents.iter().map(Extent::len).sum();
    NodeKind::File(Content { class: ChunkClass::Std, size, extents })
}

pub(crate) fn node(kind: NodeKind) -> Node {
    Node {
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        user: Some("anna".into()),
        group: None,
        mtime: Time { seconds: 1_700_000_000, nanos: 123_456_789 },
        ctime: Time { seconds: 1_700_000_001, nanos: 0 },
        dev: 2049,
        inode: 77,
        links: 1,
        xattrs: Vec::new(),
    }
}

/// Stores bytes as one data chunk.
pub(crate) fn chunk(store: &Memory, bytes: &[u8]) -> Extent {
    let mut puts = Puts { store, ids: BTreeSet::new() };
    let id = puts.put(ChunkKind::Data, bytes).unwrap_or(ChunkId([0; 32]));
    Extent::Data { id, len: bytes.len() as u32 }
}

/// How many different chunks were read since the last call.
pub(crate) fn chunks_read(store: &Memory) -> usize {
    std::mem::take(&mut *lock(&store.read)).len()
}

/// Loses the `nth` child of the root.
pub(crate) fn lose_child(store: &Memory, root: &ChunkId, nth: usize) {
    let child = store.refs(root).ok().and_then(|refs| refs.children.get(nth).copied());
    lock(&store.chunks).retain(|(_, id), _| Some(*id) != child);
}

/// `n` files in folders of 100, each with one chunk.
pub(crate) fn many(n: u64) -> BTreeMap<TreePath, Node> {
    let mut entries = BTreeMap::new();
    for i in 0..n {
        let folder = format!("home/folder-{:05}", i / 100);
        entries.entry(path("home")).or_insert_with(|| node(NodeKind::Dir));
        entries.entry(path(&folder)).or_insert_with(|| node(NodeKind::Dir));
        entries.insert(path(&format!("{folder}/file-{i:08}.txt")), node(file(vec![data(i, 5000)])));
    }
    entries
}

pub(crate) fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.into(), value: value.to_vec() }
}
