//! The previous snapshot: which one it is, what it has at a path, and whether a file is as it was there.

use std::collections::{BTreeMap, BTreeSet};

use chronos_store::{ChunkId, ChunkKind, Reader, Session, SnapshotId, SnapshotRow, Verdict, View};
use jiff::Timestamp;

use crate::backup::ahead::Ahead;
use crate::backup::options::{BackupOptions, ChangeTest, ParentChoice};
use crate::error::{Error, Result};
use crate::node::{Content, Node, NodeKind, Time};
use crate::path::TreePath;
use crate::record::{Snapshot, SourceResult};
use crate::tree::{RawEntry, Tree};

/// A file changed less than this before the previous backup began may have changed again within the same tick of the
/// clock, unseen. Linux stamps files with its timer tick, 10 ms at most.
const TICK_NANOS: i128 = 20_000_000;
/// The same for file systems that keep whole seconds; FAT keeps even ones.
const COARSE_TICK_NANOS: i128 = 2_000_000_000;

/// The snapshots that a backup refers to.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    /// What files are compared with.
    pub(crate) parent: Option<Snapshot>,
    /// The newest good snapshot of the same scope, which decides whether anything has changed; none of those that
    /// hold the state before a rollback.
    pub(crate) good: Option<Snapshot>,
    /// The sources that are not to drop, as they were in the newest good snapshot of the same scope that has them.
    pub(crate) sources: BTreeMap<String, SourceResult>,
    /// Somebody chose the parent: nothing else is compared with.
    is_given: bool,
}

impl Previous {
    /// What files are compared with: the parent, and what that does not have because it is partial, with the newest good
    /// one. Otherwise all that is of a source that failed once would count as new when it is back.
    fn compared(&self) -> impl Iterator<Item = &Snapshot> {
        let is_partial = |p: &&Snapshot| !self.is_given && p.manifest.status == "partial";
        let parent = self.parent.as_ref();
        parent.into_iter().chain(parent.filter(is_partial).and(self.good.as_ref()))
    }
}

/// Finds the previous snapshots in `view`.
pub(crate) fn find(view: &View, options: &BackupOptions, paths: &[String]) -> Result<Previous> {
    let rows: Vec<&SnapshotRow> = view.snapshots().collect();
    let mut previous = Previous::default();
    if let ParentChoice::Given(session) = &options.parent {
        let row = rows.iter().find(|r| r.session == *session);
        let row = row.ok_or_else(|| Error::NotFound { what: "snapshot", name: session.to_string() })?;
        previous.parent = Some(Snapshot::from_row(row)?);
        previous.is_given = true;
    }
    previous.sources = last_good(&rows, options);
    let mut wanted = paths.to_vec();
    wanted.sort_unstable();
    // Rows of one generation are in no order among themselves; there the time of the snapshots tells.
    let of_generation = rows.chunk_by(|a, b| a.session.generation() == b.session.generation());
    for rows in of_generation.collect::<Vec<_>>().into_iter().rev() {
        // A manifest that cannot be read belongs to nothing that can be compared with.
        let readable = rows.iter().filter_map(|r| Snapshot::from_row(r).ok());
        let mut found: Vec<Snapshot> = readable.filter(|s| is_same(s, options, &wanted)).collect();
        found.sort_by_key(|s| std::cmp::Reverse(s.taken_at()));
        if options.parent == ParentChoice::Newest && previous.parent.is_none() {
            previous.parent = found.iter().find(|s| is_whole(s)).cloned();
        }
        previous.good = found.into_iter().find(|s| s.is_good() && !s.is_before_rollback());
        if previous.good.is_some() {
            break;
        }
    }
    Ok(previous)
}

