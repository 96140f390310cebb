//! Packs that are gone behind everybody's back: a session begins by looking for them, so that it relies on none.
//!
//! One request lists up to [`LISTED_MAX`] packs, from the first on or, where there are more, from one that chance picks: a small
//! repository is looked at whole, a large one over a few sessions. Why: `docs/decisions/lost-packs.md`.

use std::collections::{BTreeSet, HashMap};

use crate::error::Result;
use crate::id::PackName;
use crate::names;
use crate::repository::Inner;
use crate::view::View;

/// Packs that are listed when a session begins: what far storage lists in one request; 16 GB of packs.
const LISTED_MAX: usize = 1000;

impl Inner {
    /// Packs that count in `view`, and are gone or have another size. Some of them may have been swept since.
    pub(super) fn lost_packs(&self, view: &View) -> Result<BTreeSet<PackName>> {
        let chance = u64::from_le_bytes(self.env.random_bytes()?);
        self.lost_among(view, LISTED_MAX, chance)
    }

    fn lost_among(&self, view: &View, limit: usize, chance: u64) -> Result<BTreeSet<PackName>> {
        let packs = view.places()?.packs();
        if packs.is_empty() {
            return Ok(BTreeSet::new());
        }
        // From the first name on, or behind that of any pack.
        let behind = (chance % (packs.len() as u64 + 1)).checked_sub(1).filter(|_| packs.len() > limit);
        let first = behind.and_then(|at| packs.get(at as usize)).map(|pack| &pack.name);
        let listed = self.backend.list(names::PACKS, first.map(names::pack).as_deref(), limit)?;
        let name = |object: &str| object.strip_prefix(names::PACKS)?.parse::<PackName>().ok();
        let sizes: HashMap<PackName, u64> =
            listed.iter().filter_map(|entry| Some((name(&entry.name)?, entry.size))).collect();
        // Behind the last name of a list that was cut off nothing is known.
        let last = if listed.len() < limit { None } else { sizes.keys().max() };
        if last.is_none() && listed.len() >= limit {
            return Ok(BTreeSet::new());
        }
        let is_covered = |pack: &PackName| first.is_none_or(|f| pack > f) && last.is_none_or(|l| pack <= l);
        let lost = packs.iter().filter(|pack| {
            let is_known = pack.swept || pack.quarantined || !is_covered(&pack.name);
            !is_known && sizes.get(&pack.name) != Some(&pack.size)
        });
        Ok(lost.map(|pack| pack.name.clone()).collect())
    }

    /// Puts those of `lost` into quarantine that were not swept meanwhile: who deletes says so before.
    pub(super) fn quarantine_lost(self: &std::sync::Arc<Self>, lost: &BTreeSet<PackName>) -> Result<()> {
        let view = self.view()?;
        let still = view.places()?.packs().iter().filter(|pack| !pack.swept && lost.contains(&pack.name));
        let packs: BTreeSet<PackName> = still.map(|pack| pack.name.clone()).collect();
        for pack in &packs {
            let problem = "is gone or cut short: what it held is stored anew if it is still at its source";
            self.monitor.problem(&format!("{} {problem}", names::pack(pack)));
        }
        self.quarantine(&packs)
    }
}

#[cfg(test)]
mod tests;
