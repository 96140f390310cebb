//! Keeps with snapshots and packs what a check found of them, so that neither retention nor a backup relies on what is damaged.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Result;
use crate::id::{PackName, SessionId};
use crate::log::Record;
use crate::repository::Inner;
use crate::view::{Marks, Verdict, View};

impl Inner {
    /// Marks packs as damaged, so that the next backup writes their chunks anew; on storage that cannot be written nothing is marked.
    pub(crate) fn quarantine(self: &Arc<Self>, packs: &BTreeSet<PackName>) -> Result<()> {
        if packs.is_empty() {
            return Ok(());
        }
        let outcome = self.append(&mut |view| {
            // One that was swept since the damage was met is gone for good reason, and nothing would take it out of quarantine again.
            let counting = view.places()?.packs().iter().filter(|pack| !pack.swept && !pack.quarantined);
            let fresh: BTreeSet<_> =
                counting.map(|pack| &pack.name).filter(|name| packs.contains(*name)).cloned().collect();
            Ok((!fresh.is_empty()).then_some(Record::Quarantine { packs: fresh }))
        });
        self.unless_read_only(outcome, "damaged packs could not be put into quarantine")
    }

    /// Marks snapshots that cannot be restored as they are, as a look found while the log had `length` records: only a verification calls
    /// them good again. If the log has grown since, or the storage cannot be written, nothing is marked.
    pub(super) fn mark_damaged(self: &Arc<Self>, snapshots: &BTreeSet<SessionId>, length: u64) -> Result<()> {
        if snapshots.is_empty() {
            return Ok(());
        }
        let is_bad = |marks: &Marks| matches!(marks.verdict, Some(Verdict::Corrupted | Verdict::Missing));
        let outcome = self.append(&mut |view| {
            if view.state.n != length {
                return Ok(None);
            }
            // What is in the trash has no marks that could be set.
            let rows = view.state.unpurged().filter(|(_, row)| row.marks.forgotten_at.is_none());
            let fresh = rows.filter(|(session, row)| snapshots.contains(*session) && !is_bad(&row.marks));
            let bad = fresh.map(|(session, row)| {
                (session.clone(), Marks { verdict: Some(Verdict::Corrupted), ..row.marks.clone() })
            });
            let marks: Vec<_> = bad.collect();
            Ok((!marks.is_empty()).then_some(Record::Mark { marks }))
        });
        self.unless_read_only(outcome, "snapshots could not be marked as damaged")
    }

    fn unless_read_only(&self, outcome: Result<Arc<View>>, otherwise: &str) -> Result<()> {
        match outcome {
            Err(e) if Self::cannot_write(&e) => {
                self.monitor.problem(&format!("{e}: {otherwise}"));
                Ok(())
            }
            outcome => outcome.map(|_| ()),
        }
    }
}
