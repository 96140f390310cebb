//! A stretch of a tree that is copied at once: its chunks are read in the order in which they lie, then its entries get their new names.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::{
    ChunkId, ChunkKind, ChunkMark, ChunkWriter, FETCH_MAX, Reader, Repository, Session, Wanted,
};

use super::Lost;
use super::base::{Base, Names};
use crate::error::{Error, Result};
use crate::node::{Assembled, Extent, Node, NodeKind, Piece};
use crate::path::TreePath;
use crate::tree::{Tree, TreeBuilder};

/// Entries and pieces of files that are held at once: some megabytes.
const ITEMS_MAX: usize = 1 << 14;
/// Threads that read.
const THREADS: usize = 4;

/// A chunk at the destination: its name there, and its length.
#[derive(Clone, Copy, Debug)]
struct Stored {
    id: ChunkId,
    len: u32,
}

/// What a window's chunks became.
#[derive(Debug, Default)]
struct Moved {
    chunks: HashMap<ChunkId, Stored>,
    /// Marks that pieces have at the destination, of those that are a whole extent.
    marks: HashMap<Piece, ChunkMark>,
    failed: HashMap<ChunkId, String>,
}

/// A chunk to be read, and the pieces of it that are a whole extent, with their marks.
type ToRead = (ChunkId, Vec<(Piece, ChunkMark)>);

/// Entries that wait for their chunks.
#[derive(Debug)]
pub(super) struct Window<'w> {
    tree: &'w Tree,
    reader: &'w Reader,
    to: &'w Repository,
    session: &'w Session,
    /// Both repositories give a chunk the same name.
    is_alike: bool,
    /// Each with what is known of its pieces; those that are not are to be read.
    entries: Vec<(TreePath, Node, Vec<Option<Extent>>)>,
    items: usize,
}

impl<'w> Window<'w> {
    pub(super) fn new(
        (tree, reader): (&'w Tree, &'w Reader),
        to: &'w Repository,
        session: &'w Session,
        is_alike: bool,
    ) -> Self {
        Self { tree, reader, to, session, is_alike, entries: Vec::new(), items: 0 }
    }

    /// Whether it is time to empty it.
    pub(super) fn is_full(&self) -> bool {
        self.items >= ITEMS_MAX
    }

    /// Takes an entry in; what of it need not be read is known by `base`, or by its name.
    pub(super) fn add(&mut self, path: TreePath, node: Node, base: Option<&mut Base>) -> Result<()> {
        let mut known = Vec::new();
        if let NodeKind::File(content) = &node.kind {
            let is_trusted = base.as_ref().is_some_and(|base| base.is_trusted());
            let names = match base {
                Some(base) if !content.extents.is_empty() => base.names(&path)?,
                _ => Names::new(),
            };
            for extent in &content.extents {
                known.push(self.known(extent, &names, is_trusted)?);
            }
        }
        self.items += 1 + known.len();
        self.entries.push((path, node, known));
        Ok(())
    }

    /// What a piece of a file is called at the destination, if that has it.
    fn known(&self, extent: &Extent, names: &Names, is_trusted: bool) -> Result<Option<Extent>> {
        let Some(mark) = extent.mark() else { return Ok(Some(extent.clone())) };
        let there = if self.is_alike { Some(extent) } else { names.get(&(mark, extent.len())) };
        let Some(there) = there else { return Ok(None) };
        for id in there.chunks() {
            if !is_trusted && !self.session.usable(ChunkKind::Data, id)? {
                return Ok(None);
            }
        }
        Ok(Some(there.clone()))
    }

    /// Reads what is not known, and adds the entries to the new tree; after a loss, nothing is added any more.
    pub(super) fn empty(
        &mut self,
        data: &Mutex<ChunkWriter<'_>>,
        builder: &mut TreeBuilder<'_>,
        lost: &mut Lost,
    ) -> Result<()> {
        let moved = self.moved(data)?;
        self.items = 0;
        let monitor = self.to.monitor();
        for (path, node, known) in std::mem::take(&mut self.entries) {
            monitor.advance(1, node.size());
            match self.renamed(node, known, &moved) {
                Ok(node) if lost.count == 0 => builder.add(&path, &node)?,
                Ok(_) => {}
                Err(error) => lost.note(&path, error)?,
            }
        }
        Ok(())
    }

