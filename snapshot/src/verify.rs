//! Whether one snapshot restores: everything that a restore reads is read, and put together as it would be.
//!
//! The store knows chunks alone: it looks whether lists, names and all that they name are there. What a file is made of is known
//! here: every chunk is read once and has the length that the tree says, and the pieces of each chunk that is stored as pieces make
//! the bytes that it is named after.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::{
    ChunkId, ChunkMark, ChunkSet, Error as StoreError, Finding, Reader, Repository, Verdict, VerifyReport,
    View, Wanted,
};

use crate::error::{Error, ErrorKind, Result};
use crate::node::{Extent, Piece};
use crate::path::TreePath;
use crate::record::Snapshot;
use crate::tree::{Part, RawEntry, Tree};

/// Chunks asked for at once; bounds the memory of the plan.
const WANTED_MAX: usize = 1 << 16;
/// Bytes that are put together at once.
const BYTES_MAX: u64 = 32 << 20;
/// Nodes of recipes that are remembered: some megabytes. Those of honest trees repeat little.
const NODES_HELD_MAX: usize = 1 << 16;
/// Most nodes of recipes that are read: they have at least eight ids each, so more than any snapshot needs; a tree that lies can name
/// the same ones over and over.
const NODES_MAX: usize = 1 << 24;
/// Findings that are listed; beyond that the snapshot is lost.
const FINDINGS_MAX: usize = 10_000;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether everything is there; trees alone are read.
    Presence,
    /// Every byte.
    Everything,
}

/// Looks at everything that a restore of `snapshot` needs. It proves what is stored if repository and view are of
/// [`Repository::as_stored`].
pub fn verify(
    repository: &Repository,
    view: &Arc<View>,
    snapshot: &Snapshot,
    depth: Depth,
) -> Result<VerifyReport> {
    let manifest = &snapshot.manifest;
    let mut report = repository.verify(view, &[manifest.tree], true)?;
    if let Some(list) = manifest.report {
        let errors = repository.verify(view, &[list], depth == Depth::Presence)?;
        report.chunks += errors.chunks;
        report.bytes += errors.bytes;
        worsen(&mut report, errors.verdict);
        errors.errors.into_iter().for_each(|finding| add(&mut report, finding));
    }
    if depth == Depth::Everything {
        let reader = view.reader();
        let tree = Tree::new(reader.clone(), manifest.tree);
        let window = Window::default();
        let (seen, nodes) = (view.chunk_set()?, HashSet::new());
        Contents { repository, view, reader, seen, nodes, entered: 0, window, report: &mut report }
            .all(&tree)?;
    }
    Ok(report)
}

/// Of two verdicts the worse one.
fn worsen(report: &mut VerifyReport, verdict: Verdict) {
    report.verdict = match (report.verdict, verdict) {
        (Verdict::Corrupted, _) | (_, Verdict::Corrupted) => Verdict::Corrupted,
        (Verdict::Missing, _) | (_, Verdict::Missing) => Verdict::Missing,
        _ => Verdict::Verified,
    };
}

fn add(report: &mut VerifyReport, finding: Finding) {
    if report.errors.len() < FINDINGS_MAX && !report.errors.contains(&finding) {
        report.errors.push(finding);
    }
}

/// A chunk that is put together.
#[derive(Debug)]
struct Made {
    path: TreePath,
    mark: ChunkMark,
    bytes: Vec<u8>,
    /// Pieces that have not come.
    left: usize,
}

/// What a chunk is wanted for.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// It is an extent of this length.
    Whole(u32),
    /// A piece of it belongs to a chunk that is put together: which, and where in it.
    Part { made: usize, at: usize, piece: Piece },
}

/// What is read in one go.
#[derive(Debug, Default)]
struct Window {
    wanted: Vec<Wanted>,
    uses: Vec<Use>,
    made: Vec<Mutex<Made>>,
    bytes: u64,
}

impl Window {
    fn want(&mut self, id: ChunkId, as_what: Use) {
        self.wanted.push(Wanted { id, token: self.uses.len() as u64, part: None });
        self.uses.push(as_what);
    }

    /// How many bytes of a chunk are wanted.
    fn used(&self, token: u64) -> u64 {
        let wanted = usize::try_from(token).ok().and_then(|number| self.uses.get(number));
        wanted.map_or(0, |wanted| match wanted {
            Use::Whole(len) => u64::from(*len),
            Use::Part { piece, .. } => u64::from(piece.len),
        })
    }

    /// Takes what came; what is wrong with it.
    fn take(&self, token: u64, chunk: &[u8], has_mark: &dyn Fn(ChunkMark, &[u8]) -> bool) -> Option<Finding> {
        let number = usize::try_from(token).ok()?;
        let (made, at, piece) = match self.uses.get(number)? {
            Use::Whole(len) if chunk.len() as u64 == u64::from(*len) => return None,
            Use::Whole(len) => {
                let id = self.wanted.get(number)?.id;
                return Some(finding(
                    format!("chunk {id}"),
                    format!("it has {} bytes instead of {len}", chunk.len()),
                ));
            }
            Use::Part { made, at, piece } => (self.made.get(*made)?, *at, piece),
        };
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(part) = piece.of(chunk) else {
            return Some(finding(&made.path, format!("chunk {} is too short", piece.chunk)));
        };
        if let Some(place) = made.bytes.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
        made.left -= 1;
        if made.left > 0 {
            return None;
        }
        let bytes = std::mem::take(&mut made.bytes);
        (!has_mark(made.mark, &bytes))
            .then(|| finding(&made.path, format!("the pieces of chunk {} make something else", made.mark)))
    }
}

