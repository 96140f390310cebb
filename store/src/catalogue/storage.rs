//! The file under the database: locked, checked block by block, and never waiting for the disk.
//!
//! The database trusts its file and may abort the process on damage that it stumbles over; so it gets to see
//! nothing but what it wrote. Every block carries a keyed check over its number and bytes. Since nothing is
//! synced, a file from before the last start of this host is begun anew: a loss of power can leave old
//! blocks beside new ones, each right by itself.
//!
//! File: header (magic, hash of the boot id), then blocks of 4096 bytes, each followed by its check. A block
//! of zeros with a check of zeros was never written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use redb::StorageBackend;

const MAGIC: &[u8; 8] = b"chrcat\x00\x01";
const HEADER_BYTES: usize = 40;
const BLOCK_BYTES: usize = 4096;
const CHECK_BYTES: usize = 16;
/// Bytes of a block in the file.
const CELL_BYTES: usize = BLOCK_BYTES + CHECK_BYTES;

/// A locked file, checked as it is read.
#[derive(Debug)]
pub(super) struct Storage {
    file: File,
    key: [u8; 32],
}

impl Storage {
    /// Takes a locked file; one of another run of the host, or of another kind, is emptied.
    pub(super) fn open(file: File, key: [u8; 32], boot: &str) -> io::Result<Self> {
        let header = [&MAGIC[..], blake3::hash(boot.as_bytes()).as_bytes()].concat();
        let mut found = [0; HEADER_BYTES];
        let known = file.read_exact_at(&mut found, 0).is_ok() && found == *header;
        if !known {
            file.set_len(0)?;
            file.write_all_at(&header, 0)?;
        }
        Ok(Self { file, key })
    }

    fn check(&self, block: u64, bytes: &[u8]) -> [u8; CHECK_BYTES] {
        let mut check = [0; CHECK_BYTES];
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&block.to_le_bytes()).update(bytes).finalize_xof().fill(&mut check);
        check
    }

    /// The bytes of a block; `None` if it was never written.
    fn block(&self, block: u64) -> io::Result<Option<Vec<u8>>> {
        let mut cell = vec![0; CELL_BYTES];
        self.file.read_exact_at(&mut cell, place(block))?;
        if cell.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let check = cell.split_off(BLOCK_BYTES);
        if check == self.check(block, &cell) { Ok(Some(cell)) } else { Err(damaged()) }
    }

    /// The blocks that a range of bytes touches, with the part of each.
    fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
        let (size, end) = (BLOCK_BYTES as u64, offset + len as u64);
        (offset / size..end.div_ceil(size)).map(move |block| {
            let start = block * size;
            let from = offset.saturating_sub(start);
            let to = (end - start).min(size);
            (block, from as usize..to as usize)
        })
    }
}

/// Where a block lies in the file.
fn place(block: u64) -> u64 {
    HEADER_BYTES as u64 + block * CELL_BYTES as u64
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the catalogue is damaged")
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        let cells = self.file.metadata()?.len().saturating_sub(HEADER_BYTES as u64);
        if cells % CELL_BYTES as u64 == 0 {
            Ok(cells / CELL_BYTES as u64 * BLOCK_BYTES as u64)
        } else {
            Err(damaged())
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut rest = out;
        for (block, part) in Self::parts(offset, rest.len()) {
            // The database reads only what it wrote; a hole is where something was lost.
            let bytes = self.block(block)?.ok_or_else(damaged)?;
            let (now, later) = rest.split_at_mut_checked(part.len()).ok_or_else(damaged)?;
            now.copy_from_slice(bytes.get(part).ok_or_else(damaged)?);
            rest = later;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !len.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file.set_len(place(len / BLOCK_BYTES as u64))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        for (block, part) in Self::parts(offset, data.len()) {
            let (now, later) = rest.split_at_checked(part.len()).ok_or_else(damaged)?;
            let mut cell = if part.len() == BLOCK_BYTES {
                now.to_vec()
            } else {
                let mut cell = self.block(block)?.unwrap_or_else(|| vec![0; BLOCK_BYTES]);
                cell.get_mut(part).ok_or_else(damaged)?.copy_from_slice(now);
                cell
            };
            cell.extend_from_slice(&self.check(block, &cell));
            self.file.write_all_at(&cell, place(block))?;
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn open(path: &std::path::Path, boot: &str) -> Storage {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        Storage::open(file, [3; 32], boot).unwrap()
    }

    #[test]
    fn any_range_is_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(&dir.path().join("f"), "one");
        storage.set_len(5 * 4096).unwrap();
        let mut expected = vec![0u8; 5 * 4096];
        storage.write(0, &expected).unwrap();
        for (n, (offset, len)) in
            [(0, 10), (4090, 20), (4096, 4096), (5000, 9000), (20_479, 1)].into_iter().enumerate()
        {
            let data = vec![n as u8 + 1; len];
            storage.write(offset as u64, &data).unwrap();
            expected.splice(offset..offset + len, data);
        }
        for (offset, len) in [(0, 20_480), (4095, 2), (8191, 4098), (100, 0)] {
            let mut out = vec![0; len];
            storage.read(offset as u64, &mut out).unwrap();
            assert_eq!(Some(out.as_slice()), expected.get(offset..offset + len));
        }
        assert_eq!(storage.len().unwrap(), 5 * 4096);
        assert!(storage.read(20_479, &mut [0; 2]).is_err(), "beyond the end");
    }

    #[test]
    fn damaged_moved_and_lost_blocks_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let storage = open(&path, "one");
        storage.set_len(3 * 4096).unwrap();
        storage.write(0, &[7; 8192]).unwrap();
        let mut block = [0; 4096];
        assert!(storage.read(8192, &mut block).is_err(), "never written");
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut cell = [0; CELL_BYTES];
        file.read_exact_at(&mut cell, place(0)).unwrap();
        file.write_all_at(&cell, place(1)).unwrap();
        assert!(storage.read(4096, &mut block).is_err(), "another block's bytes");
        file.write_all_at(&[8], place(0) + 100).unwrap();
        assert!(storage.read(0, &mut block).is_err(), "a changed byte");
        file.set_len(place(2) - 1).unwrap();
        assert!(storage.len().is_err(), "a torn end");
    }

    #[test]
    fn a_file_from_before_the_last_start_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        open(&path, "one").set_len(4096).unwrap();
        assert_eq!(open(&path, "one").len().unwrap(), 4096);
        assert_eq!(open(&path, "two").len().unwrap(), 0);
    }
}
