//! The previous version of a file, read along with the new one: what is known of it need not be stored again.
//!
//! Its position moves on with every chunk that both versions have, and with every stretch that was found to be equal.

use std::collections::VecDeque;
use std::sync::Arc;

use chronos_store::ChunkId;

use crate::node::{Extent, Piece};
use crate::tree::{ASSEMBLED_BYTES_MAX, Extents, Nodes, RawEntry, Tree};

/// How many extents ahead a chunk is looked for: what lies further away is found by its id alone.
const LOOK_AHEAD: usize = 1 << 10;

/// Where the content of a previous version comes from, and how far it was read.
pub(super) struct Base {
    nodes: Arc<dyn Nodes>,
    extents: Extents,
    /// Extents from the position on that were read from the recipe.
    ahead: VecDeque<Extent>,
    /// How many bytes of the first of them are behind the position.
    skipped: u64,
    window: Window,
}

/// Bytes of the previous version, with what each is made of.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// How many of them are before the position.
    skipped: usize,
    /// Where each part begins; `None` as its source: it cannot be referred to.
    parts: Vec<(usize, Option<Piece>)>,
}

impl Base {
    /// The content of an entry of the previous snapshot.
    pub(super) fn new(tree: &Tree, entry: &RawEntry) -> Self {
        Self {
            nodes: tree.shared_nodes(),
            extents: tree.extents(entry, 0),
            ahead: VecDeque::new(),
            skipped: 0,
            window: Window::default(),
        }
    }

    /// The extent at this place from the position on; `None` at the end, or where the recipe cannot be read.
    fn peek(&mut self, number: usize) -> Option<&Extent> {
        while self.ahead.len() <= number {
            // What cannot be read is no base: the new content is stored in full, and `check` tells about the old.
            let (_, extent) = self.extents.next()?.ok()?;
            self.ahead.push_back(extent);
        }
        self.ahead.get(number)
    }

    /// Looks for a chunk of this id ahead and moves behind it if it is there.
    pub(super) fn pass(&mut self, id: &ChunkId) {
        if let Some((number, _)) = self.find(id) {
            self.skipped = 0;
            self.ahead.drain(..=number);
        }
    }

    /// How many bytes from the position a chunk of this id lies ahead.
    pub(super) fn distance(&mut self, id: &ChunkId) -> Option<u64> {
        let (_, offset) = self.find(id)?;
        offset.checked_sub(self.skipped)
    }

    /// The chunk of this id as the previous version has put it together, if that lies ahead and its pieces are `usable`.
    pub(super) fn assembled<E>(
        &mut self,
        id: &ChunkId,
        usable: &dyn Fn(&ChunkId) -> Result<bool, E>,
    ) -> Result<Option<Extent>, E> {
        let found = self.find(id).and_then(|(number, _)| self.ahead.get(number));
        let Some(extent @ Extent::Assembled(_)) = found else { return Ok(None) };
        for chunk in extent.chunks() {
            if !usable(chunk)? {
                return Ok(None);
            }
        }
        Ok(Some(extent.clone()))
    }

    /// The number of the extent with this id ahead, and how many bytes lie before it.
    fn find(&mut self, id: &ChunkId) -> Option<(usize, u64)> {
        let mut offset = 0_u64;
        for number in 0..LOOK_AHEAD {
            let extent = self.peek(number)?;
            let found = match extent {
                Extent::Data { id: other, .. } => other == id,
                Extent::Assembled(made) => made.mark == id.mark(),
                Extent::Hole { .. } | Extent::Zero { .. } => false,
            };
            if found {
                return Some((number, offset));
            }
            offset = offset.saturating_add(extent.len());
        }
        None
    }

    /// Reads up to about `wanted` bytes from the position on, which stays. `usable` says whether a chunk may be
    /// referred to.
    pub(super) fn read<E>(
        &mut self,
        wanted: usize,
        usable: &dyn Fn(&ChunkId) -> Result<bool, E>,
    ) -> Result<&[u8], E> {
        self.window.bytes.clear();
        self.window.parts.clear();
        while self.peek(0).is_some_and(Extent::is_blank) {
            self.ahead.pop_front();
            self.skipped = 0;
        }
        let mut number = 0;
        while self.window.bytes.len() < wanted + self.skipped as usize
            && let Some(extent) = self.peek(number)
        {
            let extent = extent.clone();
            if extent.is_blank() || extent.len() > u64::from(ASSEMBLED_BYTES_MAX) {
                break;
            }
            for (id, piece, len) in extent.parts() {
                // As above.
                let bytes = if usable(id)? { self.nodes.data(id).ok() } else { None };
                let piece = piece.unwrap_or(Piece { chunk: *id, start: 0, len });
                match bytes.as_ref().and_then(|bytes| piece.of(bytes)) {
                    Some(bytes) => self.window.add(bytes, piece),
                    None => self.window.blank(len as usize),
                }
            }
            number += 1;
        }
        self.window.skipped = self.skipped as usize;
        Ok(self.window.bytes.get(self.window.skipped..).unwrap_or_default())
    }

    /// What these bytes of what was read last are made of; `None` if part of them cannot be referred to.
    pub(super) fn pieces(&self, start: usize, len: usize) -> Option<Vec<Piece>> {
        let start = start + self.window.skipped;
        let end = start + len;
        let first = self.window.parts.partition_point(|(at, _)| *at <= start).checked_sub(1)?;
        let mut out: Vec<Piece> = Vec::new();
        for (at, piece) in self.window.parts.get(first..)?.iter().take_while(|(at, _)| *at < end) {
            let piece = (*piece)?;
            let from = start.max(*at);
            let to = end.min(at + piece.len as usize);
            let part = Piece {
                chunk: piece.chunk,
                start: piece.start + (from - at) as u32,
                len: to.checked_sub(from)? as u32,
            };
            match out.last_mut() {
                Some(last) if last.chunk == part.chunk && last.start + last.len == part.start => {
                    last.len += part.len;
                }
                _ => out.push(part),
            }
        }
        Some(out)
    }

    /// Moves so many bytes on.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.skipped += bytes;
        while let Some(first) = self.peek(0).map(Extent::len)
            && first <= self.skipped
        {
            self.ahead.pop_front();
            self.skipped -= first;
        }
    }
}

impl Window {
    fn add(&mut self, bytes: &[u8], piece: Piece) {
        self.parts.push((self.bytes.len(), Some(piece)));
        self.bytes.extend_from_slice(bytes);
    }

    fn blank(&mut self, len: usize) {
        self.parts.push((self.bytes.len(), None));
        self.bytes.resize(self.bytes.len() + len, 0);
    }
}
