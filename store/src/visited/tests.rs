//! What a set says of chunks with several records, with none, and how much it takes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::backend::MemoryBackend;
use crate::format::{Place, Record, encode_run};
use crate::id::{PackName, SessionId};
use crate::index::{IndexBuilder, RunSource};
use crate::packs::Packs;
use crate::state::State;
use std::sync::Arc;

fn id(n: u32) -> ChunkId {
    ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

/// An index of two runs: 0 to 999, and 500 to 1499.
fn index() -> Index {
    let keys =
        Arc::new(crate::crypto::Keys::new(&crate::crypto::Secrets { master: [1; 32], chunk: [2; 32] }));
    let backend = Arc::new(MemoryBackend::new());
    let packs = Arc::new(Packs::new(backend.clone(), Arc::clone(&keys)));
    let mut builder = IndexBuilder::new(&State::default());
    for (number, ids) in [(0_u8, 0..1000), (1, 500..1500)] {
        let pack = PackName { session: SessionId::new(1, "me", 2).unwrap(), seq: number.into(), attempt: 7 };
        let place = Place { pack: 0, frame: 0, index: 0, length: 1 };
        let mut records: Vec<Record> = ids.map(|n| Record { id: id(n), place }).collect();
        records.sort_unstable();
        let name = format!("index/m-{number}");
        let bytes = encode_run(&name, &keys, [number; 32], &[(pack, 9)], &records).unwrap();
        backend.damage(&name, Some(&bytes));
        builder.add_run(RunSource::open(&packs, &name, bytes.len() as u64).unwrap());
    }
    builder.finish(packs)
}

#[test]
fn a_chunk_is_put_in_once_however_many_records_it_has() {
    let index = index();
    let mut set = ChunkSet::new(&index);
    for n in 0..1600 {
        assert!(!set.contains(&id(n)).unwrap());
        assert!(set.insert(&id(n)).unwrap(), "{n}");
        assert!(!set.insert(&id(n)).unwrap() && set.contains(&id(n)).unwrap(), "{n}");
    }
    assert_eq!(set.unknown.len(), 100, "only what no record knows is held by its id");
}

#[test]
fn a_set_takes_an_eighth_of_a_byte_per_record() {
    let set = RecordSet::new(&index());
    assert_eq!(set.0.iter().map(|words| words.len() * 8).sum::<usize>(), 2 * 1000_usize.div_ceil(64) * 8);
}

#[test]
fn records_of_different_sources_differ() {
    let mut set = RecordSet::new(&index());
    assert!(set.insert(0, 63) && set.insert(0, 64) && set.insert(1, 63));
    assert!(!set.insert(0, 63) && !set.insert(2, 0) && !set.insert(0, 5000));
    assert!(set.contains(1, 63) && !set.contains(1, 64) && !set.contains(0, 62));
}

#[test]
fn the_same_record_stands_for_a_chunk_once_all_firsts_are_known() {
    let index = index();
    let mut set = ChunkSet::new(&index);
    let firsts: Vec<_> = (0..1600).map(|n| set.record(&id(n)).unwrap()).collect();
    assert!(matches!(set.firsts, Firsts::Asked(_)));
    for n in 0..1600 {
        assert!(set.insert(&id(n)).unwrap());
    }
    while let Firsts::Asked(asked) = set.firsts {
        assert!(asked <= 2000 * ASKED_PER_RECORD);
        assert!(set.contains(&id(700)).unwrap());
    }
    assert!(matches!(set.firsts, Firsts::Known(_)));
    assert!(set.contains(&id(1400)).unwrap(), "the second run answered last, and holds half of the first");
    for n in (0..1600).rev() {
        assert_eq!(set.record(&id(n)).unwrap(), firsts[n as usize], "{n}");
        assert!(set.contains(&id(n)).unwrap() && !set.insert(&id(n)).unwrap(), "{n}");
    }
    assert_eq!(set.unknown.len(), 100);
}
