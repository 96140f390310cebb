//! Entries held in memory: what another part of the program made, and what tests need.

use std::collections::BTreeMap;

use chronos_store::ChunkClass;

use crate::error::Result;
use crate::node::{Content, Node, NodeKind, Time};
use crate::path::TreePath;
use crate::source::{Entry, Item, Origin, Source};

/// A source whose entries are given beforehand.
#[derive(Clone, Debug)]
pub struct MemorySource {
    name: String,
    kind: &'static str,
    entries: BTreeMap<TreePath, (Node, Option<Vec<u8>>)>,
}

impl MemorySource {
    /// A source without entries.
    pub fn new(name: impl Into<String>, kind: &'static str) -> Self {
        Self { name: name.into(), kind, entries: BTreeMap::new() }
    }

    /// Adds an entry; one of the same path is replaced.
    pub fn add(&mut self, path: TreePath, node: Node) {
        self.entries.insert(path, (node, None));
    }

    /// Adds a regular file with mode 0600 and, where they are missing, the folders above it.
    pub fn add_file(&mut self, path: TreePath, bytes: impl Into<Vec<u8>>, mtime: Time) {
        let bytes = bytes.into();
        let content = Content { class: ChunkClass::Std, size: bytes.len() as u64, extents: Vec::new() };
        let mut above = path.parent();
        while let Some(dir) = above.filter(|p| !p.is_root()) {
            above = dir.parent();
            self.entries.entry(dir).or_insert_with(|| (made(NodeKind::Dir, 0o700, Time::default()), None));
        }
        self.entries.insert(path, (made(NodeKind::File(content), 0o600, mtime), Some(bytes)));
    }
}

/// A node that comes from no file system.
pub(crate) fn made(kind: NodeKind, mode: u32, mtime: Time) -> Node {
    Node {
        kind,
        mode,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        user: None,
        group: None,
        mtime,
        ctime: mtime,
        dev: 0,
        inode: 0,
        links: 1,
        xattrs: Vec::new(),
    }
}

impl Source for MemorySource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn paths(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn open(&mut self) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
        Ok(Box::new(self.entries.clone().into_iter().map(|(path, (node, bytes))| {
            let origin = bytes.map_or(Origin::Nothing, Origin::Bytes);
            Item::Entry(Entry { path, node, origin })
        })))
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}
