//! What an action does to the state.

use crate::actions::Action;
use crate::configurations::Configuration;
use crate::mutants::Mutant;
use crate::set::Set;
use crate::state::{Checkpointer, Condemned, Merger, Pruner, Pruning, State, Writing};

impl Configuration {
    /// The state after `action`, unless it is not possible after all.
    pub(crate) fn step(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        let done = match action {
            Action::Name(_)
            | Action::Announce(_)
            | Action::ReadState(_)
            | Action::Plan { .. }
            | Action::Reuse { .. }
            | Action::WritePack(_)
            | Action::Commit(_) => self.write(&mut s, action),
            Action::AnnounceCopier(_)
            | Action::Copy { .. }
            | Action::Close { .. }
            | Action::Revoke(_)
            | Action::DropRevocation(_)
            | Action::Doom(_)
            | Action::Delete(_) => self.decide(&mut s, action),
            Action::Choose { .. }
            | Action::Condemn(_)
            | Action::ListRunning(_)
            | Action::MarkAgain { .. }
            | Action::Sweep(_) => self.prune(&mut s, action),
            _ => self.record(&mut s, action),
        };
        done.filter(|()| s.length <= self.records).map(|()| s)
    }

    /// W1 to W5.
    fn write(&self, s: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Name(w) => {
                s.generation.set(w, s.length);
                s.writers.change(w, |writer| writer.at = Writing::Named);
            }
            Action::Announce(w) => {
                s.announced.add(w);
                let early = self.is(Mutant::ReadBeforeAnnouncing);
                let next = if early { Writing::Informed } else { Writing::Announced };
                s.writers.change(w, |writer| writer.at = next);
            }
            Action::ReadState(w) => self.read_state(s, w)?,
            Action::Plan { writer, dedup, new } => {
                let known = s.writers.get(writer).usable;
                let named = self.named(s).or(s.naming.and(self.visible(s)));
                if !dedup.within(self.chunks_in(s, known.and(named))) {
                    return None;
                }
                s.needs.set(writer, dedup.or(new));
                s.contents.set(writer, new);
                let next = if new.is_empty() { Writing::Ready } else { Writing::Planned };
                s.writers.change(writer, |w| w.at = next);
            }
            Action::Reuse { writer, parent } => {
                let w = s.writers.get(writer);
                // Looked at when reusing: no pack that it needs may be damaged.
                let damaged = self.chunks_in(s, s.quarantined.minus(w.usable));
                let relies = !s.needs.get(parent).and(damaged).is_empty();
                if w.barred.has(parent) || relies && !self.is(Mutant::ReuseDamagedParent) {
                    return None;
                }
                s.needs.set(writer, s.needs.get(parent));
                s.writers.change(writer, |w| w.at = Writing::Ready);
            }
            Action::WritePack(w) => {
                s.stored.add(w);
                s.writers.change(w, |writer| writer.at = Writing::Ready);
            }
            Action::Commit(w) => {
                if !self.decided(s).has(w) || self.is(Mutant::CommitByOverwriting) {
                    s.committed.add(w);
                    s.closed.remove(w);
                    s.revoked.remove(w);
                    s.told.add(w);
                    if !s.contents.get(w).is_empty() {
                        s.naming.add(w);
                    }
                }
                s.writers.change(w, |writer| writer.at = Writing::Over);
            }
            _ => return None,
        }
        Some(())
    }

    /// W2. A log that grew since the session was named makes it begin anew.
    fn read_state(&self, s: &mut State, w: u8) -> Option<()> {
        let early = self.is(Mutant::ReadBeforeAnnouncing);
        if s.length != s.generation.get(w) && !self.is(Mutant::NoGenerationCheck) && !early {
            if self.decided(s).has(w) {
                return None;
            }
            s.announced.remove(w);
            s.pruners.iter_mut().for_each(|p| p.waits.remove(w));
            s.writers.change(w, |writer| writer.at = Writing::Idle);
            return Some(());
        }
        let known =
            if self.is(Mutant::NamedForEver) { Set(u8::MAX) } else { Set(u8::MAX).minus(s.merged).or(s.run) };
        let shunned =
            if self.is(Mutant::DedupCondemned) { s.swept.or(s.quarantined) } else { self.shunned(s) };
        let barred = self.barred(s);
        s.writers.change(w, |writer| {
            writer.usable = known.minus(shunned);
            writer.barred = barred;
            writer.at = if early { Writing::Announced } else { Writing::Informed };
        });
        Some(())
    }

    /// Copiers, and decisions of others.
    fn decide(&self, s: &mut State, action: Action) -> Option<()> {
        match action {
            Action::AnnounceCopier(c) => {
                s.generation.set(c, s.length);
                s.announced.add(c);
            }
            Action::Copy { copier, from } => {
                if !self.named(s).minus(s.swept).and(s.stored).has(from) {
                    return None;
                }
                s.contents.set(copier, s.contents.get(from));
                s.stored.add(copier);
            }
            Action::Close { session, naming } => {
                s.closed.add(session);
                if naming {
                    s.naming.add(session);
                }
            }
            Action::Revoke(i) => {
                s.revoked.add(i);
                s.committed.remove(i);
            }
            Action::DropRevocation(i) => s.revoked.remove(i),
            Action::Doom(p) => s.doomed.add(p),
            Action::Delete(p) => {
                s.stored.remove(p);
                s.doomed.remove(p);
            }
            _ => return None,
        }
        Some(())
    }

    /// G1 to G6.
    fn prune(&self, s: &mut State, action: Action) -> Option<()> {
        let early = self.is(Mutant::ListBeforeCondemning);
        match action {
            Action::Choose { pruner, packs, keep } => {
                let at = if early { Pruning::Condemned } else { Pruning::Chosen };
                let roots = self.roots(s, keep);
                let p = Pruner { at, length: s.length, packs, roots, ..Pruner::default() };
                s.pruners.set(pruner, p);
            }
            Action::Condemn(i) => {
                let p = s.pruners.get(i);
                if p.length != s.length {
                    s.pruners.set(i, Pruner::default());
                    return Some(());
                }
                s.condemned.push(Condemned { n: s.length, packs: p.packs, roots: p.roots });
                let at = if early { Pruning::Waiting } else { Pruning::Condemned };
                let next = Pruner { at, n: s.length, length: 0, roots: Set::EMPTY, ..p };
                s.pruners.set(i, next);
                s.length += 1;
            }
            Action::ListRunning(i) => {
                let waits = s.announced.minus(self.decided(s));
                let at = if early { Pruning::Chosen } else { Pruning::Waiting };
                s.pruners.change(i, |p| {
                    p.waits = waits;
                    p.at = at;
                });
            }
            Action::MarkAgain { pruner, going, keep } => {
                let p = s.pruners.get(pruner);
                let open = s.condemned.iter().any(|c| c.n == p.n);
                let roots = self.roots(s, keep);
                let next =
                    Pruner { at: Pruning::Marked, length: s.length, going, roots, waits: Set::EMPTY, ..p };
                s.pruners.set(pruner, if open { next } else { Pruner::default() });
            }
            Action::Sweep(i) => self.sweep(s, i)?,
            _ => return None,
        }
        Some(())
    }

    /// G6, at exactly the length that G5 saw.
    fn sweep(&self, s: &mut State, i: u8) -> Option<()> {
        let p = s.pruners.get(i);
        if p.length != s.length && !self.is(Mutant::StaleSweep) {
            let again = Pruner { at: Pruning::Waiting, length: 0, going: Set::EMPTY, roots: Set::EMPTY, ..p };
            s.pruners.set(i, again);
            return Some(());
        }
        let place = s.condemned.iter().position(|c| c.n == p.n)?;
        let condemned = s.condemned.remove(place);
        let from = if self.is(Mutant::PurgeByFirstMark) { condemned.roots } else { p.roots };
        let purged = s.forgotten.minus(from);
        s.broken_promise = s.broken_promise.or(purged.and(p.roots).minus(s.purged));
        s.purged = s.purged.or(purged);
        if self.is(Mutant::ForgetSwept) {
            s.stored = s.stored.minus(p.going);
        } else {
            s.swept = s.swept.or(p.going);
        }
        s.pruners.set(i, Pruner::default());
        s.length += 1;
        Some(())
    }

    /// Other log records.
    fn record(&self, s: &mut State, action: Action) -> Option<()> {
        let mut counts = true;
        match action {
            Action::Forget(i) => {
                s.forgotten.add(i);
                counts = !s.checked.has(i);
                s.checked.remove(i);
            }
            Action::Undelete(i) => {
                s.forgotten.remove(i);
                counts = !s.checked.has(i);
                s.checked.remove(i);
            }
            Action::CheckFirst(i) => {
                s.checked.add(i);
                counts = false;
            }
            Action::Hold(i) => s.held.add(i),
            Action::Release(i) => s.held.remove(i),
            Action::Quarantine(p) => {
                s.quarantined.add(p);
                s.quarantined_at = s.length;
            }
            Action::Rebuild => {
                let counts = if self.is(Mutant::RebuildFromAll) { s.stored } else { s.stored.and(s.naming) };
                s.run = counts.minus(s.swept);
                s.merged = s.merged.or(s.naming.and(self.visible(s)));
            }
            Action::MergeRead(i) => {
                let sessions = s.naming.and(self.visible(s)).minus(s.merged);
                if sessions.is_empty() && s.run.and(s.swept).is_empty() {
                    return None;
                }
                let run = s.run.or(sessions).minus(s.swept);
                let merger = Merger { read: true, length: s.length, sessions, run, swept: s.swept };
                s.mergers.set(i, merger);
                counts = false;
            }
            Action::MergePublish(i) => {
                let m = s.mergers.get(i);
                s.mergers.set(i, Merger::default());
                counts = m.length == s.length || self.is(Mutant::StaleMerge);
                if counts {
                    s.run = m.run;
                    s.merged = s.merged.or(m.sessions);
                    // No run that counts names these any more, and they are deleted.
                    let stored = if self.is(Mutant::UnsweepStored) { Set::EMPTY } else { s.stored };
                    s.swept = s.swept.minus(m.swept.and(s.merged).minus(s.run).minus(stored));
                }
            }
            Action::Checkpoint => counts = self.checkpoint_step(s),
            _ => return None,
        }
        s.length += u8::from(counts);
        Some(())
    }

    /// First the running sessions are listed, then the decisions; then the watermark is published, if the log did not grow.
    fn checkpoint_step(&self, s: &mut State) -> bool {
        let first = u8::from(self.is(Mutant::ListDecisionsFirst));
        let mut c = s.checkpointer;
        if c.step == 2 {
            s.checkpointer = Checkpointer::default();
            if c.length != s.length {
                return false;
            }
            s.table = s.table.or(c.table);
            s.watermark = s.watermark.max(c.low.min(c.length));
            return true;
        }
        if c.step == 0 {
            c.length = s.length;
        }
        if c.step == first {
            let running = s.announced.minus(self.decided(s));
            c.low = running.iter().map(|i| s.generation.get(i)).min().unwrap_or(u8::MAX);
        } else {
            c.table = s.committed.or(s.closed);
        }
        c.step += 1;
        s.checkpointer = c;
        false
    }
}
