//! The reference: what the repository must hold, by the meaning of the operations alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use chronos_tests::compare::Captured;

/// Every entry of a tree by its path in it; the tree itself has the empty path.
pub(super) type Tree = BTreeMap<PathBuf, Captured>;

/// What a listing says of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) target: String,
    pub(super) host: String,
    pub(super) deleted: bool,
    pub(super) held: bool,
    pub(super) tags: Vec<String>,
}

/// What a repository says that it holds, by backup id.
pub(super) type Listing = BTreeMap<String, Row>;

/// A snapshot that must be there.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) row: Row,
    /// By number of the tree.
    pub(super) trees: BTreeMap<usize, Arc<Tree>>,
    /// When it was taken: a rewritten one has the time of the first.
    pub(super) time: usize,
    /// When it was forgotten, in hours.
    pub(super) forgotten: Option<u64>,
}

/// The name of a snapshot that is not known before it is listed.
pub(super) const NEW: &str = "";

/// What the repository holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) kept: BTreeMap<String, Kept>,
    /// Names in the order in which the snapshots were made, those that are gone too.
    pub(super) made: Vec<String>,
    /// Secrets that open it, by number.
    pub(super) keys: BTreeSet<u8>,
    pub(super) keys_made: u8,
    pub(super) hours: u64,
    /// The newest snapshot of a host and target, while nothing has touched the trees since.
    pub(super) untouched: BTreeMap<(String, String), String>,
}

/// A model that may be true after an operation, and names that may have been purged in it or not.
#[derive(Clone, Debug)]
pub(super) struct Possible {
    pub(super) model: Model,
    pub(super) maybe_gone: BTreeSet<String>,
}

impl From<Model> for Possible {
    fn from(model: Model) -> Self {
        Self { model, maybe_gone: BTreeSet::new() }
    }
}

impl Model {
    /// A snapshot that was ever made, by number.
    pub(super) fn any(&self, pick: usize) -> Option<String> {
        self.made.get(pick.checked_rem(self.made.len())?).cloned()
    }

    /// A listed snapshot, by number.
    pub(super) fn listed(&self, pick: usize) -> Option<String> {
        let listed: Vec<&String> = self.listed_names().collect();
        listed.get(pick.checked_rem(listed.len())?).map(|name| (*name).clone())
    }

    /// Listed snapshots, in the order in which they were made.
    pub(super) fn listed_names(&self) -> impl Iterator<Item = &String> {
        self.made.iter().filter(|name| self.kept.get(*name).is_some_and(|k| !k.row.deleted))
    }

    pub(super) fn is_listed(&self, name: &str) -> bool {
        self.kept.get(name).is_some_and(|k| !k.row.deleted)
    }

    pub(super) fn is_held(&self, name: &str) -> bool {
        self.kept.get(name).is_some_and(|k| k.row.held)
    }

    /// Adds a snapshot under a name.
    pub(super) fn add(&mut self, name: &str, kept: Kept) {
        self.kept.insert(name.to_owned(), kept);
        self.made.push(name.to_owned());
    }

    pub(super) fn forget(&mut self, name: &str) {
        if let Some(kept) = self.kept.get_mut(name) {
            kept.row.deleted = true;
            kept.forgotten = Some(self.hours);
        }
    }

    pub(super) fn undelete(&mut self, name: &str) {
        if let Some(kept) = self.kept.get_mut(name) {
            kept.row.deleted = false;
            kept.forgotten = None;
        }
    }

    /// Forgotten snapshots that a prune purges that keeps them so long.
    pub(super) fn expired(&self, keep_hours: u64) -> BTreeSet<String> {
        let is_expired = |k: &Kept| k.forgotten.is_some_and(|at| at + keep_hours <= self.hours);
        self.kept.iter().filter(|(_, k)| is_expired(k)).map(|(name, _)| name.clone()).collect()
    }

    /// What the rule "the newest so many of each target" removes, of one target or of all: never what is held, nor the newest of
    /// a target on a host. None if the order is not known, since two are of one time.
    pub(super) fn past_last(&self, last: u32, target: Option<&str>) -> Option<BTreeSet<String>> {
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        let mut hosts: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut gone = BTreeSet::new();
        let mut newest_first: Vec<&String> = self.listed_names().collect();
        newest_first.sort_by_key(|name| std::cmp::Reverse(self.kept[*name].time));
        if newest_first.windows(2).any(|two| self.kept[two[0]].time == self.kept[two[1]].time) {
            return None;
        }
        for name in newest_first {
            let row = &self.kept[name].row;
            if target.is_some_and(|t| t != row.target) {
                continue;
            }
            let seen = seen.entry(&row.target).or_default();
            *seen += 1;
            let is_last = hosts.insert((&row.target, &row.host));
            if *seen > last && !row.held && !is_last {
                gone.insert(name.clone());
            }
        }
        Some(gone)
    }

    /// Gives the snapshot that was made its name.
    fn name_new(&mut self, name: &str) {
        if let Some(kept) = self.kept.remove(NEW) {
            self.kept.insert(name.to_owned(), kept);
        }
        for known in self.made.iter_mut().chain(self.untouched.values_mut()).filter(|n| *n == NEW) {
            name.clone_into(known);
        }
    }
}

impl Possible {
    /// The model with the names of the listing, if it fits; else what does not.
    pub(super) fn fit(&self, listing: &Listing) -> Result<Model, String> {
        let mut model = self.model.clone();
        if model.kept.contains_key(NEW) {
            let fresh: Vec<&String> = listing.keys().filter(|n| !model.made.contains(n)).collect();
            match fresh.as_slice() {
                [name] => model.name_new(name),
                other => return Err(format!("one new snapshot is wanted, not {other:?}")),
            }
        }
        model.kept.retain(|name, _| !self.maybe_gone.contains(name) || listing.contains_key(name));
        let wanted: Listing = model.kept.iter().map(|(n, k)| (n.clone(), k.row.clone())).collect();
        if wanted == *listing {
            return Ok(model);
        }
        let names: BTreeSet<&String> = wanted.keys().chain(listing.keys()).collect();
        let differs = names.into_iter().filter(|n| wanted.get(*n) != listing.get(*n));
        let lines = differs.map(|n| format!("{n}: wanted {:?}, listed {:?}", wanted.get(n), listing.get(n)));
        Err(lines.collect::<Vec<_>>().join("\n"))
    }
}
