//! What is read back equals a sorted map, for any set of entries.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::node::{Assembled, Piece};

fn any_path() -> impl Strategy<Value = TreePath> {
    // Bytes below, at and above `/` in ASCII, and one that is not UTF-8.
    let name = vec(prop::sample::select(b"!-0a\xff".to_vec()), 1..3);
    vec(name, 1..5).prop_map(|names| TreePath::new(names.join(&b'/')).unwrap())
}

fn any_extents() -> impl Strategy<Value = Vec<Extent>> {
    let one = prop_oneof![
        4 => (any::<u64>(), 1..=u32::MAX).prop_map(|(seed, len)| data(seed, len)),
        2 => (any::<u64>(), vec((0..90_u64, 0..=1_u32 << 20, 1..=400_000_u32), 1..20)).prop_map(assembled),
        1 => (1..u64::MAX >> 12).prop_map(|len| Extent::Hole { len }),
        1 => (1..u64::MAX >> 12).prop_map(|len| Extent::Zero { len }),
    ];
    prop_oneof![10 => vec(one.clone(), 0..12), 1 => vec(one, 12..700)]
}

/// Pieces of few chunks, so that many are of the same.
fn assembled((seed, pieces): (u64, Vec<(u64, u32, u32)>)) -> Extent {
    let chunk = |seed| data(seed, 1).chunks().next().copied().unwrap();
    let pieces: Vec<_> =
        pieces.into_iter().map(|(seed, start, len)| Piece { chunk: chunk(seed), start, len }).collect();
    let len = pieces.iter().map(|p| p.len).sum();
    Extent::Assembled(Arc::new(Assembled { mark: chunk(seed).mark(), len, pieces }))
}

fn any_kind() -> impl Strategy<Value = NodeKind> {
    prop_oneof![
        any_extents().prop_map(file),
        Just(NodeKind::Dir),
        vec(any::<u8>(), 0..40).prop_map(NodeKind::Symlink),
        Just(NodeKind::Fifo),
        Just(NodeKind::Socket),
        any::<u64>().prop_map(|rdev| NodeKind::CharDevice { rdev }),
        any::<u64>().prop_map(|rdev| NodeKind::BlockDevice { rdev }),
    ]
}

fn any_time() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

fn any_xattrs() -> impl Strategy<Value = Vec<Xattr>> {
    btree_map("user\\.[a-z]{1,5}", vec(any::<u8>(), 0..20), 0..3)
        .prop_map(|map| map.into_iter().map(|(name, value)| Xattr { name: name.into(), value }).collect())
}

fn any_node() -> impl Strategy<Value = Node> {
    let owner = || prop::option::of(prop::sample::select(vec!["root", "anna", "b\u{f6}b"]));
    let numbers = (0..0o10000u32, any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>());
    (any_kind(), numbers, owner(), owner(), any_time(), any_time(), any_xattrs()).prop_map(
        |(kind, (mode, uid, gid, dev, inode, links), user, group, mtime, ctime, xattrs)| Node {
            kind,
            mode,
            uid,
            gid,
            user: user.map(Into::into),
            group: group.map(Into::into),
            mtime,
            ctime,
            dev,
            inode,
            links,
            xattrs,
        },
    )
}

fn check(entries: &BTreeMap<TreePath, Node>, probes: &[TreePath]) -> Result<(), TestCaseError> {
    let store = Arc::new(Memory::default());
    let (root, _) = build(&store, entries).unwrap();
    let tree = tree(&store, root);
    for base in probes.iter().chain([&TreePath::root()]) {
        let got = tree.find(base).unwrap().map(|entry| tree.complete(entry).unwrap());
        prop_assert_eq!(got.as_ref(), entries.get(base));
        prop_assert_eq!(tree.get(base).unwrap().map(|n| n.size()), got.map(|n| n.size()));
        let below = |(p, _): &(&TreePath, &Node)| p.strip(base).is_some();
        let model: Vec<_> = entries.iter().filter(below).map(|(p, n)| (p.clone(), n.clone())).collect();
        let found: Vec<_> = tree.range(base).collect::<Result<_>>().unwrap();
        prop_assert_eq!(&found, &model);
        let inside = |(p, _): &(TreePath, Node)| p.parent().as_ref() == Some(base);
        let model: Vec<_> = model.into_iter().filter(inside).collect();
        let found: Vec<_> = tree.children(base).collect::<Result<_>>().unwrap();
        prop_assert_eq!(&found, &model);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_what_was_built(
        entries in btree_map(any_path(), any_node(), 0..60),
        probes in vec(any_path(), 4),
    ) {
        check(&entries, &probes)?;
    }

    #[test]
    fn reads_what_was_built_from_many_leaves(
        paths in prop::collection::btree_set(any_path(), 300..700),
        kinds in vec(any_node(), 5),
        probes in vec(any_path(), 12),
    ) {
        let entries = paths.into_iter().zip(kinds.iter().cloned().cycle()).collect();
        check(&entries, &probes)?;
    }
}

#[test]
fn a_tree_of_one_folder_and_several_levels_is_read_back() {
    let entries = many(30_000);
    let store = Arc::new(Memory::default());
    let (root, _) = build(&store, &entries).unwrap();
    let tree = tree(&store, root);
    assert!(tree.range(&TreePath::root()).map(Result::unwrap).eq(entries.clone()));
    lock(&store.read).clear();
    let one = path("home/folder-00123/file-00012345.txt");
    assert_eq!(tree.get(&one).unwrap().as_ref(), entries.get(&one));
    assert!(lock(&store.read).len() <= 8, "a look-up reads one node per level");
    lock(&store.read).clear();
    assert_eq!(tree.children(&path("")).count(), 1);
    assert!(lock(&store.read).len() <= 12, "what lies below a child is not read");
    lock(&store.read).clear();
    assert_eq!(tree.range(&path("home/folder-00123")).count(), 101);
    assert!(lock(&store.read).len() <= 20, "a range reads its own leaves");
}

#[test]
fn very_long_paths_still_make_a_tree() {
    let deep = |n: u32| path(&format!("{n:04}/{}", vec!["x".repeat(200); 200].join("/")));
    let entries: BTreeMap<_, _> = (0..300).map(|n| (deep(n), node(NodeKind::Dir))).collect();
    let store = Arc::new(Memory::default());
    let (root, _) = build(&store, &entries).unwrap();
    assert!(tree(&store, root).range(&TreePath::root()).map(Result::unwrap).eq(entries));
}

#[test]
fn what_does_not_fit_the_format_is_refused_and_the_builder_goes_on() {
    let store = Memory::default();
    let mut puts = Puts { store: &store, ids: BTreeSet::new() };
    let mut build = Build::new([0; 32]);
    build.add(&mut puts, &path("b"), &node(NodeKind::Dir)).unwrap();
    for name in ["", "a", "b"] {
        build.add(&mut puts, &path(name), &node(NodeKind::Dir)).unwrap_err();
    }
    let mut bad = node(NodeKind::Dir);
    bad.xattrs = vec![xattr("user.b", b""), xattr("user.a", b"")];
    build.add(&mut puts, &path("c"), &bad).unwrap_err();
    bad.xattrs = vec![xattr("user.b", &[0; 65537])];
    build.add(&mut puts, &path("c"), &bad).unwrap_err();
    let content = Content { class: ChunkClass::Std, size: 7, extents: vec![data(1, 8)] };
    build.add(&mut puts, &path("c"), &node(NodeKind::File(content))).unwrap_err();
    build.add(&mut puts, &path("c"), &node(NodeKind::Dir)).unwrap();
    build.finish(&mut puts).unwrap();
}
