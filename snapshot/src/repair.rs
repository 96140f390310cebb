//! Makes a snapshot anew of what can still be read of it. The damaged one stays.

use std::collections::BTreeSet;

use chronos_store::{ChunkKind, Repository, Session, SessionOptions, SnapshotId};

use crate::error::{Error, ErrorKind, Result};
use crate::node::{Node, NodeKind, Time};
use crate::path::TreePath;
use crate::record::{Manifest, PathError, Snapshot};
use crate::rewrite::RewriteMode;
use crate::source::made;
use crate::successor::{Committed, commit, store_again, successor};
use crate::tree::{Tree, TreeBuilder};

/// Errors that stand in the manifest itself; more are only counted.
const MANIFEST_ERRORS_MAX: usize = 100;
/// Key of the metadata that names the damaged snapshot.
const ORIGIN_KEY: &str = "repaired_from";
/// Permissions of a folder whose own entry is lost: its owner may see to them.
const FOLDER_MODE: u32 = 0o700;

/// What was saved of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRepair {
    /// What cannot be read, and why; empty: the snapshot is whole and nothing was done.
    pub lost: Vec<PathError>,
    /// Regular files that can be read.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Logical bytes of the files.
    pub bytes: u64,
    /// The new snapshot and its `backup_id`; `None` for a dry run or if nothing is lost.
    pub snapshot: Option<(SnapshotId, String)>,
}

/// Reads everything of `snapshot`; if part of it cannot be read, the rest becomes a new, partial snapshot.
pub fn repair_snapshot(
    repository: &Repository,
    snapshot: &Snapshot,
    mode: RewriteMode,
    session: &SessionOptions,
) -> Result<SnapshotRepair> {
    let view = repository.as_stored().view()?;
    let tree = Tree::new(view.reader(), snapshot.manifest.tree);
    let mut report = SnapshotRepair::default();
    for_each_good(&tree, &mut report, &mut |_, _| Ok(()))?;
    if report.lost.is_empty() || mode == RewriteMode::DryRun {
        return Ok(report);
    }
    let session = repository.begin(session.clone())?;
    let made = fill(repository, &session, snapshot, &tree);
    let Committed { id, backup_id, rest, .. } = commit(repository, session, made)?;
    Ok(SnapshotRepair { snapshot: Some((id, backup_id)), ..rest })
}

/// Hands out every entry that can be read in full, with folders for those whose own are lost; notes the rest.
fn for_each_good(
    tree: &Tree,
    report: &mut SnapshotRepair,
    keep: &mut dyn FnMut(&TreePath, &Node) -> Result<()>,
) -> Result<()> {
    let mut folders = BTreeSet::from([TreePath::root()]);
    // Only damage is a loss: what could not be read this time may be whole.
    let lose = |report: &mut SnapshotRepair, path: String, error: Error| match error.kind() {
        ErrorKind::Damaged => {
            report.lost.push(PathError { path, error: error.to_string() });
            Ok(())
        }
        _ => Err(error),
    };
    for entry in tree.range(&TreePath::root()) {
        let (path, node) = match entry {
            Ok(entry) => entry,
            Err(error) => {
                lose(report, "part of the tree".to_owned(), error)?;
                continue;
            }
        };
        if let Err(error) = read_all(tree, &node) {
            lose(report, path.to_string(), error)?;
            continue;
        }
        let mut missing = Vec::new();
        let mut above = path.parent();
        while let Some(folder) = above.filter(|f| !folders.contains(f)) {
            above = folder.parent();
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            keep(&folder, &made(NodeKind::Dir, FOLDER_MODE, Time::default()))?;
            report.dirs += 1;
            folders.insert(folder);
        }
        if node.is_dir() {
            folders.insert(path.clone());
        }
        report.dirs += u64::from(node.is_dir());
        report.files += u64::from(matches!(node.kind, NodeKind::File(_)));
        report.bytes += node.size();
        keep(&path, &node)?;
    }
    Ok(())
}

/// Every chunk of a file, checked against its id.
fn read_all(tree: &Tree, node: &Node) -> Result<()> {
    let NodeKind::File(content) = &node.kind else { return Ok(()) };
    for extent in &content.extents {
        tree.nodes().bytes(extent)?;
    }
    Ok(())
}

fn fill(
    repository: &Repository,
    session: &Session,
    snapshot: &Snapshot,
    tree: &Tree,
) -> Result<(Manifest, SnapshotRepair)> {
    let mut done = SnapshotRepair::default();
    let mut data = session.writer(ChunkKind::Data);
    let mut builder = TreeBuilder::new(session);
    for_each_good(tree, &mut done, &mut |path, node| {
        store_again(session, tree, &mut data, node)?;
        builder.add(path, node)
    })?;
    data.finish()?;
    let root = builder.finish()?;
    let old = &snapshot.manifest;
    let mut manifest = Manifest {
        status: "partial".to_owned(),
        tags: snapshot.tags().to_vec(),
        files: done.files,
        dirs: done.dirs,
        size_bytes: done.bytes,
        added_bytes: session.stats().bytes_added,
        error_count: old.error_count + done.lost.len() as u64,
        ..successor(repository, session, old, root, ORIGIN_KEY)?
    };
    manifest.errors.extend(done.lost.iter().cloned());
    manifest.errors.truncate(MANIFEST_ERRORS_MAX);
    Ok((manifest, done))
}
