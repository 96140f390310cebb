//! Targets of the tree's nodes, for the crate `fuzz`: leaves, inner nodes, and whole graphs of nodes that lead anywhere.

#![expect(clippy::unwrap_used, reason = "what a target encodes itself cannot fail")]

use std::sync::Arc;

use chronos_store::fuzz::Target;
use chronos_store::{ChunkClass, ChunkId, ChunkKind, ChunkMark, RefList};

use super::builder::Build;
use super::codec::damaged;
use super::inner::{self, InnerReader};
use super::leaf::{LeafReader, LeafWriter};
use super::{Nodes, RawEntry, Recipe, Sink, Tree};
use crate::error::Result;
use crate::node::{Assembled, Content, Extent, Node, NodeKind, Piece, Time, Xattr};
use crate::path::TreePath;

/// Entries are handed out one by one, each with its own copy of path and attributes; a target holds two leaves of them.
const ENTRY_BYTES: usize = 1 << 20;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("leaf", leaf, leaf_seeds).within(256, ENTRY_BYTES),
    Target::new("inner", inner_node, inner_seeds).within(256, ENTRY_BYTES),
    Target::new("tree", graph, graph_seeds).within(256, ENTRY_BYTES),
    Target::new("recipe", recipe, recipe_seeds).within(256, ENTRY_BYTES),
];

/// Most extents that are looked at: a few nodes that name each other may stand for a file of any length.
const STEPS_MAX: usize = 20_000;

/// Entries of a tree that are also looked up one by one.
const FINDS_MAX: usize = 16;

/// Stores nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _: ChunkKind, bytes: &[u8]) -> Result<ChunkId> {
        Ok(ChunkId(*blake3::hash(bytes).as_bytes()))
    }
}

fn ids(n: u8) -> Vec<ChunkId> {
    (0..n).map(|n| ChunkId([n; 32])).collect()
}

/// The entries of a leaf written anew; `None` if it does not decode.
fn rewritten(meta: &[u8], refs: RefList) -> Option<(Vec<u8>, RefList)> {
    let mut reader = LeafReader::open(meta.into(), refs).ok()?;
    let mut writer = LeafWriter::default();
    let mut last: Option<TreePath> = None;
    while let Some(RawEntry { path, node, recipe }) = reader.step().ok()? {
        assert!(last.as_ref().is_none_or(|last| *last < path), "paths rise");
        writer.add(&mut Nowhere, &path, &node, recipe).unwrap();
        last = Some(path);
    }
    Some(writer.take())
}

/// `children · data · meta`: as many ids of each as the first two bytes say.
fn leaf(bytes: &[u8]) -> bool {
    let [children, data, meta @ ..] = bytes else { return false };
    let refs = RefList { meta: None, children: ids(*children), data: ids(*data) };
    let Some((meta, refs)) = rewritten(meta, refs) else { return false };
    let again = rewritten(&meta, refs.clone()).unwrap();
    assert_eq!(again, (meta, refs), "what is written reads back and is written the same");
    true
}

fn node(kind: NodeKind) -> Node {
    Node {
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        user: Some("me".into()),
        group: None,
        mtime: Time { seconds: -5, nanos: 999_999_999 },
        ctime: Time { seconds: 1 << 40, nanos: 0 },
        dev: 1,
        inode: 2,
        links: 1,
        xattrs: vec![Xattr { name: b"user.a".to_vec(), value: vec![0, 1] }],
    }
}

fn file(class: ChunkClass, extents: Vec<Extent>) -> NodeKind {
    let size = extents.iter().map(Extent::len).sum();
    NodeKind::File(Content { class, size, extents })
}

/// Put together from three chunks, one of them used twice.
fn assembled(n: u8) -> Extent {
    let piece = |chunk: u8, start, len| Piece { chunk: ChunkId([chunk; 32]), start, len };
    let pieces = vec![piece(n, 0, 10), piece(n.wrapping_add(1), 70_000, 1), piece(n, 10, 300)];
    Extent::Assembled(Arc::new(Assembled { mark: ChunkMark([!n; 16]), len: 311, pieces }))
}

