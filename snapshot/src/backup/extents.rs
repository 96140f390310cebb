//! The extents of one file while it is read, beside its previous version if there is one.
//!
//! Chunks that are not known wait in a *region* until a known one follows or enough have come together. The region is
//! then compared with the stretch of the previous version that lies where it was cut out; what differs little is
//! assembled from pieces of that, the new bytes in between being stored with those of other files, as [`Literals`].

use std::mem;
use std::sync::Arc;

use chronos_store::ChunkId;

use crate::backup::base::Base;
use crate::backup::literals::{LITERAL, Literals, Places, SMALL_BYTES, Spot};
use crate::backup::matching::{Match, Matcher};
use crate::backup::sink::SinkWriter;
use crate::error::Result;
use crate::node::{Assembled, Extent, Piece};

/// A region ends when it holds this many bytes: what comes on top of it from the previous version costs little then.
const REGION_BYTES: usize = 1 << 20;
/// How much more of the previous version is read than the region is long: so much may have been removed.
const SLACK_BYTES: usize = 128 << 10;
/// After so many regions in a row with nothing in common, the versions have nothing more to do with each other.
const MISSES_MAX: u32 = 4;
/// What naming a piece costs in bytes, about.
const PIECE_COST: usize = 8;
/// What naming an assembled chunk costs: its own id, and one of a chunk that nothing else might need.
const ASSEMBLED_COST: usize = 64;
/// A chunk is assembled if that takes at most one part in this many of it: compressed it might take as little.
const GAIN: usize = 4;
/// One more piece for each so many bytes of a chunk: far more of them make reading slow.
const PIECE_BYTES: usize = 512;

/// The extents of a file.
#[derive(Default)]
pub(crate) struct Extents {
    /// Number of the file; no other one of this thread has it.
    file: u64,
    pub(crate) list: Vec<Extent>,
    /// Their total length.
    pub(crate) len: u64,
    base: Option<Base>,
    misses: u32,
    /// What waits. Its memory is the thread's and goes back to it when nothing waits.
    region: Region,
}

/// What a thread needs to store extents, its memory used for every file.
#[derive(Debug)]
pub(super) struct Store<'s> {
    pub(super) writer: SinkWriter<'s>,
    /// What changed in files. Apart from the others, since it does not lie in the order of paths and is replaced sooner.
    changes: Literals<'s>,
    /// Small files.
    files: Literals<'s>,
    /// Memory for what waits of a file.
    spare: Region,
}

impl<'s> Store<'s> {
    pub(super) fn new(writer: SinkWriter<'s>, places: &'s Places) -> Self {
        let (changes, files) = (Literals::new(places), Literals::new(places));
        Self { writer, changes, files, spare: Region::default() }
    }

    /// Stores what waits, and tells the chunk of each piece that was named since the last time.
    pub(super) fn finish(&mut self) -> Result<Vec<(Spot, ChunkId)>> {
        let mut placed = self.changes.finish(&mut self.writer)?;
        placed.extend(self.files.finish(&mut self.writer)?);
        Ok(placed)
    }
}

/// Unknown chunks in a row.
#[derive(Debug, Default)]
struct Region {
    bytes: Vec<u8>,
    chunks: Vec<(ChunkId, usize)>,
    /// Whether it may be all of a small file.
    is_small_file: bool,
    matcher: Matcher,
}

impl Extents {
    /// No extents yet; what is new is compared with `base`.
    pub(super) fn new(file: u64, base: Option<Base>) -> Self {
        Self { file, base, ..Self::default() }
    }

    pub(crate) fn hole(&mut self, len: u64) {
        if len > 0 {
            self.push(Extent::Hole { len });
        }
    }

    /// Nothing is compared with the previous version.
    pub(super) fn without_base(&mut self) {
        self.base = None;
    }

    pub(super) fn zero(&mut self, more: u64) {
        match self.list.last_mut() {
            Some(Extent::Zero { len }) => {
                *len += more;
                self.len += more;
            }
            _ => self.push(Extent::Zero { len: more }),
        }
    }

    fn push(&mut self, extent: Extent) {
        self.len += extent.len();
        self.list.push(extent);
    }

    /// Takes the next chunk.
    pub(super) fn chunk(&mut self, store: &mut Store<'_>, bytes: &[u8]) -> Result<()> {
        let chunk = store.writer.hash(bytes)?;
        let (id, len) = (chunk.id(), bytes.len());
        let is_small_file = self.list.is_empty() && self.region.chunks.is_empty() && len <= SMALL_BYTES;
        // As the previous version has put it together, if it did: what has not changed is described as before.
        let before = match &mut self.base {
            Some(base) => base.assembled(&id, &|id| store.writer.usable(id))?,
            None => None,
        };
        let known = if before.is_some() {
            before
        } else if store.writer.refer(&id)? {
            Some(Extent::Data { id, len: len as u32 })
        } else if self.base.is_some() || is_small_file {
            None
        } else {
            store.writer.store(chunk)?;
            Some(Extent::Data { id, len: len as u32 })
        };
        if let Some(extent) = known {
            self.settle(store, Some(&id))?;
            if let Some(base) = &mut self.base {
                base.pass(&id);
            }
            self.push(extent);
            return Ok(());
        }
        if self.region.chunks.is_empty() {
            self.region = mem::take(&mut store.spare);
        }
        self.region.chunks.push((id, len));
        self.region.bytes.extend_from_slice(bytes);
        self.region.is_small_file = is_small_file;
        if self.region.bytes.len() >= REGION_BYTES { self.settle(store, None) } else { Ok(()) }
    }

