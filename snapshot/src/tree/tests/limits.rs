//! Every limit of the nodes' encoding, at the limit and one beyond it: what is written, and what is read.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::path::PATH_BYTES_MAX;
use crate::tree::codec::{ENTRIES_MAX, VERSION, put_bytes, put_int, put_path};
use crate::tree::inner::{self, InnerReader, LEVELS_MAX};
use crate::tree::leaf::{LeafReader, LeafWriter};
use crate::tree::recipe::INLINE_EXTENTS_MAX;

const NAME_BYTES_MAX: usize = 1024;
const XATTR_NAME_MAX: usize = 255;
const XATTR_VALUE_MAX: usize = 1 << 16;
const XATTRS_MAX: usize = 4096;
const XATTR_BYTES_MAX: usize = 1 << 18;
const NODE_EXTENTS_MAX: usize = 256;
const RECIPE_LEVELS_MAX: u64 = 12;
/// Longest chunk that a session takes.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Whether a leaf of one entry can be written, read back and is the same.
fn writes(path: &[u8], node: &Node) -> bool {
    let store = Memory::default();
    let mut sink = Puts { store: &store, ids: BTreeSet::new() };
    let mut writer = LeafWriter::default();
    let Ok(path) = TreePath::new(path) else { return false };
    if writer.add(&mut sink, &path, node, None).is_err() {
        return false;
    }
    let (meta, refs) = writer.take();
    let mut reader = LeafReader::open(meta.into(), refs).unwrap();
    let entry = reader.step().unwrap().unwrap();
    assert_eq!((&entry.path, &entry.node), (&path, node));
    assert!(reader.step().unwrap().is_none());
    true
}

