//! What a prune would do, as a plain value.
//!
//! Of what nobody needs only whole packs can be given back. Those of which little is needed are copied: frames that are nearly all
//! needed move as they are, which costs reading and writing; others are compressed anew, which costs much more.

use std::collections::BTreeSet;

use super::PruneOptions;
use super::mark::Use;
use crate::id::PackName;
use crate::index::IndexedPack;

/// Packs below this are small; many of them are joined.
const SMALL_BYTES: u64 = 4 << 20;
/// How many small packs are worth joining.
const SMALL_PACKS_MIN: usize = 16;
/// Dead shares above which frames might be written anew, the cheapest for the processor first: the plan takes what costs least and
/// reaches the limit. The limit itself always does.
const FRAME_DEAD_SHARES: [f64; 4] = [0.2, 0.15, 0.1, 0.05];
/// Cost of compressing a raw byte, where moving a stored one is 1. Measured: 6 against 1.2 ns of processor, and as much again of
/// both for writing them.
const COST_RAW: f64 = 2.0;

/// What a prune would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Packs that nothing needs.
    pub(crate) delete: BTreeSet<PackName>,
    /// Packs whose live chunks are copied out first.
    pub(crate) repack: BTreeSet<PackName>,
    /// Frames move as they are if at most this share of them is dead.
    pub(crate) frame_dead_share_max: f64,
    /// Stored bytes that would come back, before what repacking writes.
    pub(crate) bytes_freed: u64,
    /// Raw bytes that are needed.
    pub(crate) bytes_live: u64,
    /// Raw bytes that nothing refers to.
    pub(crate) bytes_dead: u64,
}

/// A pack that may be repacked.
struct Candidate<'a> {
    pack: &'a IndexedPack,
    used: Use,
    frames: &'a [Use],
    /// Whether it is repacked whatever the whole looks like.
    is_due: bool,
}

/// Which packs are repacked, and how.
struct Choice<'c> {
    frame_dead_share_max: f64,
    packs: Vec<&'c Candidate<'c>>,
    cost: f64,
    /// Stored bytes that stay dead.
    dead: f64,
    /// Whether no more than what is allowed stays dead.
    is_enough: bool,
}

impl Plan {
    /// Decides from what is needed of each frame. Packs that are condemned, swept or quarantined are left to their own way.
    pub(crate) fn make(packs: &[IndexedPack], frames: &[Vec<Use>], options: &PruneOptions) -> Self {
        let mut plan = Self::default();
        let mut candidates = Vec::new();
        for (pack, frames) in packs.iter().zip(frames) {
            let used = frames
                .iter()
                .fold(Use::default(), |sum, f| Use { live: sum.live + f.live, all: sum.all + f.all });
            plan.bytes_live += used.live;
            plan.bytes_dead += used.dead();
            if pack.swept || pack.shunned && !pack.quarantined {
                continue;
            }
            if used.live == 0 {
                plan.delete.insert(pack.name.clone());
                plan.bytes_freed += pack.size;
            } else if !pack.quarantined {
                // One in quarantine is kept for repair while anything in it has no other copy.
                let is_due = used.dead_share() > options.pack_dead_share_max;
                candidates.push(Candidate { pack, used, frames, is_due });
            }
        }
        let is_small = |c: &Candidate<'_>| !c.is_due && c.pack.size < SMALL_BYTES;
        if candidates.iter().filter(|c| is_small(c)).count() >= SMALL_PACKS_MIN {
            candidates.iter_mut().filter(|c| is_small(c)).for_each(|c| c.is_due = true);
        }
        plan.choose(&candidates, options);
        plan
    }

    /// The cheapest choice that leaves no more dead than allowed.
    fn choose(&mut self, candidates: &[Candidate<'_>], options: &PruneOptions) {
        let limit = options.dead_share_max;
        let shares = FRAME_DEAD_SHARES.into_iter().filter(|share| *share > limit).chain([limit]);
        let shares = shares.map(|share| share.min(options.pack_dead_share_max));
        let choices = shares.map(|share| Choice::make(candidates, share, options));
        // If none is enough, for want of budget, then the one that leaves least.
        let best = choices.min_by(|a, b| match (a.is_enough, b.is_enough) {
            (true, true) => a.cost.total_cmp(&b.cost),
            (false, false) => a.dead.total_cmp(&b.dead),
            (a, b) => b.cmp(&a),
        });
        let Some(best) = best else { return };
        self.frame_dead_share_max = best.frame_dead_share_max;
        for candidate in best.packs {
            self.bytes_freed += candidate.pack.size;
            self.repack.insert(candidate.pack.name.clone());
        }
    }

    /// All packs that would go.
    pub(crate) fn condemned(&self) -> BTreeSet<PackName> {
        self.delete.union(&self.repack).cloned().collect()
    }
}

impl<'c> Choice<'c> {
    /// What is due, then the packs that give most for their cost, until little enough is dead.
    fn make(candidates: &'c [Candidate<'c>], share: f64, options: &PruneOptions) -> Self {
        let mut worth: Vec<(f64, f64, f64, &Candidate<'_>)> = candidates
            .iter()
            .map(|c| {
                let (gain, cost) = c.gain_and_cost(share);
                (if c.is_due { f64::INFINITY } else { gain / cost }, gain, cost, c)
            })
            .collect();
        worth.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut stored: f64 = candidates.iter().map(|c| c.pack.size as f64).sum();
        let dead: f64 = candidates.iter().map(|c| c.stored(c.used.dead())).sum();
        let is_enough = dead <= options.dead_share_max * stored;
        let mut choice = Self { frame_dead_share_max: share, packs: Vec::new(), cost: 0.0, dead, is_enough };
        let mut copied = 0;
        for (_, gain, cost, candidate) in worth {
            let is_useful = gain > 0.0 && !choice.is_enough;
            let is_affordable =
                options.repack_bytes_max.is_none_or(|max| copied + candidate.used.live <= max);
            if (is_useful || candidate.is_due) && is_affordable {
                choice.packs.push(candidate);
                choice.cost += cost;
                copied += candidate.used.live;
                choice.dead -= gain;
                stored -= gain;
                choice.is_enough = choice.dead <= options.dead_share_max * stored;
            }
        }
        choice
    }
}

impl Candidate<'_> {
    /// How many stored bytes so many raw ones are, as far as the index tells.
    fn stored(&self, raw: u64) -> f64 {
        raw as f64 * self.pack.size as f64 / self.used.all.max(1) as f64
    }

    /// Stored bytes given back, and the cost of copying what stays, if frames of at most this dead share move as they are.
    fn gain_and_cost(&self, share: f64) -> (f64, f64) {
        let (moved, renewed): (Vec<&Use>, Vec<&Use>) =
            self.frames.iter().partition(|f| f.dead_share() <= share);
        let moved: u64 = moved.iter().map(|f| f.all).sum();
        let gone: u64 = renewed.iter().map(|f| f.dead()).sum();
        let renewed: u64 = renewed.iter().map(|f| f.live).sum();
        // Something of a candidate is needed, so the cost is never 0.
        (self.stored(gone), self.stored(moved) + COST_RAW * renewed as f64)
    }
}

#[cfg(test)]
mod tests;
