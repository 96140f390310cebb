//! Trees that differ little share all nodes but those on the way to the difference.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// Number of nodes on the longest way from the root to a leaf.
fn height(store: &Memory, root: &ChunkId) -> usize {
    let mut height = 0;
    let mut at = Some(*root);
    while let Some(id) = at {
        height += 1;
        at = store.refs(&id).unwrap().children.first().copied();
    }
    height
}

#[test]
fn a_changed_entry_rewrites_one_node_per_level() {
    let mut entries = many(20_000);
    let store = Memory::default();
    let (first, before) = build(&store, &entries).unwrap();
    let height = height(&store, &first);
    assert!(height >= 3);
    for (i, name) in ["00000/file-00000000", "00077/file-00007777", "00199/file-00019999"].iter().enumerate()
    {
        let at = path(&format!("home/folder-{name}.txt"));
        let old = entries.insert(at.clone(), node(file(vec![data(99 + i as u64, 1)]))).unwrap();
        let (_, after) = build(&store, &entries).unwrap();
        let new = |kind| after.difference(&before).filter(|(k, _)| *k == kind).count();
        assert_eq!(new(ChunkKind::Refs), height, "one node per level");
        assert_eq!(new(ChunkKind::Meta), 1, "above the leaf only ids differ");
        assert_eq!(before.difference(&after).count(), height + 1);
        entries.insert(at, old);
    }
}

#[test]
fn an_added_or_removed_entry_rewrites_few_nodes() {
    let mut entries = many(20_000);
    let store = Memory::default();
    let (_, before) = build(&store, &entries).unwrap();
    entries
        .insert(path("home/folder-00077/file-00007777"), node(NodeKind::Fifo))
        .unwrap_or(node(NodeKind::Dir));
    let (_, added) = build(&store, &entries).unwrap();
    assert!(added.difference(&before).count() <= 16);
    entries.remove(&path("home/folder-00010/file-00001010.txt"));
    let (_, removed) = build(&store, &entries).unwrap();
    assert!(removed.difference(&added).count() <= 16);
}

#[test]
fn a_leaf_has_about_four_kibibytes() {
    let store = Memory::default();
    let (_, ids) = build(&store, &many(20_000)).unwrap();
    let bytes: usize = ids.iter().map(|id| lock(&store.chunks).get(id).unwrap().len()).sum();
    let average = bytes / (ids.len() / 2);
    assert!((5 << 9..6 << 10).contains(&average), "{average}");
}

#[test]
fn an_insertion_into_a_large_file_leaves_most_of_its_recipe() {
    let store = Memory::default();
    let extents: Vec<_> = (0..20_000).map(|i| data(i, 8192)).collect();
    let mut entries = BTreeMap::from([(path("dump.sql"), node(file(extents.clone())))]);
    let (_, before) = build(&store, &entries).unwrap();
    assert!(before.len() > 600, "some 32 ids a node");
    let mut changed = extents;
    changed.insert(10_000, data(1 << 40, 77));
    entries.insert(path("dump.sql"), node(file(changed)));
    let (_, after) = build(&store, &entries).unwrap();
    assert!(after.difference(&before).count() <= 14, "{}", after.difference(&before).count());
}

#[test]
fn extents_of_a_large_file_are_found_by_offset() {
    let store = Arc::new(Memory::default());
    let mut extents: Vec<_> = (0..5_000).map(|i| data(i, 1000 + (i % 7) as u32)).collect();
    extents.insert(2_500, Extent::Hole { len: 1 << 40 });
    let entries = BTreeMap::from([(path("big"), node(file(extents.clone())))]);
    let (root, _) = build(&store, &entries).unwrap();
    let tree = tree(&store, root);
    let raw = tree.find(&path("big")).unwrap().unwrap();
    assert!(raw.recipe.is_some());
    let all: Vec<_> = tree.extents(&raw, 0).map(Result::unwrap).collect();
    assert!(all.iter().map(|(_, e)| e.clone()).eq(extents));
    lock(&store.read).clear();
    for (i, (at, extent)) in all.iter().enumerate().step_by(499) {
        let rest: Vec<_> = tree.extents(&raw, *at).take(2).map(Result::unwrap).collect();
        assert_eq!(rest.first(), Some(&(*at, extent.clone())));
        assert_eq!(rest.get(1), all.get(i + 1));
    }
    assert!(lock(&store.read).len() < 100, "only what is needed is read");
}
