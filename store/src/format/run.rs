//! An index run: sorted records in sealed blocks, then a sealed directory, then a footer.
//!
//! `header 64 · blocks · directory · footer`. A block is 372 records of 44 bytes, sealed with nonce 1 + its number; the
//! directory is sealed with nonce 0 and holds the packs, the first key of each block, and a filter in segments by the first byte of the id.
//! Footer: `directory length u32 · records u64 · BLAKE3 of everything before 32 · magic 8`.

mod filter;
mod write;

pub(crate) use write::{RunWriter, encode_run};

use std::ops::Range;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use filter::{Filters, prefix};

use super::header::{HEADER_BYTES, Header, ObjectKind};
use super::wire::Wire;
use crate::compress;
use crate::crypto::{Keys, Purpose, SealKey, TAG_BYTES};
use crate::error::{Error, Result};
use crate::id::{ChunkId, PackName};

/// Length of a stored record in bytes.
pub(crate) const RECORD_BYTES: usize = 44;
/// Records of one block: as many as fit into 16 KiB.
pub(crate) const BLOCK_RECORDS: usize = 372;
const BLOCK_BYTES: usize = BLOCK_RECORDS * RECORD_BYTES + TAG_BYTES;
const FOOTER_BYTES: usize = 4 + 8 + 32 + 8;
const MAGIC: [u8; 8] = *b"chronosR";
/// Largest plain directory.
const DIRECTORY_BYTES_MAX: usize = 1 << 30;

/// Where a chunk lies, inside one run's or one table's list of packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Number of the pack in the list.
    pub(crate) pack: u32,
    /// Number of the frame in the pack.
    pub(crate) frame: u16,
    /// Number of the chunk in the frame.
    pub(crate) index: u16,
    /// Length of the chunk in bytes.
    pub(crate) length: u32,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// The chunk.
    pub(crate) id: ChunkId,
    /// Where it lies.
    pub(crate) place: Place,
}

impl Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.id.0);
        out.extend(self.place.pack.to_le_bytes());
        out.extend(self.place.frame.to_le_bytes());
        out.extend(self.place.index.to_le_bytes());
        out.extend(self.place.length.to_le_bytes());
    }
}

/// Gives exact ranges of a run's bytes.
pub(crate) type ReadRange<'r> = dyn Fn(Range<u64>) -> Result<Vec<u8>> + 'r;

/// Checks the hash over a whole run; needs no keys.
pub(crate) fn check_run(object: &str, run: &[u8]) -> Result<()> {
    Header::decode(object, ObjectKind::Run, run)?;
    let end = run.len().checked_sub(FOOTER_BYTES).ok_or_else(|| Error::damaged(object, "it is too short"))?;
    let (body, footer) = run.split_at_checked(end + 12).unwrap_or_default();
    let (hash, magic) = footer.split_at_checked(32).unwrap_or_default();
    if magic != MAGIC || hash != blake3::hash(body).as_bytes() {
        return Err(Error::damaged(object, "its hash does not fit"));
    }
    Ok(())
}

/// The directory of a run: enough to find the block of any id.
pub(crate) struct RunIndex {
    object: String,
    key: SealKey,
    aad: Vec<u8>,
    records: u64,
    packs: Vec<(PackName, u64)>,
    firsts: Vec<u64>,
    /// Where the directory lies.
    directory: Range<u64>,
    /// More than a byte a record, most of what a run takes; none while nobody asks.
    filters: ArcSwapOption<Filters>,
}

/// A directory as it is stored.
struct Directory {
    packs: Vec<(PackName, u64)>,
    firsts: Vec<u64>,
    filters: Filters,
}

impl std::fmt::Debug for RunIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunIndex({}, {} records)", self.object, self.records)
    }
}

impl RunIndex {
    /// Reads the directory of a run of `size` bytes.
    pub(crate) fn open(object: &str, keys: &Keys, size: u64, read: &ReadRange<'_>) -> Result<Self> {
        let damaged = |what: &str| Error::damaged(object, what);
        let end = size
            .checked_sub(FOOTER_BYTES as u64)
            .filter(|e| *e > HEADER_BYTES as u64)
            .ok_or_else(|| damaged("it is too short"))?;
        let footer = read(end..size)?;
        let mut wire = Wire::new(object, &footer);
        let (length, records) = (wire.u32()?, wire.u64()?);
        wire.take(32)?;
        if wire.array()? != MAGIC {
            return Err(damaged("it does not end like an index run"));
        }
        let blocks = records.div_ceil(BLOCK_RECORDS as u64);
        let body = records
            .checked_mul(RECORD_BYTES as u64)
            .and_then(|b| b.checked_add(blocks * TAG_BYTES as u64 + HEADER_BYTES as u64));
        if body.and_then(|b| b.checked_add(u64::from(length))) != Some(end) {
            return Err(damaged("its length does not fit its footer"));
        }
        let head = read(0..HEADER_BYTES as u64)?;
        let header = Header::decode(object, ObjectKind::Run, &head)?;
        let mut run = Self {
            object: object.to_owned(),
            key: keys.object_key(Purpose::Index, &header.salt)?,
            aad: [&head[..], object.as_bytes()].concat(),
            records,
            packs: Vec::new(),
            firsts: Vec::new(),
            directory: end - u64::from(length)..end,
            filters: ArcSwapOption::empty(),
        };
        let directory = run.read_directory(read)?;
        if directory.firsts.len() as u64 != blocks {
            return Err(damaged("its directory does not fit its blocks"));
        }
        run.packs = directory.packs;
        run.firsts = directory.firsts;
        run.filters.store(Some(Arc::new(directory.filters)));
        Ok(run)
    }

