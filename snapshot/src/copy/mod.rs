//! Copies snapshots into another repository, which has keys of its own.
//!
//! A tree is walked entry by entry and built anew at the destination, where files stay cut as they are. If both share the keys that name
//! chunks (`init --like`), a chunk has one name in both, and only what the destination does not have is read. Else chunks are read, and
//! get the names that the destination's keys give them; what an earlier snapshot that was copied before has is not read again ([`base`]).
//!
//! A copy names its origin in its metadata, by which it is known again: a snapshot is copied once.

mod base;
mod window;

use std::sync::Mutex;

use chronos_store::{
    Change, ChunkId, ChunkKind, Marks, Repository, Session, SessionId, SessionOptions, SessionStats,
    SnapshotId, SnapshotRow, check_cancelled,
};

use crate::backup::{MANIFEST_ERRORS_MAX, read_errors, store_errors};
use crate::backup_id;
use crate::error::{Error, ErrorKind, Result};
use crate::path::TreePath;
use crate::record::{Manifest, PathError, Snapshot};
use crate::resolve::listed;
use crate::successor::{Committed, commit};
use crate::tree::{Tree, TreeBuilder};

use base::Base;
use window::Window;

/// Key of the metadata that names where a snapshot was copied from: `REPOSITORY/SNAPSHOT`, both by their ids.
const ORIGIN_KEY: &str = "copied_from";

/// Copies snapshots of one repository into another.
#[derive(Debug)]
pub struct Copier<'r> {
    from: &'r Repository,
    to: &'r Repository,
    session: SessionOptions,
    /// The snapshots of the source, oldest first: of those some may have been copied before.
    snapshots: Vec<Snapshot>,
}

/// What became of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyOutcome {
    /// The destination has it: under this content id and name.
    Present(SnapshotId, String),
    /// It was copied.
    Copied {
        /// Content id of the copy.
        snapshot: SnapshotId,
        /// Name of the copy: the same, unless that was taken.
        backup_id: String,
        /// What was written.
        stats: SessionStats,
    },
    /// Not all of it can be read: nothing of it is listed at the destination.
    Unreadable {
        /// What cannot be read, and why; the first ones.
        lost: Vec<PathError>,
        /// How many things cannot be read.
        count: u64,
    },
}

/// What cannot be read of a snapshot.
#[derive(Debug, Default)]
struct Lost {
    first: Vec<PathError>,
    count: u64,
}

impl Lost {
    /// Notes damage; every other error is handed back, since what could not be read this time may be whole.
    fn note(&mut self, path: impl ToString, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Damaged {
            return Err(error);
        }
        self.count += 1;
        if self.first.len() < MANIFEST_ERRORS_MAX {
            self.first.push(PathError { path: path.to_string(), error: error.to_string() });
        }
        Ok(())
    }
}

impl<'r> Copier<'r> {
    /// Copies from the one repository into the other.
    ///
    /// # Errors
    /// [`Error::Refused`] if both are the same.
    pub fn new(from: &'r Repository, to: &'r Repository, session: SessionOptions) -> Result<Self> {
        if from.id() == to.id() {
            return Err(Error::Refused(
                "the destination is this repository, or a mirror of it: snapshots are copied into another one; \
                 `chronos sync` keeps a mirror"
                    .into(),
            ));
        }
        let (snapshots, _) = listed(&*from.view()?);
        Ok(Self { from, to, session, snapshots })
    }

    /// The copy of a snapshot that the destination has, if it has one.
    pub fn present(&self, snapshot: &Snapshot) -> Result<Option<Snapshot>> {
        let (there, _) = listed(&*self.to.view()?);
        Ok(self.copy_of(snapshot, &there).cloned())
    }

    /// Copies a snapshot, unless the destination has it. A hold is set at the copy too.
    ///
    /// # Errors
    /// Damage of what is copied is no error, but an outcome.
    pub fn copy(&self, snapshot: &Snapshot) -> Result<CopyOutcome> {
        if let Some(copy) = self.present(snapshot)? {
            self.hold(snapshot, &copy.session)?;
            return Ok(CopyOutcome::Present(copy.id, copy.manifest.backup_id));
        }
        let session = self.to.begin(self.session.clone())?;
        let key = session.id().clone();
        let mut lost = Lost::default();
        let filled = self.fill(&session, snapshot, &mut lost);
        if filled.is_ok() && lost.count > 0 {
            // What was brought stays and is not read again once the damage is mended.
            session.close()?;
            return Ok(CopyOutcome::Unreadable { lost: lost.first, count: lost.count });
        }
        let made = filled.and_then(|roots| self.manifest(&session, snapshot, roots));
        let Committed { id, backup_id, stats, .. } = commit(self.to, session, made.map(|m| (m, ())))?;
        self.hold(snapshot, &key)?;
        Ok(CopyOutcome::Copied { snapshot: id, backup_id, stats })
    }

