//! The content of large files: nodes that list extents, and nodes above them where one is not enough.
//!
//! A node ends where the id of a data chunk (or, above, of a node) has its low bits zero, so that an
//! insertion in the middle of a file leaves the other nodes as they are. [`Recipe`] streams the extents
//! back in order, holding one node per level.

use std::sync::Arc;

use chronos_store::{ChunkId, ChunkKind, ChunkMark, RefList};

use super::codec::{Dec, ENTRIES_MAX, Form, VERSION, damaged, put_int};
use super::{Nodes, Sink};
use crate::error::Result;
use crate::node::{Assembled, Content, Extent, Piece};

/// Files with more data chunks than this keep them in recipe nodes; a leaf stays small that way.
pub(crate) const INLINE_DATA_MAX: usize = 8;

/// Files with more extents than this keep them in recipe nodes, however few of them are data.
pub(crate) const INLINE_EXTENTS_MAX: usize = 24;

/// Most ids in one recipe node.
const NODE_IDS_MAX: usize = 128;

/// Fewest ids in one recipe node that is not the last of its level; keeps the levels few.
const NODE_IDS_MIN: usize = 8;

/// Most extents in one recipe node, holes included.
const NODE_EXTENTS_MAX: usize = 256;

/// A node ends after an id whose first byte has these bits zero: every 32 ids on average.
const END_MASK: u8 = 31;

/// Most levels: with at least eight ids a node far more than a file can hold.
const LEVELS_MAX: u64 = 12;

/// Most extents of one file that are handed out in one list; 40 bytes each.
pub(crate) const EXTENTS_MAX: usize = 1 << 26;

/// Most pieces of one assembled chunk; a reader refuses more.
pub(crate) const PIECES_MAX: usize = 1 << 10;

/// Longest assembled chunk in bytes, as long as a stored one may be: whoever reads it holds it in memory.
pub(crate) const ASSEMBLED_BYTES_MAX: u32 = 8 << 20;

/// How far back in the list of ids a piece looks for its chunk before the id is listed again.
const LOOK_BACK: usize = 64;

/// Whether the leaf itself holds the extents.
pub(crate) fn is_inline(content: &Content) -> bool {
    content.extents.len() <= INLINE_EXTENTS_MAX && content.chunks().count() <= INLINE_DATA_MAX
}

/// Whether a reader accepts the extent's pieces.
pub(crate) fn fits(extent: &Extent) -> bool {
    match extent {
        Extent::Assembled(made) => {
            let sum: u64 = made.pieces.iter().map(|p| u64::from(p.len)).sum();
            made.len <= ASSEMBLED_BYTES_MAX
                && (1..=PIECES_MAX).contains(&made.pieces.len())
                && made.pieces.iter().all(|p| p.len > 0 && p.start.checked_add(p.len).is_some())
                && sum == u64::from(made.len)
        }
        _ => true,
    }
}

/// Whether extents have to be written with their pieces.
pub(crate) fn has_pieces(extents: &[Extent]) -> bool {
    extents.iter().any(|e| matches!(e, Extent::Assembled(_)))
}

/// Appends one extent; the ids of data chunks go to `ids`. Hole: 0, length. Zeros: 1, length. Data: length + 1; where
/// `pieced`, then the number of pieces: 0 for a chunk, else mark and pieces of an assembled one.
pub(crate) fn put_extent(out: &mut Vec<u8>, ids: &mut Vec<ChunkId>, extent: &Extent, pieced: bool) {
    match extent {
        Extent::Hole { len } => {
            out.push(0);
            put_int(out, *len);
        }
        Extent::Zero { len } => {
            out.push(1);
            put_int(out, *len);
        }
        Extent::Data { id, len } => {
            put_int(out, u64::from(*len) + 1);
            if pieced {
                out.push(0);
            }
            ids.push(*id);
        }
        Extent::Assembled(assembled) => {
            put_int(out, u64::from(assembled.len) + 1);
            put_int(out, assembled.pieces.len() as u64);
            out.extend_from_slice(&assembled.mark.0);
            for piece in &assembled.pieces {
                // 0: the next id of the list; else so many ids back.
                let back = ids.iter().rev().take(LOOK_BACK).position(|id| *id == piece.chunk);
                put_int(out, back.map_or(0, |n| n as u64 + 1));
                put_int(out, u64::from(piece.start));
                put_int(out, u64::from(piece.len));
                if back.is_none() {
                    ids.push(piece.chunk);
                }
            }
        }
    }
}

