//! Snapshots that are made of an earlier one: its manifest carried on under the next free name, its chunks stored again where the
//! rules of deduplication ask for it. Rewriting and repairing use it.

use chronos_store::{ChunkId, ChunkKind, ChunkWriter, Repository, Session, SessionStats, SnapshotId};

use crate::backup_id;
use crate::error::{Error, Result};
use crate::node::{Node, NodeKind};
use crate::record::Manifest;
use crate::tree::Tree;

/// The manifest of a successor of `old` with the tree `tree`, whose metadata names `old` under `origin_key`. What was said of the old
/// tree alone is left out.
pub(crate) fn successor(
    repository: &Repository,
    session: &Session,
    old: &Manifest,
    tree: ChunkId,
    origin_key: &str,
) -> Result<Manifest> {
    let mut manifest = Manifest {
        backup_id: backup_id::claim(repository, session, backup_id::base(&old.backup_id), true)?,
        tree,
        report: None,
        unchanged: false,
        signature: None,
        ..old.clone()
    };
    manifest.metadata.insert(origin_key.into(), old.backup_id.clone());
    Ok(manifest)
}

/// A snapshot that was committed, and what else was made.
#[derive(Debug)]
pub(crate) struct Committed<T> {
    /// Its content id.
    pub(crate) id: SnapshotId,
    /// Its name.
    pub(crate) backup_id: String,
    /// What was written.
    pub(crate) stats: SessionStats,
    /// What was made beside the manifest.
    pub(crate) rest: T,
}

/// Commits what was made; after an error the session is closed instead.
pub(crate) fn commit<T>(
    repository: &Repository,
    session: Session,
    made: Result<(Manifest, T)>,
) -> Result<Committed<T>> {
    match made {
        Ok((manifest, rest)) => {
            let bytes =
                serde_json::to_vec(&manifest).map_err(|e| Error::Invalid(format!("manifest: {e}")))?;
            let roots: Vec<ChunkId> = std::iter::once(manifest.tree).chain(manifest.report).collect();
            let (id, stats) = session.commit(&roots, &bytes)?;
            Ok(Committed { id, backup_id: manifest.backup_id, stats, rest })
        }
        Err(error) => {
            // The first error is the one to report; a session that stays open is closed by the next one.
            if let Err(e) = session.close() {
                repository.monitor().problem(&format!("the session stays open until the next run: {e}"));
            }
            Err(error)
        }
    }
}

/// Stores again what may not be referred to in this session.
pub(crate) fn store_again(
    session: &Session,
    tree: &Tree,
    data: &mut ChunkWriter<'_>,
    node: &Node,
) -> Result<()> {
    let NodeKind::File(content) = &node.kind else { return Ok(()) };
    for id in content.chunks() {
        if !session.usable(ChunkKind::Data, id)? {
            data.put(&tree.nodes().data(id)?)?;
        }
    }
    Ok(())
}
