//! The state: everything the log has said up to one record, and the table of all decisions below the watermark.
//!
//! A record turns one state into the next by a pure function ([`State::apply`]); rule R3 is that this happens at exactly one
//! log length.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::crypto::{Keys, Purpose};
use crate::decision::{Decision, Outcome, OwnPack};
use crate::error::{Error, Result};
use crate::format::{ObjectKind, Sealed};
use crate::id::{ChunkId, PackName, SessionId};
use crate::log::Record;
use crate::marks::LogHead;
use crate::view::Marks;

/// A decided session in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// `committed`, `closed` or `unknown`.
    pub(crate) outcome: Outcome,
    /// What the snapshot keeps alive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roots: Vec<ChunkId>,
    /// Packs that the decision names and no merge has taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) packs: Vec<OwnPack>,
    /// Runs that the decision names and no merge has taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) runs: Vec<String>,
    /// Runs of the newest state hold what this session wrote; its own packs and runs no longer count (rule R1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) merged: bool,
    /// What was said of the snapshot since.
    #[serde(default)]
    pub(crate) marks: Marks,
}

/// Packs that will go, announced by record `n`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condemned {
    /// Number of the record.
    pub(crate) n: u64,
    /// The packs.
    pub(crate) packs: BTreeSet<PackName>,
    /// Snapshots that were marked from: they need none of the packs.
    pub(crate) roots: BTreeSet<SessionId>,
}

/// Everything the log has said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Number of log records.
    pub(crate) n: u64,
    /// Sessions that began below this log length are all decided and in the table, or have no effect.
    pub(crate) watermark: u64,
    /// Decided sessions.
    pub(crate) rows: BTreeMap<SessionId, Row>,
    /// Merged runs.
    pub(crate) runs: BTreeSet<String>,
    /// Pending condemnations.
    pub(crate) condemned: Vec<Condemned>,
    /// Swept packs that a run still names.
    pub(crate) swept: BTreeSet<PackName>,
    /// Damaged packs.
    pub(crate) quarantined: BTreeSet<PackName>,
    /// Manifests of the snapshots in the table; sealed apart from the rest.
    #[serde(skip)]
    pub(crate) manifests: BTreeMap<SessionId, String>,
    /// Rows that were taken in from decisions since the state was stored.
    #[serde(skip)]
    pub(crate) fresh: usize,
    /// Decisions that are there and cannot be read. What they name and need is not known, so nothing may be deleted.
    #[serde(skip)]
    pub(crate) unreadable: BTreeSet<SessionId>,
    /// What stood before the records when it was read: in a mirror not everything that is there counts yet.
    #[serde(skip)]
    pub(crate) head: LogHead,
}

const SECTIONS: [Purpose; 2] = [Purpose::Index, Purpose::Manifest];

impl State {
    /// The sealed object.
    pub(crate) fn encode(&self, keys: &Keys, name: &str, salt: [u8; 32]) -> Result<Vec<u8>> {
        let invalid = |e: serde_json::Error| Error::Invalid(e.to_string());
        let core = serde_json::to_vec(self).map_err(invalid)?;
        let manifests = serde_json::to_vec(&self.manifests).map_err(invalid)?;
        Sealed { keys, kind: ObjectKind::State, name }
            .seal(salt, &[(Purpose::Index, &core), (Purpose::Manifest, &manifests)])
    }

    /// Opens the object `name`.
    pub(crate) fn decode(keys: &Keys, name: &str, bytes: &[u8]) -> Result<Self> {
        let sections = Sealed { keys, kind: ObjectKind::State, name }.open(bytes, &SECTIONS)?;
        let [core, manifests] = <[Vec<u8>; 2]>::try_from(sections)
            .map_err(|_| Error::damaged(name, "it has too few sections"))?;
        let mut state: Self = serde_json::from_slice(&core).map_err(|e| Error::damaged(name, e))?;
        state.manifests = serde_json::from_slice(&manifests).map_err(|e| Error::damaged(name, e))?;
        if state.n > crate::names::LOG_TOP {
            return Err(Error::damaged(name, "it is of a longer log than there can be"));
        }
        Ok(state)
    }

    /// Takes a visible decision into the table.
    pub(crate) fn fold(&mut self, decision: &Decision) -> Result<()> {
        if decision.core.outcome == Outcome::Revoked || self.rows.contains_key(&decision.session) {
            return Ok(());
        }
        if decision.core.outcome == Outcome::Committed {
            let manifest = String::from_utf8(decision.manifest.clone()).map_err(|_| {
                Error::damaged(crate::names::decision(&decision.session), "its manifest is not text")
            })?;
            self.manifests.insert(decision.session.clone(), manifest);
        }
        let core = decision.core.clone();
        let row = Row {
            outcome: core.outcome,
            roots: core.roots,
            packs: core.packs,
            runs: core.runs,
            merged: false,
            marks: Marks::default(),
        };
        self.rows.insert(decision.session.clone(), row);
        self.fresh += 1;
        Ok(())
    }

    /// Believes a decision that could not be read when what stands for it was taken in; `None`: it is gone, nobody waits for it.
    pub(crate) fn settle(&mut self, session: &SessionId, decision: Option<&Decision>) {
        let Some(row) = self.rows.get_mut(session).filter(|row| row.outcome == Outcome::Unknown) else {
            return;
        };
        row.outcome = Outcome::Closed;
        if let Some(decision) = decision.filter(|d| d.core.outcome == Outcome::Committed)
            && let Ok(manifest) = String::from_utf8(decision.manifest.clone())
        {
            row.outcome = Outcome::Committed;
            row.roots.clone_from(&decision.core.roots);
            self.manifests.insert(session.clone(), manifest);
        }
        self.fresh += 1;
    }

