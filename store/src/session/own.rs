//! What a session itself has put: ids on their way, and records of packs that are written.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use crate::error::{Error, Result};
use crate::format::{Place, Record, Toc, encode_run};
use crate::id::{ChunkId, PackName, SessionId};
use crate::index::RunSource;
use crate::names;
use crate::packs::{Packs, lock};
use crate::repository::Inner;

/// Shards of the set of ids: more than threads that put.
const SHARDS: usize = 16;
/// Records held before they become a run; with their ids about 15 MB.
const RECORDS_MAX: usize = 128 << 10;

/// Everything that a session has put.
#[derive(Debug)]
pub(super) struct Own {
    shards: Vec<Mutex<HashSet<ChunkId>>>,
    records: Mutex<Records>,
    /// Runs written already.
    runs: RwLock<Vec<OwnRun>>,
    /// Number of the first run.
    first_run: u32,
}

#[derive(Debug, Default)]
struct Records {
    packs: Vec<(PackName, u64)>,
    of_packs: Vec<Record>,
    runs: Vec<String>,
}

/// A run of the session, opened when it is first asked for a chunk: a session that only copies never asks, and its filters would take
/// more than a byte a chunk.
#[derive(Debug)]
struct OwnRun {
    object: String,
    size: u64,
    opened: OnceLock<RunSource>,
}

impl OwnRun {
    fn holds(&self, packs: &Packs, id: &ChunkId) -> Result<bool> {
        let run = if let Some(run) = self.opened.get() {
            run
        } else {
            let run = RunSource::open(packs, &self.object, self.size)?;
            self.opened.get_or_init(|| run)
        };
        run.holds(packs, id)
    }
}

/// What the decision names.
#[derive(Debug)]
pub(super) struct Written {
    /// Packs that no run names.
    pub(super) packs: Vec<(PackName, u64)>,
    /// Runs.
    pub(super) runs: Vec<String>,
}

impl Own {
    /// `first_run` is 0, or random for whoever closes a dead session: it may have written runs itself.
    pub(super) fn new(first_run: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            records: Mutex::default(),
            runs: RwLock::default(),
            first_run,
        }
    }

    fn shard(&self, id: &ChunkId) -> Option<&Mutex<HashSet<ChunkId>>> {
        let [first, ..] = id.0;
        self.shards.get(usize::from(first) % SHARDS)
    }

    /// Whether this session has put the chunk.
    pub(super) fn holds(&self, packs: &Packs, id: &ChunkId) -> Result<bool> {
        if self.shard(id).is_some_and(|s| lock(s).contains(id)) {
            return Ok(true);
        }
        for run in self.runs.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if run.holds(packs, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a chunk for the calling thread to store; `false` if another thread was faster.
    pub(super) fn claim(&self, id: &ChunkId) -> bool {
        self.shard(id).is_some_and(|s| lock(s).insert(*id))
    }

    /// Takes over a pack that is full; its object is on its way.
    pub(super) fn add_pack(&self, name: &PackName, size: u64, toc: &Toc) {
        let mut records = lock(&self.records);
        let pack = records.packs.len() as u32;
        records.packs.push((name.clone(), size));
        for (frame, _, chunks) in toc.iter() {
            for (chunk, index) in chunks.iter().zip(0..) {
                records
                    .of_packs
                    .push(Record { id: chunk.id, place: Place { pack, frame, index, length: chunk.length } });
            }
        }
    }

    /// Whether the records should become a run now.
    pub(super) fn is_full(&self) -> bool {
        lock(&self.records).of_packs.len() >= RECORDS_MAX
    }

    /// Writes what is held as a run of `session`.
    pub(super) fn write_run(&self, inner: &Inner, session: &SessionId) -> Result<u64> {
        let mut held = lock(&self.records);
        if held.packs.is_empty() {
            return Ok(0);
        }
        let object = names::run(session, u64::from(self.first_run) + held.runs.len() as u64);
        held.of_packs.sort_unstable();
        let bytes = encode_run(&object, &inner.keys, inner.env.random_bytes()?, &held.packs, &held.of_packs)?;
        crate::backend::BackendExt::create(
            inner.backend.as_ref(),
            &object,
            &bytes,
            crate::backend::Durability::Deferred,
        )?;
        let run = OwnRun { object: object.clone(), size: bytes.len() as u64, opened: OnceLock::new() };
        // First the run, then the ids go: nobody may find a chunk in neither.
        let mut runs = self.runs.write().map_err(|_| Error::Invalid("a writing thread panicked".into()))?;
        runs.push(run);
        drop(runs);
        for record in held.of_packs.drain(..) {
            if let Some(shard) = self.shard(&record.id) {
                lock(shard).remove(&record.id);
            }
        }
        held.packs.clear();
        held.runs.push(object);
        Ok(bytes.len() as u64)
    }

    /// What the decision names; without runs, at most `packs_max` packs are named directly.
    pub(super) fn written(
        &self,
        inner: &Inner,
        session: &SessionId,
        packs_max: usize,
    ) -> Result<(Written, u64)> {
        let needs_run = {
            let held = lock(&self.records);
            !held.runs.is_empty() || held.packs.len() > packs_max
        };
        let bytes = if needs_run { self.write_run(inner, session)? } else { 0 };
        let held = lock(&self.records);
        Ok((Written { packs: held.packs.clone(), runs: held.runs.clone() }, bytes))
    }
}