fn entries() -> Vec<(TreePath, Node)> {
    let data = |n: u8| Extent::Data { id: ChunkId([n; 32]), len: 10 };
    let kinds = [
        NodeKind::Dir,
        file(ChunkClass::Std, vec![data(0), Extent::Hole { len: 5 }, Extent::Zero { len: 1 << 40 }]),
        file(ChunkClass::Page(8192), vec![data(1)]),
        file(ChunkClass::Bulk, Vec::new()),
        file(ChunkClass::Std, vec![assembled(7), Extent::Hole { len: 5 }, data(9)]),
        file(ChunkClass::Db, (0..200).map(data).collect()),
        NodeKind::Symlink(b"../up".to_vec()),
        NodeKind::Fifo,
        NodeKind::Socket,
        NodeKind::CharDevice { rdev: 5 },
        NodeKind::BlockDevice { rdev: u64::MAX },
    ];
    (0_u8..).zip(kinds).map(|(n, kind)| (TreePath::new(format!("a/b{n:02}")).unwrap(), node(kind))).collect()
}

fn leaf_seeds() -> Vec<Vec<u8>> {
    let seed = |entries: &[(TreePath, Node)]| {
        let mut writer = LeafWriter::default();
        entries.iter().for_each(|(path, node)| writer.add(&mut Nowhere, path, node, None).unwrap());
        let (meta, refs) = writer.take();
        [&[refs.children.len() as u8, refs.data.len() as u8][..], &meta].concat()
    };
    let all = entries();
    vec![seed(&all), seed(all.get(..2).unwrap()), seed(all.get(4..5).unwrap())]
}

/// The children of an inner node.
fn children(meta: &[u8], refs: RefList) -> Option<(u8, Vec<(TreePath, ChunkId)>)> {
    let mut reader = InnerReader::open(meta.into(), refs, None).ok()?;
    let mut found: Vec<(TreePath, ChunkId)> = Vec::new();
    while let Some(child) = reader.step().ok()? {
        assert!(child.next.as_ref().is_none_or(|next| child.first < *next), "a child is not empty");
        assert!(child.level.is_some_and(|level| level < reader.level()), "levels fall");
        found.push((child.first, child.id));
    }
    Some((reader.level(), found))
}

/// `children · meta`.
fn inner_node(bytes: &[u8]) -> bool {
    let [n, meta @ ..] = bytes else { return false };
    let refs = RefList { children: ids(*n), ..RefList::default() };
    let Some((level, found)) = children(meta, refs) else { return false };
    let (meta, refs) = inner::encode(level, &found);
    assert_eq!(children(&meta, refs), Some((level, found)), "what is written reads back");
    true
}

fn inner_seeds() -> Vec<Vec<u8>> {
    let seed = |level, n: u8| {
        let path = |n| TreePath::new(format!("folder/{n:03}")).unwrap();
        let children: Vec<_> = (0..n).map(|n| (path(n), ChunkId([n; 32]))).collect();
        [&[n][..], &inner::encode(level, &children).0].concat()
    };
    vec![seed(1, 4), seed(20, 1), seed(2, 200)]
}

/// Nodes by number: `meta length u16 LE · children · data · meta · numbers of the children`, one after the other.
#[derive(Debug)]
struct Graph(Vec<(Vec<u8>, Vec<u8>, u8)>);

impl Graph {
    fn decode(mut bytes: &[u8]) -> Self {
        let mut nodes = Vec::new();
        while let Some(([a, b, children, data], rest)) = bytes.split_first_chunk::<4>() {
            let length = usize::from(u16::from_le_bytes([*a, *b])).min(rest.len());
            let (meta, rest) = rest.split_at(length);
            let (children, rest) = rest.split_at(usize::from(*children).min(rest.len()));
            nodes.push((meta.to_vec(), children.to_vec(), *data));
            bytes = rest;
        }
        Self(nodes)
    }

    fn encode(nodes: &[(Vec<u8>, Vec<u8>, u8)]) -> Vec<u8> {
        let one = |(meta, children, data): &(Vec<u8>, Vec<u8>, u8)| {
            let head = [&(meta.len() as u16).to_le_bytes()[..], &[children.len() as u8, *data]].concat();
            [head, meta.clone(), children.clone()].concat()
        };
        nodes.iter().map(one).collect::<Vec<_>>().concat()
    }

    fn node(&self, id: &ChunkId) -> Result<&(Vec<u8>, Vec<u8>, u8)> {
        let [n, ..] = id.0;
        self.0.get(usize::from(n)).ok_or_else(|| damaged("it is not there"))
    }
}

impl Nodes for Graph {
    fn refs(&self, id: &ChunkId) -> Result<RefList> {
        let (_, children, data) = self.node(id)?;
        let children = children.iter().map(|n| ChunkId([*n; 32])).collect();
        Ok(RefList { meta: Some(*id), children, data: ids(*data) })
    }

    fn meta(&self, id: &ChunkId) -> Result<Arc<[u8]>> {
        Ok(self.node(id)?.0.as_slice().into())
    }

    fn data(&self, _: &ChunkId) -> Result<Arc<[u8]>> {
        Err(damaged("it is not there"))
    }