    /// Stores the chunks that wait; `next` is the known chunk that follows them.
    pub(super) fn settle(&mut self, store: &mut Store<'_>, next: Option<&ChunkId>) -> Result<()> {
        if self.region.chunks.is_empty() {
            return Ok(());
        }
        let mut region = mem::take(&mut self.region);
        let matches = self.compare(&mut region, &store.writer, next)?;
        let Store { writer, changes, files, spare } = store;
        let mut at = 0;
        for (id, len) in region.chunks.drain(..) {
            let bytes = region.bytes.get(at..at + len).unwrap_or_default();
            if let Some((made, new)) = self.assemble(id, at, bytes, &matches) {
                let start = changes.add(writer, &new)?;
                self.take(made, start, changes);
            } else if region.is_small_file && next.is_none() {
                let spot = Spot { file: self.file, extent: self.list.len(), piece: 0 };
                self.push(Extent::Assembled(Arc::new(files.file(writer, id, bytes, spot)?)));
            } else {
                // Hashed again: the bytes were in the reader's buffer when the id was found.
                writer.store(writer.hash(bytes)?)?;
                self.push(Extent::Data { id, len: len as u32 });
            }
            at += len;
        }
        region.bytes.clear();
        *spare = region;
        Ok(())
    }

    /// What the region has in common with the previous version from its position on, which moves behind it.
    fn compare(
        &mut self,
        region: &mut Region,
        writer: &SinkWriter<'_>,
        next: Option<&ChunkId>,
    ) -> Result<Vec<Match>> {
        let Some(base) = &mut self.base else { return Ok(Vec::new()) };
        let most = region.bytes.len() + SLACK_BYTES;
        let wanted = match next.and_then(|id| base.distance(id)) {
            // Nothing was taken out of the previous version here: all of the region was put in.
            Some(0) => return Ok(Vec::new()),
            Some(distance) => most.min(distance as usize),
            None => most,
        };
        let old = base.read(wanted, &|id| writer.usable(id))?;
        let matches = region.matcher.matches(old, &region.bytes);
        if let Some(last) = matches.last() {
            base.advance((last.old + last.len) as u64);
            self.misses = 0;
        } else {
            self.misses += 1;
            if self.misses >= MISSES_MAX {
                self.base = None;
            }
        }
        Ok(matches)
    }

    /// A chunk of the region, which begins at `at`, as pieces and literals; `None` if that is not worth it. A piece of
    /// the literals has the id [`LITERAL`].
    fn assemble(
        &self,
        id: ChunkId,
        at: usize,
        bytes: &[u8],
        matches: &[Match],
    ) -> Option<(Assembled, Vec<u8>)> {
        let base = self.base.as_ref()?;
        let end = at + bytes.len();
        let (mut pieces, mut literals, mut reached) = (Vec::new(), Vec::new(), at);
        let mut literal = |pieces: &mut Vec<Piece>, from: usize, to: usize| {
            if from < to {
                let start = literals.len() as u32;
                pieces.push(Piece { chunk: LITERAL, start, len: (to - from) as u32 });
                literals.extend_from_slice(bytes.get(from - at..to - at).unwrap_or_default());
            }
        };
        let first = matches.partition_point(|m| m.new + m.len <= at);
        for found in matches.get(first..)?.iter().take_while(|m| m.new < end) {
            let (from, to) = (found.new.max(at), (found.new + found.len).min(end));
            if let Some(stored) = base.pieces(found.old + from - found.new, to - from) {
                literal(&mut pieces, reached, from);
                pieces.extend(stored);
                reached = to;
            }
        }
        literal(&mut pieces, reached, end);
        let cost = literals.len() + pieces.len() * PIECE_COST + ASSEMBLED_COST;
        let few = pieces.len() <= bytes.len() / PIECE_BYTES + PIECE_COST;
        (few && cost * GAIN <= bytes.len())
            .then_some((Assembled { mark: id.mark(), len: bytes.len() as u32, pieces }, literals))
    }

    /// Adds an assembled chunk whose literals begin at `start`.
    fn take(&mut self, mut made: Assembled, start: u32, literals: &mut Literals<'_>) {
        let (file, extent) = (self.file, self.list.len());
        for (piece, part) in made.pieces.iter_mut().enumerate().filter(|(_, p)| p.chunk == LITERAL) {
            part.start += start;
            literals.name(Spot { file, extent, piece });
        }
        self.push(Extent::Assembled(Arc::new(made)));
    }
}
