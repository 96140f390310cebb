//! Gathers sealed frames into packs: one open pack for data, one for trees.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::Counters;
use super::decide::PACKS_NAMED_MAX;
use super::own::Own;
use super::uploader::Uploader;
use crate::crypto::Capsule;
use crate::error::Result;
use crate::format::Codec;
use crate::format::{FRAMES_PER_PACK_MAX, Frame, Origin, PackHash, PackHead, Toc, TocChunk, pack_tail};
use crate::id::{ChunkKind, PackName, SessionId};
use crate::names;
use crate::packs::lock;
use crate::repository::Inner;

/// A pack is closed once its frames reach this many bytes.
const PACK_BYTES: usize = 16 << 20;
/// What may come on top: the frame that fills it, table of contents and footer, unless a chunk is very long.
const PACK_ROOM: usize = 6 << 20;
/// Or once they hold this many chunks: a table of contents stays below 3 MB of memory however small the chunks are.
const PACK_CHUNKS: usize = 1 << 16;

/// A frame, sealed under its writer's salt: it fits into any pack.
#[derive(Debug)]
pub(crate) struct SealedFrame {
    /// Sealed bytes.
    pub(crate) bytes: Vec<u8>,
    /// Plain length.
    pub(crate) raw: u32,
    /// How it is packed.
    pub(crate) codec: Codec,
    /// What its chunks are.
    pub(crate) kind: ChunkKind,
    /// What it was sealed under.
    pub(crate) origin: Origin,
    /// Number under which it was sealed.
    pub(crate) number: u32,
    /// Its chunks in order.
    pub(crate) chunks: Vec<TocChunk>,
}

/// A pack that takes frames.
#[derive(Debug)]
struct OpenPack {
    head: PackHead,
    body: Vec<u8>,
    hash: PackHash,
    toc: Toc,
}

impl OpenPack {
    /// `body` is empty memory.
    fn new(inner: &Inner, capsule: Capsule, mut body: Vec<u8>) -> Result<Self> {
        let head = PackHead { salt: inner.env.random_bytes()?, capsule };
        body.extend(head.encode());
        Ok(Self { head, body, hash: PackHash::default(), toc: Toc::default() })
    }

    fn add(&mut self, frame: &SealedFrame) {
        let known = self.toc.origins.iter().position(|o| *o == frame.origin);
        let origin = known.unwrap_or_else(|| {
            self.toc.origins.push(frame.origin);
            self.toc.origins.len() - 1
        });
        self.toc.frames.push(Frame {
            offset: self.body.len() as u64,
            sealed: frame.bytes.len() as u32,
            raw: frame.raw,
            codec: frame.codec,
            kind: frame.kind,
            chunks: frame.chunks.len() as u16,
            origin: origin as u16,
            number: frame.number,
        });
        self.toc.chunks.extend_from_slice(&frame.chunks);
        for piece in frame.bytes.chunks(PackHash::PIECE_BYTES) {
            self.body.extend_from_slice(piece);
            self.hash.follow(&self.body);
        }
    }

    fn is_full(&self) -> bool {
        self.body.len() >= PACK_BYTES
            || self.toc.chunks.len() >= PACK_CHUNKS
            || self.toc.frames.len() >= FRAMES_PER_PACK_MAX
    }

    /// Takes all frames of another open pack over, as they are.
    fn absorb(&mut self, other: &Self) {
        for (_, frame, chunks) in other.toc.iter() {
            let from = frame.offset as usize;
            let Some(origin) = other.toc.origins.get(usize::from(frame.origin)) else { continue };
            self.add(&SealedFrame {
                bytes: other.body.get(from..from + frame.sealed as usize).unwrap_or_default().to_vec(),
                raw: frame.raw,
                codec: frame.codec,
                kind: frame.kind,
                origin: *origin,
                number: frame.number,
                chunks: chunks.to_vec(),
            });
        }
    }
}

/// The open packs of a session, and the way of full ones to the backend.
#[derive(Debug)]
pub(crate) struct Packer {
    session: SessionId,
    capsule: Capsule,
    data: Mutex<Option<OpenPack>>,
    tree: Mutex<Option<OpenPack>>,
    next: Mutex<u32>,
    uploader: Uploader,
    counters: Arc<Counters>,
}

impl Packer {
    pub(super) fn new(inner: &Inner, session: SessionId, capsule: Capsule, counters: Arc<Counters>) -> Self {
        let uploader = Uploader::new(Arc::clone(&inner.backend));
        Self {
            session,
            capsule,
            data: Mutex::default(),
            tree: Mutex::default(),
            next: Mutex::default(),
            uploader,
            counters,
        }
    }

    /// Adds a frame to the open pack of its group.
    pub(super) fn add(&self, inner: &Inner, frame: &SealedFrame, own: &Own) -> Result<()> {
        self.uploader.check()?;
        let group = if frame.kind == ChunkKind::Data { &self.data } else { &self.tree };
        let mut open = lock(group);
        if open.is_none() {
            *open = Some(OpenPack::new(inner, self.capsule, self.uploader.buffer(PACK_BYTES + PACK_ROOM))?);
        }
        let full = open.as_mut().is_some_and(|pack| {
            pack.add(frame);
            pack.is_full()
        });
        match open.take_if(|_| full) {
            // With the group still locked: one pack is filled or waits while another is written, and no third begins.
            Some(pack) => self.close(inner, pack, own),
            None => Ok(()),
        }
    }

    /// Waits until everything that was sent off is written.
    pub(super) fn drain(&self) -> Result<()> {
        self.uploader.drain()
    }

    /// Finishes what is open (in one pack if it fits) and waits until everything is written.
    pub(super) fn finish(&self, inner: &Inner, own: &Own) -> Result<()> {
        let (data, tree) = (lock(&self.data).take(), lock(&self.tree).take());
        match (data, tree) {
            (Some(mut data), Some(tree)) if data.body.len() + tree.body.len() <= PACK_BYTES => {
                data.absorb(&tree);
                self.close(inner, data, own)?;
            }
            (data, tree) => {
                for pack in data.into_iter().chain(tree) {
                    self.close(inner, pack, own)?;
                }
            }
        }
        self.uploader.drain()
    }

    /// Seals a pack's table of contents and sends it off.
    fn close(&self, inner: &Inner, pack: OpenPack, own: &Own) -> Result<()> {
        let seq = {
            let mut next = lock(&self.next);
            *next += 1;
            *next - 1
        };
        let attempt = u32::from_le_bytes(inner.env.random_bytes()?);
        let name = PackName { session: self.session.clone(), seq, attempt };
        let object = names::pack(&name);
        let OpenPack { head, mut body, hash, toc } = pack;
        let tail = pack_tail(&object, &inner.keys, &head, &body, hash, &toc)?;
        body.extend_from_slice(&tail);
        let size = body.len() as u64;
        if inner.backend.lanes() > 1 && (seq as usize) < PACKS_NAMED_MAX {
            // The next session would ask far storage for it.
            inner.catalogue.put_tocs(&[(name.clone(), tail)]);
        }
        self.uploader.send(object, body)?;
        self.counters.packs_written.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_stored.fetch_add(size, Ordering::Relaxed);
        own.add_pack(&name, size, &toc);
        if own.is_full() {
            let bytes = own.write_run(inner, &self.session)?;
            self.counters.bytes_stored.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }
}
