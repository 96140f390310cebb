//! Reading the newest state, and publishing the next one: the log of rule R3.
//!
//! Whoever makes a record reads state *n*, lists `sess/`, lists `snap/`, then publishes (`docs/design.md`, "Protocol").

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::backend::{BackendError, BackendExt, Durability};
use crate::decision::Decision;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::lanes::{AT_ONCE, spread};
use crate::log::{LogRecord, Record};
use crate::marks::LogHead;
use crate::names;
use crate::packs::lock;
use crate::repository::Inner;
use crate::state::State;
use crate::view::View;

/// How often a record is computed anew when others are faster: far beyond any honest race.
const ATTEMPTS_MAX: usize = 1000;
/// Announced sessions that are looked at one by one.
const LOOKS_MAX: usize = 8;
/// How often the newest state is looked for when it vanishes while it is read: it can only if 64 newer ones were made meanwhile.
const READS_MAX: usize = 8;

impl Inner {
    /// What counts at this moment.
    pub(crate) fn view(self: &Arc<Self>) -> Result<Arc<View>> {
        for _ in 0..READS_MAX {
            let state = self.with_decisions(self.newest_state()?)?;
            // A sync that began or ended between state and decisions shows in what stands before the records.
            if state.head.mirror_of.is_none() || self.log_head()? == state.head {
                return Ok(Arc::new(View::new(Arc::clone(self), state)));
            }
        }
        Err(Error::Busy("the mirror, which is being written by a sync,".into()))
    }

    /// What `log/` begins with.
    pub(crate) fn log_head(&self) -> Result<LogHead> {
        let head = LogHead::read(self.backend.as_ref())?;
        lock(&self.mirror_of).clone_from(&head.mirror_of);
        Ok(head)
    }

    /// Number of log records.
    pub(crate) fn log_len(&self) -> Result<u64> {
        Ok(self.log_head()?.length)
    }

    /// [`Error::Mirror`] if only a sync may write here.
    pub(crate) fn writable(&self) -> Result<()> {
        self.log_head()?.writable()
    }

    /// The state after the newest record.
    pub(crate) fn newest_state(&self) -> Result<State> {
        let mut last = Error::missing(names::STATES);
        for _ in 0..READS_MAX {
            let head = self.log_head()?;
            let Some(n) = head.length.checked_sub(1) else { return Ok(State { head, ..State::default() }) };
            match self.record(n).and_then(|record| self.read_state(&record)) {
                Err(e @ Error::Missing { .. }) => last = e,
                outcome => return outcome.map(|state| State { head, ..state }),
            }
        }
        Err(last)
    }

    /// Record `n`, the newest.
    fn record(&self, n: u64) -> Result<LogRecord> {
        if let Some(record) = lock(&self.newest).as_ref().filter(|record| record.n == n) {
            return Ok(record.clone());
        }
        let record = LogRecord::decode(&self.keys, n, &self.read(&names::log(n))?)?;
        *lock(&self.newest) = Some(record.clone());
        Ok(record)
    }

    fn read_state(&self, record: &LogRecord) -> Result<State> {
        if let Some(bytes) = self.catalogue.get_state(&record.state) {
            return self.decode_state(record, &bytes);
        }
        let (state, bytes) = self.packs.opened(&|read| {
            let bytes = read(&record.state, None)?;
            Ok((self.decode_state(record, &bytes)?, bytes))
        })?;
        self.catalogue.put_state(&record.state, &bytes);
        Ok(state)
    }

    /// The state that a record names, whatever the catalogue knows of it.
    pub(crate) fn stored_state(&self, record: &LogRecord) -> Result<State> {
        self.packs.opened(&|read| self.decode_state(record, &read(&record.state, None)?))
    }

    fn decode_state(&self, record: &LogRecord, bytes: &[u8]) -> Result<State> {
        if blake3::hash(bytes).to_hex().as_str() != record.hash {
            return Err(Error::damaged(&record.state, "it is not what the log names"));
        }
        let state = State::decode(&self.keys, &record.state, bytes)?;
        if state.n == record.n + 1 {
            Ok(state)
        } else {
            Err(Error::damaged(&record.state, "it is of another log length"))
        }
    }

