//! New bytes that are stored together, whichever file they come from: small files, and what changed in others.
//!
//! A chunk of its own costs three ids (in the tree, in its pack, in the index), for a file of a few hundred bytes more
//! than its content. So small files that lie beside each other become pieces of one chunk. Where it ends depends on
//! their content alone, so that the same files in the same order make the same chunks again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::ChunkId;

use crate::backup::sink::SinkWriter;
use crate::error::Result;
use crate::node::{Assembled, Extent, Piece};

/// Files up to this length are stored together; longer ones are long enough for chunks of their own.
pub(super) const SMALL_BYTES: usize = 16 << 10;
/// A chunk of them ends behind a file whose id says so from this length on,
const TOGETHER_MIN: usize = 16 << 10;
/// which is so many bytes later on average,
const TOGETHER_MORE: u64 = 48 << 10;
/// and before it would be longer than this.
const TOGETHER_MAX: usize = 128 << 10;
/// Small files of a backup that are remembered for others with the same content; below 1 MB.
pub(super) const PLACES_MAX: usize = 1 << 13;

/// Stands for the chunk that literals will be stored as.
pub(super) const LITERAL: ChunkId = ChunkId([0; 32]);

/// A piece that lies in literals: of which file, which extent, which piece of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) file: u64,
    pub(super) extent: usize,
    pub(super) piece: usize,
}

/// Where small files of this backup are stored, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<ChunkId, Piece>>);

impl Places {
    fn find(&self, id: &ChunkId) -> Option<Piece> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn add(&self, files: impl Iterator<Item = (ChunkId, Piece)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = PLACES_MAX.saturating_sub(known.len());
        known.extend(files.take(room));
    }
}

/// Literals that wait, and which pieces lie in them.
#[derive(Debug)]
pub(super) struct Literals<'s> {
    places: &'s Places,
    bytes: Vec<u8>,
    waiting: Vec<Spot>,
    /// Whole files among them.
    files: HashMap<ChunkId, Piece>,
    stored: Vec<(Spot, ChunkId)>,
}

impl<'s> Literals<'s> {
    pub(super) fn new(places: &'s Places) -> Self {
        Self { places, bytes: Vec::new(), waiting: Vec::new(), files: HashMap::new(), stored: Vec::new() }
    }

    /// Takes bytes of which pieces are made; returns where they begin. The pieces must be named at once.
    pub(super) fn add(&mut self, writer: &mut SinkWriter<'_>, bytes: &[u8]) -> Result<u32> {
        if self.bytes.len() + bytes.len() > TOGETHER_MAX {
            self.store(writer)?;
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Ok(start)
    }

    /// Names a piece that lies in them.
    pub(super) fn name(&mut self, spot: Spot) {
        self.waiting.push(spot);
    }

    /// Takes a small file of that id as the extent `spot` (its only piece).
    pub(super) fn file(
        &mut self,
        writer: &mut SinkWriter<'_>,
        id: ChunkId,
        bytes: &[u8],
        spot: Spot,
    ) -> Result<Assembled> {
        let len = bytes.len() as u32;
        let made = |piece| Assembled { mark: id.mark(), len, pieces: vec![piece] };
        if let Some(place) = self.places.find(&id).filter(|place| place.len == len) {
            return Ok(made(place));
        }
        if let Some(place) = self.files.get(&id).copied() {
            self.waiting.push(spot);
            return Ok(made(place));
        }
        let start = self.add(writer, bytes)?;
        let piece = Piece { chunk: LITERAL, start, len };
        self.files.insert(id, piece);
        self.waiting.push(spot);
        if self.bytes.len() >= TOGETHER_MIN && ends(&id, u64::from(len)) {
            self.store(writer)?;
        }
        Ok(made(piece))
    }

    fn store(&mut self, writer: &mut SinkWriter<'_>) -> Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let chunk = writer.hash(&self.bytes)?;
        let id = chunk.id();
        if !writer.refer(&id)? {
            writer.store(chunk)?;
        }
        self.bytes.clear();
        self.stored.extend(self.waiting.drain(..).map(|spot| (spot, id)));
        self.places.add(self.files.drain().map(|(file, piece)| (file, Piece { chunk: id, ..piece })));
        Ok(())
    }

    /// Stores what waits, and tells the chunk of each piece that was named since the last time.
    pub(super) fn finish(&mut self, writer: &mut SinkWriter<'_>) -> Result<Vec<(Spot, ChunkId)>> {
        self.store(writer)?;
        Ok(std::mem::take(&mut self.stored))
    }
}

/// Whether a chunk may end behind a file: as likely as it is long, so that the lengths of files do not matter.
fn ends(id: &ChunkId, len: u64) -> bool {
    let drawn = id.0.first_chunk().map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes));
    u64::from(drawn) * TOGETHER_MORE < len << 32
}

impl Spot {
    /// Names the chunk in the extents of the spot's file.
    pub(super) fn resolve(self, extents: &mut [Extent], chunk: ChunkId) {
        let Some(extent) = extents.get_mut(self.extent) else { return };
        let Extent::Assembled(made) = extent else { return };
        let made = Arc::make_mut(made);
        if let Some(piece) = made.pieces.get_mut(self.piece) {
            piece.chunk = chunk;
        }
        if made.mark == chunk.mark() {
            // Nothing else was stored with it.
            *extent = Extent::Data { id: chunk, len: made.len };
        }
    }
}