/// The ids of a node's data chunks, taken one after the other.
#[derive(Debug)]
pub(crate) struct Ids {
    list: Vec<ChunkId>,
    taken: usize,
}

impl Ids {
    pub(crate) fn new(list: Vec<ChunkId>) -> Self {
        Self { list, taken: 0 }
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        self.list.len() - self.taken
    }

    fn take(&mut self) -> Result<ChunkId> {
        let id = self.list.get(self.taken).ok_or_else(|| damaged("it has more chunks than ids"))?;
        self.taken += 1;
        Ok(*id)
    }

    /// The `n`-th of those that were taken, counted back from 1.
    fn back(&self, n: usize) -> Result<ChunkId> {
        let at = self.taken.checked_sub(n).and_then(|at| self.list.get(at));
        at.copied().ok_or_else(|| damaged("a piece is of a chunk that was not named"))
    }
}

/// Reads one extent and takes its ids from `ids`.
pub(crate) fn extent(dec: &mut Dec<'_>, ids: &mut Ids, pieced: bool) -> Result<Extent> {
    let found = match dec.at_most(u64::from(u32::MAX) + 1, "the length of a chunk")? {
        0 => Extent::Hole { len: dec.int()? },
        1 => Extent::Zero { len: dec.int()? },
        n => {
            let len = (n - 1) as u32;
            match if pieced { dec.count(PIECES_MAX, "the number of pieces")? } else { 0 } {
                0 => Extent::Data { id: ids.take()?, len },
                count => Extent::Assembled(Arc::new(assembled(dec, ids, len, count)?)),
            }
        }
    };
    if found.is_empty() { Err(damaged("an extent is empty")) } else { Ok(found) }
}

fn assembled(dec: &mut Dec<'_>, ids: &mut Ids, len: u32, count: usize) -> Result<Assembled> {
    if len > ASSEMBLED_BYTES_MAX {
        return Err(damaged("a chunk in pieces is longer than a chunk can be"));
    }
    let mark = ChunkMark(dec.array()?);
    let (mut pieces, mut sum) = (Vec::new(), 0);
    for _ in 0..count {
        let chunk = match dec.count(usize::MAX, "a chunk")? {
            0 => ids.take()?,
            n => ids.back(n)?,
        };
        let (start, len) = (dec.u32("the start of a piece")?, dec.u32("the length of a piece")?);
        if len == 0 || start.checked_add(len).is_none() {
            return Err(damaged("a piece is empty or too long"));
        }
        sum += u64::from(len);
        pieces.push(Piece { chunk, start, len });
    }
    if sum == u64::from(len) {
        Ok(Assembled { mark, len, pieces })
    } else {
        Err(damaged("the pieces of a chunk do not add up to it"))
    }
}

/// The length of all extents together; an error if it does not fit.
pub(crate) fn total(extents: &[Extent]) -> Result<u64> {
    extents
        .iter()
        .try_fold(0u64, |sum, e| sum.checked_add(e.len()))
        .ok_or_else(|| damaged("the lengths of a file's extents overflow"))
}

/// One unfinished node above the lowest level.
#[derive(Default)]
struct Above {
    children: Vec<(ChunkId, u64)>,
    /// Whether a node of this level is stored already.
    stored: bool,
}

/// Stores the extents of one file and returns the topmost node.
pub(crate) fn store(sink: &mut dyn Sink, extents: &[Extent]) -> Result<ChunkId> {
    let mut levels: Vec<Above> = Vec::new();
    let mut node: Vec<&Extent> = Vec::new();
    let mut chunks = 0;
    for (i, extent) in extents.iter().enumerate() {
        node.push(extent);
        chunks += extent.chunks().count();
        let ends = match extent {
            Extent::Data { id, .. } => ends(&id.0),
            Extent::Assembled(assembled) => ends(&assembled.mark.0),
            Extent::Hole { .. } | Extent::Zero { .. } => false,
        };
        let full = chunks >= NODE_IDS_MAX || node.len() == NODE_EXTENTS_MAX || i + 1 == extents.len();
        if full || ends && chunks >= NODE_IDS_MIN {
            let lowest = store_extents(sink, &node)?;
            push(sink, &mut levels, 0, lowest)?;
            node.clear();
            chunks = 0;
        }
    }
    finish(sink, &mut levels)
}