    /// Takes every decision in that is visible and not in the table.
    pub(crate) fn with_decisions(&self, mut state: State) -> Result<State> {
        self.settle_unknown(&mut state)?;
        let after = format!("{}{:010x}", names::DECISIONS, state.watermark);
        let listed = self.backend.list_after(names::DECISIONS, Some(&after))?;
        let mut wanted = Vec::new();
        for entry in listed {
            match names::session_of(names::DECISIONS, &entry.name) {
                Some(session) if state.head.hidden.contains(&session) => {}
                Some(session) if !state.rows.contains_key(&session) => wanted.push(session),
                Some(_) => {}
                None => self.monitor.problem(&format!("{} is no decision: it is left alone", entry.name)),
            }
        }
        for wanted in wanted.chunks(AT_ONCE) {
            self.fold_decisions(&mut state, wanted)?;
        }
        Ok(state)
    }

    /// Takes the decisions of some sessions in.
    fn fold_decisions(&self, state: &mut State, sessions: &[SessionId]) -> Result<()> {
        let held: Vec<_> = sessions.iter().zip(self.catalogue.get_decisions(sessions)).collect();
        let found = spread(self.backend.lanes(), &held, &|(session, held)| -> Result<_> {
            let known = held.as_ref().and_then(|bytes| Decision::decode(&self.keys, session, bytes).ok());
            if let Some(decision) = known {
                return Ok((decision, None));
            }
            self.read_decision(session).map(|(decision, bytes)| (decision, Some(bytes)))
        });
        let mut fresh = Vec::new();
        for (session, found) in sessions.iter().zip(found) {
            let folded: Result<()> = found.and_then(|(decision, bytes)| {
                state.fold(&decision)?;
                fresh.extend(bytes.map(|bytes| (session.clone(), bytes)));
                Ok(())
            });
            match folded {
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    if let Some(amended) = self.amended(session)? {
                        state.fold(&amended)?;
                        continue;
                    }
                    // The others can be listed and restored all the same.
                    self.monitor.problem(&format!("{e}: its snapshot cannot be listed"));
                    state.unreadable.insert(session.clone());
                }
                outcome => outcome?,
            }
        }
        self.catalogue.put_decisions(&fresh);
        Ok(())
    }

    /// Looks again at decisions that could not be read: whoever brings one back from a copy gets its snapshot back.
    fn settle_unknown(&self, state: &mut State) -> Result<()> {
        let unknown: Vec<SessionId> = state.unknown().cloned().collect();
        for session in unknown {
            match self.decision(&session) {
                Err(e) if e.kind() == ErrorKind::Damaged => {}
                decision => state.settle(&session, decision?.as_ref()),
            }
        }
        Ok(())
    }

    /// What repair wrote in place of a damaged decision, if it did.
    pub(crate) fn amended(&self, session: &SessionId) -> Result<Option<Decision>> {
        let name = names::amended(session);
        match self.read(&name).and_then(|bytes| Decision::decode_as(&name, &self.keys, session, &bytes)) {
            Err(Error::Missing { .. }) => Ok(None),
            Err(e) if e.kind() == ErrorKind::Damaged => {
                self.monitor.problem(&e.to_string());
                Ok(None)
            }
            decision => decision.map(Some),
        }
    }

    /// Every announced session that has no decision.
    pub(crate) fn undecided(&self) -> Result<Vec<SessionId>> {
        let listed = self.backend.list_all(names::SESSIONS)?;
        let announced = listed.iter().filter_map(|e| names::session_of(names::SESSIONS, &e.name)).collect();
        let decided = self.decided_of(&announced)?;
        Ok(announced.into_iter().filter(|session| !decided.contains(session)).collect())
    }

    /// Those of the announced sessions that are decided.
    pub(crate) fn decided_of(&self, announced: &BTreeSet<SessionId>) -> Result<BTreeSet<SessionId>> {
        let mut decided = BTreeSet::new();
        // Where announcements cannot be removed there are many, and one list tells of all.
        if let (Some(first), true) = (announced.first(), announced.len() > LOOKS_MAX) {
            let after = format!("{}{:010x}", names::DECISIONS, first.generation());
            let listed = self.backend.list_after(names::DECISIONS, Some(&after))?;
            decided.extend(listed.iter().filter_map(|e| names::session_of(names::DECISIONS, &e.name)));
            return Ok(decided);
        }
        let sessions: Vec<&SessionId> = announced.iter().collect();
        let found = spread(self.backend.lanes(), &sessions, &|s| self.backend.exists(&names::decision(s)));
        for (session, is_decided) in sessions.into_iter().zip(found) {
            if is_decided? {
                decided.insert(session.clone());
            }
        }
        Ok(decided)
    }

    /// Appends one record, computed from exactly the state before it; computes again when another process was faster.
    pub(crate) fn append(
        self: &Arc<Self>,
        decide: &mut dyn FnMut(&Arc<View>) -> Result<Option<Record>>,
    ) -> Result<Arc<View>> {
        for _ in 0..ATTEMPTS_MAX {
            crate::monitor::check_cancelled(self.monitor.as_ref())?;
            let state = self.newest_state()?;
            let low = self.undecided()?.iter().map(SessionId::generation).min();
            let view = Arc::new(View::new(Arc::clone(self), self.with_decisions(state)?));
            let record = match decide(&view) {
                // Another prune has moved what the view still names: look again.
                Err(e) if self.is_outdated(&view, &e)? => continue,
                record => record?,
            };
            let Some(record) = record else { return Ok(view) };
            view.state.head.writable()?;
            if let (Some(session), true) = (view.state.unreadable.first(), record.deletes()) {
                return Err(Error::damaged(
                    names::decision(session),
                    "nothing may be deleted while it cannot be read",
                ));
            }
            let mut state = view.state.clone();
            let low = low.into_iter().chain(state.unreadable.iter().map(SessionId::generation)).min();
            state.watermark = low.map_or(state.n, |low| low.min(state.n)).max(state.watermark);
            let next = state.apply(&record)?;
            if self.publish(&record, &next)? {
                return Ok(Arc::new(View::new(Arc::clone(self), next)));
            }
        }
        Err(Error::Busy("the log of the repository".into()))
    }

    /// Does `work` in a view; again in a newer one if something was missing only because another prune moved it meanwhile.
    pub(crate) fn in_view<T>(self: &Arc<Self>, work: &mut dyn FnMut(&Arc<View>) -> Result<T>) -> Result<T> {
        for _ in 0..ATTEMPTS_MAX {
            let view = self.view()?;
            match work(&view) {
                Err(e) if self.is_outdated(&view, &e)? => {}
                outcome => return outcome,
            }
        }
        Err(Error::Busy("the log of the repository".into()))
    }

    /// Whether damage that was met in a view may only be that the log has grown since: packs go after a record says so.
    pub(crate) fn is_outdated(&self, view: &View, error: &Error) -> Result<bool> {
        Ok(error.kind() == ErrorKind::Damaged && self.log_len()? != view.state.n)
    }

    /// Publishes `next` as the state after its last record; `false` if that record exists already.
    pub(crate) fn publish(&self, record: &Record, next: &State) -> Result<bool> {
        let name = format!("{}{}", names::STATES, hex::encode(self.env.random_bytes::<16>()?));
        let bytes = next.encode(&self.keys, &name, self.env.random_bytes()?)?;
        let n = next.n.saturating_sub(1);
        let entry = LogRecord {
            n,
            kind: record.kind().to_owned(),
            state: name.clone(),
            hash: blake3::hash(&bytes).to_hex().to_string(),
            at: i64::try_from(self.env.clock.now()).unwrap_or(i64::MAX),
            watermark: Some(next.watermark),
            change: Some(record.clone()),
        };
        self.backend.create(&name, &bytes, Durability::Now)?;
        match self.backend.create(
            &names::log(n),
            &entry.encode(&self.keys, self.env.random_bytes()?)?,
            Durability::Now,
        ) {
            Ok(()) => {
                self.catalogue.put_state(&name, &bytes);
                Ok(true)
            }
            Err(BackendError::AlreadyExists(_)) => {
                // Nobody names this state; if it stays, a prune finds it among the old ones.
                self.discard(&name)?;
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Decisions by session, for whoever needs more than the view shows.
    pub(crate) fn decision(&self, session: &SessionId) -> Result<Option<Decision>> {
        match self.read_decision(session) {
            Err(Error::Missing { .. }) => Ok(None),
            decision => decision.map(|(decision, _)| Some(decision)),
        }
    }

    /// A decision, and its bytes.
    fn read_decision(&self, session: &SessionId) -> Result<(Decision, Vec<u8>)> {
        self.packs.opened(&|read| {
            let bytes = read(&names::decision(session), None)?;
            Ok((Decision::decode(&self.keys, session, &bytes)?, bytes))
        })
    }
}

#[cfg(test)]
mod tests;
