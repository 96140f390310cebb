//! Tests of differences.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Result;
use crate::node::Time;
use crate::record::PathError;
use crate::source::{Entry, Item, Origin};
use crate::tree::Tree;
use crate::tree::tests::same::grouped;
use crate::tree::tests::{
    Memory, build, chunk, chunks_read, data, file, lose_child, many, node, path, tree, xattr,
};

type Entries = BTreeMap<TreePath, Node>;

fn trees(store: &Arc<Memory>, a: &Entries, b: &Entries) -> (Tree, Tree) {
    (tree(store, build(store, a).unwrap().0), tree(store, build(store, b).unwrap().0))
}

fn brief(found: Vec<Difference>) -> Vec<(String, Change, Vec<Aspect>)> {
    found.into_iter().map(|d| (d.path.to_string(), d.change, d.aspects)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn differences_are_those_of_two_maps(
        picks in prop::collection::vec((0..900usize, 0..4u8), 0..12),
        keep in 0..900u64,
        base in prop::sample::select(vec!["", "home", "home/folder-00003", "home/folder-00003/file-00000301.txt"]),
    ) {
        let all = many(900);
        let (mut a, mut b) = (all.clone(), all.clone());
        for (at, what) in picks {
            let path = all.keys().nth(at).unwrap();
            match what {
                0 => drop(a.remove(path)),
                1 => drop(b.remove(path)),
                2 => { b.entry(path.clone()).and_modify(|n| n.mode = 0); }
                _ => { b.insert(path.clone(), node(file(vec![data(keep, 3)]))); }
            }
        }
        let base = path(base);
        let store = Arc::new(Memory::default());
        let (left, right) = trees(&store, &a, &b);
        let found = left.diff(&right, &base).collect::<Result<Vec<_>>>().unwrap();
        prop_assert!(found.is_sorted_by(|x, y| x.path < y.path));
        for d in &found {
            prop_assert_eq!(d.before.is_some(), a.contains_key(&d.path));
            prop_assert_eq!(d.after.is_some(), b.contains_key(&d.path));
            prop_assert_ne!(a.get(&d.path), b.get(&d.path));
        }
        let differs = |p: &&TreePath| a.get(*p) != b.get(*p) && p.strip(&base).is_some();
        prop_assert_eq!(found.len(), all.keys().filter(differs).count());
    }
}

#[test]
fn parts_that_both_have_are_not_read() {
    let mut entries = many(20_000);
    let store = Arc::new(Memory::default());
    let (old, _) = build(&store, &entries).unwrap();
    entries.get_mut(&path("home/folder-00123/file-00012345.txt")).unwrap().mode = 0o600;
    let (new, _) = build(&store, &entries).unwrap();
    chunks_read(&store);
    let found = tree(&store, old).diff(&tree(&store, new), &TreePath::root());
    let found = brief(found.collect::<Result<_>>().unwrap());
    assert_eq!(found, [("home/folder-00123/file-00012345.txt".into(), Change::Changed, vec![Aspect::Mode])]);
    assert!(chunks_read(&store) <= 12, "one node per level of both, two halves each");
}

#[test]
fn an_unreadable_part_is_an_error_and_no_difference() {
    let mut entries = many(20_000);
    let store = Arc::new(Memory::default());
    let (old, _) = build(&store, &entries).unwrap();
    for entry in entries.values_mut() {
        entry.mode = 0o600;
    }
    let (new, _) = build(&store, &entries).unwrap();
    lose_child(&store, &old, 1);
    let found: Vec<_> = tree(&store, old).diff(&tree(&store, new), &TreePath::root()).collect();
    assert_eq!(found.iter().filter(|d| d.is_err()).count(), 1);
    assert!(found.iter().flatten().all(|d| d.change == Change::Changed));
    assert!(found.len() > 1000);
}

#[test]
fn the_same_bytes_stored_in_another_way_are_no_difference() {
    let store = Arc::new(Memory::default());
    let one = |extents| BTreeMap::from([(path("x"), node(file(extents)))]);
    let plain = one(vec![chunk(&store, b"some bytes")]);
    let ways = [
        one(vec![grouped(&store, b"some bytes", b"those of others")]),
        one(vec![grouped(&store, b"some bytes", b"")]),
        one(vec![chunk(&store, b"some "), chunk(&store, b"bytes")]),
    ];
    for way in &ways {
        let (a, b) = trees(&store, &plain, way);
        assert_eq!(a.diff(&b, &TreePath::root()).count(), 0);
    }
    let (a, b) = trees(&store, &one(vec![grouped(&store, b"some bytez", b"")]), &ways[0]);
    let found = brief(a.diff(&b, &TreePath::root()).collect::<Result<_>>().unwrap());
    assert_eq!(found, [("x".into(), Change::Changed, vec![Aspect::Content])]);
}

#[test]
fn every_aspect_is_named() {
    let store = Arc::new(Memory::default());
    let base = node(file(vec![data(1, 3)]));
    let mut cases: Vec<(Aspect, Node)> = Vec::new();
    let mut with = |aspect, change: &dyn Fn(&mut Node)| {
        let mut node = base.clone();
        change(&mut node);
        cases.push((aspect, node));
    };
    with(Aspect::Type, &|n| n.kind = NodeKind::Fifo);
    with(Aspect::Content, &|n| n.kind = file(vec![data(2, 3)]));
    with(Aspect::Mode, &|n| n.mode = 0);
    with(Aspect::Owner, &|n| n.user = None);
    with(Aspect::Mtime, &|n| n.mtime = Time::default());
    with(Aspect::Xattrs, &|n| n.xattrs = vec![xattr("user.a", b"")]);
    for (aspect, changed) in cases {
        let one = |n: &Node| BTreeMap::from([(path("x"), n.clone())]);
        let (a, b) = trees(&store, &one(&base), &one(&changed));
        let found = brief(a.diff(&b, &TreePath::root()).collect::<Result<_>>().unwrap());
        assert_eq!(found, [("x".into(), Change::Changed, vec![aspect])]);
    }
}

fn live(name: &str, node: Node, origin: Origin) -> Item {
    Item::Entry(Entry { path: path(name), node, origin })
}

#[test]
fn a_tree_is_compared_with_what_a_source_gives_now() {
    let store = Arc::new(Memory::default());
    let mut entries = Entries::new();
    entries.insert(path("a"), node(NodeKind::Dir));
    for name in ["a/changed", "a/gone", "a/longer", "a/same"] {
        entries.insert(path(name), node(file(vec![chunk(&store, b"12"), chunk(&store, b"3")])));
    }
    entries.insert(path("b"), node(NodeKind::Dir));
    entries.insert(path("b/x"), node(NodeKind::Fifo));
    let stored = tree(&store, build(&store, &entries).unwrap().0);
    let some = node(file(vec![data(0, 3)]));
    let mut above = node(NodeKind::Dir);
    above.mtime.seconds += 5;
    let items = vec![
        live("a", above, Origin::AboveRoot),
        live("a/changed", some.clone(), Origin::Bytes(b"124".to_vec())),
        live("a/longer", some.clone(), Origin::Stream(Box::new(&b"1234"[..]))),
        live("a/new", some.clone(), Origin::Bytes(Vec::new())),
        live("a/same", some, Origin::Bytes(b"123".to_vec())),
        Item::Problem(PathError { path: "/b".into(), error: "denied".into() }),
    ];
    let mut found: Vec<_> = stored.diff_live(&TreePath::root(), items.into_iter()).collect();
    let problem = found.iter().position(Result::is_err).unwrap();
    assert!(found.remove(problem).unwrap_err().to_string().contains("denied"));
    let found = brief(found.into_iter().map(|d| d.unwrap()).collect());
    assert_eq!(
        found,
        [
            ("a/changed".into(), Change::Changed, vec![Aspect::Content]),
            ("a/gone".into(), Change::Removed, vec![]),
            ("a/longer".into(), Change::Changed, vec![Aspect::Content]),
            ("a/new".into(), Change::Added, vec![]),
        ]
    );
}

#[test]
fn documents_are_compared_by_pointer() {
    let a = json!({"name": "w", "a/b": {"~": 1}, "nodes": [1, 2, {"x": 1, "y": 2}, 9], "gone": null});
    let b = json!({"name": "w", "a/b": {"~": 2}, "nodes": [1, 2, {"x": 1}, 8, 9], "new": [1]});
    let found = json_diff(a.to_string().as_bytes(), b.to_string().as_bytes()).unwrap();
    let brief: Vec<_> = found.iter().map(|c| (&*c.pointer, c.before.is_some(), c.after.is_some())).collect();
    assert_eq!(
        brief,
        [
            ("/a~1b/~0", true, true),
            ("/gone", true, false),
            ("/nodes/2/y", true, false),
            ("/nodes/3", false, true),
            ("/new", false, true),
        ]
    );
    assert!(json_diff(b"{}", b"{").is_err());
    assert!(json_diff("[".repeat(100_000).as_bytes(), b"[]").is_err());
}

#[test]
fn a_json_file_is_compared_inside() {
    let store = Arc::new(Memory::default());
    let one = |text: &[u8]| BTreeMap::from([(path("w.json"), node(file(vec![chunk(&store, text)])))]);
    let (a, b) = trees(&store, &one(b"{\"active\":true}"), &one(b"{\"active\":false}"));
    let found = a.diff_json(&b, &path("w.json")).unwrap().unwrap();
    assert_eq!(found[0].pointer, "/active");
    let (a, b) = trees(&store, &one(b"{}"), &one(b"plain"));
    assert_eq!(a.diff_json(&b, &path("w.json")).unwrap(), None);
    assert_eq!(a.diff_json(&b, &path("other")).unwrap(), None);
}

#[test]
fn live_entries_where_the_tree_is_unreadable_are_not_called_new() {
    let entries = many(20_000);
    let store = Arc::new(Memory::default());
    let (old, _) = build(&store, &entries).unwrap();
    lose_child(&store, &old, 1);
    let items = entries.iter().map(|(path, node)| {
        Item::Entry(Entry { path: path.clone(), node: node.clone(), origin: Origin::Nothing })
    });
    let found: Vec<_> = tree(&store, old).diff_live(&TreePath::root(), items).collect();
    assert!(matches!(found.as_slice(), [Err(_)]), "{}", found.len());
}

#[test]
fn what_a_failed_source_did_not_give_is_not_called_removed() {
    let entries = many(20);
    let store = Arc::new(Memory::default());
    let (old, _) = build(&store, &entries).unwrap();
    let given = entries.iter().take(3).map(|(path, node)| {
        Item::Entry(Entry { path: path.clone(), node: node.clone(), origin: Origin::Nothing })
    });
    let items = given.chain([Item::Failed("connection lost".to_owned())]);
    let found: Vec<_> = tree(&store, old).diff_live(&TreePath::root(), items).collect();
    assert!(matches!(found.as_slice(), [Err(e)] if e.to_string().contains("connection lost")), "{found:?}");
}
