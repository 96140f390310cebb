//! Where content is cut: keyed gear chunking by class.

/// How the content of one file is cut. Recorded per file, and kept for its later versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChunkClass {
    /// 8 / 32 / 128 KiB: everything that is nothing else.
    Std,
    /// 2 / 8 / 32 KiB: SQL dumps, JSON, CSV, logs.
    Db,
    /// Fixed pages of this many bytes, aligned: SQLite files, disk images.
    Page(u32),
    /// 256 KiB / 1 / 4 MiB: incompressible bulk.
    Bulk,
}

/// Cuts a stream of one class.
#[derive(Clone, Debug)]
pub struct Chunker {}

impl Chunker {
    /// Length of the longest chunk in bytes.
    pub fn max(&self) -> usize {
        unimplemented!()
    }

    /// Length of the first chunk of `bytes`, which holds at least [`Chunker::max`] bytes or the rest of the stream.
    pub fn cut(&self, _bytes: &[u8]) -> usize {
        unimplemented!()
    }
}
