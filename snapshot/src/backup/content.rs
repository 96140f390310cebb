//! From the bytes of a stream to extents: read, cut, stored. One buffer per thread, used for every file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_store::{ChunkClass, ChunkId, ChunkStream, Chunker, DETECT_BYTES, Monitor, Repository};

use crate::backup::base::Base;
use crate::backup::extents::{Extents, Store};
use crate::backup::literals::{Places, Spot};
use crate::backup::sink::Sink;
use crate::error::{Error, ErrorKind};
use crate::node::NodeKind;
use crate::tree::{RawEntry, Tree};

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

/// What all threads work with.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'r> {
    pub(crate) repository: &'r Repository,
    pub(crate) sink: &'r Sink<'r>,
    pub(crate) places: &'r Places,
    /// The tree of the previous snapshot.
    pub(crate) previous: Option<&'r Tree>,
    pub(crate) stop: &'r AtomicBool,
}

/// Cuts and stores content; one per thread.
pub(crate) struct Cutter<'s> {
    repository: &'s Repository,
    previous: Option<&'s Tree>,
    stop: &'s AtomicBool,
    stream: ChunkStream,
    chunkers: BTreeMap<ChunkClass, Chunker>,
    store: Store<'s>,
    /// Number of the file that was begun last.
    pub(crate) file: u64,
    /// Bytes read until now.
    pub(crate) bytes_read: u64,
}

impl<'s> Cutter<'s> {
    /// Nothing read yet.
    pub(crate) fn new(shared: Shared<'s>) -> Self {
        let Shared { repository, sink, places, previous, stop } = shared;
        Self {
            repository,
            previous,
            stop,
            stream: ChunkStream::new(),
            chunkers: BTreeMap::new(),
            store: Store::new(sink.writer(), places),
            file: 0,
            bytes_read: 0,
        }
    }

    /// The extents of a file that is to be read; `before` is what the previous snapshot has there.
    pub(crate) fn begin(&mut self, before: Option<&RawEntry>) -> Extents {
        self.file += 1;
        Extents::new(self.file, self.previous.zip(before).map(|(tree, before)| Base::new(tree, before)))
    }

    /// Seals what is left.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.store.writer.finish()
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
        if class == ChunkClass::Bulk {
            // Compressed or encrypted: one changed byte changes all that follow.
            extents.without_base();
        }
        let chunker = self.chunkers.entry(class).or_insert_with(|| repository.chunker(class));
        while let Some(chunk) = self.stream.next_chunk(&mut from, chunker).map_err(failure)? {
            if is_zero(chunk) {
                extents.settle(&mut self.store, None)?;
                extents.zero(chunk.len() as u64);
            } else {
                extents.chunk(&mut self.store, chunk)?;
            }
        }
        extents.settle(&mut self.store, None)?;
        Ok(class)
    }

    /// Stores what waits. The pieces that it tells, of all files since the last time, have no chunk until then.
    pub(crate) fn settle(&mut self) -> Result<Vec<(Spot, ChunkId)>, Error> {
        self.store.finish()
    }
}

/// How the content of an entry was cut; `None` if it has none.
pub(crate) fn class_of(entry: &RawEntry) -> Option<ChunkClass> {
    match &entry.node.kind {
        NodeKind::File(content) => Some(content.class),
        _ => None,
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

/// Whoever stops the backup ends it; any other error that comes through a reader is the file's.
fn failure(error: io::Error) -> Failure {
    match error.downcast::<Error>() {
        Ok(own) if own.kind() == ErrorKind::Interrupted => Failure::Fatal(own),
        Ok(own) => Failure::Read(io::Error::other(own)),
        Err(error) => Failure::Read(error),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|b| *b == [0; 64]) && rest.iter().all(|b| *b == 0)
}