    fn has_mark(&self, _: ChunkMark, _: &[u8]) -> bool {
        false
    }
}

/// A graph of nodes, walked from the first of them.
fn graph(bytes: &[u8]) -> bool {
    let tree = Tree::over(Arc::new(Graph::decode(bytes)), ChunkId([0; 32]));
    let mut last: Option<TreePath> = None;
    let (mut whole, mut steps) = (true, 0);
    for entry in tree.walk(&TreePath::root()) {
        steps += 1;
        assert!(steps <= 2 * bytes.len() + 2, "no more entries than bytes, however nodes share children");
        let Ok(entry) = entry else {
            whole = false;
            continue;
        };
        assert!(last.as_ref().is_none_or(|last| *last < entry.path), "paths rise in the whole tree");
        if steps <= FINDS_MAX {
            let alone = tree.find(&entry.path).ok().flatten();
            assert_eq!(alone.map(|e| e.node), Some(entry.node), "found by itself too");
        }
        last = Some(entry.path);
    }
    whole && last.is_some()
}

/// Keeps what a tree is built of, children before parents.
#[derive(Default)]
struct Kept {
    metas: Vec<(ChunkId, Vec<u8>)>,
    nodes: Vec<(ChunkId, Vec<u8>, RefList)>,
}

impl Sink for Kept {
    fn put(&mut self, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId> {
        let id = ChunkId(*blake3::hash(bytes).as_bytes());
        if kind == ChunkKind::Refs {
            let refs = RefList::decode(bytes)?;
            let meta = self.metas.iter().find(|(id, _)| Some(*id) == refs.meta).unwrap().1.clone();
            if self.nodes.iter().all(|n| n.0 != id) {
                self.nodes.push((id, meta, refs));
            }
        } else {
            self.metas.push((id, bytes.to_vec()));
        }
        Ok(id)
    }
}

impl Kept {
    /// The nodes with the root, which was put last, first.
    fn graph(&self) -> Vec<u8> {
        let all: Vec<_> = self.nodes.iter().rev().collect();
        let number = |id: &ChunkId| all.iter().position(|n| n.0 == *id).unwrap() as u8;
        let node = |(_, meta, refs): &&(ChunkId, Vec<u8>, RefList)| {
            (meta.clone(), refs.children.iter().map(number).collect(), refs.data.len() as u8)
        };
        Graph::encode(&all.iter().map(node).collect::<Vec<_>>())
    }
}

fn graph_seeds() -> Vec<Vec<u8>> {
    let small: Vec<_> = entries().into_iter().take(4).collect();
    let many =
        (0..700).map(|n| (TreePath::new(format!("many/{n:04}")).unwrap(), node(NodeKind::Dir))).collect();
    [small, entries(), many]
        .map(|entries: Vec<_>| {
            let mut kept = Kept::default();
            let mut build = Build::new([7; 32]);
            entries.iter().for_each(|(path, node)| build.add(&mut kept, path, node).unwrap());
            build.finish(&mut kept).unwrap();
            kept.graph()
        })
        .to_vec()
}

/// `size u64 LE · from u64 LE · graph`: the extents of a large file, from its first node.
fn recipe(bytes: &[u8]) -> bool {
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let Some((from, rest)) = rest.split_first_chunk::<8>() else { return false };
    let (size, from) = (u64::from_le_bytes(*size), u64::from_le_bytes(*from));
    let nodes = Arc::new(Graph::decode(rest));
    let mut end = None;
    for step in Recipe::new(nodes, ChunkId([0; 32]), size, from).take(STEPS_MAX) {
        let Ok((at, extent)) = step else { return false };
        let after = at.checked_add(extent.len()).unwrap();
        assert!(after > from && after <= size, "inside the file and behind what is skipped");
        assert!(end.is_none_or(|end| end == at), "without gaps");
        end = Some(after);
    }
    end.is_some()
}

fn recipe_seeds() -> Vec<Vec<u8>> {
    let seed = |n: u32, from: u64| {
        let id = |n: u32| ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes());
        let extents: Vec<_> = (0..n)
            .map(|n| if n % 7 == 3 { assembled(n as u8) } else { Extent::Data { id: id(n), len: 10 } })
            .collect();
        let mut kept = Kept::default();
        super::recipe::store(&mut kept, &extents).unwrap();
        let size: u64 = extents.iter().map(Extent::len).sum();
        [&size.to_le_bytes()[..], &from.to_le_bytes(), &kept.graph()].concat()
    };
    vec![seed(20, 0), seed(400, 1234), seed(3000, 0)]
}
