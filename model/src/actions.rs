//! What can happen next, in any state.

#![expect(clippy::unused_self, reason = "rules are asked of the configuration, whether or not it matters")]

use crate::configurations::Configuration;
use crate::mutants::Mutant;
use crate::set::Set;
use crate::state::{Pruning, State, Writing};

/// One step of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A writer chooses a session id.
    Name(u8),
    /// W1.
    Announce(u8),
    /// W2, with the check of the length in the session's id.
    ReadState(u8),
    /// W4: refers to some chunks by deduplication, writes others.
    Plan {
        /// The writer.
        writer: u8,
        /// Chunks found.
        dedup: Set,
        /// Chunks to write.
        new: Set,
    },
    /// W3: refers to everything that a parent needs.
    Reuse {
        /// The writer.
        writer: u8,
        /// The parent.
        parent: u8,
    },
    /// The pack becomes durable.
    WritePack(u8),
    /// W5.
    Commit(u8),
    /// A copier is announced.
    AnnounceCopier(u8),
    /// A copier copies all chunks of a pack into its own.
    Copy {
        /// The copier.
        copier: u8,
        /// The pack.
        from: u8,
    },
    /// R2: closed by the owner or on its behalf; names the pack if it was seen.
    Close {
        /// The session.
        session: u8,
        /// Whether its pack is named.
        naming: bool,
    },
    /// G4: revoked, at any moment: no clock is trusted.
    Revoke(u8),
    /// G1.
    Choose {
        /// The pruner.
        pruner: u8,
        /// Packs to condemn.
        packs: Set,
        /// Whether forgotten snapshots are marked from.
        keep: bool,
    },
    /// G2.
    Condemn(u8),
    /// G3.
    ListRunning(u8),
    /// G5.
    MarkAgain {
        /// The pruner.
        pruner: u8,
        /// Packs that go.
        going: Set,
        /// Whether forgotten snapshots are marked from.
        keep: bool,
    },
    /// G6.
    Sweep(u8),
    /// G7, or a pack that nothing names (R1).
    Delete(u8),
    /// Hides a snapshot.
    Forget(u8),
    /// Brings it back.
    Undelete(u8),
    /// Protects it from being forgotten.
    Hold(u8),
    /// Takes the protection back.
    Release(u8),
    /// Mutants only: looks whether a snapshot may be forgotten or undeleted, and acts later.
    CheckFirst(u8),
    /// A damaged pack is named.
    Quarantine(u8),
    /// A prune sees that a pack has no effect, and deletes it later.
    Doom(u8),
    /// Repair makes the index anew from the packs that are stored.
    Rebuild,
    /// A merger reads.
    MergeRead(u8),
    /// A merger publishes.
    MergePublish(u8),
    /// One step towards a watermark.
    Checkpoint,
    /// Mutant only: a revocation is deleted.
    DropRevocation(u8),
}

impl Configuration {
    pub(crate) fn enabled(&self, s: &State, out: &mut Vec<Action>) {
        (1..=self.writers).for_each(|w| self.writer_actions(s, w, out));
        self.copier_actions(s, out);
        self.decisions(s, out);
        (0..self.pruners).for_each(|p| self.pruner_actions(s, p, out));
        let over = self.decided(s);
        let deletable = s.stored.and(over).and(s.swept.or(s.stored.minus(self.named(s))));
        out.extend(deletable.or(s.doomed.and(s.stored)).iter().map(Action::Delete));
        if self.rebuild {
            out.extend(deletable.minus(s.doomed).iter().map(Action::Doom));
        }
        if s.length < self.records {
            self.log_actions(s, out);
        }
        if self.is(Mutant::ActOutsideTheLog) {
            for i in 0..=self.writers {
                let may = if self.hold { self.forgettable(s, i) } else { self.undeletable(s, i) };
                if s.checked.has(i) {
                    out.push(if self.hold { Action::Forget(i) } else { Action::Undelete(i) });
                } else if may {
                    out.push(Action::CheckFirst(i));
                }
            }
        }
        if self.is(Mutant::DropRevocations) {
            out.extend(s.revoked.iter().map(Action::DropRevocation));
        }
    }

    fn writer_actions(&self, s: &State, w: u8, out: &mut Vec<Action>) {
        let early = self.is(Mutant::ReadBeforeAnnouncing);
        match s.writers.get(w).at {
            Writing::Idle => out.push(Action::Name(w)),
            Writing::Named => out.push(if early { Action::ReadState(w) } else { Action::Announce(w) }),
            Writing::Announced => out.push(if early { Action::Announce(w) } else { Action::ReadState(w) }),
            Writing::Informed => {
                for new in self.chunks.subsets() {
                    for dedup in
                        self.chunks.minus(new).subsets().filter(|d| !(d.is_empty() && new.is_empty()))
                    {
                        out.push(Action::Plan { writer: w, dedup, new });
                    }
                }
                let parents = s.committed.and(self.visible(s)).minus(Set::one(w));
                out.extend(parents.iter().map(|parent| Action::Reuse { writer: w, parent }));
            }
            Writing::Planned => out.push(Action::WritePack(w)),
            Writing::Ready => out.push(Action::Commit(w)),
            Writing::Over => {}
        }
    }

