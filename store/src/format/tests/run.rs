//! Index runs.

use proptest::prelude::*;

use super::{damage, keys, noise};
use crate::error::Result;
use crate::format::{BLOCK_RECORDS, Place, Record, RunIndex, encode_run};
use crate::id::{ChunkId, PackName};

const NAME: &str = "index/m-00";

fn packs() -> Vec<(PackName, u64)> {
    let name = |n: u32| format!("0000000000-test-0000000000000001/{n:08x}-00000007").parse().unwrap();
    vec![(name(0), 1000), (name(1), 2000)]
}

/// `n` sorted records; every tenth id is there twice.
fn records(n: usize) -> Vec<Record> {
    let mut records: Vec<Record> = (0..n)
        .map(|i| {
            let same = if i % 10 == 9 { i - 1 } else { i } as u64;
            let id = ChunkId(*blake3::hash(&same.to_le_bytes()).as_bytes());
            let place =
                Place { pack: (i % 2) as u32, frame: i as u16, index: (i * 7) as u16, length: i as u32 };
            Record { id, place }
        })
        .collect();
    records.sort();
    records
}

fn encode(records: &[Record]) -> Vec<u8> {
    encode_run(NAME, &keys(), [6; 32], &packs(), records).unwrap()
}

fn range(bytes: &[u8], range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let found = bytes.get(range.start as usize..range.end as usize);
    found.map(<[u8]>::to_vec).ok_or_else(|| crate::Error::missing(NAME))
}

fn open(name: &str, bytes: &[u8]) -> Result<RunIndex> {
    RunIndex::open(name, &keys(), bytes.len() as u64, &|r| range(bytes, r))
}

fn read_all(bytes: &[u8]) -> Result<Vec<Record>> {
    let run = open(NAME, bytes)?;
    let mut all = Vec::new();
    for block in 0..run.blocks() {
        all.extend(run.open_block(block, range(bytes, run.block_range(block))?)?);
    }
    Ok(all)
}

#[test]
fn runs_of_every_size_read_back_in_order() {
    for n in [0, 1, 2, BLOCK_RECORDS - 1, BLOCK_RECORDS, BLOCK_RECORDS + 1, 5000] {
        let records = records(n);
        let bytes = encode(&records);
        assert_eq!(read_all(&bytes).unwrap(), records, "{n} records");
        let run = open(NAME, &bytes).unwrap();
        assert_eq!((run.len(), run.packs()), (n as u64, packs().as_slice()));
    }
}

#[test]
fn every_record_is_found_and_the_filter_spares_most_others() {
    let records = records(5000);
    let bytes = encode(&records);
    let run = open(NAME, &bytes).unwrap();
    for record in records.iter().step_by(7) {
        assert!(run.may_hold(&record.id, &|r| range(&bytes, r)).unwrap());
        let (first, last) = run.blocks_of(&record.id).unwrap();
        let mut found = Vec::new();
        for block in first..=last {
            found.extend(run.open_block(block, range(&bytes, run.block_range(block)).unwrap()).unwrap());
        }
        found.retain(|r| r.id == record.id);
        let wanted: Vec<Record> = records.iter().filter(|r| r.id == record.id).copied().collect();
        assert_eq!(found, wanted);
    }
    let other = |n: u64| ChunkId(noise((1 << 32) + n, 32).try_into().unwrap());
    let wrong = (0..10_000)
        .filter(|n| run.may_hold(&other(*n), &|_| panic!("the filters are there")).unwrap())
        .count();
    assert!(wrong < 100, "{wrong} of 10000 ids pass the filter wrongly");
}

#[test]
fn filters_that_were_let_go_are_read_again_once() {
    let records = records(1000);
    let bytes = encode(&records);
    let run = open(NAME, &bytes).unwrap();
    run.forget_filters();
    let reads = std::cell::Cell::new(0);
    let read = |wanted| {
        reads.set(reads.get() + 1);
        range(&bytes, wanted)
    };
    assert!(records.iter().all(|record| run.may_hold(&record.id, &read).unwrap()));
    assert_eq!(reads.get(), 1);
    run.forget_filters();
    let gone = |_| Err(crate::Error::missing(NAME));
    assert!(run.may_hold(&records[0].id, &gone).is_err(), "what cannot be read denies nothing");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let bytes = encode(&records(20));
    let footer = bytes.len() - 40;
    damage(&bytes, |bad| {
        // The hash in the footer is for whoever has no keys; blocks and directory are sealed.
        let hash = bad.len() == bytes.len()
            && bad[..footer] == bytes[..footer]
            && bad[footer + 32..] == bytes[footer + 32..];
        hash || read_all(bad).is_err()
    });
}

#[test]
fn a_run_or_block_does_not_pass_for_another() {
    let bytes = encode(&records(1000));
    assert!(open("index/m-01", &bytes).is_err());
    let run = open(NAME, &bytes).unwrap();
    assert!(run.open_block(1, range(&bytes, run.block_range(0)).unwrap()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(open(NAME, &bytes).is_err());
    }
}