/// Stores a node of the lowest level; returns it with the bytes that it covers.
fn store_extents(sink: &mut dyn Sink, extents: &[&Extent]) -> Result<(ChunkId, u64)> {
    let pieced = extents.iter().any(|e| matches!(e, Extent::Assembled(_)));
    let form = if pieced { Form::Pieces } else { Form::Extents };
    let mut meta = vec![VERSION, form as u8];
    put_int(&mut meta, extents.len() as u64);
    let mut refs = RefList::default();
    for extent in extents {
        put_extent(&mut meta, &mut refs.data, extent, pieced);
    }
    let id = store_node(sink, &meta, refs)?;
    Ok((id, extents.iter().map(|e| e.len()).sum()))
}

fn ends(id: &[u8]) -> bool {
    id.first().is_some_and(|b| b & END_MASK == 0)
}

fn store_node(sink: &mut dyn Sink, meta: &[u8], mut refs: RefList) -> Result<ChunkId> {
    refs.meta = Some(sink.put(ChunkKind::Meta, meta)?);
    sink.put(ChunkKind::Refs, &refs.encode())
}

/// Adds a node to the level above it, and stores that level's node where it ends.
fn push(sink: &mut dyn Sink, levels: &mut Vec<Above>, at: usize, node: (ChunkId, u64)) -> Result<()> {
    if levels.len() == at {
        levels.push(Above::default());
    }
    let Some(level) = levels.get_mut(at) else { return Ok(()) };
    level.children.push(node);
    let n = level.children.len();
    if n == NODE_IDS_MAX || n >= NODE_IDS_MIN && ends(&node.0.0) {
        close(sink, levels, at)?;
    }
    Ok(())
}

fn close(sink: &mut dyn Sink, levels: &mut Vec<Above>, at: usize) -> Result<()> {
    let Some(level) = levels.get_mut(at) else { return Ok(()) };
    let children = std::mem::take(&mut level.children);
    level.stored = true;
    let mut meta = vec![VERSION, Form::Recipes as u8];
    put_int(&mut meta, at as u64 + 1);
    put_int(&mut meta, children.len() as u64);
    for (_, size) in &children {
        put_int(&mut meta, *size);
    }
    let size = children.iter().map(|(_, size)| size).sum();
    let refs = RefList { children: children.into_iter().map(|(id, _)| id).collect(), ..RefList::default() };
    let id = store_node(sink, &meta, refs)?;
    push(sink, levels, at + 1, (id, size))
}

/// Stores what is unfinished from below; the node with nothing beside it is the topmost.
fn finish(sink: &mut dyn Sink, levels: &mut Vec<Above>) -> Result<ChunkId> {
    let mut at = 0;
    loop {
        let top = levels.len() == at + 1;
        let Some(level) = levels.get(at) else {
            return Err(damaged("a file without extents has no recipe"));
        };
        match level.children.as_slice() {
            [(id, _)] if top && !level.stored => return Ok(*id),
            [] => {}
            _ => close(sink, levels, at)?,
        }
        at += 1;
    }
}

/// A node of a recipe that has not been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Branch {
    /// Which.
    pub(crate) id: ChunkId,
    /// The bytes of the file that it covers.
    pub(crate) size: u64,
    /// Its level; `None` for the topmost, of which it is not known.
    level: Option<u64>,
}

/// What comes next in a recipe.
#[derive(Debug)]
pub(crate) enum Part {
    /// A node that may be entered or passed over.
    Branch(Branch),
    /// An extent.
    Extent(Extent),
}

/// The extents of a stored file in order, with their offsets; reads one node at a time.
#[derive(Debug)]
pub(crate) struct Recipe {
    nodes: Arc<dyn Nodes>,
    /// Nodes to be read, the next one last.
    open: Vec<Branch>,
    /// Extents of the node that is being handed out, in reverse order.
    ready: Vec<Extent>,
    offset: u64,
    from: u64,
}