/// The sources with a limit of their drop, whichever paths the target had then.
fn last_good(rows: &[&SnapshotRow], options: &BackupOptions) -> BTreeMap<String, SourceResult> {
    let limited = options.requirements.iter().filter(|(_, r)| r.max_drop.is_some());
    let mut wanted: BTreeSet<&str> = limited.map(|(name, _)| name.as_str()).collect();
    let mut found = BTreeMap::new();
    let of_generation = rows.chunk_by(|a, b| a.session.generation() == b.session.generation());
    for rows in of_generation.collect::<Vec<_>>().into_iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let mut good: Vec<Snapshot> = rows.iter().filter_map(|r| Snapshot::from_row(r).ok()).collect();
        good.retain(|s| is_of_scope(s, options) && s.is_good() && !s.is_before_rollback());
        good.sort_by_key(|s| std::cmp::Reverse(s.taken_at()));
        for source in good.into_iter().flat_map(|s| s.manifest.sources).filter(|s| !s.failed) {
            if wanted.remove(source.name.as_str()) {
                found.insert(source.name.clone(), source);
            }
        }
    }
    found
}

fn is_of_scope(snapshot: &Snapshot, options: &BackupOptions) -> bool {
    let manifest = &snapshot.manifest;
    manifest.target == options.target && manifest.host == options.host && manifest.scope == options.scope
}

fn is_same(snapshot: &Snapshot, options: &BackupOptions, wanted: &[String]) -> bool {
    let mut paths = snapshot.manifest.paths.clone();
    paths.sort_unstable();
    is_of_scope(snapshot, options) && paths == wanted
}

/// What verification found damaged is read again, so that the next snapshot is whole.
fn is_whole(snapshot: &Snapshot) -> bool {
    !matches!(snapshot.marks.verdict, Some(Verdict::Corrupted | Verdict::Missing))
}

/// The previous trees, read along with the walk.
pub(crate) struct Cursor<'s> {
    earlier: Vec<Earlier>,
    /// Which of them had the path that was asked for last.
    found: usize,
    session: Option<&'s Session>,
    test: ChangeTest,
    /// What of the previous trees could not be read.
    pub(crate) problems: Vec<String>,
}

/// One of the previous trees.
struct Earlier {
    tree: Tree,
    entries: Ahead,
    /// Its chunks need no question each (rule W3).
    reuse: bool,
    began: Option<i128>,
}

impl Earlier {
    fn new(reader: &Reader, snapshot: &Snapshot, session: Option<&Session>) -> Self {
        let manifest = &snapshot.manifest;
        let tree = Tree::new(reader.clone(), manifest.tree);
        let began = manifest.began_at.as_ref().unwrap_or(&manifest.created_at).parse::<Timestamp>();
        Self {
            entries: Ahead::new(tree.walk(&TreePath::root())),
            tree,
            reuse: session.is_none_or(|s| s.may_reuse(&snapshot.session)),
            began: began.ok().map(Timestamp::as_nanosecond),
        }
    }

    /// What it has at `path`.
    fn at(&mut self, path: &TreePath, problems: &mut Vec<String>) -> Option<RawEntry> {
        loop {
            match self.entries.peek()? {
                Ok(entry) if entry.path > *path => return None,
                Ok(entry) if entry.path == *path => return self.entries.next()?.ok(),
                Ok(_) => {
                    self.entries.next();
                }
                Err(_) => {
                    if let Some(Err(e)) = self.entries.next() {
                        problems.push(e.to_string());
                    }
                }
            }
        }
    }

    /// Whether a file may have changed after this snapshot read it without a new time.
    fn is_too_fresh(&self, now: &Node, test: ChangeTest) -> bool {
        let time = if test.ctime { now.ctime } else { now.mtime };
        let tick = if time.nanos == 0 { COARSE_TICK_NANOS } else { TICK_NANOS };
        self.began.is_none_or(|began| nanoseconds(time) > began - tick)
    }
}

impl<'s> Cursor<'s> {
    /// At the beginning of what is compared with; `session` is where chunks would be referred to, none in a dry run.
    pub(crate) fn new(
        reader: &Reader,
        previous: &Previous,
        session: Option<&'s Session>,
        test: ChangeTest,
    ) -> Self {
        let earlier = previous.compared().map(|p| Earlier::new(reader, p, session)).collect();
        Self { earlier, found: 0, session, test, problems: Vec::new() }
    }

