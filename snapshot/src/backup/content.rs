//! From the bytes of a stream to extents: read, cut, stored. One buffer per thread, used for every file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_store::{ChunkClass, ChunkStream, Chunker, DETECT_BYTES, Monitor, Repository};

use crate::backup::sink::SinkWriter;
use crate::error::Error;
use crate::node::Extent;

/// Why content could not be stored.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be read.
    Read(io::Error),
    /// It could not be written, or the work was stopped: the backup ends.
    Fatal(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// What is known of content before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'n> {
    /// How its previous version was cut; it stays so.
    pub(crate) class: Option<ChunkClass>,
    /// Name of the file.
    pub(crate) name: &'n [u8],
    /// Length in bytes.
    pub(crate) size: Option<u64>,
}

/// Cuts and stores content; one per thread.
pub(crate) struct Cutter<'s> {
    repository: &'s Repository,
    writer: SinkWriter<'s>,
    stop: &'s AtomicBool,
    stream: ChunkStream,
    chunkers: BTreeMap<ChunkClass, Chunker>,
    /// Bytes read until now.
    pub(crate) bytes_read: u64,
}

/// The extents of one file while it is read.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    pub(crate) list: Vec<Extent>,
    /// Their total length.
    pub(crate) len: u64,
}

impl Extents {
    pub(crate) fn hole(&mut self, len: u64) {
        if len > 0 {
            self.len += len;
            self.list.push(Extent::Hole { len });
        }
    }

    fn zero(&mut self, more: u64) {
        self.len += more;
        match self.list.last_mut() {
            Some(Extent::Zero { len }) => *len += more,
            _ => self.list.push(Extent::Zero { len: more }),
        }
    }
}

impl<'s> Cutter<'s> {
    pub(crate) fn new(repository: &'s Repository, writer: SinkWriter<'s>, stop: &'s AtomicBool) -> Self {
        Self {
            repository,
            writer,
            stop,
            stream: ChunkStream::new(),
            chunkers: BTreeMap::new(),
            bytes_read: 0,
        }
    }

    /// Seals what is left.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.writer.finish()
    }

    /// Reads `from` to its end and adds what it holds to `extents`; returns the class by which it was cut.
    pub(crate) fn store(
        &mut self,
        from: &mut dyn Read,
        known: Known<'_>,
        extents: &mut Extents,
    ) -> Result<ChunkClass, Failure> {
        let monitor = self.repository.monitor().as_ref();
        let mut from = Watched { from, stop: self.stop, monitor, bytes: &mut self.bytes_read };
        self.stream.reset();
        let class = if let Some(class) = known.class {
            class
        } else {
            let head = self.stream.peek(&mut from, DETECT_BYTES).map_err(failure)?;
            let head = head.get(..DETECT_BYTES).unwrap_or(head);
            ChunkClass::detect(known.name, head, known.size)
        };
        let repository = self.repository;
        let chunker = self.chunkers.entry(class).or_insert_with(|| repository.chunker(class));
        while let Some(chunk) = self.stream.next_chunk(&mut from, chunker).map_err(failure)? {
            if is_zero(chunk) {
                extents.zero(chunk.len() as u64);
            } else {
                let id = self.writer.put(chunk)?;
                extents.list.push(Extent::Data { id, len: chunk.len() as u32 });
                extents.len += chunk.len() as u64;
            }
        }
        Ok(class)
    }
}

/// Reads until the backup is stopped; counts and reports what it reads.
struct Watched<'r> {
    from: &'r mut dyn Read,
    stop: &'r AtomicBool,
    monitor: &'r dyn Monitor,
    bytes: &'r mut u64,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(Error::Store(chronos_store::Error::Interrupted)));
        }
        let n = self.from.read(buffer)?;
        *self.bytes += n as u64;
        self.monitor.advance(0, n as u64);
        Ok(n)
    }
}

/// An error of this crate that came through a reader ends the backup; any other is the file's.
fn failure(error: io::Error) -> Failure {
    match error.downcast::<Error>() {
        Ok(own) => Failure::Fatal(own),
        Err(error) => Failure::Read(error),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|b| *b == [0; 64]) && rest.iter().all(|b| *b == 0)
}
