//! Files with the same bytes are the same however they are cut and stored.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Memory, build, chunk, chunks_read, data, file, node, path, tree};
use crate::node::{Assembled, Extent, NodeKind, Piece};
use crate::tree::{Tree, same_bytes};

/// A tree with one file.
fn stored(store: &Arc<Memory>, extents: Vec<Extent>) -> Tree {
    let entries = BTreeMap::from([(path("f"), node(file(extents)))]);
    tree(store, build(store, &entries).unwrap().0)
}

fn are_same(a: &Tree, b: &Tree) -> bool {
    let (x, y) = (a.find(&path("f")).unwrap().unwrap(), b.find(&path("f")).unwrap().unwrap());
    same_bytes((a, &x), (b, &y)).unwrap()
}

/// The bytes as one piece of a longer chunk.
pub(crate) fn grouped(store: &Memory, bytes: &[u8], others: &[u8]) -> Extent {
    let group = chunk(store, &[others, bytes].concat());
    let (Extent::Data { id, len }, Extent::Data { id: group, .. }) = (chunk(store, bytes), group) else {
        unreachable!("chunks")
    };
    let pieces = vec![Piece { chunk: group, start: others.len() as u32, len }];
    Extent::Assembled(Arc::new(Assembled { mark: id.mark(), len, pieces }))
}

/// Cuts bytes at places that follow from `cuts`; what is all zeros may become a hole.
fn cut(store: &Memory, bytes: &[u8], cuts: &[(u8, u8)]) -> Vec<Extent> {
    let (mut extents, mut at) = (Vec::new(), 0);
    for (step, way) in cuts.iter().copied().chain(std::iter::repeat((40, 0))) {
        let part = &bytes[at..bytes.len().min(at + usize::from(step) + 1)];
        if part.is_empty() {
            break;
        }
        at += part.len();
        let len = part.len() as u64;
        let is_blank = part.iter().all(|b| *b == 0);
        extents.push(match way {
            1 if is_blank => Extent::Hole { len },
            2 if is_blank => Extent::Zero { len },
            3 | 4 => grouped(store, part, &[way; 3]),
            _ => chunk(store, part),
        });
    }
    extents
}

fn cuts() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..60u8, 0..6u8), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_are_the_same_if_their_bytes_are(
        parts in prop::collection::vec((0..3u8, 1..90usize), 0..14),
        one in cuts(),
        other in cuts(),
        change in prop::option::of(0..2000usize),
    ) {
        let bytes: Vec<u8> = parts.iter().flat_map(|(byte, count)| vec![*byte; *count]).collect();
        let mut changed = bytes.clone();
        if let Some(byte) = change.and_then(|at| changed.get_mut(at)) {
            *byte ^= 1;
        }
        let store = Arc::new(Memory::default());
        let a = stored(&store, cut(&store, &bytes, &one));
        let b = stored(&store, cut(&store, &changed, &other));
        prop_assert_eq!(are_same(&a, &b), bytes == changed);
        prop_assert_eq!(are_same(&b, &a), bytes == changed);
    }
}

#[test]
fn a_change_in_a_large_file_is_found_without_reading_the_rest_or_any_content() {
    let mut extents: Vec<Extent> = (0..30_000).map(|i| data(i, 5000)).collect();
    let store = Arc::new(Memory::default());
    let old = stored(&store, extents.clone());
    extents[17_000] = data(1 << 40, 5000);
    let new = stored(&store, extents.clone());
    let Extent::Data { id, len } = data(20_000, 5000) else { unreachable!("a chunk") };
    // What it is put together from cannot be read, and need not be.
    let pieces = vec![Piece { chunk: id, start: 5, len }];
    extents[17_000] = data(17_000, 5000);
    extents[20_000] = Extent::Assembled(Arc::new(Assembled { mark: id.mark(), len, pieces }));
    let pieced = stored(&store, extents);
    chunks_read(&store);
    assert!(!are_same(&old, &new));
    assert!(chunks_read(&store) <= 20, "the way to the change, two chunks a node");
    assert!(are_same(&old, &pieced));
    assert!(chunks_read(&store) <= 20, "the way to the chunk in pieces");
}

#[test]
fn nothing_but_files_has_bytes() {
    let store = Arc::new(Memory::default());
    let one = stored(&store, vec![chunk(&store, b"1")]);
    let folder = BTreeMap::from([(path("f"), node(NodeKind::Dir))]);
    let folder = tree(&store, build(&store, &folder).unwrap().0);
    assert!(!are_same(&one, &folder) && !are_same(&folder, &folder));
}
