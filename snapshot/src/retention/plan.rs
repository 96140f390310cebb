//! From rows to a plan: groups, whose time is believed, what the rules say, and what no rule can take.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::policy::PolicySet;
use super::reason::Reason;
use super::row::{Health, Row};
use super::rules::{Judged, Member, judge};

/// How far a time may lie after what the repository's order of events allows: clocks differ, and a long
/// backup ends after a shorter one that began later.
const TRUST_SLACK: SignedDuration = SignedDuration::from_hours(24);

/// Who asks for a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A person, who sees the plan.
    Person,
    /// The clock: a snapshot whose time lies more than a day after the repository's own order of events ages
    /// no other out.
    Schedule,
}

/// The circumstances of a plan.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The present moment.
    pub now: Timestamp,
    /// The zone in which hours, days, weeks, months and years begin.
    pub zone: TimeZone,
    /// Who asks.
    pub trigger: Trigger,
}

/// What happens to one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the rows.
    pub index: usize,
    /// Whether it stays.
    pub keep: bool,
    /// Why; never empty.
    pub reasons: Vec<Reason>,
}

/// What happens to every snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One for each row, in the order of the rows.
    pub choices: Vec<Choice>,
}

impl Plan {
    /// What stays.
    pub fn kept(&self) -> impl Iterator<Item = &Choice> {
        self.choices.iter().filter(|c| c.keep)
    }

    /// What goes.
    pub fn removed(&self) -> impl Iterator<Item = &Choice> {
        self.choices.iter().filter(|c| !c.keep)
    }
}

/// Decides over all snapshots of a repository. `rows` come in the repository's own order of events, oldest
/// first; forgotten snapshots are not among them.
pub fn plan(rows: &[Row], policies: &PolicySet, timing: &Timing) -> Plan {
    let trusted = trusted(rows, timing.now);
    let mut groups: BTreeMap<&str, Vec<Member<'_>>> = BTreeMap::new();
    let mut judged: Vec<Option<Judged>> = vec![None; rows.len()];
    for ((index, row), believed) in rows.iter().enumerate().zip(&trusted) {
        if let Some(time) = row.time {
            let trusted = *believed || timing.trigger == Trigger::Person;
            groups.entry(&row.target).or_default().push(Member { index, row, time, trusted });
        }
    }
    for (target, group) in &mut groups {
        group.sort_by_key(|m| std::cmp::Reverse((m.time, m.index)));
        for (member, verdict) in group.iter().zip(judge(group, policies.policy(target), timing)) {
            if let Some(slot) = judged.get_mut(member.index) {
                *slot = Some(verdict);
            }
        }
    }
    let floor = floor(rows, &trusted, timing.trigger);
    let choices = (0..).zip(rows.iter().zip(judged)).map(|(index, (row, judged))| {
        let mut always: Vec<Reason> = floor.get(&index).cloned().unwrap_or_default();
        if row.held {
            always.insert(0, Reason::Held);
        }
        if judged.is_none() {
            always.push(Reason::UnknownTime);
        }
        let judged = judged.unwrap_or(Judged { keep: false, reasons: Vec::new() });
        let keep = judged.keep || !always.is_empty();
        let reasons = if judged.keep || always.is_empty() {
            judged.reasons.into_iter().chain(always).collect()
        } else {
            always
        };
        Choice { index, keep, reasons }
    });
    Plan { choices: choices.collect() }
}

/// For each row, whether its time fits the order of events: it may not lie more than a day after the present,
/// nor after the time of any snapshot that came later.
fn trusted(rows: &[Row], now: Timestamp) -> Vec<bool> {
    let mut bound = now;
    let mut trusted: Vec<bool> = rows
        .iter()
        .rev()
        .map(|row| {
            let Some(time) = row.time else { return false };
            let fits = time.duration_since(bound) <= TRUST_SLACK;
            bound = bound.min(time);
            fits
        })
        .collect();
    trusted.reverse();
    trusted
}

/// The rows that no rule can remove: per target and host the last good snapshot, for the whole and for every
/// part that was taken later than the whole, and the newest partial one if it is later than that.
///
/// On a schedule, where the newest has a time that does not fit the order of events, the newest that does stays
/// as well.
fn floor(rows: &[Row], trusted: &[bool], trigger: Trigger) -> BTreeMap<usize, Vec<Reason>> {
    let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        if !row.is_before_rollback() && row.health != Health::Bad {
            groups.entry((&row.target, &row.host)).or_default().push(index);
        }
    }
    let mut floor: BTreeMap<usize, Vec<Reason>> = BTreeMap::new();
    for group in groups.into_values() {
        let fits = |i: &usize| trigger == Trigger::Schedule && trusted.get(*i) == Some(&true);
        let believed = group.iter().copied().filter(fits).collect();
        for candidates in [group, believed] {
            for (index, reason) in floor_of(rows, &candidates) {
                let reasons = floor.entry(index).or_default();
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
    }
    floor
}

fn floor_of(rows: &[Row], candidates: &[usize]) -> Vec<(usize, Reason)> {
    let newest = |wanted: &dyn Fn(&Row) -> bool| {
        let row = |index: usize| rows.get(index).filter(|row| wanted(row));
        let mut found: Vec<_> = candidates.iter().filter_map(|i| Some((row(*i)?.time?, *i))).collect();
        found.sort_unstable();
        found.pop()
    };
    let good = |row: &Row| row.health == Health::Good;
    let whole = newest(&|row| good(row) && row.is_whole());
    let mut floor: Vec<(usize, Reason)> = whole.iter().map(|(_, i)| (*i, Reason::LastGood)).collect();
    let mut parts: Vec<(&str, &[String])> = candidates
        .iter()
        .filter_map(|i| rows.get(*i))
        .filter(|row| good(row) && !row.is_whole())
        .map(|row| (row.backup_type.as_str(), row.scope.as_slice()))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    for (kind, scope) in parts {
        let part = newest(&|row| good(row) && row.backup_type == kind && row.scope == scope);
        floor.extend(part.filter(|part| Some(*part) > whole).map(|(_, i)| (i, Reason::LastGood)));
    }
    let last_good = newest(&|row| good(row));
    let partial = newest(&|row| row.health == Health::Partial);
    floor.extend(partial.filter(|p| Some(*p) > last_good).map(|(_, i)| (i, Reason::NewestPartial)));
    floor
}
