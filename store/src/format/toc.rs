//! A pack's table of contents: its frames in order, and the chunks in each.
//!
//! Plain form: `u32 origins · origins (salt 32, capsule 32) · u32 frames · frames · u32 chunks · chunks`, all LE.
//! A frame is `sealed u32 · raw u32 · codec u8 · kind u8 · chunks u16 · origin u16 · number u32`; a chunk is `id 32 · length u32`.
//! Positions follow from order.

use std::ops::Range;

use super::wire::Wire;
use crate::error::Result;
use crate::id::{ChunkId, ChunkKind};

/// Most chunks of one frame: the index has 16 bits for it.
pub(crate) const CHUNKS_PER_FRAME_MAX: usize = 65_535;
/// Most frames of one pack: the index has 16 bits for it.
pub(crate) const FRAMES_PER_PACK_MAX: usize = 65_535;
const FRAME_BYTES: usize = 18;
const CHUNK_BYTES: usize = 36;
const ORIGIN_BYTES: usize = 64;

/// What a frame was sealed under; a frame that moves to another pack takes it along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Salt of the writer that sealed it.
    pub(crate) salt: [u8; 32],
    /// Capsule of the session that wrote it.
    pub(crate) capsule: [u8; 32],
}

/// How a frame's plain bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As they are.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it begins in the pack, in bytes. Not stored: it follows from the lengths before.
    pub(crate) offset: u64,
    /// Sealed length in bytes.
    pub(crate) sealed: u32,
    /// Plain length in bytes.
    pub(crate) raw: u32,
    /// How it is packed.
    pub(crate) codec: Codec,
    /// What its chunks are.
    pub(crate) kind: ChunkKind,
    /// How many chunks it holds.
    pub(crate) chunks: u16,
    /// Place in the list of origins.
    pub(crate) origin: u16,
    /// Number under which it was sealed.
    pub(crate) number: u32,
}

impl Frame {
    /// Where its sealed bytes lie in the pack.
    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.sealed)
    }
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TocChunk {
    /// Its id.
    pub(crate) id: ChunkId,
    /// Its length in bytes.
    pub(crate) length: u32,
}

/// A table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Toc {
    /// What the frames were sealed under.
    pub(crate) origins: Vec<Origin>,
    /// The frames in order.
    pub(crate) frames: Vec<Frame>,
    /// The chunks of all frames in order.
    pub(crate) chunks: Vec<TocChunk>,
}

impl Toc {
    /// The plain bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(12 + self.frames.len() * FRAME_BYTES + self.chunks.len() * CHUNK_BYTES);
        out.extend((self.origins.len() as u32).to_le_bytes());
        for origin in &self.origins {
            out.extend(origin.salt);
            out.extend(origin.capsule);
        }
        out.extend((self.frames.len() as u32).to_le_bytes());
        for frame in &self.frames {
            out.extend(frame.sealed.to_le_bytes());
            out.extend(frame.raw.to_le_bytes());
            out.extend([frame.codec as u8, kind_code(frame.kind)]);
            out.extend(frame.chunks.to_le_bytes());
            out.extend(frame.origin.to_le_bytes());
            out.extend(frame.number.to_le_bytes());
        }
        out.extend((self.chunks.len() as u32).to_le_bytes());
        for chunk in &self.chunks {
            out.extend(chunk.id.0);
            out.extend(chunk.length.to_le_bytes());
        }
        out
    }

    /// Decodes and checks: counts, sums and kinds fit; frames begin at `first` and end before `end`.
    pub(crate) fn decode(object: &str, bytes: &[u8], first: u64, end: u64) -> Result<Self> {
        let mut wire = Wire::new(object, bytes);
        let mut toc = Self::default();
        for _ in 0..wire.count(ORIGIN_BYTES)? {
            toc.origins.push(Origin { salt: wire.array()?, capsule: wire.array()? });
        }
        let mut offset = first;
        for _ in 0..wire.count(FRAME_BYTES)? {
            let frame = Frame {
                offset,
                sealed: wire.u32()?,
                raw: wire.u32()?,
                codec: match wire.u8()? {
                    0 => Codec::Raw,
                    1 => Codec::Zstd,
                    _ => return Err(wire.damaged("a frame has an unknown codec")),
                },
                kind: kind_of(wire.u8()?).ok_or_else(|| wire.damaged("a frame has an unknown kind"))?,
                chunks: wire.u16()?,
                origin: wire.u16()?,
                number: wire.u32()?,
            };
            offset += u64::from(frame.sealed);
            if usize::from(frame.origin) >= toc.origins.len() {
                return Err(wire.damaged("a frame names no origin"));
            }
            toc.frames.push(frame);
        }
        if offset != end || toc.frames.len() > FRAMES_PER_PACK_MAX {
            return Err(wire.damaged("its frames do not fill it"));
        }
        for _ in 0..wire.count(CHUNK_BYTES)? {
            toc.chunks.push(TocChunk { id: ChunkId(wire.array()?), length: wire.u32()? });
        }
        let mut rest = toc.chunks.as_slice();
        for frame in &toc.frames {
            let (mine, after) = rest
                .split_at_checked(usize::from(frame.chunks))
                .ok_or_else(|| wire.damaged("a frame has more chunks than there are"))?;
            if mine.iter().map(|c| u64::from(c.length)).sum::<u64>() != u64::from(frame.raw) {
                return Err(wire.damaged("a frame's chunks do not fill it"));
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(wire.damaged("chunks belong to no frame"));
        }
        wire.end()?;
        Ok(toc)
    }

    /// Every frame with its number and its chunks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Frame, &[TocChunk])> {
        let mut rest = self.chunks.as_slice();
        // In this order: of as many as there may be the number after the last one has no room.
        self.frames.iter().zip(0..).map(move |(frame, number)| {
            let (mine, after) = rest.split_at_checked(usize::from(frame.chunks)).unwrap_or((rest, &[]));
            rest = after;
            (number, frame, mine)
        })
    }
}

/// The number of a kind in stored structures.
pub(crate) fn kind_code(kind: ChunkKind) -> u8 {
    match kind {
        ChunkKind::Data => 0,
        ChunkKind::Refs => 1,
        ChunkKind::Meta => 2,
    }
}

fn kind_of(code: u8) -> Option<ChunkKind> {
    match code {
        0 => Some(ChunkKind::Data),
        1 => Some(ChunkKind::Refs),
        2 => Some(ChunkKind::Meta),
        _ => None,
    }
}
