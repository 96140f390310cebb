//! What the rules say of a state: which decisions and packs count (R1), what is needed, what may go (G1, G5), which
//! snapshots may be reused whole (W3).

#![expect(clippy::unused_self, reason = "rules are asked of the configuration, whether or not it matters")]

use crate::configurations::Configuration;
use crate::mutants::Mutant;
use crate::set::Set;
use crate::state::{State, Writing};

impl Configuration {
    /// Number of sessions.
    pub(crate) fn sessions(&self) -> u8 {
        1 + self.writers + self.copiers
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Decided sessions (R2).
    pub(crate) fn decided(&self, s: &State) -> Set {
        s.committed.or(s.closed).or(s.revoked)
    }

    /// Decisions that a reader sees: in the table, or of a session that began at or above the watermark.
    pub(crate) fn visible(&self, s: &State) -> Set {
        let above = (0..self.sessions()).filter(|i| s.generation.get(*i) >= s.watermark);
        above.fold(s.table, |seen, i| seen.or(Set::one(i)))
    }

    /// R1: packs that count. A decision names its own until a merge has replaced it.
    pub(crate) fn named(&self, s: &State) -> Set {
        let mut named = s.naming.and(self.visible(s));
        if self.is(Mutant::DedupUndecided) {
            named = named.or(s.announced);
        }
        if !self.is(Mutant::NamedForEver) {
            named = named.minus(s.merged);
        }
        named.or(s.run)
    }

    pub(crate) fn condemned(&self, s: &State) -> Set {
        s.condemned.iter().fold(Set::EMPTY, |all, c| all.or(c.packs))
    }

    /// Listed snapshots.
    pub(crate) fn live(&self, s: &State) -> Set {
        s.committed.and(self.visible(s)).minus(s.forgotten)
    }

    /// Snapshots to mark from; with `keep`, also those that may still be undeleted.
    pub(crate) fn roots(&self, s: &State, keep: bool) -> Set {
        let trash = if keep { s.forgotten.minus(s.purged) } else { Set::EMPTY };
        self.live(s).or(trash)
    }

    /// Chunks in these packs.
    pub(crate) fn chunks_in(&self, s: &State, packs: Set) -> Set {
        packs.iter().fold(Set::EMPTY, |all, p| all.or(s.contents.get(p)))
    }

    /// Chunks that these snapshots need.
    pub(crate) fn chunks_of(&self, s: &State, snapshots: Set) -> Set {
        snapshots.iter().fold(Set::EMPTY, |all, p| all.or(s.needs.get(p)))
    }

    /// Whether `going` may leave `packs`: each needed chunk that has a sound copy keeps one; of others every damaged copy stays.
    pub(crate) fn may_go(&self, s: &State, packs: Set, going: Set, needed: Set) -> bool {
        let sound = packs.minus(s.quarantined);
        let with_copy = self.chunks_in(s, sound);
        let kept = self.chunks_in(s, sound.minus(going));
        let lost_damaged = self.chunks_in(s, going.and(s.quarantined));
        needed.and(with_copy).within(kept) && needed.minus(with_copy).and(lost_damaged).is_empty()
    }

    /// W3: snapshots that must not be reused whole: forgotten, or possibly relying on condemned packs.
    pub(crate) fn barred(&self, s: &State) -> Set {
        let mut barred = s.forgotten;
        for parent in 0..=self.writers {
            let begun = parent == 0 || s.writers.get(parent).at as u8 >= Writing::Informed as u8;
            let doubtful =
                |c: &crate::state::Condemned| s.generation.get(parent) <= c.n && !c.roots.has(parent);
            if begun && !self.is(Mutant::ReuseAnyParent) && s.condemned.iter().any(doubtful) {
                barred.add(parent);
            }
        }
        barred
    }

    /// F: packs that nobody deduplicates against.
    pub(crate) fn shunned(&self, s: &State) -> Set {
        s.swept.or(self.condemned(s)).or(s.quarantined)
    }

    /// Packs that a prune may condemn.
    pub(crate) fn candidates(&self, s: &State) -> Set {
        self.named(s).minus(s.swept).minus(self.condemned(s))
    }
}
