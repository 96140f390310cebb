//! Writing a run record by record: each block is sealed as soon as it is full, so that of the records only one block is held.

use super::filter::{FilterBuilder, prefix};
use super::{BLOCK_BYTES, BLOCK_RECORDS, FOOTER_BYTES, MAGIC, RECORD_BYTES, Record};
use crate::compress;
use crate::crypto::{Keys, Purpose, SealKey, TAG_BYTES};
use crate::error::Result;
use crate::format::header::{HEADER_BYTES, Header, ObjectKind};
use crate::id::PackName;

/// A run under construction.
pub(crate) struct RunWriter {
    key: SealKey,
    aad: Vec<u8>,
    /// What is sealed already.
    out: Vec<u8>,
    /// Plain records of the open block.
    block: Vec<u8>,
    records: u64,
    firsts: Vec<u64>,
    filters: FilterBuilder,
}

impl std::fmt::Debug for RunWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunWriter({} records)", self.records)
    }
}

impl RunWriter {
    /// A run named `object` of about `records` records: memory for so many is set aside, and filters are dealt for so many.
    pub(crate) fn new(object: &str, keys: &Keys, salt: [u8; 32], records: u64) -> Result<Self> {
        let header = Header { kind: ObjectKind::Run, salt }.encode();
        let blocks = records.div_ceil(BLOCK_RECORDS as u64) as usize;
        let mut out = Vec::with_capacity(HEADER_BYTES + records as usize * RECORD_BYTES + blocks * TAG_BYTES);
        out.extend(header);
        Ok(Self {
            key: keys.object_key(Purpose::Index, &salt)?,
            aad: [&header[..], object.as_bytes()].concat(),
            out,
            block: Vec::with_capacity(BLOCK_BYTES),
            records: 0,
            firsts: Vec::with_capacity(blocks),
            filters: FilterBuilder::new(records),
        })
    }

    /// Adds a record that is not smaller than the one before.
    pub(crate) fn push(&mut self, record: &Record) -> Result<()> {
        if self.block.is_empty() {
            self.firsts.push(prefix(&record.id));
        }
        record.encode(&mut self.block);
        self.filters.push(&record.id)?;
        self.records += 1;
        if self.block.len() == BLOCK_RECORDS * RECORD_BYTES { self.seal_block() } else { Ok(()) }
    }

    /// Number of records until now.
    pub(crate) fn len(&self) -> u64 {
        self.records
    }

    fn seal_block(&mut self) -> Result<()> {
        let number = self.firsts.len() as u64;
        self.key.seal(number, &self.aad, &mut self.block)?;
        self.out.extend(&self.block);
        self.block.clear();
        Ok(())
    }

    /// The whole object; the records' places count in `packs`.
    pub(crate) fn finish(mut self, packs: &[(PackName, u64)]) -> Result<Vec<u8>> {
        if !self.block.is_empty() {
            self.seal_block()?;
        }
        let plain = encode_directory(packs, &self.firsts, self.filters)?;
        let mut directory = (plain.len() as u32).to_le_bytes().to_vec();
        directory.extend(compress::compress(&plain, 1)?);
        drop(plain);
        self.key.seal(0, &self.aad, &mut directory)?;
        let mut out = self.out;
        // No more than is needed: doubling a run's length costs more than all else here.
        out.reserve_exact(directory.len() + FOOTER_BYTES);
        out.extend(&directory);
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(self.records.to_le_bytes());
        let hash = blake3::hash(&out);
        out.extend(hash.as_bytes());
        out.extend(MAGIC);
        Ok(out)
    }
}

/// Encodes a run named `object` from sorted records.
pub(crate) fn encode_run(
    object: &str,
    keys: &Keys,
    salt: [u8; 32],
    packs: &[(PackName, u64)],
    records: &[Record],
) -> Result<Vec<u8>> {
    let mut run = RunWriter::new(object, keys, salt, records.len() as u64)?;
    records.iter().try_for_each(|record| run.push(record))?;
    run.finish(packs)
}

fn encode_directory(packs: &[(PackName, u64)], firsts: &[u64], filters: FilterBuilder) -> Result<Vec<u8>> {
    let mut out = (packs.len() as u32).to_le_bytes().to_vec();
    for (name, size) in packs {
        let name = name.to_string();
        out.extend((name.len() as u16).to_le_bytes());
        out.extend(name.bytes());
        out.extend(size.to_le_bytes());
    }
    out.extend((firsts.len() as u32).to_le_bytes());
    for first in firsts {
        out.extend(first.to_le_bytes());
    }
    out.extend(filters.finish()?);
    Ok(out)
}
