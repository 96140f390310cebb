//! What counts at one moment: the newest state, the decisions after it, and where chunks lie.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::backend::BackendError;
use crate::decision::own_packs;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, ChunkKind, SessionId, SnapshotId};
use crate::index::{Index, IndexBuilder, RunSource, StoredRun};
use crate::lanes::{AT_ONCE, spread};
use crate::names;
use crate::reader::Reader;
use crate::repository::Inner;
use crate::state::State;
use crate::visited::ChunkSet;

/// A snapshot as the repository keeps it: what was committed, and what the log said of it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// The session that committed it.
    pub session: SessionId,
    /// Content id: hash of `manifest`.
    pub id: SnapshotId,
    /// Ids of the `Refs` chunks that it keeps alive; meaning and order belong to whoever wrote the manifest.
    pub roots: Vec<ChunkId>,
    /// The manifest, as it was committed (JSON text).
    pub manifest: Vec<u8>,
    /// What may change later.
    pub marks: Marks,
}

/// What the log has said of a snapshot since it was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Marks {
    /// When it was forgotten (ns since 1970); hidden, and may be undeleted until purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<i64>,
    /// Can no longer be undeleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub purged: bool,
    /// Retention and delete skip it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Tags, if they were changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Outcome of the last verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// When it was last verified (ns since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<i64>,
    /// When a drill last restored it (ns since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<i64>,
}

/// Outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every chunk was read and is right.
    Verified,
    /// Something does not decode to what it should.
    Corrupted,
    /// Something is not there.
    Missing,
}

/// The repository at one moment; immutable.
#[derive(Debug)]
pub struct View {
    pub(crate) inner: Arc<Inner>,
    /// The newest state, every visible decision after its watermark taken in.
    pub(crate) state: State,
    rows: Vec<SnapshotRow>,
    index: OnceLock<Index>,
}

impl View {
    /// A view of `state`, which holds every visible decision.
    pub(crate) fn new(inner: Arc<Inner>, state: State) -> Self {
        let rows = state
            .unpurged()
            .map(|(session, row)| {
                let manifest = state.manifests.get(session).cloned().unwrap_or_default().into_bytes();
                SnapshotRow {
                    session: session.clone(),
                    id: SnapshotId(*blake3::hash(&manifest).as_bytes()),
                    roots: row.roots.clone(),
                    manifest,
                    marks: row.marks.clone(),
                }
            })
            .collect();
        Self { inner, state, rows, index: OnceLock::new() }
    }

    /// Number of log records at this moment.
    pub fn log_len(&self) -> u64 {
        self.state.n
    }

    /// Snapshots that are not forgotten, in the repository's own order of events, oldest first.
    pub fn snapshots(&self) -> impl Iterator<Item = &SnapshotRow> {
        self.rows.iter().filter(|r| r.marks.forgotten_at.is_none())
    }

    /// Snapshots that are forgotten and can still be undeleted.
    pub fn trash(&self) -> impl Iterator<Item = &SnapshotRow> {
        self.rows.iter().filter(|r| r.marks.forgotten_at.is_some())
    }

    /// Sessions whose decisions are there and cannot be read: they may have made snapshots that are not listed.
    pub fn unreadable(&self) -> impl Iterator<Item = &SessionId> {
        self.state.unreadable.iter()
    }

    /// Whether a chunk can be found for reading.
    pub fn holds(&self, _kind: ChunkKind, id: &ChunkId) -> Result<bool> {
        self.or_later(&|view| Ok(!view.places()?.readable(id)?.is_empty()))
    }

    /// The length that the index gives of a chunk; `None` if it is nowhere.
    pub fn length(&self, id: &ChunkId) -> Result<Option<u32>> {
        self.or_later(&|view| Ok(view.places()?.nearest(id)?.map(|place| place.length)))
    }

