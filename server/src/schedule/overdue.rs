//! Who has no good snapshot of when there should be one: silence is an alert.
//!
//! What always holds: nobody is overdue before the first due time, nor while the time that a run may take goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::schedule::plan::{Memories, Memory};
use crate::schedule::{Job, Schedule};

/// Of each target and backup type, the time of the newest good snapshot that is not of the time before a rollback.
pub type GoodTimes = BTreeMap<(String, String), Timestamp>;

/// How long a run may take before its snapshot is missed: half of the time until the next one, within these limits. A quarter of
/// an hour is not enough to say that anything is wrong; after six hours somebody should look.
const PATIENCE: (Duration, Duration) = (Duration::from_mins(15), Duration::from_hours(6));

/// Backup types that take the whole target.
const WHOLE: [&str; 2] = ["full", "incremental"];

/// A target that is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The target.
    pub target: String,
    /// The schedule that was not kept.
    pub schedule: String,
    /// The first due time after the last good snapshot.
    pub due: Timestamp,
    /// Since when it counts as overdue.
    pub since: Timestamp,
    /// The last good snapshot.
    pub last_good: Option<Timestamp>,
}

/// The overdue targets, each once, with the schedule that was missed first. A snapshot from the future says nothing.
pub fn overdue(
    schedules: &[Schedule],
    memories: &Memories,
    good: &GoodTimes,
    now: Timestamp,
) -> Vec<Overdue> {
    let mut found: BTreeMap<&str, Overdue> = BTreeMap::new();
    // A poll makes a snapshot only when something changed: that there is none says nothing.
    for schedule in schedules.iter().filter(|s| s.enabled && s.job == Job::Backup && !s.on_change) {
        let memory = memories.get(&schedule.id).copied().unwrap_or(Memory::new(now));
        for target in &schedule.targets {
            let last_good = last_good(good, target, &schedule.backup_type).filter(|time| *time <= now);
            let Some((due, since)) = missed(schedule, last_good, &memory, now) else { continue };
            let later = found.get(target.as_str()).is_some_and(|known| known.since <= since);
            if !later {
                let (target_name, id) = (target.clone(), schedule.id.clone());
                found.insert(target, Overdue { target: target_name, schedule: id, due, since, last_good });
            }
        }
    }
    found.into_values().collect()
}

fn missed(
    schedule: &Schedule,
    last_good: Option<Timestamp>,
    memory: &Memory,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let in_force = memory.since.min(now);
    let due = schedule.times.after(last_good.map_or(in_force, |good| good.max(in_force)))?;
    let since = due.checked_add(schedule.jitter + patience(schedule, due)).ok()?;
    (since <= now).then_some((due, since))
}

fn patience(schedule: &Schedule, due: Timestamp) -> Duration {
    let next = schedule.times.after(due).map(|next| next.duration_since(due).unsigned_abs());
    next.map_or(PATIENCE.1, |gap| (gap / 2).clamp(PATIENCE.0, PATIENCE.1))
}

fn last_good(good: &GoodTimes, target: &str, backup_type: &str) -> Option<Timestamp> {
    let of = |kind: &str| good.get(&(target.to_owned(), kind.to_owned())).copied();
    WHOLE.into_iter().chain([backup_type]).filter_map(of).max()
}
