//! Merged sources give every record in order, and hold about a block of each.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::backend::MemoryBackend;
use crate::crypto::{Keys, Secrets};
use crate::error::ErrorKind;
use crate::format::{BLOCK_RECORDS, Place, encode_run};
use crate::id::{ChunkId, PackName, SessionId};
use crate::index::{Index, IndexBuilder};
use crate::state::State;

fn record(pack: u32, n: u32) -> Record {
    let place = Place { pack, frame: 0, index: 0, length: n };
    Record { id: ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes()), place }
}

/// Runs of these chunks, each in a pack of its own, changed by `spoil`; and what they hold in the order of the index.
fn index(runs: &[Range<u32>], spoil: fn(&mut Vec<Record>)) -> (Index, Arc<Packs>, Vec<Record>) {
    let keys = Arc::new(Keys::new(&Secrets { master: [1; 32], chunk: [2; 32] }));
    let backend = Arc::new(MemoryBackend::new());
    let packs = Arc::new(Packs::new(backend.clone(), Arc::clone(&keys)));
    let mut builder = IndexBuilder::new(&State::default());
    let mut all = Vec::new();
    for (number, chunks) in (0_u32..).zip(runs) {
        let pack = PackName { session: SessionId::new(1, "me", 2).unwrap(), seq: number, attempt: 7 };
        let mut records: Vec<Record> = chunks.clone().map(|n| record(0, n)).collect();
        records.sort_unstable();
        spoil(&mut records);
        all.extend(chunks.clone().map(|n| record(number, n)));
        let name = format!("index/m-{number}");
        let bytes = encode_run(&name, &keys, [9; 32], &[(pack, 9)], &records).unwrap();
        backend.damage(&name, Some(&bytes));
        builder.add_run(RunSource::open(&packs, &name, bytes.len() as u64).unwrap());
    }
    all.sort_unstable();
    (builder.finish(Arc::clone(&packs)), packs, all)
}

#[test]
fn merging_holds_a_block_of_each_source_however_many_records_they_have() {
    let (index, packs, all) = index(&[0..40_000, 30_000..60_000, 0..1, 7..7 + 372], |_| {});
    let sources: Vec<&Source> = index.sources().iter().collect();
    let mut merged = MergedSources::new(&sources, &packs).unwrap();
    let mut found = Vec::new();
    let mut most = merged.held();
    let mut counts = vec![0; sources.len()];
    while let Some((source, ordinal, record)) = merged.next_from().unwrap() {
        assert_eq!(ordinal, counts[source]);
        counts[source] += 1;
        found.push(record);
        most = most.max(merged.held());
    }
    assert_eq!(found, all);
    assert!(most <= sources.len() * (BLOCK_RECORDS + 1), "{most} records were held at once");
}

#[test]
fn each_source_is_read_once_and_some_blocks_at_a_time() {
    let (index, packs, all) = index(std::slice::from_ref(&(0..20_000)), |_| {});
    let before = packs.bytes_read();
    let mut found = Vec::new();
    for source in index.sources() {
        source
            .each(&packs, &mut |ordinal, record| {
                assert_eq!(ordinal as usize, found.len());
                found.push(record);
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(found, all);
    let sealed = 20_000 * 44 + 20_000_u64.div_ceil(BLOCK_RECORDS as u64) * 16;
    assert_eq!(packs.bytes_read() - before, sealed);
}

#[test]
fn a_run_out_of_order_is_never_merged() {
    let (index, packs, _) = index(&[0..1000, 1000..2000], |records| records.swap(500, 501));
    let sources: Vec<&Source> = index.sources().iter().collect();
    let mut merged = MergedSources::new(&sources, &packs).unwrap();
    let error = loop {
        match merged.next() {
            Ok(record) => assert!(record.is_some(), "the end was reached"),
            Err(e) => break e,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains("not in order"), "{error}");
}