    /// Looks in a newer view if runs of this one are gone only because they were merged away since.
    fn or_later<T>(&self, look: &dyn Fn(&Self) -> Result<T>) -> Result<T> {
        match look(self) {
            Err(e) if self.inner.is_outdated(self, &e)? => look(self.inner.view()?.as_ref()),
            outcome => outcome,
        }
    }

    /// An empty set for chunks of this view.
    pub fn chunk_set(&self) -> Result<ChunkSet<'_>> {
        Ok(ChunkSet::new(self.places()?))
    }

    /// A reader of chunks.
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader::new(Arc::clone(self), Arc::clone(&self.inner.packs))
    }

    /// Where all chunks lie, for whoever deletes or rewrites: fails if anything that counts cannot be read.
    pub(crate) fn index(&self) -> Result<&Index> {
        self.whole(&|_| {})
    }

    /// The same for whoever looks up no single chunk: filters are let go run by run as they are opened.
    pub(crate) fn index_to_merge(&self) -> Result<&Index> {
        self.whole(&StoredRun::forget_filters)
    }

    fn whole(&self, opened: &dyn Fn(&StoredRun)) -> Result<&Index> {
        if let Some(session) = self.state.unreadable.first() {
            return Err(Error::damaged(names::decision(session), "what it names is not known"));
        }
        let index = self.built(opened)?;
        match index.damaged_runs().first() {
            Some(run) => Err(Error::damaged(run, "the index has to be repaired")),
            None => Ok(index),
        }
    }

    /// Where chunks lie, as far as it can be read; built when it is first needed.
    pub(crate) fn places(&self) -> Result<&Index> {
        self.built(&|_| {})
    }

    fn built(&self, opened: &dyn Fn(&StoredRun)) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let built = self.build_index(opened)?;
        Ok(self.index.get_or_init(|| built))
    }

    /// Opens a run: its directory and footer, as they are stored now.
    pub(crate) fn open_run(&self, run: &str) -> Result<StoredRun> {
        let size = self.inner.backend.stat(run).map_err(|e| match e {
            BackendError::NotFound(name) => Error::missing(name),
            other => other.into(),
        })?;
        StoredRun::open(&self.inner.packs, run, size)
    }

    /// Rule R1: the runs of the state, and what unmerged decisions name. Hands each run to `opened`.
    fn build_index(&self, opened: &dyn Fn(&StoredRun)) -> Result<Index> {
        let packs = &self.inner.packs;
        let mut builder = IndexBuilder::new(&self.state);
        let runs: Vec<_> =
            self.state.runs.iter().chain(self.state.rows.values().flat_map(|r| &r.runs)).collect();
        let open = |run: &&String| self.inner.runs.get(run, &|| self.open_run(run));
        for (run, opened_run) in runs.iter().zip(spread(self.inner.backend.lanes(), &runs, &open)) {
            match opened_run {
                Ok(run) => {
                    opened(&run);
                    builder.add_run(RunSource::new(run));
                }
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    self.inner.monitor.problem(&format!("{e}: the index has to be repaired"));
                    builder.add_damaged_run(run);
                }
                Err(e) => return Err(e),
            }
        }
        let own = self.state.rows.iter().flat_map(|(session, row)| own_packs(session, &row.packs));
        let own: Vec<_> = own.filter(|(name, _)| !self.state.swept.contains(name)).collect();
        for some in own.chunks(AT_ONCE) {
            let tocs = packs.tocs(&self.inner.catalogue, some);
            for ((name, size), toc) in some.iter().zip(tocs) {
                match toc {
                    Ok(toc) => builder.add_pack(name, *size, &toc.toc),
                    Err(e) if e.kind() == ErrorKind::Damaged => {
                        self.inner.monitor.problem(&format!("{e}: what only this pack holds cannot be read"));
                        builder.add_unreadable(name, *size);
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(builder.finish(Arc::clone(packs)))
    }
}

#[cfg(test)]
mod tests;
