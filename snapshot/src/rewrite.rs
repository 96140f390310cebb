//! Makes a snapshot anew without some of its entries: for a secret that must not be in it.
//!
//! The new snapshot keeps times, names and tags; the old one is forgotten once the new one is committed. Its
//! chunks go with the next prune. Files that stay are stored again if they are pieces of chunks that hold what goes too, so
//! that none of those is needed any more, and where the rules of deduplication ask for it.

use std::collections::HashSet;

use chronos_store::{
    Change, ChunkId, ChunkKind, ChunkWriter, Repository, Session, SessionOptions, SnapshotId,
};

use crate::error::{Error, Result};
use crate::node::{Extent, Node, NodeKind};
use crate::path::TreePath;
use crate::read::Patterns;
use crate::record::{Manifest, Snapshot};
use crate::successor::{Committed, commit, store_again, successor};
use crate::tree::{RawEntry, Tree, TreeBuilder};

/// Key of the metadata that names the snapshot that was rewritten.
const ORIGIN_KEY: &str = "rewritten_from";

/// Whether something is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RewriteMode {
    /// Make the new snapshot, forget the old one.
    #[default]
    Write,
    /// Only say what would go.
    DryRun,
}

/// How a snapshot is rewritten.
#[derive(Clone, Debug)]
pub struct RewriteOptions {
    /// What goes, with everything below it.
    pub exclude: Patterns,
    /// Whether something is written.
    pub mode: RewriteMode,
    /// How the session is begun.
    pub session: SessionOptions,
    /// Further chunks of which the new snapshot may not need pieces: those that [`chunks_of_excluded`] tells of other snapshots.
    pub apart: HashSet<ChunkId>,
}

/// What was rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewriteReport {
    /// Entries that fit a pattern themselves, in order; what lies below them is counted only.
    pub excluded: Vec<TreePath>,
    /// Regular files that went.
    pub files: u64,
    /// Folders that went.
    pub dirs: u64,
    /// Logical bytes that went.
    pub bytes: u64,
    /// Files that stay and were pieces of chunks that hold what went, here or in other snapshots.
    pub moved: u64,
    /// The new snapshot and its `backup_id`; `None` if nothing fitted, or for a dry run.
    pub snapshot: Option<(SnapshotId, String)>,
}

/// Makes `snapshot` anew without what fits, and forgets it. If nothing fits or is to be moved, nothing happens.
///
/// A part of the tree that cannot be read is an error, and then nothing is changed.
pub fn rewrite(
    repository: &Repository,
    snapshot: &Snapshot,
    options: &RewriteOptions,
) -> Result<RewriteReport> {
    let id = &snapshot.manifest.backup_id;
    if snapshot.marks.held {
        return Err(Error::Refused(format!("{id} is held; release it first. Nothing was changed")));
    }
    let view = repository.view()?;
    if !view.snapshots().any(|row| row.session == snapshot.session) {
        return Err(Error::Refused(format!("{id} is deleted; undelete it first. Nothing was changed")));
    }
    let tree = Tree::new(view.reader(), snapshot.manifest.tree);
    let mut apart = options.apart.clone();
    apart.extend(chunks_of(&tree, &options.exclude)?);
    let mut report = counted(&tree, &options.exclude, &apart)?;
    if report.excluded.is_empty() && report.moved == 0 || options.mode == RewriteMode::DryRun {
        return Ok(report);
    }
    let session = repository.begin(options.session.clone())?;
    let manifest = fill(repository, &session, snapshot, (&options.exclude, &apart), &report);
    let Committed { id, backup_id, .. } =
        commit(repository, session, manifest.map(|manifest| (manifest, ())))?;
    let old = &snapshot.session;
    repository.change(&|view| {
        // Somebody else may have forgotten it meanwhile.
        let is_listed = view.snapshots().any(|row| row.session == *old);
        Ok(is_listed.then(|| Change::Forget { snapshots: vec![old.clone()] }))
    })?;
    report.snapshot = Some((id, backup_id));
    Ok(report)
}

/// The chunks of what fits: as long as another file needs a piece of one, it stays.
pub fn chunks_of_excluded(
    repository: &Repository,
    snapshot: &Snapshot,
    exclude: &Patterns,
) -> Result<HashSet<ChunkId>> {
    chunks_of(&Tree::new(repository.view()?.reader(), snapshot.manifest.tree), exclude)
}

fn chunks_of(tree: &Tree, exclude: &Patterns) -> Result<HashSet<ChunkId>> {
    let mut chunks = HashSet::new();
    for_each(tree, exclude, &mut |entry, fate| {
        if fate != Fate::Stays
            && let NodeKind::File(content) = tree.complete(entry)?.kind
        {
            chunks.extend(content.chunks());
        }
        Ok(())
    })?;
    Ok(chunks)
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It fits.
    Fits,
    /// It lies below something that fits.
    Below,
}

