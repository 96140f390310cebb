//! Whatever source is asked first, the same is found; and few are asked for what was stored together.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::backend::MemoryBackend;
use crate::crypto::{Keys, Secrets};
use crate::format::{Record, encode_run};
use crate::id::{PackName, SessionId};
use crate::index::{IndexBuilder, RunSource};
use crate::packs::Packs;
use crate::state::State;

/// Runs of the index.
const RUNS: u32 = 64;
/// Chunks of each run.
const CHUNKS: u32 = 400;

fn id(n: u32) -> ChunkId {
    ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn sorted(chunks: impl IntoIterator<Item = u32>) -> Vec<ChunkId> {
    let ids: BTreeSet<ChunkId> = chunks.into_iter().map(id).collect();
    ids.into_iter().collect()
}

/// An index of runs of chunks of their own, one after the other; `twice` are in the last run too.
fn index(twice: &[u32]) -> Index {
    let keys = Arc::new(Keys::new(&Secrets { master: [1; 32], chunk: [2; 32] }));
    let backend = Arc::new(MemoryBackend::new());
    let packs = Arc::new(Packs::new(backend.clone(), Arc::clone(&keys)));
    let mut builder = IndexBuilder::new(&State::default());
    for run in 0..RUNS {
        let pack = PackName { session: SessionId::new(1, "me", 2).unwrap(), seq: run, attempt: 7 };
        let more: &[u32] = if run + 1 == RUNS { twice } else { &[] };
        let chunks = (run * CHUNKS..(run + 1) * CHUNKS).chain(more.iter().copied());
        let place = |n| Place { pack: 0, frame: 0, index: 0, length: n };
        let mut records: Vec<Record> = chunks.map(|n| Record { id: id(n), place: place(n) }).collect();
        records.sort_unstable();
        let name = format!("index/m-{run}");
        let bytes = encode_run(&name, &keys, [9; 32], &[(pack, 9)], &records).unwrap();
        backend.damage(&name, Some(&bytes));
        builder.add_run(RunSource::open(&packs, &name, bytes.len() as u64).unwrap());
    }
    builder.finish(packs)
}

#[test]
fn ids_that_were_stored_together_ask_few_sources() {
    let index = index(&[]);
    let wanted = 40 * CHUNKS..43 * CHUNKS;
    let mut ids = sorted(wanted.clone());
    let mut found = Vec::new();
    let before = index.reader().bytes_read();
    index
        .find_all_near(&mut ids, &mut |source, _, place| {
            found.push((source as u32, place.length));
            true
        })
        .unwrap();
    assert!(ids.is_empty());
    found.sort_unstable();
    assert_eq!(found, wanted.clone().map(|n| (n / CHUNKS, n)).collect::<Vec<_>>());
    let asked = index.asked() as usize;
    assert!(asked < 8 * wanted.len(), "{asked} looks for {} ids in {RUNS} runs", wanted.len());
    let blocks = (index.reader().bytes_read() - before) / (370 * 44);
    assert!(blocks <= 3 * 2 + 3, "{blocks} blocks were read");
}

#[test]
fn an_id_is_looked_for_where_the_one_before_was_found() {
    let index = index(&[]);
    // Lists lie in one run, what they name in two others.
    for n in 0..CHUNKS {
        for run in [60, 5, 33] {
            let mut found = Vec::new();
            let is_found = index.find_near(&id(run * CHUNKS + n), &mut |source, _, place| {
                found.push((source as u32, place.length));
                true
            });
            assert!(is_found.unwrap());
            assert_eq!(found, [(run, run * CHUNKS + n)]);
        }
    }
    let ids = u64::from(3 * CHUNKS);
    assert!(index.asked() < 4 * ids, "{} looks for {ids} ids", index.asked());
}

#[test]
fn what_is_nowhere_is_left_and_every_source_was_asked_for_it() {
    let index = index(&[]);
    let mut ids = sorted([7, 1_000_000, 9000, 2_000_000]);
    let absent = sorted([1_000_000, 2_000_000]);
    index.find_all_near(&mut ids, &mut |_, _, place| place.length < RUNS * CHUNKS).unwrap();
    assert_eq!(ids, absent);
    for id in absent {
        assert!(!index.find_near(&id, &mut |_, _, _| true).unwrap());
    }
    let mut none = Vec::new();
    index.find_all_near(&mut none, &mut |_, _, _| true).unwrap();
}

#[test]
fn a_place_that_is_refused_does_not_end_the_search() {
    let twice: Vec<u32> = (0..CHUNKS).collect();
    let index = index(&twice);
    let last = RUNS as usize - 1;
    for wanted in [0, last] {
        let mut ids = sorted(twice.iter().copied());
        let mut hits = 0;
        index
            .find_all_near(&mut ids, &mut |source, _, _| {
                hits += usize::from(source == wanted);
                source == wanted
            })
            .unwrap();
        assert!(ids.is_empty() && hits == twice.len(), "{wanted}: {hits}");
        for n in &twice {
            let mut seen = Vec::new();
            let is_found = index.find_near(&id(*n), &mut |source, _, place| {
                assert_eq!(place.length, *n);
                seen.push(source);
                source == wanted
            });
            assert!(is_found.unwrap() && seen.last() == Some(&wanted), "{seen:?}");
        }
    }
}

#[test]
fn the_sources_that_answered_last_stand_in_front() {
    let front = Front::default();
    for source in [3, 1, 2, 1] {
        front.answered(source);
    }
    assert_eq!(front.now()[..4], [1, 2, 3, usize::MAX]);
    (10..20).for_each(|source| front.answered(source));
    assert_eq!(front.now(), [19, 18, 17, 16, 15, 14, 13, 12]);
    front.answered(12);
    assert_eq!(front.now(), [12, 19, 18, 17, 16, 15, 14, 13]);
}
