//! Cut points, classes and streams.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;

use super::*;
use crate::crypto::{Keys, Secrets};

fn gear() -> Arc<GearTable> {
    Keys::new(&Secrets { master: [1; 32], chunk: [2; 32] }).gear()
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn cuts(class: ChunkClass, bytes: &[u8]) -> Vec<usize> {
    let (chunker, mut stream, mut reader) =
        (Chunker::new(class, gear()), ChunkStream::new(), Cursor::new(bytes));
    let mut lengths = Vec::new();
    while let Some(chunk) = stream.next_chunk(&mut reader, &chunker).unwrap() {
        lengths.push(chunk.len());
    }
    lengths
}

#[test]
fn cut_points_are_pinned() {
    let lengths = cuts(ChunkClass::Db, &noise(200_000));
    let hash = blake3::hash(&lengths.iter().flat_map(|l| (*l as u32).to_le_bytes()).collect::<Vec<_>>());
    assert_eq!((lengths.len(), &hash.to_hex()[..16]), (19, "ba6c07fe83740b35"), "{lengths:?}");
}

#[test]
fn chunks_keep_their_bounds_and_their_average() {
    for class in [ChunkClass::Std, ChunkClass::Db, ChunkClass::Bulk] {
        let (min, avg, max) = class.lengths();
        let lengths = cuts(class, &noise(avg * 200));
        assert_eq!(lengths.iter().sum::<usize>(), avg * 200);
        assert!(lengths.iter().rev().skip(1).all(|l| (min..=max).contains(l)), "{class:?}");
        let mean = avg * 200 / lengths.len();
        assert!((avg * 3 / 4..=avg * 3 / 2).contains(&mean), "{class:?}: {mean}");
    }
}

#[test]
fn pages_are_fixed_and_aligned() {
    assert_eq!(cuts(ChunkClass::Page(8192), &noise(20_000)), [8192, 8192, 3616]);
}

#[test]
fn an_insertion_moves_few_cuts() {
    let before = noise(1 << 20);
    let mut after = before.clone();
    after.splice(500_000..500_000, *b"inserted");
    let split = |bytes: &[u8]| {
        let mut rest = bytes;
        let mut hashes = std::collections::HashSet::new();
        for length in cuts(ChunkClass::Db, bytes) {
            let (chunk, after) = rest.split_at(length);
            hashes.insert(blake3::hash(chunk));
            rest = after;
        }
        hashes
    };
    let (old, new) = (split(&before), split(&after));
    assert!(new.difference(&old).count() <= 3);
}

#[test]
fn classes_are_found_by_content() {
    let mut sqlite = b"SQLite format 3\0\x10\x00".to_vec();
    sqlite.resize(4096, 0);
    assert_eq!(ChunkClass::detect(b"x", &sqlite, Some(1 << 20)), ChunkClass::Page(8192));
    assert_eq!(ChunkClass::detect(b"dump.sql", b"INSERT INTO x", Some(1 << 20)), ChunkClass::Db);
    assert_eq!(ChunkClass::detect(b"x", b"{\"a\": 1}", Some(1 << 20)), ChunkClass::Db);
    assert_eq!(ChunkClass::detect(b"x", b"{\"a\": 1}", Some(100)), ChunkClass::Std);
    assert_eq!(ChunkClass::detect(b"movie", &noise(65536), Some(1 << 30)), ChunkClass::Bulk);
    assert_eq!(ChunkClass::detect(b"small", &noise(65536), Some(1 << 16)), ChunkClass::Std);
}

#[test]
fn codes_name_classes() {
    for class in
        [ChunkClass::Std, ChunkClass::Db, ChunkClass::Bulk, ChunkClass::Page(8192), ChunkClass::Page(1 << 17)]
    {
        assert_eq!(ChunkClass::from_code(class.to_code()), Some(class));
    }
    assert_eq!(ChunkClass::from_code(3), None);
    assert_eq!(ChunkClass::from_code(255), None);
}
