//! Making a state again from an earlier one and the records since.
//!
//! With every record at hand this gives what [`State::apply`] gave when they were made. Where records are lost, what later ones say
//! holds as far as it can be applied: nothing that was swept comes back, and nothing is hidden that no record hides.

use std::collections::BTreeSet;

use super::{Condemned, State};
use crate::error::Error;
use crate::id::SessionId;
use crate::log::Record;

impl State {
    /// The state after one more record of the log, which set the watermark to `watermark`.
    pub(crate) fn replay(mut self, record: &Record, watermark: u64) -> Self {
        // What is not known of decisions that cannot be read must not fall below the watermark.
        let low = self.unreadable.first().map_or(u64::MAX, SessionId::generation);
        self.watermark = watermark.min(low).max(self.watermark);
        if let Record::Sweep { purged, .. } | Record::Purge { snapshots: purged } = record {
            purged.iter().for_each(|id| self.hide(id));
        }
        match self.clone().apply(record) {
            Ok(next) => next,
            Err(_) => self.replay_part(record),
        }
    }

    /// Takes a purged snapshot for forgotten though the record that says so is lost: its chunks may be gone.
    fn hide(&mut self, id: &SessionId) {
        if let Some(row) = self.rows.get_mut(id) {
            row.marks.forgotten_at.get_or_insert(0);
        }
    }

    /// The state after a record of which nothing is known.
    pub(crate) fn skip(mut self) -> Self {
        self.n += 1;
        self
    }

    /// Applies what can be applied of a record whose forerunners are lost.
    fn replay_part(mut self, record: &Record) -> Self {
        match record {
            Record::Sweep { condemned, swept, .. } => {
                let lost = Condemned { n: *condemned, packs: swept.clone(), roots: BTreeSet::new() };
                self.condemned.push(lost);
                self.applied(record)
            }
            Record::Merge { sessions, removed, added, unswept } => {
                let removed = removed.intersection(&self.runs).cloned().collect();
                let (sessions, added, unswept) = (sessions.clone(), added.clone(), unswept.clone());
                self.applied(&Record::Merge { sessions, removed, added, unswept })
            }
            Record::Forget { snapshots, at } => {
                self.one_by_one(snapshots, &|id| Record::Forget { snapshots: vec![id.clone()], at: *at })
            }
            Record::Undelete { snapshots } => {
                self.one_by_one(snapshots, &|id| Record::Undelete { snapshots: vec![id.clone()] })
            }
            Record::Mark { marks } => {
                self.one_by_one(marks, &|mark| Record::Mark { marks: vec![mark.clone()] })
            }
            _ => self.applied(record),
        }
    }

    fn one_by_one<T>(self, parts: &[T], record: &dyn Fn(&T) -> Record) -> Self {
        let n = self.n;
        let all = parts.iter().fold(self, |state, part| state.applied(&record(part)));
        Self { n: n + 1, ..all }
    }

    fn applied(self, record: &Record) -> Self {
        let apply: Result<Self, Error> = self.clone().apply(record);
        // What is refused is of snapshots that are not known, or says what holds already.
        apply.unwrap_or_else(|_| self.skip())
    }
}