    fn read_directory(&self, read: &ReadRange<'_>) -> Result<Directory> {
        let damaged = |what: &str| Error::damaged(&self.object, what);
        let mut sealed = read(self.directory.clone())?;
        let plain = self
            .key
            .open(0, &self.aad, &mut sealed)
            .ok_or_else(|| damaged("its directory does not authenticate"))?;
        let (plain_length, packed) =
            plain.split_first_chunk::<4>().ok_or_else(|| damaged("its directory is too short"))?;
        let plain_length = u32::from_le_bytes(*plain_length) as usize;
        let plain = Some(plain_length)
            .filter(|n| *n <= DIRECTORY_BYTES_MAX)
            .and_then(|n| compress::expand(packed, n))
            .ok_or_else(|| damaged("its directory does not expand"))?;
        Directory::decode(&self.object, &plain)
    }

    /// The packs that the records' places count in, with their sizes.
    pub(crate) fn packs(&self) -> &[(PackName, u64)] {
        &self.packs
    }

    /// Number of records.
    pub(crate) fn len(&self) -> u64 {
        self.records
    }

    /// `false` if the id is certainly not here; wrong in 0.4 % of cases otherwise. Filters that were let go are read again.
    pub(crate) fn may_hold(&self, id: &ChunkId, read: &ReadRange<'_>) -> Result<bool> {
        if let Some(filters) = self.filters.load().as_ref() {
            return Ok(filters.may_hold(id));
        }
        let filters = Arc::new(self.read_directory(read)?.filters);
        let answer = filters.may_hold(id);
        self.filters.store(Some(filters));
        Ok(answer)
    }

    /// Lets the filters go until an id is asked for.
    pub(crate) fn forget_filters(&self) {
        self.filters.store(None);
    }

    /// The blocks in which the id would lie: first and last number.
    pub(crate) fn blocks_of(&self, id: &ChunkId) -> Option<(usize, usize)> {
        let key = prefix(id);
        let last = self.firsts.partition_point(|f| *f <= key).checked_sub(1)?;
        let first = self.firsts.partition_point(|f| *f < key).saturating_sub(1);
        Some((first.min(last), last))
    }

    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.firsts.len()
    }

    /// The range of bytes of block `number`, counted from 0.
    pub(crate) fn block_range(&self, number: usize) -> Range<u64> {
        let start = HEADER_BYTES as u64 + number as u64 * BLOCK_BYTES as u64;
        let records = (self.records - number as u64 * BLOCK_RECORDS as u64).min(BLOCK_RECORDS as u64);
        start..start + records * RECORD_BYTES as u64 + TAG_BYTES as u64
    }

    /// Opens block `number` from its sealed bytes.
    pub(crate) fn open_block(&self, number: usize, mut sealed: Vec<u8>) -> Result<Vec<Record>> {
        let plain = self
            .key
            .open(number as u64 + 1, &self.aad, &mut sealed)
            .ok_or_else(|| Error::damaged(&self.object, format!("block {number} does not authenticate")))?;
        let mut wire = Wire::new(&self.object, plain);
        let mut records = Vec::with_capacity(BLOCK_RECORDS);
        for _ in 0..plain.len() / RECORD_BYTES {
            let id = ChunkId(wire.array()?);
            let place =
                Place { pack: wire.u32()?, frame: wire.u16()?, index: wire.u16()?, length: wire.u32()? };
            if place.pack as usize >= self.packs.len() {
                return Err(Error::damaged(&self.object, "a record names no pack"));
            }
            records.push(Record { id, place });
        }
        Ok(records)
    }
}

impl Directory {
    fn decode(object: &str, plain: &[u8]) -> Result<Self> {
        let mut wire = Wire::new(object, plain);
        let mut packs = Vec::new();
        for _ in 0..wire.count(10)? {
            let length = usize::from(wire.u16()?);
            let name = std::str::from_utf8(wire.take(length)?)
                .map_err(|_| wire.damaged("a pack's name is not text"))?;
            let name = name.parse().map_err(|_| wire.damaged("a pack's name is none"))?;
            packs.push((name, wire.u64()?));
        }
        let firsts = (0..wire.count(8)?).map(|_| wire.u64()).collect::<Result<Vec<_>>>()?;
        let filters = Filters::decode(&mut wire)?;
        wire.end()?;
        Ok(Self { packs, firsts, filters })
    }
}