impl Recipe {
    /// The extents below `root`, which must add up to `size`; those that end at or before `from` are skipped.
    pub(crate) fn new(nodes: Arc<dyn Nodes>, root: ChunkId, size: u64, from: u64) -> Self {
        let open = vec![Branch { id: root, size, level: None }];
        Self { nodes, open, ready: Vec::new(), offset: 0, from }
    }

    /// Extents that are known.
    pub(crate) fn known(nodes: Arc<dyn Nodes>, mut extents: Vec<Extent>) -> Self {
        extents.reverse();
        Self { nodes, open: Vec::new(), ready: extents, offset: 0, from: 0 }
    }

    /// Takes what comes next; what lies below a branch comes only if that is entered.
    pub(crate) fn part(&mut self) -> Option<Part> {
        self.ready.pop().map(Part::Extent).or_else(|| self.open.pop().map(Part::Branch))
    }

    fn step(&mut self) -> Result<Option<(u64, Extent)>> {
        loop {
            if let Some(extent) = self.ready.pop() {
                let at = self.offset;
                self.offset += extent.len();
                if self.offset > self.from {
                    return Ok(Some((at, extent)));
                }
                continue;
            }
            let Some(branch) = self.open.pop() else { return Ok(None) };
            if self.offset + branch.size <= self.from {
                self.offset += branch.size;
                continue;
            }
            self.enter(branch)?;
        }
    }

    /// Reads the node that was taken last: what comes next is below it.
    pub(crate) fn enter(&mut self, branch: Branch) -> Result<()> {
        let Branch { id, size, level } = branch;
        let refs = self.nodes.refs(&id)?;
        let meta = refs.meta.ok_or_else(|| damaged("a recipe node has no description"))?;
        let meta = self.nodes.meta(&meta)?;
        let mut dec = Dec::new(&meta);
        match dec.form()? {
            form @ (Form::Extents | Form::Pieces)
                if level.is_none_or(|l| l == 0) && refs.children.is_empty() =>
            {
                self.ready = extents(&mut dec, refs.data, form == Form::Pieces)?;
                if total(&self.ready)? != size {
                    return Err(damaged("a recipe node is not as long as it should be"));
                }
                self.ready.reverse();
            }
            Form::Recipes if refs.data.is_empty() => {
                let own = dec.at_most(LEVELS_MAX, "the level of a recipe node")?;
                if own == 0 || level.is_some_and(|l| l != own) {
                    return Err(damaged("a recipe node is on the wrong level"));
                }
                let mut sizes = child_sizes(&mut dec, refs.children.len(), size)?;
                for (child, size) in refs.children.into_iter().rev().zip(sizes.drain(..).rev()) {
                    self.open.push(Branch { id: child, size, level: Some(own - 1) });
                }
            }
            _ => return Err(damaged("a recipe node is of the wrong form")),
        }
        dec.end()
    }
}

fn extents(dec: &mut Dec<'_>, ids: Vec<ChunkId>, pieced: bool) -> Result<Vec<Extent>> {
    let n = dec.count(NODE_EXTENTS_MAX, "the number of extents")?;
    let mut ids = Ids::new(ids);
    let found = (0..n).map(|_| extent(dec, &mut ids, pieced)).collect::<Result<Vec<_>>>()?;
    if pieced && !has_pieces(&found) {
        return Err(damaged("it is marked as having pieces"));
    }
    if ids.left() == 0 { Ok(found) } else { Err(damaged("it has more ids than chunks")) }
}

fn child_sizes(dec: &mut Dec<'_>, children: usize, size: u64) -> Result<Vec<u64>> {
    let n = dec.count(ENTRIES_MAX, "the number of recipe nodes")?;
    if n != children {
        return Err(damaged("a recipe node's counts differ"));
    }
    let sizes = (0..n).map(|_| dec.int()).collect::<Result<Vec<_>>>()?;
    let sum = sizes.iter().try_fold(0u64, |sum, s| sum.checked_add(*s));
    if sum != Some(size) || sizes.contains(&0) {
        return Err(damaged("a recipe node's lengths do not add up"));
    }
    Ok(sizes)
}

impl Iterator for Recipe {
    type Item = Result<(u64, Extent)>;

    /// The first error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.open.clear();
            self.ready.clear();
        }
        step.transpose()
    }
}