/// Whether a leaf's bytes are read without an error.
fn reads(meta: Vec<u8>, refs: RefList) -> bool {
    LeafReader::open(meta.into(), refs).is_ok_and(|mut reader| {
        loop {
            match reader.step() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    })
}

fn with_xattrs(xattrs: Vec<Xattr>) -> Node {
    Node { xattrs, ..node(NodeKind::Dir) }
}

#[test]
fn names_paths_and_targets_have_a_greatest_length() {
    for (bytes, fits) in [(PATH_BYTES_MAX, true), (PATH_BYTES_MAX + 1, false)] {
        assert_eq!(writes(&vec![b'a'; bytes], &node(NodeKind::Dir)), fits, "path");
        assert_eq!(writes(b"a", &node(NodeKind::Symlink(vec![b'a'; bytes]))), fits, "link");
    }
    for (bytes, fits) in [(NAME_BYTES_MAX, true), (NAME_BYTES_MAX + 1, false)] {
        let name: Option<Arc<str>> = Some("u".repeat(bytes).into());
        assert_eq!(writes(b"a", &Node { user: name.clone(), ..node(NodeKind::Dir) }), fits, "user");
        assert_eq!(writes(b"a", &Node { group: name, ..node(NodeKind::Dir) }), fits, "group");
    }
}

#[test]
fn extended_attributes_are_bounded_each_and_together() {
    for (more, fits) in [(0, true), (1, false)] {
        let long_name = xattr(&"n".repeat(XATTR_NAME_MAX + more), b"v");
        assert_eq!(writes(b"a", &with_xattrs(vec![long_name])), fits, "name");
        let long_value = xattr("n", &vec![0; XATTR_VALUE_MAX + more]);
        assert_eq!(writes(b"a", &with_xattrs(vec![long_value])), fits, "value");
        let many = (0..XATTRS_MAX + more).map(|n| xattr(&format!("{n:05}"), b""));
        assert_eq!(writes(b"a", &with_xattrs(many.collect())), fits, "number");
        let together = (0..4).map(|n| {
            let used = if n < 3 { XATTR_VALUE_MAX } else { XATTR_VALUE_MAX - 4 };
            xattr(&n.to_string(), &vec![0; if n == 3 { used + more } else { used }])
        });
        assert_eq!(writes(b"a", &with_xattrs(together.collect())), fits, "{XATTR_BYTES_MAX} together");
    }
    assert!(!writes(b"a", &with_xattrs(vec![xattr("", b"")])), "no name");
    assert!(!writes(b"a", &with_xattrs(vec![xattr("b", b""), xattr("a", b"")])), "not sorted");
}

#[test]
fn numbers_of_an_entry_are_inside_their_ranges() {
    let dir = || node(NodeKind::Dir);
    for (mode, fits) in [(0o7777, true), (0o10000, false)] {
        assert_eq!(writes(b"a", &Node { mode, ..dir() }), fits);
    }
    for (nanos, fits) in [(999_999_999, true), (1_000_000_000, false)] {
        let time = Time { seconds: i64::MIN, nanos };
        assert_eq!(writes(b"a", &Node { mtime: time, ..dir() }), fits);
        assert_eq!(writes(b"a", &Node { ctime: time, ..dir() }), fits);
    }
    let page = |class| node(NodeKind::File(Content { class, size: 0, extents: Vec::new() }));
    for (bytes, fits) in
        [(0, false), (2048, false), (4096, true), (5000, false), (1 << 20, true), (1 << 21, false)]
    {
        assert_eq!(writes(b"a", &page(ChunkClass::Page(bytes))), fits, "{bytes}");
        assert_eq!(ChunkClass::page(bytes).is_some(), fits);
    }
}

/// A leaf with a file of pages of 4 KiB, and the same with other bytes for the size of a page.
#[test]
fn pages_of_other_sizes_are_not_read() {
    let empty = Content { class: ChunkClass::Page(4096), size: 0, extents: Vec::new() };
    let store = Memory::default();
    let mut writer = LeafWriter::default();
    let mut sink = Puts { store: &store, ids: BTreeSet::new() };
    writer.add(&mut sink, &path("a"), &node(NodeKind::File(empty)), None).unwrap();
    let (meta, refs) = writer.take();
    assert!(reads(meta.clone(), refs.clone()));
    // 4096 is 0x80 0x20, and stands before size and count.
    let at = meta.len() - 4;
    assert_eq!(meta[at..], [0x80, 0x20, 0, 1]);
    for size in [0, 1, 4095, 1 << 21, u64::from(u32::MAX)] {
        let mut bad = meta[..at].to_vec();
        put_int(&mut bad, size);
        bad.extend([0, 1]);
        assert!(!reads(bad, refs.clone()), "{size}");
    }
}

#[test]
fn counts_of_a_leaf_are_bounded() {
    // Entries of no further content: path, tag, mode, owner, names, times, inode, attributes.
    let leaf = |entries: usize, names: usize, sets: usize| {
        let mut meta = vec![VERSION, 0];
        put_int(&mut meta, entries as u64);
        put_int(&mut meta, names as u64);
        (0..names).for_each(|_| put_bytes(&mut meta, b"n"));
        put_int(&mut meta, sets as u64);
        meta.extend(vec![0; sets]);
        let mut last = Vec::new();
        for n in 0..entries {
            let path = format!("{n:04}").into_bytes();
            put_path(&mut meta, &last, &path);
            meta.extend([[1].as_slice(), &[0; 13]].concat());
            last = path;
        }
        meta
    };
    for (more, fits) in [(0, true), (1, false)] {
        assert_eq!(reads(leaf(ENTRIES_MAX + more, 0, 0), RefList::default()), fits, "entries");
        assert_eq!(reads(leaf(1, 2 * ENTRIES_MAX + more, 0), RefList::default()), fits, "names");
        assert_eq!(reads(leaf(1, 0, ENTRIES_MAX + more), RefList::default()), fits, "sets");
    }
}

#[test]
fn extents_inside_a_leaf_are_bounded() {
    for (extents, inline) in [(INLINE_EXTENTS_MAX, true), (INLINE_EXTENTS_MAX + 1, false)] {
        let holes = vec![Extent::Hole { len: 1 }; extents];
        let store = Memory::default();
        let mut sink = Puts { store: &store, ids: BTreeSet::new() };
        let mut writer = LeafWriter::default();
        writer.add(&mut sink, &path("a"), &node(file(holes)), None).unwrap();
        let (mut meta, refs) = writer.take();
        assert_eq!(refs.children.is_empty(), inline);
        if inline {
            // One more than the count allows.
            let at = meta.len() - 2 * extents - 1;
            assert_eq!(usize::from(meta[at]), extents + 1);
            meta[at] += 1;
            meta[at - 1] += 1;
            meta.extend([0, 1]);
            assert!(!reads(meta, refs));
        }
    }
}

#[test]
fn inner_nodes_are_bounded_in_level_and_children() {
    let opens = |level: u8, n: usize| {
        let child = |n: usize| (path(&format!("{n:04}")), ChunkId([0; 32]));
        let (meta, refs) = inner::encode(level, &(0..n).map(child).collect::<Vec<_>>());
        InnerReader::open(meta.into(), refs, None).is_ok()
    };
    assert!(opens(LEVELS_MAX, 1) && !opens(LEVELS_MAX + 1, 1) && !opens(0, 1));
    assert!(opens(1, ENTRIES_MAX) && !opens(1, ENTRIES_MAX + 1) && !opens(1, 0));
}

#[test]
fn nodes_of_recipes_are_bounded_in_level_and_extents() {
    let whole = |meta: Vec<u8>, children: Vec<ChunkId>, size: u64| {
        let store = Arc::new(Memory::default());
        let mut puts = Puts { store: &store, ids: BTreeSet::new() };
        let refs =
            RefList { meta: Some(puts.put(ChunkKind::Meta, &meta).unwrap()), children, data: Vec::new() };
        let root = puts.put(ChunkKind::Refs, &refs.encode()).unwrap();
        crate::tree::Recipe::new(store.clone(), root, size, 0).next().unwrap()
    };
    let extents = |n: usize| {
        let mut meta = vec![VERSION, 2];
        put_int(&mut meta, n as u64);
        meta.extend([0, 1].repeat(n));
        whole(meta, Vec::new(), n as u64)
    };
    assert!(extents(NODE_EXTENTS_MAX).is_ok() && extents(NODE_EXTENTS_MAX + 1).is_err());
    let above = |level: u64| {
        let mut meta = vec![VERSION, 3];
        put_int(&mut meta, level);
        meta.extend([1, 9]);
        whole(meta, vec![ChunkId([1; 32])], 9).unwrap_err().to_string()
    };
    assert!(!above(RECIPE_LEVELS_MAX).contains("level"), "it is the child that is not there");
    assert!(above(RECIPE_LEVELS_MAX + 1).contains("level") && above(0).contains("level"));
}

#[test]
fn nodes_of_entries_with_the_longest_attributes_stay_chunks() {
    let store = Memory::default();
    let mut entries = BTreeMap::new();
    for n in 0..40_u8 {
        let attribute = |at: u8| xattr(&format!("user.{at}"), &vec![n; XATTR_VALUE_MAX - 8]);
        let xattrs = (0..4).map(attribute).collect();
        entries.insert(path(&format!("{n:03}")), with_xattrs(xattrs));
    }
    let (root, ids) = build(&store, &entries).unwrap();
    let longest = ids.iter().map(|key| lock(&store.chunks)[key].len()).max().unwrap();
    assert!(longest <= CHUNK_BYTES_MAX / 2, "{longest} bytes");
    let store = Arc::new(store);
    let read: BTreeMap<_, _> = tree(&store, root).range(&TreePath::root()).map(Result::unwrap).collect();
    assert!(read == entries);
}