/// Hands out all entries of a tree.
fn for_each(
    tree: &Tree,
    exclude: &Patterns,
    take: &mut dyn FnMut(RawEntry, Fate) -> Result<()>,
) -> Result<()> {
    let mut below: Option<TreePath> = None;
    for entry in tree.walk(&TreePath::root()) {
        let entry = entry?;
        let inside = below.as_ref().is_some_and(|b| entry.path.strip(b).is_some());
        let fate = match (inside, exclude.fits(&entry.path, &entry.node)) {
            (true, _) => Fate::Below,
            (false, true) => Fate::Fits,
            (false, false) => Fate::Stays,
        };
        if fate == Fate::Fits {
            below = Some(entry.path.clone());
        }
        take(entry, fate)?;
    }
    Ok(())
}

/// Counts what goes and what is to be moved.
fn counted(tree: &Tree, exclude: &Patterns, apart: &HashSet<ChunkId>) -> Result<RewriteReport> {
    let mut report = RewriteReport::default();
    for_each(tree, exclude, &mut |entry, fate| {
        if fate == Fate::Stays {
            let is_file = matches!(entry.node.kind, NodeKind::File(_));
            if is_file && !apart.is_empty() {
                report.moved += u64::from(lies_with(&tree.complete(entry)?, apart));
            }
            return Ok(());
        }
        report.files += u64::from(matches!(entry.node.kind, NodeKind::File(_)));
        report.dirs += u64::from(entry.node.is_dir());
        report.bytes += entry.node.size();
        if fate == Fate::Fits {
            report.excluded.push(entry.path);
        }
        Ok(())
    })?;
    Ok(report)
}

/// Whether it needs a piece of one of these chunks.
fn needs_piece(extent: &Extent, apart: &HashSet<ChunkId>) -> bool {
    matches!(extent, Extent::Assembled(made) if made.pieces.iter().any(|piece| apart.contains(&piece.chunk)))
}

fn lies_with(node: &Node, apart: &HashSet<ChunkId>) -> bool {
    matches!(&node.kind, NodeKind::File(content) if content.extents.iter().any(|extent| needs_piece(extent, apart)))
}

/// Stores what is put together of pieces of these chunks as chunks of its own.
fn separate(
    tree: &Tree,
    data: &mut ChunkWriter<'_>,
    node: &mut Node,
    apart: &HashSet<ChunkId>,
) -> Result<()> {
    let NodeKind::File(content) = &mut node.kind else { return Ok(()) };
    for extent in content.extents.iter_mut().filter(|extent| needs_piece(extent, apart)) {
        let bytes = tree.nodes().bytes(extent)?;
        *extent = Extent::Data { id: data.put(&bytes)?.id, len: bytes.len() as u32 };
    }
    Ok(())
}

/// Stores the new tree and makes the new manifest.
fn fill(
    repository: &Repository,
    session: &Session,
    snapshot: &Snapshot,
    (exclude, apart): (&Patterns, &HashSet<ChunkId>),
    gone: &RewriteReport,
) -> Result<Manifest> {
    let tree = Tree::new(session.view().reader(), snapshot.manifest.tree);
    let trusted = session.may_reuse(&snapshot.session);
    let mut data = session.writer(ChunkKind::Data);
    let mut builder = TreeBuilder::new(session);
    for_each(&tree, exclude, &mut |entry, fate| {
        if fate != Fate::Stays {
            return Ok(());
        }
        if trusted && apart.is_empty() {
            return builder.add_stored(&entry.path, &entry.node, entry.recipe);
        }
        let path = entry.path.clone();
        let mut node = tree.complete(entry)?;
        separate(&tree, &mut data, &mut node, apart)?;
        if !trusted {
            store_again(session, &tree, &mut data, &node)?;
        }
        builder.add(&path, &node)
    })?;
    data.finish()?;
    let root = builder.finish()?;
    let old = &snapshot.manifest;
    let mut manifest = Manifest {
        tags: snapshot.tags().to_vec(),
        files: old.files.saturating_sub(gone.files),
        dirs: old.dirs.saturating_sub(gone.dirs),
        size_bytes: old.size_bytes.saturating_sub(gone.bytes),
        added_bytes: session.flush()?.bytes_stored,
        ..successor(repository, session, old, root, ORIGIN_KEY)?
    };
    // The full list of errors may name what must go; it is not taken over, and the first ones are sifted.
    manifest.errors.retain(|e| !names_excluded(exclude, &e.path));
    Ok(manifest)
}

fn names_excluded(exclude: &Patterns, path: &str) -> bool {
    crate::resolve::parse_path(path).is_ok_and(|path| exclude.covers(&path))
}
