//! Targets of index runs: the whole object, and its directory and blocks below their seals.

use super::{Target, chunk, keys, pack_name, part, with_part};
use crate::compress;
use crate::crypto::{Purpose, TAG_BYTES};
use crate::error::{Error, Result};
use crate::format::{BLOCK_RECORDS, Header, ObjectKind, Place, Record, RunIndex, encode_run};
use crate::id::{ChunkId, PackName};

pub(super) const TARGETS: &[Target] =
    &[Target::new("run", run, run_seeds), Target::new("run_parts", run_parts, run_parts_seeds)];

const NAME: &str = "index/m-00000000000000000000000000000000";
const SALT: [u8; 32] = [9; 32];
/// Bytes of a record.
const RECORD: usize = 44;
const FOOTER: usize = 52;

fn open(bytes: &[u8]) -> Result<RunIndex> {
    RunIndex::open(NAME, keys(), bytes.len() as u64, &|range| read(bytes, range))
}

fn read(bytes: &[u8], range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    let range = range.start as usize..range.end as usize;
    bytes.get(range).map(<[u8]>::to_vec).ok_or_else(|| Error::damaged(NAME, "read beyond its end"))
}

/// A whole run as it is.
fn run(bytes: &[u8]) -> bool {
    let Ok(index) = open(bytes) else { return false };
    look(&index, bytes);
    true
}

/// Reads all blocks and asks for every id; what is in order is encoded and read again.
fn look(index: &RunIndex, bytes: &[u8]) {
    let mut records = Vec::new();
    for number in 0..index.blocks() {
        let range = index.block_range(number);
        let sealed = bytes.get(range.start as usize..range.end as usize).unwrap();
        let Ok(block) = index.open_block(number, sealed.to_vec()) else { return };
        records.extend(block);
    }
    assert_eq!(records.len() as u64, index.len());
    for id in records.iter().map(|r| r.id).chain([chunk(0), chunk(0xff)]) {
        let at_once = index.may_hold(&id, &|range| read(bytes, range)).unwrap();
        index.forget_filters();
        assert_eq!(index.may_hold(&id, &|range| read(bytes, range)).unwrap(), at_once);
        if let Some((first, last)) = index.blocks_of(&id) {
            assert!(first <= last && last < index.blocks());
        }
    }
    if records.is_sorted() && index.packs().len() < 1000 {
        let again = encode_run(NAME, keys(), SALT, index.packs(), &records).unwrap();
        let reread = open(&again).unwrap();
        assert_eq!(reread.packs(), index.packs());
        for record in &records {
            assert!(reread.may_hold(&record.id, &|range| read(&again, range)).unwrap(), "no id is denied");
            let (first, last) = reread.blocks_of(&record.id).unwrap();
            assert!(first <= last);
        }
    }
}

fn example(packs: u32, records: u16) -> (Vec<(PackName, u64)>, Vec<Record>) {
    let packs: Vec<_> = (0..packs).map(|n| (pack_name(n), u64::from(n) * 1000)).collect();
    let mut all: Vec<_> = (0..records)
        .map(|n| Record {
            id: ChunkId(*blake3::hash(&n.to_le_bytes()).as_bytes()),
            place: Place { pack: u32::from(n) % packs.len() as u32, frame: n, index: n, length: 100 },
        })
        .collect();
    all.sort_unstable();
    (packs, all)
}

fn run_seeds() -> Vec<Vec<u8>> {
    [(1, 0), (2, 5)]
        .map(|(packs, records)| {
            let (packs, records) = example(packs, records);
            encode_run(NAME, keys(), SALT, &packs, &records).unwrap()
        })
        .to_vec()
}

/// A directory and the records of all blocks, sealed as they are.
fn run_parts(mut bytes: &[u8]) -> bool {
    let directory = part(&mut bytes);
    let (records, _) = bytes.as_chunks::<RECORD>();
    let header = Header { kind: ObjectKind::Run, salt: SALT }.encode();
    let key = keys().object_key(Purpose::Index, &SALT).unwrap();
    let aad = [&header[..], NAME.as_bytes()].concat();
    let mut out = header.to_vec();
    for (number, block) in (1_u64..).zip(records.chunks(BLOCK_RECORDS)) {
        let mut sealed = block.as_flattened().to_vec();
        key.seal(number, &aad, &mut sealed).unwrap();
        out.extend(sealed);
    }
    let mut sealed = (directory.len() as u32).to_le_bytes().to_vec();
    sealed.extend(compress::compress(directory, 1).unwrap());
    key.seal(0, &aad, &mut sealed).unwrap();
    out.extend(&sealed);
    out.extend((sealed.len() as u32).to_le_bytes());
    out.extend((records.len() as u64).to_le_bytes());
    out.extend([0; 32]);
    out.extend(b"chronosR");
    run(&out)
}

/// Takes runs apart again, as [`run_parts`] puts them together.
fn run_parts_seeds() -> Vec<Vec<u8>> {
    let parts = |(packs, records): (u32, u16)| {
        let (packs, records) = example(packs, records);
        let bytes = encode_run(NAME, keys(), SALT, &packs, &records).unwrap();
        let aad = [bytes.get(..64).unwrap(), NAME.as_bytes()].concat();
        let key = keys().object_key(Purpose::Index, &SALT).unwrap();
        let blocks = records.len().div_ceil(BLOCK_RECORDS);
        let start = 64 + records.len() * RECORD + blocks * TAG_BYTES;
        let mut sealed = bytes.get(start..bytes.len() - FOOTER).unwrap().to_vec();
        let plain = key.open(0, &aad, &mut sealed).unwrap();
        let length = u32::from_le_bytes(*plain.first_chunk().unwrap()) as usize;
        let directory = compress::expand(plain.get(4..).unwrap(), length).unwrap();
        let index = open(&bytes).unwrap();
        let mut content = Vec::new();
        for number in 0..index.blocks() {
            let range = index.block_range(number);
            let mut sealed = bytes.get(range.start as usize..range.end as usize).unwrap().to_vec();
            content.extend_from_slice(key.open(number as u64 + 1, &aad, &mut sealed).unwrap());
        }
        with_part(&directory, &content)
    };
    [(1, 0), (2, 5), (3, 400)].map(parts).to_vec()
}