    /// The chunks to be read, by their names.
    fn wanted(&self) -> Result<Vec<ToRead>> {
        let mut wanted = BTreeMap::<ChunkId, Vec<(Piece, ChunkMark)>>::new();
        for (_, node, known) in &self.entries {
            let NodeKind::File(content) = &node.kind else { continue };
            for (extent, _) in content.extents.iter().zip(known).filter(|(_, known)| known.is_none()) {
                for (id, piece, _) in extent.parts() {
                    if self.is_alike && self.session.usable(ChunkKind::Data, id)? {
                        continue;
                    }
                    let pieces = wanted.entry(*id).or_default();
                    pieces.extend(piece.zip(extent.only_part()));
                }
            }
        }
        Ok(wanted.into_iter().collect())
    }

    /// Reads chunks and stores them at the destination.
    fn moved(&self, data: &Mutex<ChunkWriter<'_>>) -> Result<Moved> {
        let wanted = self.wanted()?;
        let moved = Mutex::new(Moved::default());
        for part in wanted.chunks(FETCH_MAX) {
            let take = |token: u64, bytes: &[u8]| {
                let Some((id, pieces)) = part.get(token as usize) else { return Ok(()) };
                let stored = Stored { id: self.put(data, bytes)?, len: bytes.len() as u32 };
                let mut marks = Vec::new();
                for (piece, mark) in pieces {
                    let bytes = piece.of(bytes).filter(|bytes| self.reader.has_mark(*mark, bytes));
                    let named = bytes.map(|bytes| self.to.hash(ChunkKind::Data, bytes)).transpose()?;
                    marks.extend(named.map(|named| (*piece, named.id().mark())));
                }
                let mut moved = lock(&moved);
                moved.chunks.insert(*id, stored);
                moved.marks.extend(marks);
                Ok(())
            };
            let wanted: Vec<Wanted> =
                (0..).zip(part).map(|(token, (id, _))| Wanted { id: *id, token, part: None }).collect();
            let failed = self.reader.fetch(&wanted, THREADS, &take)?;
            lock(&moved).failed.extend(failed.into_iter().map(|(wanted, e)| (wanted.id, e.to_string())));
        }
        Ok(into_inner(moved))
    }

    /// Stores a chunk unless the destination has it; its name there.
    fn put(&self, data: &Mutex<ChunkWriter<'_>>, bytes: &[u8]) -> chronos_store::Result<ChunkId> {
        // Hashing is most of the work, and goes on in all threads.
        let hashed = self.to.hash(ChunkKind::Data, bytes)?;
        let mut data = lock(data);
        if !data.refer(&hashed.id())? {
            data.store(hashed)?;
        }
        Ok(hashed.id())
    }

    /// An entry as the destination knows it.
    fn renamed(&self, mut node: Node, known: Vec<Option<Extent>>, moved: &Moved) -> Result<Node> {
        if let NodeKind::File(content) = &mut node.kind {
            for (extent, known) in content.extents.iter_mut().zip(known) {
                *extent = match known {
                    Some(known) => known,
                    None => self.moved_extent(extent, moved)?,
                };
            }
        }
        Ok(node)
    }

    fn moved_extent(&self, extent: &Extent, moved: &Moved) -> Result<Extent> {
        if let Some(why) = extent.chunks().find_map(|id| moved.failed.get(id)) {
            return Err(damaged(why));
        }
        let stored =
            |id: &ChunkId| moved.chunks.get(id).copied().ok_or_else(|| damaged("a chunk was not read"));
        match extent {
            _ if self.is_alike => Ok(extent.clone()),
            Extent::Hole { .. } | Extent::Zero { .. } => Ok(extent.clone()),
            Extent::Data { id, len } => match stored(id)? {
                Stored { id, len: there } if there == *len => Ok(Extent::Data { id, len: *len }),
                _ => Err(damaged("a chunk has another length than the tree says")),
            },
            Extent::Assembled(made) => {
                let piece = |p: &Piece| Ok(Piece { chunk: stored(&p.chunk)?.id, ..*p });
                let pieces = made.pieces.iter().map(piece).collect::<Result<_>>()?;
                let mark = if let (Some(_), [piece]) = (extent.only_part(), made.pieces.as_slice()) {
                    moved.marks.get(piece).copied()
                } else {
                    let bytes = self.tree.nodes().bytes(extent)?;
                    Some(self.to.hash(ChunkKind::Data, &bytes)?.id().mark())
                };
                let mark = mark.ok_or_else(|| damaged("a part of a chunk is not what it should be"))?;
                Ok(Extent::Assembled(Arc::new(Assembled { mark, len: made.len, pieces })))
            }
        }
    }
}

fn damaged(why: impl ToString) -> Error {
    Error::Damaged { what: "its content".to_owned(), why: why.to_string() }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
