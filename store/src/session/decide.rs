//! W5: a session is decided, once and for all.

use std::sync::atomic::Ordering;

use super::{Session, SessionStats};
use crate::backend::{BackendError, BackendExt, Durability};
use crate::decision::{Core, Decision, Outcome, OwnPack};
use crate::error::{Error, Result};
use crate::id::{ChunkId, PackName, SnapshotId};
use crate::local::SessionLock;
use crate::names;
use crate::repository::{Inner, Repository};

/// Packs that a decision names directly; beyond that a run names them. Each costs a reader one look at its table of contents.
pub(crate) const PACKS_NAMED_MAX: usize = 8;
/// Largest manifest in bytes: all of them are read for a listing.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

impl Session {
    /// Makes everything durable, then decides: committed (W5). Every writer must be finished.
    ///
    /// After an error nothing of this session is listed.
    pub fn commit(self, roots: &[ChunkId], manifest: &[u8]) -> Result<(SnapshotId, SessionStats)> {
        if manifest.len() > MANIFEST_BYTES_MAX || std::str::from_utf8(manifest).is_err() {
            return Err(Error::Invalid(format!(
                "a manifest of {} bytes is too long, or no text",
                manifest.len()
            )));
        }
        if self.works.lost.load(Ordering::Relaxed) {
            return Err(Error::Refused("a writer of the session was given up: chunks are missing".into()));
        }
        for root in roots {
            if !self.usable(crate::id::ChunkKind::Refs, root)? {
                return Err(Error::missing(format!("the root {root} of the snapshot")));
            }
        }
        self.decide(Outcome::Committed, roots, manifest)?;
        Ok((Repository::snapshot_id(manifest), self.end()))
    }

    /// Sends off what is gathered. What [`Session::stats`] counts then lacks only the decision, and an index run if one is needed.
    /// Every writer must be finished.
    pub fn flush(&self) -> Result<SessionStats> {
        self.sealer.drain()?;
        self.works.packer.finish(&self.inner, &self.works.own)?;
        Ok(self.stats())
    }

    /// Gives up: decides `closed`, so that later sessions deduplicate against what was uploaded.
    pub fn close(self) -> Result<SessionStats> {
        self.decide(Outcome::Closed, &[], &[])?;
        Ok(self.end())
    }

    /// Packs, runs, everything durable, decision; in this order.
    fn decide(&self, outcome: Outcome, roots: &[ChunkId], manifest: &[u8]) -> Result<()> {
        let inner = &self.inner;
        self.sealer.drain()?;
        self.works.packer.finish(inner, &self.works.own)?;
        let (written, bytes) = self.works.own.written(inner, &self.id, PACKS_NAMED_MAX)?;
        if outcome == Outcome::Closed && written.packs.is_empty() && written.runs.is_empty() {
            // Nothing was uploaded, so there is nothing to decide.
            return Ok(());
        }
        let core = Core { outcome, roots: roots.to_vec(), packs: own(&written.packs), runs: written.runs };
        let decision = Decision { session: self.id.clone(), core, manifest: manifest.to_vec() };
        let stored = bytes + inner.decide(&decision)?;
        self.counters.bytes_stored.fetch_add(stored, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the announcement back and tidies up. The decision stands, so nothing here can fail the session.
    fn end(mut self) -> SessionStats {
        let (stats, inner) = (self.stats(), std::sync::Arc::clone(&self.inner));
        let lock = self.lock.take();
        let withdrawn = crate::packs::lock(&self.signs)
            .iter()
            .try_fold(true, |gone, sign| Ok::<_, Error>(gone && inner.discard(sign)?));
        match withdrawn {
            // Removes the lock's file: the session is over.
            Ok(true) => drop(lock),
            // Keys that remove nothing are no trouble. The next session of this host ends this one, should it not be decided.
            Ok(false) => lock.into_iter().for_each(SessionLock::leave),
            Err(e) => {
                inner.monitor.problem(&format!(
                    "{e}: the announcement of a finished session stays behind, a prune removes it"
                ));
                // A session that wrote nothing has no decision: without its lock it would be waited for.
                lock.into_iter().for_each(SessionLock::leave);
            }
        }
        inner.tidy(&self.view.state);
        stats
    }
}

/// How a decision names packs of its own session.
pub(super) fn own(packs: &[(PackName, u64)]) -> Vec<OwnPack> {
    packs.iter().map(|(name, size)| OwnPack(name.seq, name.attempt, *size)).collect()
}

impl Inner {
    /// Makes everything that was written durable, then creates the decision. [`Error::SessionLost`] if there is another.
    pub(crate) fn decide(&self, decision: &Decision) -> Result<u64> {
        self.backend.sync()?;
        let bytes = decision.encode(&self.keys, self.env.random_bytes()?)?;
        let name = names::decision(&decision.session);
        match self.backend.create(&name, &bytes, Durability::Now) {
            Err(BackendError::AlreadyExists(_)) => Err(Error::SessionLost(decision.session.to_string())),
            outcome => outcome.map(|()| bytes.len() as u64).map_err(Into::into),
        }
    }
}
