//! A pack: `header 64 · capsule 32 · sealed frames · sealed table of contents · footer 164`.
//!
//! The footer is `toc offset u64 · toc length u32 · parity offset u64 · parity length u32 · parity geometry u32 ·
//! copy of header and capsule 96 · BLAKE3 of everything before 32 · magic 8`; parity is reserved and zero.

use std::cell::Cell;

use super::header::{HEADER_BYTES, Header, ObjectKind};
use super::toc::kind_code;
use super::toc::{Codec, Frame, Toc};
use super::wire::Wire;
use crate::compress;
use crate::crypto::{Capsule, Keys, Purpose, SUITE, SealKey, SessionKeys};
use crate::error::{Error, Result};
use crate::id::ChunkKind;

/// Header and capsule, in bytes: where the first frame begins.
pub(crate) const PREAMBLE_BYTES: usize = HEADER_BYTES + 32;
/// Length of the footer in bytes.
pub(crate) const FOOTER_BYTES: usize = 28 + PREAMBLE_BYTES + 32 + 8;
const MAGIC: [u8; 8] = *b"chronosP";
/// Nonce of the table of contents; frames are numbered far below it.
const TOC_NUMBER: u64 = u64::MAX;
/// zstd level of tables of contents: mostly ids, which do not compress.
const TOC_LEVEL: i32 = 1;
/// Largest plain table of contents: 65,535 frames with all their chunks would be far beyond any pack.
const TOC_BYTES_MAX: usize = 256 << 20;
/// Largest plain frame: the longest chunk, with room.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;

/// What stands at the head of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackHead {
    /// Makes the pack's keys its own.
    pub(crate) salt: [u8; 32],
    /// Public key of the session.
    pub(crate) capsule: Capsule,
}

impl PackHead {
    /// The stored bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let header = Header { kind: ObjectKind::Pack, salt: self.salt };
        header.encode().into_iter().chain(self.capsule.0).collect()
    }

    fn decode(object: &str, bytes: &[u8]) -> Result<Self> {
        let header = Header::decode(object, ObjectKind::Pack, bytes)?;
        let capsule = bytes
            .get(HEADER_BYTES..)
            .and_then(|b| b.first_chunk())
            .ok_or_else(|| Error::damaged(object, "it is too short"))?;
        Ok(Self { salt: header.salt, capsule: Capsule(*capsule) })
    }
}

fn frame_aad(kind: ChunkKind) -> [u8; 2] {
    [SUITE, kind_code(kind)]
}

