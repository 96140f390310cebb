//! What is due now, and when to look again.
//!
//! What always holds: whatever was missed is done once, not once for each time it was missed; nothing is due of a time before its
//! schedule was in force; nothing begins twice for the same due time, also when the clock is put back a little.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::schedule::Schedule;
use crate::schedule::spread::spread;

/// What is known of a schedule from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Since when it is in force as it is.
    pub since: Timestamp,
    /// The last due time that something was begun for.
    pub due: Option<Timestamp>,
    /// What was begun has not ended: the next waits for it.
    pub is_running: bool,
}

impl Memory {
    /// A schedule that is new.
    pub fn new(since: Timestamp) -> Self {
        Self { since, due: None, is_running: false }
    }
}

/// Of each schedule, by its id. One that is missing is new.
pub type Memories = BTreeMap<String, Memory>;

/// Something to begin now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which schedule.
    pub id: String,
    /// The due time that it stands for: the last one.
    pub at: Timestamp,
    /// The first due time that it stands for: earlier than `at` if times were missed.
    pub first: Timestamp,
}

impl Due {
    /// Whether it makes up for earlier times too.
    pub fn catches_up(&self) -> bool {
        self.first < self.at
    }
}

/// What comes next of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// Which schedule.
    pub id: String,
    /// When it is due.
    pub due: Timestamp,
    /// When it begins: then, or by its jitter later.
    pub starts: Timestamp,
}

/// What is due, and what comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To begin now, in the order in which they were due; among those due at once, in the order of the schedules.
    pub due: Vec<Due>,
    /// What comes next of each schedule in force, without what is due now; one that is running is among them with the time after.
    pub upcoming: Vec<Upcoming>,
}

impl Plan {
    /// When to look again; `None` if nothing will ever be due.
    pub fn wake(&self) -> Option<Timestamp> {
        self.upcoming.iter().map(|u| u.starts).min()
    }
}

/// Looks at every schedule.
pub fn plan(schedules: &[Schedule], memories: &Memories, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for schedule in schedules.iter().filter(|s| s.enabled) {
        let memory = memories.get(&schedule.id).copied().unwrap_or(Memory::new(now));
        let Some(first) = schedule.times.after(anchor(schedule, &memory, now)) else { continue };
        if first > now {
            plan.upcoming.push(upcoming(schedule, first));
            continue;
        }
        // Mostly nothing was missed, and the next time is still to come.
        let Some(next) = schedule.times.after(first) else { continue };
        let last = if next > now { Some(first) } else { schedule.times.until(now) };
        let Some(last) = last else { continue };
        if !memory.is_running {
            plan.due.extend(due(schedule, first, last, now));
        }
        // The last one may still wait for its jitter.
        let waits = starts(schedule, last) > now;
        let coming = if waits { Some(last) } else { schedule.times.after(now) };
        plan.upcoming.extend(coming.map(|due| upcoming(schedule, due)));
    }
    plan.due.sort_by_key(|due| due.at);
    plan
}

/// The moment after which due times count. One later than the next due time was noted by a clock that has been put back since.
fn anchor(schedule: &Schedule, memory: &Memory, now: Timestamp) -> Timestamp {
    let known = memory.due.map_or(memory.since, |due| due.max(memory.since));
    if known > now && schedule.times.after(now).is_some_and(|next| known > next) { now } else { known }
}

/// When it begins for a due time.
fn starts(schedule: &Schedule, due: Timestamp) -> Timestamp {
    if schedule.jitter.is_zero() {
        return due;
    }
    // Only at the end of the calendar there is no later.
    due.checked_add(spread(&schedule.id, due, schedule.times.after(due), schedule.jitter)).unwrap_or(due)
}

/// What begins now, if due times from `first` until `last` have come.
fn due(schedule: &Schedule, first: Timestamp, last: Timestamp, now: Timestamp) -> Option<Due> {
    let begun = |at: &Timestamp| *at >= first && starts(schedule, *at) <= now;
    // Where the last one still waits, the one before has begun, if there is one.
    let before = || schedule.times.until(last.checked_sub(jiff::SignedDuration::from_nanos(1)).ok()?);
    let at = Some(last).filter(begun).or_else(|| before().filter(begun))?;
    Some(Due { id: schedule.id.clone(), at, first })
}

fn upcoming(schedule: &Schedule, due: Timestamp) -> Upcoming {
    Upcoming { id: schedule.id.clone(), due, starts: starts(schedule, due) }
}