    /// How the origin of a copy is written.
    fn origin(&self, id: SnapshotId) -> String {
        format!("{}/{id}", self.from.id())
    }

    /// Which of the snapshots at the destination is a copy of this one, or the one that this is a copy of. One that is known to be damaged
    /// is none.
    fn copy_of<'s>(&self, snapshot: &Snapshot, there: &'s [Snapshot]) -> Option<&'s Snapshot> {
        let origin = self.origin(snapshot.id);
        let own = snapshot.manifest.metadata.get(ORIGIN_KEY);
        there.iter().filter(|s| !matches!(s.status(), "corrupted" | "missing")).find(|there| {
            there.manifest.metadata.get(ORIGIN_KEY) == Some(&origin)
                || own.is_some_and(|own| *own == format!("{}/{}", self.to.id(), there.id))
        })
    }

    /// The snapshot that this one was compared with, or else the newest one of its target before it, if the destination has a copy.
    fn base(&self, session: &Session, snapshot: &Snapshot, there: &[Snapshot]) -> Result<Option<Base>> {
        let taken = snapshot.taken_at();
        let is_earlier =
            |s: &&Snapshot| s.manifest.target == snapshot.manifest.target && s.taken_at() < taken;
        let parent = self.snapshots.iter().find(|s| Some(s.id) == snapshot.manifest.parent);
        let earlier = self.snapshots.iter().rev().filter(is_earlier);
        let found = parent.into_iter().chain(earlier).find_map(|old| Some((old, self.copy_of(old, there)?)));
        found.map(|(old, copy)| Base::new(self.from, old, session, copy)).transpose()
    }

    /// Stores the tree, and the list of errors that stands beside it; returns their roots, which mean nothing if something was lost.
    fn fill(
        &self,
        session: &Session,
        snapshot: &Snapshot,
        lost: &mut Lost,
    ) -> Result<(ChunkId, Option<ChunkId>)> {
        let reader = self.from.view()?.reader();
        let tree = Tree::new(reader.clone(), snapshot.manifest.tree);
        let is_alike = self.from.names_chunks_like(self.to);
        let (there, _) = listed(session.view());
        let mut base = if is_alike { None } else { self.base(session, snapshot, &there)? };
        let data = Mutex::new(session.writer(ChunkKind::Data));
        let mut builder = TreeBuilder::new(session);
        let mut window = Window::new((&tree, &reader), self.to, session, is_alike);
        let monitor = self.to.monitor();
        monitor.phase("copy");
        monitor.total(snapshot.manifest.files + snapshot.manifest.dirs, snapshot.manifest.size_bytes);
        for entry in tree.range(&TreePath::root()) {
            let (path, node) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    lost.note("part of the tree", error)?;
                    continue;
                }
            };
            window.add(path, node, base.as_mut())?;
            if window.is_full() {
                check_cancelled(&**monitor)?;
                window.empty(&data, &mut builder, lost)?;
            }
        }
        window.empty(&data, &mut builder, lost)?;
        window::into_inner(data).finish()?;
        let report = match snapshot.manifest.report.map(|_| read_errors(&reader, &snapshot.manifest)) {
            None => None,
            Some(Ok(errors)) => store_errors(session, &errors)?,
            Some(Err(error)) => {
                lost.note("the list of what the backup could not read", error)?;
                None
            }
        };
        Ok((builder.finish()?, report))
    }

    /// The manifest of the copy, under a name that is free.
    fn manifest(
        &self,
        session: &Session,
        snapshot: &Snapshot,
        (tree, report): (ChunkId, Option<ChunkId>),
    ) -> Result<Manifest> {
        let old = &snapshot.manifest;
        let (there, _) = listed(session.view());
        let parent = self.snapshots.iter().find(|s| Some(s.id) == old.parent);
        let parent = parent.and_then(|p| self.copy_of(p, &there)).map(|copy| copy.id);
        let mut manifest = Manifest {
            backup_id: backup_id::claim_same(self.to, session, &old.backup_id)?,
            tags: snapshot.tags().to_vec(),
            unchanged: old.unchanged && parent.is_some(),
            parent,
            tree,
            report,
            added_bytes: session.flush()?.bytes_stored,
            signature: None,
            ..old.clone()
        };
        manifest.metadata.insert(ORIGIN_KEY.into(), self.origin(snapshot.id));
        Ok(manifest)
    }

    /// A held snapshot is held at the destination too, also if it was held after it was copied.
    fn hold(&self, snapshot: &Snapshot, copy: &SessionId) -> Result<()> {
        if !snapshot.marks.held {
            return Ok(());
        }
        self.to.change(&|view| {
            let row = view.snapshots().find(|row| row.session == *copy && !row.marks.held);
            let held = |row: &SnapshotRow| Marks { held: true, ..row.marks.clone() };
            Ok(row.map(|row| Change::Mark { marks: vec![(copy.clone(), held(row))] }))
        })?;
        Ok(())
    }
}