fn finding(object: impl ToString, problem: impl ToString) -> Finding {
    Finding { object: object.to_string(), problem: problem.to_string(), snapshots: Vec::new() }
}

/// Reads the contents of all files of a tree.
struct Contents<'v> {
    repository: &'v Repository,
    view: &'v View,
    reader: Reader,
    /// Chunks that were read whole.
    seen: ChunkSet<'v>,
    /// Nodes of recipes, and the lengths that they must have.
    nodes: HashSet<(ChunkId, u64)>,
    /// How many were read.
    entered: usize,
    window: Window,
    report: &'v mut VerifyReport,
}

impl Contents<'_> {
    fn all(mut self, tree: &Tree) -> Result<()> {
        for entry in tree.walk(&TreePath::root()) {
            let entry = match entry {
                Err(e) => {
                    self.fail_unless_io(e)?;
                    continue;
                }
                Ok(entry) => entry,
            };
            self.file(tree, &entry)?;
        }
        self.flush()
    }

    /// Looks at the extents of a file; a node of a recipe is looked at once.
    fn file(&mut self, tree: &Tree, entry: &RawEntry) -> Result<()> {
        let mut recipe = tree.recipe(entry);
        while let Some(part) = recipe.part() {
            let branch = match part {
                Part::Extent(extent) => {
                    self.extent(&entry.path, extent)?;
                    continue;
                }
                Part::Branch(branch) if self.nodes.contains(&(branch.id, branch.size)) => continue,
                Part::Branch(branch) => branch,
            };
            self.entered += 1;
            if self.entered > NODES_MAX {
                self.fail(finding(&entry.path, "its recipe has too many nodes"), Verdict::Corrupted);
                break;
            }
            if self.nodes.len() < NODES_HELD_MAX {
                self.nodes.insert((branch.id, branch.size));
            }
            recipe.enter(branch).or_else(|e| self.fail_unless_io(e))?;
        }
        Ok(())
    }

    fn extent(&mut self, path: &TreePath, extent: Extent) -> Result<()> {
        match extent {
            Extent::Hole { .. } | Extent::Zero { .. } => return Ok(()),
            Extent::Data { id, len } => {
                if self.seen.insert(&id)? {
                    self.window.want(id, Use::Whole(len));
                } else if let Some(stored) = self.view.length(&id)?.filter(|stored| *stored != len) {
                    let problem = format!("chunk {id} has {stored} bytes instead of {len}");
                    self.fail(finding(path, problem), Verdict::Corrupted);
                }
            }
            Extent::Assembled(assembled) => {
                let number = self.window.made.len();
                let mut at = 0;
                for piece in &assembled.pieces {
                    self.window.want(piece.chunk, Use::Part { made: number, at, piece: *piece });
                    at += piece.len as usize;
                }
                let bytes = vec![0; assembled.len as usize];
                let left = assembled.pieces.len();
                self.window.bytes += bytes.len() as u64;
                self.window.made.push(Mutex::new(Made {
                    path: path.clone(),
                    mark: assembled.mark,
                    bytes,
                    left,
                }));
            }
        }
        if self.window.wanted.len() >= WANTED_MAX || self.window.bytes >= BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let window = std::mem::take(&mut self.window);
        let found = Mutex::new(Vec::new());
        let bytes = AtomicU64::new(0);
        let threads = self.repository.env().cores();
        let (reader, monitor) = (&self.reader, self.repository.monitor());
        let has_mark = |mark: ChunkMark, bytes: &[u8]| reader.has_mark(mark, bytes);
        let failed = reader.fetch(&window.wanted, threads, &|token, chunk| {
            let used = window.used(token);
            bytes.fetch_add(used, Ordering::Relaxed);
            monitor.advance(1, used);
            if let Some(finding) = window.take(token, chunk, &has_mark) {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
            }
            Ok(())
        })?;
        self.report.bytes += bytes.into_inner();
        for finding in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.fail(finding, Verdict::Corrupted);
        }
        for (_, error) in failed {
            self.fail_of(&error);
        }
        Ok(())
    }

    fn fail(&mut self, finding: Finding, verdict: Verdict) {
        worsen(self.report, verdict);
        add(self.report, finding);
    }

    fn fail_of(&mut self, error: &StoreError) {
        let missing = matches!(error, StoreError::Missing { .. });
        self.fail(Finding::of(error), if missing { Verdict::Missing } else { Verdict::Corrupted });
    }

    /// Damage is a finding; what could not be read this time may be whole.
    fn fail_unless_io(&mut self, error: Error) -> Result<()> {
        match error {
            Error::Store(e) if e.kind() == ErrorKind::Damaged => self.fail_of(&e),
            Error::Damaged { what, why } => self.fail(finding(what, why), Verdict::Corrupted),
            other => return Err(other),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
