//! A mirror becomes a repository of its own, for good.
//!
//! First it says so, by an object that is never removed: from then on no sync writes here. Then what an unfinished sync brought is
//! shown if it is complete, and removed if not, and what sessions had uploaded that are not decided here: they go on at the source, and
//! can never be decided here. Then writers are let in, and a record of its own goes into the log: from its
//! number on this log and the source's differ, so that a sync between the two is refused in either direction.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::roles::PROMOTED;
use crate::backend::{BackendError, BackendExt, Durability};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackName, SessionId};
use crate::log::{LogRecord, Record};
use crate::marks::{self, Curtain, Marks, MirrorMark};
use crate::names;
use crate::repository::{Inner, Repository};

/// What became of an unfinished sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoteReport {
    /// Decisions and records that had not become visible, and were removed because not all that belongs to them is here.
    pub dropped: u64,
    /// Decisions and records that had not become visible, were complete, and count now.
    pub shown: u64,
}

impl Repository {
    /// Makes this mirror independent. No sync may be writing to it.
    pub fn promote(&self) -> Result<PromoteReport> {
        let inner = &self.inner;
        let backend = inner.backend.as_ref();
        let marks = Marks::read(backend)?;
        let is_promoted = backend.exists(PROMOTED)?;
        if !marks.is_mirror() {
            let why = if is_promoted { "was made independent before" } else { "is no mirror" };
            return Err(Error::Refused(format!("{} {why}: there is nothing to promote", self.location())));
        }
        if !is_promoted {
            let mark = MirrorMark { repository: self.id(), source: self.location() };
            match backend.create(PROMOTED, &marks::encode(&mark)?, Durability::Now) {
                Err(BackendError::AlreadyExists(_)) => {}
                outcome => outcome?,
            }
        }
        // Read anew: a sync that did not see the object has drawn its curtain by now.
        let marks = Marks::read(backend)?;
        if let Some((name, _)) = marks.curtains.iter().find(|(_, curtain)| curtain.is_none()) {
            return Err(Error::damaged(
                name,
                "what it hides is not known: sync into this mirror once more, or remove it",
            ));
        }
        let mut report = PromoteReport::default();
        if let Some(curtain) = marks.curtain() {
            inner.settle_curtain(&curtain, &mut report)?;
        }
        for (name, _) in &marks.curtains {
            backend.remove(name)?;
        }
        match inner.remove_undecided() {
            // What cannot be told from what counts stays, and repair tells it.
            Err(e) if e.kind() == ErrorKind::Damaged => inner.monitor.problem(&e.to_string()),
            outcome => outcome?,
        }
        for (name, _) in &marks.mirror {
            backend.remove(name)?;
        }
        backend.sync()?;
        inner.append(&mut |_| Ok(Some(Record::Checkpoint)))?;
        Ok(report)
    }
}

impl Inner {
    /// Removes packs and runs of sessions that have no decision here and that nothing names.
    fn remove_undecided(self: &Arc<Self>) -> Result<()> {
        let view = self.view()?;
        let index = view.index()?;
        let named: BTreeSet<&SessionId> = index.packs().iter().map(|pack| &pack.name.session).collect();
        let of_pack =
            |name: &str| name.strip_prefix(names::PACKS)?.parse::<PackName>().ok().map(|p| p.session);
        for area in [names::PACKS, names::RUNS] {
            for entry in self.backend.list_all(area)? {
                let session = of_pack(&entry.name).or_else(|| names::session_of_run(&entry.name));
                if let Some(session) = session.filter(|s| !named.contains(s))
                    && !self.backend.exists(&names::decision(&session))?
                {
                    self.backend.remove(&entry.name)?;
                }
            }
        }
        Ok(())
    }

    fn settle_curtain(&self, curtain: &Curtain, report: &mut PromoteReport) -> Result<()> {
        let backend = self.backend.as_ref();
        let decisions = curtain.hidden.iter().map(names::decision);
        let records = (curtain.from..curtain.to).map(names::log);
        let mut there = Vec::new();
        let mut is_complete = true;
        for name in decisions.chain(records) {
            if backend.exists(&name)? { there.push(name) } else { is_complete = false }
        }
        if is_complete && self.newest_opens(curtain.to)? {
            report.shown = there.len() as u64;
            return Ok(());
        }
        for name in &there {
            backend.remove(name)?;
        }
        report.dropped = there.len() as u64;
        Ok(backend.sync()?)
    }

    /// Whether the last of so many records can be read, and its state.
    fn newest_opens(&self, length: u64) -> Result<bool> {
        let Some(n) = length.checked_sub(1) else { return Ok(true) };
        let record = self.read(&names::log(n)).and_then(|bytes| LogRecord::decode(&self.keys, n, &bytes));
        match record.and_then(|record| self.stored_state(&record)) {
            Err(e) if e.kind() == ErrorKind::Damaged => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }
}
