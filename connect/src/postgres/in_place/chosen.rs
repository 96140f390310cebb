//! What of an archive is restored in place, and what keeps it from being done: an object that would go and not come back, or one that
//! stays where another has to come.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::postgres::archive::{ArchiveEntry, ArchiveList};
use crate::postgres::in_place::some_of;
use crate::postgres::in_place::standing::{Standing, Takes};
use crate::postgres::part::Part;
use crate::postgres::restore::{DatabaseRestore, definitions};

/// What is said of others, and goes with what they are said of.
const SAYINGS: &[&str] = &["ACL", "DEFAULT ACL", "COMMENT", "SECURITY LABEL"];

/// What is taken out of an archive, what is not, and what goes.
#[derive(Debug)]
pub(super) struct Chosen {
    /// What is restored.
    pub(super) list: ArchiveList,
    /// What is left out, in sentences.
    pub(super) left: Vec<String>,
    /// What of the live database goes, or is dropped and comes back.
    pub(super) own: ArchiveList,
}

impl Chosen {
    /// `archive` and `live`: what is stored and what is there, of the part that is meant. Fails if something needs what goes and cannot go with it, would
    /// be lost, or is in the way.
    pub(super) fn of(
        options: &DatabaseRestore,
        archive: &ArchiveList,
        live: &ArchiveList,
        standing: &Standing,
    ) -> Result<Self> {
        let refused = |what: &str, lines: &[&str]| {
            Err(Error::Refused(format!(
                "database {} cannot be restored in place; nothing was changed. {what}: {}",
                options.database,
                some_of(lines)
            )))
        };
        let in_way = standing.in_way(&options.part, archive);
        if !in_way.is_empty() {
            let lines: Vec<&str> = in_way.iter().map(String::as_str).collect();
            return refused("These need what would go and would stay", &lines);
        }
        let is_own = |entry: &&ArchiveEntry| standing.takes(entry, live) == Takes::Yes;
        let own: Vec<ArchiveEntry> = live.entries.iter().filter(is_own).cloned().collect();
        let own = ArchiveList { entries: own, ..ArchiveList::default() };
        let mut list = ArchiveList { entries: Vec::new(), ..archive.clone() };
        let mut left: BTreeMap<&'static str, Vec<&ArchiveEntry>> = BTreeMap::new();
        for entry in &archive.entries {
            match standing.takes(entry, archive) {
                Takes::Yes => list.entries.push(entry.clone()),
                Takes::There => {}
                Takes::Not(why) => left.entry(why).or_default().push(entry),
            }
        }
        let foreign: Vec<&str> =
            left.values().flatten().filter(|e| is_named(e, &options.part)).map(|e| &*e.line).collect();
        if !foreign.is_empty() {
            return refused("These belong to roles whose rights this user does not have", &foreign);
        }
        let goes = names(standing, own.entries.iter());
        let lost: Vec<&str> = left.values().flatten().filter(|e| has(&goes, e)).map(|e| &*e.line).collect();
        if !lost.is_empty() {
            return refused(
                "These belonged to roles whose rights this user does not have, and now belong to it: they would go and not come back. \
                 Give the user those roles, or what there is to them",
                &lost,
            );
        }
        let stays = names(standing, live.entries.iter().filter(|e| !is_own(e)));
        let taken: Vec<&str> = list.entries.iter().filter(|e| has(&stays, e)).map(|e| &*e.line).collect();
        if !taken.is_empty() {
            return refused(
                "These now belong to roles whose rights this user does not have, and stand where they would come. Give the user \
                 those roles, or make it their owner",
                &taken,
            );
        }
        let told = |(why, entries): (&&str, &Vec<&ArchiveEntry>)| {
            let lines: Vec<&str> = entries.iter().map(|e| &*e.line).collect();
            format!("not restored, since {why}: {}", some_of(&lines))
        };
        Ok(Self { left: left.iter().map(told).collect(), list, own })
    }

    /// What is in the database and not in the archive.
    pub(super) fn goes(&self, archive: &ArchiveList) -> Vec<String> {
        let all = definitions(archive);
        definitions(&self.own).into_keys().filter(|line| !all.contains_key(line)).collect()
    }
}

/// Whether an entry is one of the tables that were named.
fn is_named(entry: &ArchiveEntry, part: &Part) -> bool {
    entry.table().is_some_and(|(schema, name)| part.tables.contains(&format!("{schema}.{name}")))
}

/// Kinds and names of what is defined, without owners.
fn names<'e>(standing: &Standing, entries: impl Iterator<Item = &'e ArchiveEntry>) -> BTreeSet<&'e str> {
    let defined = entries.filter(|e| !e.is_data() && !e.is_of_database() && !SAYINGS.contains(&e.kind()));
    defined.map(|entry| standing.without_owner(entry)).collect()
}

/// Whether an entry is of one of these, whoever owns it.
fn has(names: &BTreeSet<&str>, entry: &ArchiveEntry) -> bool {
    let mut ends = entry.line.match_indices(' ').map(|(at, _)| at);
    !entry.is_data()
        && !SAYINGS.contains(&entry.kind())
        && ends.any(|end| entry.line.get(..end).is_some_and(|name| names.contains(name)))
}