thread_local! {
    /// Memory as long as a frame: what is freed and asked for again with every frame leaves the allocator with holes.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Compresses (unless it would not help) and seals one frame, in its own memory if it is not compressed.
pub(crate) fn seal_frame(
    key: &SealKey,
    kind: ChunkKind,
    number: u32,
    plain: Vec<u8>,
    level: i32,
) -> Result<(Vec<u8>, Codec)> {
    let (mut bytes, codec) = if compress::is_incompressible(&plain) {
        (plain, Codec::Raw)
    } else {
        let mut packed = SPARE.take();
        compress::compress_into(&plain, level, &mut packed)?;
        let (spare, sealed, codec) = if packed.len() < plain.len() {
            (plain, packed, Codec::Zstd)
        } else {
            (packed, plain, Codec::Raw)
        };
        SPARE.set(spare);
        (sealed, codec)
    };
    key.seal(u64::from(number), &frame_aad(kind), &mut bytes)?;
    Ok((bytes, codec))
}

/// Opens and expands one frame.
pub(crate) fn open_frame(
    object: &str,
    keys: &SessionKeys,
    salt: &[u8; 32],
    frame: &Frame,
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>> {
    let damaged = |what: &str| Error::damaged(object, format!("the frame at {}: {what}", frame.offset));
    if frame.raw as usize > FRAME_BYTES_MAX {
        return Err(damaged("it is too long"));
    }
    let key = keys.frame_key(frame.kind, salt)?;
    let length = key
        .open(u64::from(frame.number), &frame_aad(frame.kind), &mut sealed)
        .ok_or_else(|| damaged("it does not authenticate"))?
        .len();
    sealed.truncate(length);
    match frame.codec {
        Codec::Raw if sealed.len() == frame.raw as usize => Ok(sealed),
        Codec::Raw => Err(damaged("its length does not fit")),
        Codec::Zstd => {
            let spare = SPARE.take();
            compress::expand_into(&sealed, frame.raw as usize, spare)
                .ok_or_else(|| damaged("it does not expand"))
        }
    }
}

/// Memory of an opened frame that is no longer needed, for the next one of this thread.
pub(crate) fn give_back(memory: Vec<u8>) {
    SPARE.set(memory);
}

/// The hash of a pack that grows, taken while what was added is in the processor's caches.
#[derive(Debug, Default)]
pub(crate) struct PackHash {
    hasher: blake3::Hasher,
    covered: usize,
}

impl PackHash {
    /// Pieces in which bytes are best added and covered: both fit into the second cache.
    pub(crate) const PIECE_BYTES: usize = 128 << 10;

    /// Covers what was added to `body`, as far as there are whole pieces of it: these are hashed fastest.
    pub(crate) fn follow(&mut self, body: &[u8]) {
        self.cover(body, body.len() / Self::PIECE_BYTES * Self::PIECE_BYTES);
    }

    fn cover(&mut self, body: &[u8], end: usize) {
        if let Some(fresh) = body.get(self.covered..end) {
            self.hasher.update(fresh);
            self.covered = end;
        }
    }

    /// The hash of `body`, of which a part may be covered, and `tail`.
    fn finish(mut self, body: &[u8], tail: &[u8]) -> blake3::Hash {
        self.cover(body, body.len());
        self.hasher.update(tail).finalize()
    }
}

/// Table of contents and footer for a pack whose preamble and frames are `body` and whose name is `object`; `hash` has followed `body`.
pub(crate) fn pack_tail(
    object: &str,
    keys: &Keys,
    head: &PackHead,
    body: &[u8],
    hash: PackHash,
    toc: &Toc,
) -> Result<Vec<u8>> {
    let plain = toc.encode();
    let mut sealed = (plain.len() as u32).to_le_bytes().to_vec();
    sealed.extend(compress::compress(&plain, TOC_LEVEL)?);
    keys.object_key(Purpose::Index, &head.salt)?.seal(TOC_NUMBER, object.as_bytes(), &mut sealed)?;
    let mut tail = sealed;
    let length = tail.len() as u32;
    tail.extend((body.len() as u64).to_le_bytes());
    tail.extend(length.to_le_bytes());
    tail.extend([0; 16]);
    tail.extend(head.encode());
    let hash = hash.finish(body, &tail);
    tail.extend(hash.as_bytes());
    tail.extend(MAGIC);
    Ok(tail)
}

/// A decoded footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Copy of the pack's head.
    pub(crate) head: PackHead,
    /// Where the table of contents begins.
    pub(crate) toc_offset: u64,
    /// Its sealed length.
    pub(crate) toc_length: u32,
    /// BLAKE3 of all bytes before it.
    pub(crate) hash: [u8; 32],
}

impl Footer {
    /// Decodes the footer of a pack of `size` bytes from its last bytes.
    pub(crate) fn decode(object: &str, size: u64, tail: &[u8]) -> Result<Self> {
        let footer =
            tail.last_chunk::<FOOTER_BYTES>().ok_or_else(|| Error::damaged(object, "it is too short"))?;
        let mut wire = Wire::new(object, footer);
        let (toc_offset, toc_length) = (wire.u64()?, wire.u32()?);
        let reserved: [u8; 16] = wire.array()?;
        let head = wire.take(PREAMBLE_BYTES)?;
        let hash = wire.array()?;
        if wire.array()? != MAGIC {
            return Err(Error::damaged(object, "it does not end like a pack"));
        }
        if reserved != [0; 16] {
            return Err(Error::TooNew { object: object.to_owned(), what: "parity".into() });
        }
        let fits = toc_offset
            .checked_add(u64::from(toc_length))
            .and_then(|end| end.checked_add(FOOTER_BYTES as u64));
        if fits != Some(size) || toc_offset < PREAMBLE_BYTES as u64 {
            return Err(Error::damaged(object, "its length does not fit its footer"));
        }
        Ok(Self { head: PackHead::decode(object, head)?, toc_offset, toc_length, hash })
    }

    /// Opens the table of contents.
    pub(crate) fn open_toc(&self, object: &str, keys: &Keys, mut sealed: Vec<u8>) -> Result<Toc> {
        let damaged = |what: &str| Error::damaged(object, what);
        let key = keys.object_key(Purpose::Index, &self.head.salt)?;
        let plain = key
            .open(TOC_NUMBER, object.as_bytes(), &mut sealed)
            .ok_or_else(|| damaged("its table of contents does not authenticate"))?;
        let (length, packed) =
            plain.split_first_chunk::<4>().ok_or_else(|| damaged("its table of contents is too short"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > TOC_BYTES_MAX {
            return Err(damaged("its table of contents is too long"));
        }
        let plain = compress::expand(packed, length)
            .ok_or_else(|| damaged("its table of contents does not expand"))?;
        Toc::decode(object, &plain, PREAMBLE_BYTES as u64, self.toc_offset)
    }

    /// Checks the hash over a whole pack.
    pub(crate) fn check_whole(&self, object: &str, pack: &[u8]) -> Result<()> {
        let covered = pack.get(..pack.len().saturating_sub(40)).unwrap_or_default();
        if *blake3::hash(covered).as_bytes() != self.hash {
            return Err(Error::damaged(object, "its hash does not fit"));
        }
        if pack.get(..PREAMBLE_BYTES) != Some(self.head.encode().as_slice()) {
            return Err(Error::damaged(object, "its head differs from the copy in its footer"));
        }
        Ok(())
    }
}
