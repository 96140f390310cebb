//! From the bytes of a stream to extents: read, cut, stored. One buffer per thread, used for every file.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_store::{ChunkClass, Chunker, Repository};

use crate::backup::sink::SinkWriter;
use crate::error::Error;
use crate::node::Extent;

/// Bytes read before anything is cut, at least; a longer chunk makes the buffer grow to two of them.
const BUFFER_MIN: usize = 1 << 20;
/// Bytes that tell the class of a file.
const HEAD: usize = 16 << 10;

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

/// Cuts and stores content; one per thread.
pub(crate) struct Cutter<'s> {
    repository: &'s Repository,
    writer: SinkWriter<'s>,
    stop: &'s AtomicBool,
    buffer: Vec<u8>,
    chunkers: Vec<(ChunkClass, Chunker)>,
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
        Self { repository, writer, stop, buffer: Vec::new(), chunkers: Vec::new(), bytes_read: 0 }
    }

    /// Seals what is left.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.writer.finish()
    }

    /// Reads `from` to its end and adds what it holds to `extents`. Without a class, the first bytes and `name` tell
    /// it; returns the class.
    pub(crate) fn store(
        &mut self,
        from: &mut dyn Read,
        class: Option<ChunkClass>,
        name: &[u8],
        extents: &mut Extents,
    ) -> Result<ChunkClass, Failure> {
        let mut held = Held { start: 0, end: 0, ended: false };
        self.grow(BUFFER_MIN);
        self.fill(from, &mut held)?;
        let class = class
            .unwrap_or_else(|| detect(name, self.held(&held).get(..HEAD.min(held.end)).unwrap_or_default()));
        let chunker = self.chunker(class);
        self.grow(2 * chunker.max());
        while !(held.ended && held.start == held.end) {
            if held.end - held.start < chunker.max() && !held.ended {
                self.fill(from, &mut held)?;
                continue;
            }
            let bytes = self.buffer.get(held.start..held.end).unwrap_or_default();
            let len = chunker.cut(bytes).clamp(1, bytes.len());
            let chunk = bytes.get(..len).unwrap_or_default();
            if is_zero(chunk) {
                extents.zero(len as u64);
            } else {
                let id = self.writer.put(chunk)?;
                extents.list.push(Extent::Data { id, len: len as u32 });
                extents.len += len as u64;
            }
            held.start += len;
        }
        Ok(class)
    }

    fn grow(&mut self, len: usize) {
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
    }

    fn held(&self, held: &Held) -> &[u8] {
        self.buffer.get(held.start..held.end).unwrap_or_default()
    }

    /// Moves what is held to the front and reads until the buffer is full or the stream ends.
    fn fill(&mut self, from: &mut dyn Read, held: &mut Held) -> Result<(), Failure> {
        self.buffer.copy_within(held.start..held.end, 0);
        (held.start, held.end) = (0, held.end - held.start);
        while let Some(free @ [_, ..]) = self.buffer.get_mut(held.end..) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Fatal(chronos_store::Error::Interrupted.into()));
            }
            match from.read(free) {
                Ok(0) => {
                    held.ended = true;
                    break;
                }
                Ok(n) => {
                    held.end += n;
                    self.bytes_read += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Failure::Read(e)),
            }
        }
        Ok(())
    }

    fn chunker(&mut self, class: ChunkClass) -> Chunker {
        if let Some((_, chunker)) = self.chunkers.iter().find(|(c, _)| *c == class) {
            return chunker.clone();
        }
        let chunker = self.repository.chunker(class);
        self.chunkers.push((class, chunker.clone()));
        chunker
    }
}

/// The part of the buffer that is read and not yet cut.
struct Held {
    start: usize,
    end: usize,
    ended: bool,
}

fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|b| *b == [0; 64]) && rest.iter().all(|b| *b == 0)
}

fn detect(_name: &[u8], _head: &[u8]) -> ChunkClass {
    ChunkClass::Std
}
