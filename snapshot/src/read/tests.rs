//! Tests of looking into trees.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chronos_store::SnapshotId;

use super::*;
use crate::error::Error;
use crate::node::{Extent, NodeKind};
use crate::path::TreePath;
use crate::tree::tests::same::grouped;
use crate::tree::tests::{Memory, build, chunk, file, lose_child, many, node, path, tree};
use crate::tree::{Nodes, Tree};

fn cat(tree: &Tree, start: u64, end: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let n = tree.cat(&path("f"), ByteRange { start, end }, &mut out).unwrap();
    assert_eq!(n, out.len() as u64);
    out
}

#[test]
fn any_range_of_a_file_is_written() {
    for pieces in [3u8, 60] {
        let store = Arc::new(Memory::default());
        let (mut extents, mut model) = (Vec::new(), Vec::new());
        for i in 0..pieces {
            let bytes = vec![i + 1; 5 + usize::from(i)];
            extents.push(chunk(&store, &bytes));
            model.extend(bytes);
            extents.push(if i % 2 == 0 { Extent::Hole { len: 3 } } else { Extent::Zero { len: 3 } });
            model.extend([0; 3]);
        }
        let entries = BTreeMap::from([(path("f"), node(file(extents)))]);
        let tree = tree(&store, build(&store, &entries).unwrap().0);
        assert_eq!(cat(&tree, 0, u64::MAX), model);
        let n = model.len();
        for (start, end) in (0..n).step_by(7).flat_map(|s| (s..n + 3).step_by(11).map(move |e| (s, e))) {
            assert_eq!(cat(&tree, start as u64, end as u64), model[start..end.min(n)]);
        }
        assert_eq!(cat(&tree, n as u64 + 5, u64::MAX), b"");
    }
}

#[test]
fn only_regular_files_have_content_and_wrong_chunks_are_noticed() {
    let store = Arc::new(Memory::default());
    let mut extents = vec![chunk(&store, b"12345")];
    if let Extent::Data { len, .. } = &mut extents[0] {
        *len = 6;
    }
    let entries = BTreeMap::from([(path("d"), node(NodeKind::Dir)), (path("f"), node(file(extents)))]);
    let tree = tree(&store, build(&store, &entries).unwrap().0);
    let cat = |name| tree.cat(&path(name), ByteRange::ALL, &mut Vec::new()).unwrap_err();
    assert!(matches!(cat("d"), Error::Invalid(_)));
    assert!(matches!(cat("x"), Error::NotFound { .. }));
    assert!(matches!(cat("f"), Error::Damaged { .. }));
}

#[test]
fn patterns_fit_names_at_any_depth_and_paths_from_the_root() {
    let store = Arc::new(Memory::default());
    let tree = tree(&store, build(&store, &many(250)).unwrap().0);
    let found = |patterns: &[&str], case| {
        let patterns = Patterns::new(patterns, case).unwrap();
        tree.search(&TreePath::root(), &patterns).map(|e| e.unwrap().0.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(&["*-00000007.*"], Case::Sensitive), ["home/folder-00000/file-00000007.txt"]);
    assert_eq!(found(&["FOLDER-*"], Case::Insensitive).len(), 3);
    assert_eq!(found(&["FOLDER-*"], Case::Sensitive).len(), 0);
    assert_eq!(found(&["folder-*"], Case::Sensitive).len(), 3);
    assert_eq!(found(&["/home/*"], Case::Sensitive).len(), 3);
    assert_eq!(found(&["home/**/*1.txt", "!*11.txt"], Case::Sensitive).len(), 25 - 3);
    assert!(Patterns::new(["[z-a]"], Case::Sensitive).is_err());
}

#[test]
fn versions_are_told_apart_by_content_alone() {
    let store = Arc::new(Memory::default());
    let (a, b) = (chunk(&store, b"one"), chunk(&store, b"two"));
    let mut trees = Vec::new();
    let mut add = |entries: BTreeMap<TreePath, crate::Node>| {
        let id = SnapshotId([trees.len() as u8; 32]);
        trees.push((id, tree(&store, build(&store, &entries).unwrap().0)));
    };
    let one = |extent: &Extent| BTreeMap::from([(path("f"), node(file(vec![extent.clone()])))]);
    add(one(&a));
    add(one(&a));
    add(BTreeMap::new());
    add(one(&b));
    let mut touched = one(&a);
    touched.get_mut(&path("f")).unwrap().mtime.seconds += 1;
    add(touched);
    add(BTreeMap::from([(path("f"), node(NodeKind::Dir))]));
    let found = versions::collect(trees.into_iter(), &path("f"));
    assert!(found.errors.is_empty());
    assert_eq!(found.absent, [SnapshotId([2; 32])]);
    let seen: Vec<_> =
        found.versions.iter().map(|v| (v.first.0[0], v.last.0[0], v.snapshots.len())).collect();
    assert_eq!(seen, [(0, 4, 3), (3, 3, 1), (5, 5, 1)]);
    let text = serde_json::to_string(&found.versions[0].id).unwrap();
    assert_eq!(serde_json::from_str::<VersionId>(&text).unwrap(), found.versions[0].id);
}

#[test]
fn one_content_stored_in_many_ways_is_one_version() {
    let store = Arc::new(Memory::default());
    // Ten chunks are in a recipe.
    let plain: Vec<Extent> = (0..10u8).map(|i| chunk(&store, &[i; 9])).collect();
    let mut pieced = plain.clone();
    pieced[4] = grouped(&store, &[4; 9], b"others");
    let mut changed = plain.clone();
    changed[4] = chunk(&store, &[7; 9]);
    let joined = vec![chunk(&store, &(0..10u8).flat_map(|i| [i; 9]).collect::<Vec<_>>())];
    let mut trees = Vec::new();
    for extents in [plain, pieced, changed, joined] {
        let entries = BTreeMap::from([(path("f"), node(file(extents)))]);
        trees.push((SnapshotId([trees.len() as u8; 32]), tree(&store, build(&store, &entries).unwrap().0)));
    }
    let found = versions::collect(trees.into_iter(), &path("f"));
    let seen: Vec<_> =
        found.versions.iter().map(|v| (v.first.0[0], v.last.0[0], v.snapshots.len())).collect();
    assert_eq!(seen, [(0, 3, 3), (2, 2, 1)]);
}

#[test]
fn a_search_over_many_trees_finds_what_a_search_in_each_does() {
    let store = Arc::new(Memory::default());
    let patterns = Patterns::new(["*7.txt", "folder-00001/"], Case::Sensitive).unwrap();
    let root = TreePath::root();
    let mut search = find::Search { base: &root, patterns: &patterns, last: None };
    let mut entries = many(900);
    for round in 0..6u64 {
        let name = path(&format!("home/folder-00003/file-{:08}.txt", 307 + round));
        match round % 3 {
            0 => drop(entries.remove(&name)),
            1 => drop(entries.insert(path(&format!("home/new-{round}7.txt")), node(file(Vec::new())))),
            _ => drop(entries.insert(path("home/folder-00001"), node(NodeKind::Fifo))),
        }
        let (root_id, _) = build(&store, &entries).unwrap();
        if round == 4 {
            // The last leaf, which has the new name.
            lose_child(&store, &root_id, store.refs(&root_id).unwrap().children.len() - 1);
        }
        let tree = tree(&store, root_id);
        let (found, errors) = search.next(tree.clone());
        assert_eq!(errors.len(), usize::from(round == 4));
        let model: find::Matches = tree.search(&root, &patterns).flatten().collect();
        assert_eq!(*found, model);
    }
}
