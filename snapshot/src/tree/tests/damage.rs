//! Damaged and hostile nodes end in an error that names them, never in a panic or endless work.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

/// Stores `meta` and `refs` as one node.
fn put(store: &Memory, meta: &[u8], mut refs: RefList) -> ChunkId {
    let mut puts = Puts { store, ids: BTreeSet::new() };
    refs.meta = Some(puts.put(ChunkKind::Meta, meta).unwrap());
    puts.put(ChunkKind::Refs, &refs.encode()).unwrap()
}

fn mixed() -> BTreeMap<TreePath, Node> {
    let mut entries = many(40);
    let large: Vec<_> = (0..100).map(|i| data(i, 9)).collect();
    entries.insert(path("home/big"), node(file(large)));
    let mut odd = node(NodeKind::Symlink(b"elsewhere".to_vec()));
    odd.xattrs = vec![xattr("user.a", b"value")];
    entries.insert(path("home/link"), odd);
    entries
}

#[test]
fn no_changed_byte_of_a_node_makes_a_reader_panic_or_break_the_order() {
    let store = Arc::new(Memory::default());
    let (root, ids) = build(&store, &mixed()).unwrap();
    for key in ids {
        let good = lock(&store.chunks)[&key].clone();
        for at in 0..good.len() {
            for flip in [1, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                lock(&store.chunks).insert(key, bad);
                let found: Vec<_> = tree(&store, root).range(&TreePath::root()).flatten().collect();
                assert!(found.is_sorted_by(|a, b| a.0 < b.0));
            }
        }
        for cut in 0..good.len() {
            lock(&store.chunks).insert(key, good[..cut].to_vec());
            assert!(tree(&store, root).range(&TreePath::root()).any(|e| e.is_err()));
        }
        lock(&store.chunks).insert(key, good);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(
        form in 0..4u8,
        mut meta in vec(any::<u8>(), 0..200),
        small in any::<bool>(),
        children in 0..4u8,
        data in 0..4u8,
    ) {
        if small {
            // Small numbers get further into a node than any others.
            for b in &mut meta {
                *b %= 5;
            }
        }
        let store = Arc::new(Memory::default());
        let id = |n: u8| ChunkId([n; 32]);
        let refs = RefList {
            meta: None,
            children: (0..children).map(id).collect(),
            data: (0..data).map(id).collect(),
        };
        let root = put(&store, &[&[1, form][..], &meta].concat(), refs);
        prop_assert!(tree(&store, root).range(&TreePath::root()).count() <= 1000);
        let nodes = Arc::clone(&store) as Arc<dyn Nodes>;
        let found: Vec<_> = crate::tree::Recipe::new(nodes, root, 10, 0).collect();
        prop_assert!(found.len() <= 11);
    }
}

#[test]
fn reading_goes_on_behind_a_lost_node() {
    let store = Arc::new(Memory::default());
    let entries = many(20_000);
    let (root, _) = build(&store, &entries).unwrap();
    let inner = store.refs(&root).unwrap().children[1];
    let leaf = store.refs(&inner).unwrap().children[1];
    lock(&store.chunks).remove(&(ChunkKind::Refs, leaf));
    let found: Vec<_> = tree(&store, root).range(&TreePath::root()).collect();
    let errors: Vec<_> = found.iter().filter_map(|e| e.as_ref().err()).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].kind(), ErrorKind::Damaged);
    let missing = entries.len() - (found.len() - 1);
    assert!((1..=512).contains(&missing));
    assert_eq!(found.last().unwrap().as_ref().unwrap().0, *entries.last_key_value().unwrap().0);
}

#[test]
fn a_node_that_contains_itself_ends_in_an_error() {
    let store = Arc::new(Memory::default());
    // An id that can be known beforehand: the map takes any bytes under any id.
    let own = ChunkId([9; 32]);
    let child = [(path("a"), own)];
    let (meta, mut refs) = crate::tree::inner::encode(3, &child);
    refs.meta = Some(Puts { store: &store, ids: BTreeSet::new() }.put(ChunkKind::Meta, &meta).unwrap());
    lock(&store.chunks).insert((ChunkKind::Refs, own), refs.encode());
    let found: Vec<_> = tree(&store, own).range(&TreePath::root()).collect();
    assert!(matches!(found.as_slice(), [Err(_)]));
}

#[test]
fn nodes_on_the_wrong_level_or_outside_their_place_are_refused() {
    let store = Arc::new(Memory::default());
    let one = |name: &str| {
        let entries = BTreeMap::from([(path(name), node(NodeKind::Dir))]);
        build(&store, &entries).unwrap().0
    };
    let over = |level, children: &[(TreePath, ChunkId)]| {
        let (meta, refs) = crate::tree::inner::encode(level, children);
        put(&store, &meta, refs)
    };
    let good = over(1, &[(path("a"), one("a")), (path("b"), one("b"))]);
    assert_eq!(tree(&store, good).range(&TreePath::root()).flatten().count(), 2);
    let misplaced = over(1, &[(path("a"), one("b")), (path("b"), one("b"))]);
    let skipped = over(2, &[(path("a"), one("a"))]);
    let twice = over(2, &[(path("a"), good), (path("aa"), good)]);
    for (root, entries) in [(misplaced, 1), (skipped, 0), (twice, 1)] {
        let found: Vec<_> = tree(&store, root).range(&TreePath::root()).collect();
        assert!(found.iter().any(std::result::Result::is_err));
        assert_eq!(found.iter().flatten().count(), entries);
    }
}

#[test]
fn a_recipe_that_repeats_itself_cannot_be_longer_than_its_file() {
    let store = Arc::new(Memory::default());
    let leaf = put(&store, &[1, 2, 1, 2], RefList { data: vec![ChunkId([1; 32])], ..RefList::default() });
    let mut id = leaf;
    for level in 1..=4 {
        // Ten children said to be one byte long each, though each is ten times as long as the last.
        let mut meta = vec![1, 3, level, 10];
        meta.extend([1; 10]);
        id = put(&store, &meta, RefList { children: vec![id; 10], ..RefList::default() });
    }
    let nodes = Arc::clone(&store) as Arc<dyn Nodes>;
    let found: Vec<_> = crate::tree::Recipe::new(nodes, id, 10, 0).collect();
    assert!(found.len() <= 2 && found.last().unwrap().is_err());
}
