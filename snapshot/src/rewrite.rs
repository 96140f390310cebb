//! Makes a snapshot anew without some of its entries: for a secret that must not be in it.
//!
//! The new snapshot keeps times, names and tags; the old one is forgotten once the new one is committed. Its
//! chunks go with the next prune. Nothing of files that stay is stored again unless the rules of
//! deduplication ask for it.

use chronos_store::{Change, ChunkKind, Repository, Session, SessionOptions, SnapshotId};

use crate::error::{Error, Result};
use crate::node::NodeKind;
use crate::path::TreePath;
use crate::read::Patterns;
use crate::record::{Manifest, Snapshot};
use crate::successor::{commit, store_again, successor};
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
    /// The new snapshot and its `backup_id`; `None` if nothing fitted, or for a dry run.
    pub snapshot: Option<(SnapshotId, String)>,
}

/// Makes `snapshot` anew without what fits, and forgets it. Without a match nothing happens.
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
    let mut report = RewriteReport::default();
    for_each_kept(&tree, &options.exclude, &mut report, &mut |_| Ok(()))?;
    if report.excluded.is_empty() || options.mode == RewriteMode::DryRun {
        return Ok(report);
    }
    let session = repository.begin(options.session.clone())?;
    let manifest = fill(repository, &session, snapshot, options, &report);
    let (new, name, ()) = commit(repository, session, manifest.map(|manifest| (manifest, ())))?;
    let old = &snapshot.session;
    repository.change(&|view| {
        // Somebody else may have forgotten it meanwhile.
        let is_listed = view.snapshots().any(|row| row.session == *old);
        Ok(is_listed.then(|| Change::Forget { snapshots: vec![old.clone()] }))
    })?;
    report.snapshot = Some((new, name));
    Ok(report)
}

/// Walks over a tree; counts what fits and hands out the rest.
fn for_each_kept(
    tree: &Tree,
    exclude: &Patterns,
    report: &mut RewriteReport,
    keep: &mut dyn FnMut(RawEntry) -> Result<()>,
) -> Result<()> {
    let mut below: Option<TreePath> = None;
    for entry in tree.walk(&TreePath::root()) {
        let entry = entry?;
        let inside = below.as_ref().is_some_and(|b| entry.path.strip(b).is_some());
        if !inside && !exclude.fits(&entry.path, &entry.node) {
            keep(entry)?;
            continue;
        }
        let RawEntry { path, node, .. } = entry;
        report.files += u64::from(matches!(node.kind, NodeKind::File(_)));
        report.dirs += u64::from(node.is_dir());
        report.bytes += node.size();
        if !inside {
            report.excluded.push(path.clone());
            below = Some(path);
        }
    }
    Ok(())
}

/// Stores the new tree and makes the new manifest.
fn fill(
    repository: &Repository,
    session: &Session,
    snapshot: &Snapshot,
    options: &RewriteOptions,
    gone: &RewriteReport,
) -> Result<Manifest> {
    let tree = Tree::new(session.view().reader(), snapshot.manifest.tree);
    let trusted = session.may_reuse(&snapshot.session);
    let mut data = session.writer(ChunkKind::Data);
    let mut builder = TreeBuilder::new(session);
    for_each_kept(&tree, &options.exclude, &mut RewriteReport::default(), &mut |entry| {
        if trusted {
            return builder.add_stored(&entry.path, &entry.node, entry.recipe);
        }
        let path = entry.path.clone();
        let node = tree.complete(entry)?;
        store_again(session, &tree, &mut data, &node)?;
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
        ..successor(repository, old, root, ORIGIN_KEY)?
    };
    // The full list of errors may name what must go; it is not taken over, and the first ones are sifted.
    manifest.errors.retain(|e| !names_excluded(&options.exclude, &e.path));
    Ok(manifest)
}

fn names_excluded(exclude: &Patterns, path: &str) -> bool {
    crate::resolve::parse_path(path).is_ok_and(|path| exclude.covers(&path))
}