    fn copier_actions(&self, s: &State, out: &mut Vec<Action>) {
        for copier in self.writers + 1..self.sessions() {
            if !s.announced.has(copier) {
                out.push(Action::AnnounceCopier(copier));
            } else if s.contents.get(copier).is_empty() {
                out.extend((0..copier).map(|from| Action::Copy { copier, from }));
            }
        }
    }

    fn decisions(&self, s: &State, out: &mut Vec<Action>) {
        for session in s.announced.minus(self.decided(s)).iter().filter(|i| *i > 0) {
            let copier = session > self.writers;
            if (self.close || copier) && s.stored.has(session) {
                out.push(Action::Close { session, naming: true });
            }
            if self.close && !copier {
                out.push(Action::Close { session, naming: false });
            }
            if self.revoke {
                out.push(Action::Revoke(session));
            }
        }
        if self.is(Mutant::RevokeByOverwriting) {
            let waited = s.pruners.iter().fold(Set::EMPTY, |all, p| all.or(p.waits));
            out.extend(waited.and(s.committed).iter().map(Action::Revoke));
        }
    }

    fn pruner_actions(&self, s: &State, pruner: u8, out: &mut Vec<Action>) {
        let p = s.pruners.get(pruner);
        let keeps = if self.keep { &[false, true][..] } else { &[false][..] };
        match p.at {
            Pruning::Idle if s.length < self.records => {
                let packs = self.candidates(s);
                for keep in keeps {
                    let needed = self.chunks_of(s, self.roots(s, *keep));
                    let fits = packs.subsets().filter(|d| !d.is_empty() && self.may_go(s, packs, *d, needed));
                    out.extend(fits.map(|packs| Action::Choose { pruner, packs, keep: *keep }));
                }
            }
            Pruning::Chosen => out.push(Action::Condemn(pruner)),
            Pruning::Condemned => out.push(Action::ListRunning(pruner)),
            Pruning::Waiting if p.waits.within(self.decided(s)) || self.is(Mutant::DoNotWait) => {
                for keep in keeps {
                    let going = self.second_mark(s, p, *keep);
                    out.extend(going.into_iter().map(|going| Action::MarkAgain {
                        pruner,
                        going,
                        keep: *keep,
                    }));
                }
            }
            Pruning::Idle | Pruning::Waiting => {}
            Pruning::Marked => out.push(Action::Sweep(pruner)),
        }
    }

    /// G5: the largest sets that may go. Packs of other condemnations do not count as copies.
    fn second_mark(&self, s: &State, p: crate::state::Pruner, keep: bool) -> Vec<Set> {
        if self.is(Mutant::NoSecondMark) {
            return vec![p.packs];
        }
        let others = s.condemned.iter().filter(|c| c.n != p.n).fold(Set::EMPTY, |all, c| all.or(c.packs));
        let others = if self.is(Mutant::RelyOnCondemned) { Set::EMPTY } else { others };
        let packs = self.named(s).minus(s.swept).minus(others).or(p.packs);
        let needed = self.chunks_of(s, self.roots(s, keep));
        let fits: Vec<Set> = p.packs.subsets().filter(|x| self.may_go(s, packs, *x, needed)).collect();
        fits.iter().filter(|x| !fits.iter().any(|y| y != *x && x.within(*y))).copied().collect()
    }

    fn log_actions(&self, s: &State, out: &mut Vec<Action>) {
        let outside = self.is(Mutant::ActOutsideTheLog);
        for i in 0..=self.writers {
            if self.forgettable(s, i) && !(outside && self.hold) {
                out.push(Action::Forget(i));
            }
            if self.undelete && self.undeletable(s, i) && (self.hold || !outside) {
                out.push(Action::Undelete(i));
            }
            if self.hold && self.live(s).minus(s.held).has(i) {
                out.push(Action::Hold(i));
            }
            if self.hold && s.held.has(i) {
                out.push(Action::Release(i));
            }
        }
        if self.quarantine && s.quarantined.is_empty() {
            out.extend(self.named(s).minus(s.swept).and(s.stored).iter().map(Action::Quarantine));
        }
        for m in 0..self.mergers {
            out.push(if s.mergers.get(m).read { Action::MergePublish(m) } else { Action::MergeRead(m) });
        }
        if self.rebuild {
            out.push(Action::Rebuild);
        }
        if self.checkpoint {
            out.push(Action::Checkpoint);
        }
    }

    fn forgettable(&self, s: &State, i: u8) -> bool {
        self.forget && self.live(s).minus(s.held).has(i)
    }

    fn undeletable(&self, s: &State, i: u8) -> bool {
        s.forgotten.minus(s.purged).has(i)
    }
}
