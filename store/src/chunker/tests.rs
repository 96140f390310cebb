//! Cut points, classes and streams.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;

use super::*;
use crate::crypto::{Keys, Secrets};
use chronos_gear::Table;

fn gear() -> Arc<Gear> {
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
    for (class, len, chunks, pinned) in [
        (ChunkClass::Db, 200_000, 9, "d92406b05a866f55"),
        (ChunkClass::Std, 2_000_000, 54, "15c759437e592746"),
        (ChunkClass::Bulk, 30_000_000, 25, "748cfa6eec95ef18"),
    ] {
        let lengths = cuts(class, &noise(len));
        let bytes: Vec<u8> = lengths.iter().flat_map(|l| (*l as u32).to_le_bytes()).collect();
        let hash = blake3::hash(&bytes).to_hex();
        assert_eq!((lengths.len(), hash.get(..16).unwrap()), (chunks, pinned), "{class:?}: {lengths:?}");
    }
}

/// The rule of `docs/format.md`, a byte at a time.
fn reference(class: ChunkClass, gear: &Table, bytes: &[u8]) -> usize {
    let (min, avg, max) = class.lengths();
    let end = bytes.len().min(max);
    let mut hash = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(end & !1).skip(min) {
        hash = (hash << 1).wrapping_add(gear.get(usize::from(*byte)).copied().unwrap());
        let bits = if at < avg { avg.ilog2() + 2 } else { avg.ilog2() - 2 };
        if hash & (((1 << bits) - 1) << (32 - bits)) == 0 {
            return at;
        }
    }
    end
}

#[test]
fn cuts_follow_the_rule_that_the_format_describes() {
    let gear = gear();
    for class in [ChunkClass::Std, ChunkClass::Db] {
        for len in [0, 1, 2_047, 2_048, 2_049, 40_001, 999_999, 1_000_000] {
            let bytes = noise(len);
            let (mut rest, mut lengths) = (bytes.as_slice(), Vec::new());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(reference(class, gear.table(), rest));
                lengths.push(chunk.len());
                rest = after;
            }
            assert_eq!(cuts(class, &bytes), lengths, "{class:?}, {len} bytes");
        }
    }
}

#[test]
fn a_reader_that_gives_little_at_once_is_cut_alike() {
    struct Trickle(Vec<u8>, usize);
    impl std::io::Read for Trickle {
        fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let n = room.len().min(self.1 % 7_001 + 1).min(self.0.len());
            for (to, from) in room.iter_mut().zip(self.0.drain(..n)) {
                *to = from;
            }
            Ok(n)
        }
    }
    let bytes = noise(600_000);
    let (mut stream, mut reader) = (ChunkStream::new(), Trickle(bytes.clone(), 5_000));
    let chunker = Chunker::new(ChunkClass::Std, gear());
    let (mut lengths, mut content) = (Vec::new(), Vec::new());
    while let Some(chunk) = stream.next_chunk(&mut reader, &chunker).unwrap() {
        lengths.push(chunk.len());
        content.extend_from_slice(chunk);
    }
    assert_eq!(lengths, cuts(ChunkClass::Std, &bytes));
    assert_eq!(content, bytes);
}

/// Content that never cuts: chunks are as long as they may be, though less is looked at first.
#[test]
fn content_without_cuts_is_cut_at_the_greatest_length() {
    for class in [ChunkClass::Std, ChunkClass::Db, ChunkClass::Bulk] {
        let (.., max) = class.lengths();
        assert_eq!(cuts(class, &vec![0; 2 * max + 5]), [max, max, 5], "{class:?}");
    }
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
