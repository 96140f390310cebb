//! Makes a snapshot anew without some of its entries: for a secret that must not be in it.
//!
//! The new snapshot keeps times, names and tags; the old one is forgotten once the new one is committed. Its
//! chunks go with the next prune. Nothing of files that stay is stored again unless the rules of
//! deduplication ask for it.

use chronos_store::{Change, ChunkKind, ChunkWriter, Repository, Session, SessionOptions, SnapshotId};

use crate::error::{Error, Result};
use crate::node::{Extent, Node, NodeKind};
use crate::path::TreePath;
use crate::read::Patterns;
use crate::record::{Manifest, Snapshot};
use crate::tree::{RawEntry, Tree, TreeBuilder};

/// Most snapshots of one backup id; a name beyond it is refused.
const NAMES_MAX: u32 = 10_000;

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
    let tree = Tree::new(view.reader(), snapshot.manifest.tree);
    let mut report = RewriteReport::default();
    for_each_kept(&tree, &options.exclude, &mut report, &mut |_| Ok(()))?;
    if report.excluded.is_empty() || options.mode == RewriteMode::DryRun {
        return Ok(report);
    }
    let session = repository.begin(options.session.clone())?;
    let manifest = match fill(repository, &session, snapshot, options, &report) {
        Ok(manifest) => manifest,
        Err(error) => {
            // The first error is the one to report; a session that stays open is closed by the next one.
            if let Err(e) = session.close() {
                repository.monitor().problem(&format!("the session stays open until the next run: {e}"));
            }
            return Err(error);
        }
    };
    let bytes = serde_json::to_vec(&manifest).map_err(|e| Error::Invalid(format!("manifest: {e}")))?;
    let (new, _) = session.commit(&[manifest.tree], &bytes)?;
    let old = snapshot.session.clone();
    repository.change(&|_| Ok(Some(Change::Forget { snapshots: vec![old.clone()] })))?;
    report.snapshot = Some((new, manifest.backup_id));
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
        keep_chunks(session, &tree, &mut data, &node)?;
        builder.add(&path, &node)
    })?;
    data.finish()?;
    let root = builder.finish()?;
    let old = &snapshot.manifest;
    let mut manifest = Manifest {
        backup_id: claim(repository, &old.backup_id)?,
        tags: snapshot.tags().to_vec(),
        tree: root,
        // The full list of errors may name what must go; the first ones are sifted below.
        report: None,
        unchanged: false,
        signature: None,
        files: old.files.saturating_sub(gone.files),
        dirs: old.dirs.saturating_sub(gone.dirs),
        size_bytes: old.size_bytes.saturating_sub(gone.bytes),
        added_bytes: session.flush()?.bytes_stored,
        ..old.clone()
    };
    manifest.errors.retain(|e| !names_excluded(&options.exclude, &e.path));
    manifest.metadata.insert(ORIGIN_KEY.into(), old.backup_id.clone());
    Ok(manifest)
}

fn names_excluded(exclude: &Patterns, path: &str) -> bool {
    crate::resolve::parse_path(path).is_ok_and(|path| exclude.covers(&path))
}

/// Stores again what may not be referred to in this session.
fn keep_chunks(session: &Session, tree: &Tree, data: &mut ChunkWriter<'_>, node: &Node) -> Result<()> {
    let NodeKind::File(content) = &node.kind else { return Ok(()) };
    for extent in &content.extents {
        if let Extent::Data { id, .. } = extent
            && !session.usable(ChunkKind::Data, id)?
        {
            data.put(&tree.nodes().data(id)?)?;
        }
    }
    Ok(())
}

/// Takes the next free name after `old`, which ends with `_n` or not.
pub(crate) fn claim(repository: &Repository, old: &str) -> Result<String> {
    let is_count = |n: &str| (1..6).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    let base = match old.rsplit_once('_') {
        Some((base, n)) if is_count(n) => base,
        _ => old,
    };
    for n in 2..NAMES_MAX {
        let id = format!("{base}_{n}");
        if repository.claim_name(&id)? {
            return Ok(id);
        }
    }
    Err(Error::Refused(format!("no free name is left after {old}; nothing was committed")))
}