    /// Sessions of which nobody can say what they decided: their packs are kept, and nobody deduplicates against them.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &SessionId> {
        self.rows.iter().filter(|(_, row)| row.outcome == Outcome::Unknown).map(|(session, _)| session)
    }

    /// Condemned, swept and quarantined packs: nobody deduplicates against them.
    pub(crate) fn shunned(&self) -> impl Iterator<Item = &PackName> {
        self.condemned.iter().flat_map(|c| &c.packs).chain(&self.swept).chain(&self.quarantined)
    }

    /// Snapshots that pruning must mark from: listed ones, and forgotten ones that may still come back.
    pub(crate) fn unpurged(&self) -> impl Iterator<Item = (&SessionId, &Row)> {
        self.rows.iter().filter(|(_, r)| r.outcome == Outcome::Committed && !r.marks.purged)
    }

    /// The state after one more record; [`Error::Refused`] if it does not apply to this state.
    pub(crate) fn apply(mut self, record: &Record) -> Result<Self> {
        match record {
            Record::Forget { snapshots, at } => {
                for id in snapshots {
                    let marks = self.listed(id)?;
                    if marks.held {
                        return Err(Error::Refused("the snapshot is held: release it first".into()));
                    }
                    marks.forgotten_at = Some(*at);
                }
            }
            Record::Undelete { snapshots } => snapshots.iter().try_for_each(|id| self.undelete(id))?,
            Record::Mark { marks } => {
                for (id, new) in marks {
                    let old = self.listed(id)?;
                    *old = Marks { forgotten_at: old.forgotten_at, purged: old.purged, ..new.clone() };
                }
            }
            Record::Condemn { packs, roots } => {
                self.condemned.push(Condemned { n: self.n, packs: packs.clone(), roots: roots.clone() });
            }
            Record::Sweep { condemned, swept, purged } => self.sweep(*condemned, swept, purged)?,
            Record::Purge { snapshots } => {
                self.purge(snapshots);
                self.drop_spent_rows();
            }
            Record::Merge { sessions, removed, added, unswept } => {
                self.merge(sessions, removed, added, unswept)?;
            }
            Record::Quarantine { packs } => self.quarantined.extend(packs.iter().cloned()),
            Record::Heal { packs } => self.quarantined.retain(|p| !packs.contains(p)),
            Record::Checkpoint | Record::Repair { .. } => {}
        }
        self.n += 1;
        self.fresh = 0;
        Ok(self)
    }

    fn listed(&mut self, id: &SessionId) -> Result<&mut Marks> {
        match self.rows.get_mut(id) {
            Some(row) if row.outcome == Outcome::Committed && row.marks.forgotten_at.is_none() => {
                Ok(&mut row.marks)
            }
            _ => Err(Error::Refused("the snapshot is not there, or was forgotten meanwhile".into())),
        }
    }

    fn undelete(&mut self, id: &SessionId) -> Result<()> {
        match self.rows.get_mut(id) {
            Some(row)
                if row.outcome == Outcome::Committed
                    && row.marks.forgotten_at.is_some()
                    && !row.marks.purged =>
            {
                row.marks.forgotten_at = None;
                Ok(())
            }
            _ => Err(Error::Refused(
                "the snapshot is not in the trash: a prune may have given its space back".into(),
            )),
        }
    }

    fn sweep(
        &mut self,
        condemned: u64,
        swept: &BTreeSet<PackName>,
        purged: &BTreeSet<SessionId>,
    ) -> Result<()> {
        let place = self.condemned.iter().position(|c| c.n == condemned);
        let place = place
            .ok_or_else(|| Error::Refused("the condemnation was carried out by another prune".into()))?;
        self.condemned.remove(place);
        self.swept.extend(swept.iter().cloned());
        self.quarantined.retain(|p| !swept.contains(p));
        self.purge(purged);
        self.drop_spent_rows();
        Ok(())
    }

    fn purge(&mut self, snapshots: &BTreeSet<SessionId>) {
        for id in snapshots {
            if let Some(row) = self.rows.get_mut(id)
                && row.marks.forgotten_at.is_some()
            {
                row.marks.purged = true;
            }
        }
    }

    fn merge(
        &mut self,
        sessions: &BTreeSet<SessionId>,
        removed: &BTreeSet<String>,
        added: &BTreeSet<String>,
        unswept: &BTreeSet<PackName>,
    ) -> Result<()> {
        if !removed.is_subset(&self.runs) {
            return Err(Error::Refused("the runs were merged by another process".into()));
        }
        self.runs.retain(|r| !removed.contains(r));
        self.runs.extend(added.iter().cloned());
        for id in sessions {
            if let Some(row) = self.rows.get_mut(id) {
                row.packs.clear();
                row.runs.clear();
                row.merged = true;
            }
        }
        self.swept.retain(|p| !unswept.contains(p));
        self.drop_spent_rows();
        Ok(())
    }

    /// Rows below the watermark that say nothing any more: what is not in the table there has no effect.
    fn drop_spent_rows(&mut self) {
        let watermark = self.watermark;
        self.rows.retain(|id, row| {
            let spent = row.merged && (row.outcome == Outcome::Closed || row.marks.purged);
            !(spent && id.generation() < watermark)
        });
        let rows = &self.rows;
        self.manifests.retain(|id, _| rows.contains_key(id));
    }
}

mod replay;
#[cfg(test)]
mod tests;