    /// The previous tree. Entries of all trees are read through it: their chunks are named by their ids alone.
    pub(crate) fn tree(&self) -> Option<Tree> {
        self.earlier.first().map(|e| e.tree.clone())
    }

    /// What the previous snapshot has at `path`. Paths must be asked for in their order.
    pub(crate) fn at(&mut self, path: &TreePath) -> Option<RawEntry> {
        for (number, earlier) in self.earlier.iter_mut().enumerate() {
            if let Some(entry) = earlier.at(path, &mut self.problems) {
                self.found = number;
                return Some(entry);
            }
        }
        None
    }

    /// What a file that is read may be compared with, and described by.
    pub(crate) fn base(&self, before: Option<&RawEntry>) -> Option<RawEntry> {
        let before = before.filter(|e| matches!(e.node.kind, NodeKind::File(_)))?;
        (!self.is_stranded(before)).then(|| before.clone())
    }

    /// Whether a file is to be stored anew although it has not changed.
    fn is_stranded(&self, before: &RawEntry) -> bool {
        self.earlier.get(self.found).is_some_and(|e| e.entries.is_stranded(before))
    }

    /// The content of a file that is as it was by its attributes: as stored before, with its recipe. `before` is what
    /// was told last.
    pub(crate) fn unchanged(
        &mut self,
        now: &Node,
        before: &RawEntry,
    ) -> Result<Option<(Content, Option<ChunkId>)>> {
        let (NodeKind::File(new), NodeKind::File(old)) = (&now.kind, &before.node.kind) else {
            return Ok(None);
        };
        let same = !self.test.read_all
            && new.size == old.size
            && now.mtime == before.node.mtime
            && (!self.test.ctime || now.ctime == before.node.ctime)
            && (!self.test.inode || now.inode == before.node.inode)
            && self.earlier.get(self.found).is_some_and(|e| !e.is_too_fresh(now, self.test));
        if !same || self.is_stranded(before) {
            return Ok(None);
        }
        let reuse = self.earlier.get(self.found).is_some_and(|e| e.reuse);
        match self.session.filter(|_| !reuse) {
            None => Ok(Some((old.clone(), before.recipe))),
            Some(session) => Ok(self.usable(session, before)?.map(|content| (content, None))),
        }
    }

    /// The whole content, if each chunk of it may be referred to.
    fn usable(&mut self, session: &Session, before: &RawEntry) -> Result<Option<Content>> {
        let Some(Node { kind: NodeKind::File(content), .. }) = self.complete(before) else { return Ok(None) };
        for id in content.chunks() {
            if !session.usable(ChunkKind::Data, id)? {
                return Ok(None);
            }
        }
        Ok(Some(content))
    }

    /// The node as it was with all its extents; `None` if they cannot be read.
    pub(crate) fn complete(&mut self, before: &RawEntry) -> Option<Node> {
        let tree = &self.earlier.first()?.tree;
        tree.complete(before.clone()).map_err(|e| self.problems.push(e.to_string())).ok()
    }

    /// Whether an entry of the new tree is the same as before.
    pub(crate) fn is_same(&mut self, now: &Node, recipe: Option<ChunkId>, before: &RawEntry) -> bool {
        if recipe == before.recipe {
            return now.is_like(&before.node);
        }
        self.complete(before).is_some_and(|node| node.is_like(now))
    }

    /// A stream's file as it stood in the previous snapshot, if its content is the same: its time tells when that
    /// changed. The folders above a root likewise, if only their times differ.
    pub(crate) fn keep_times(&mut self, now: Node, before: &RawEntry) -> Node {
        let old = &before.node;
        let times = Node { mtime: old.mtime, ctime: old.ctime, ..now.clone() };
        if self.is_same(&times, None, before) { times } else { now }
    }
}

fn nanoseconds(time: Time) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

/// The snapshot's id, for reports.
pub(crate) fn id(snapshot: Option<&Snapshot>) -> Option<SnapshotId> {
    snapshot.map(|s| s.id)
}
