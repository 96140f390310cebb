//! Schedules: those of the configuration file (or the usual ones, where it has none) together with those that were made by command
//! or over HTTP; listed, made, changed, removed.
//!
//! What always holds: what stands in the configuration file is changed there alone. Ids are unique over all of them.

mod change;
mod late;
mod merge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::schedule::{Job, Memories, Memory, Origin, Schedule, plan};
use crate::state::{ScheduleRow, State};
use crate::workplace::Workplace;

pub use change::{NewSchedule, ScheduleChange, add, change, remove};
pub use late::late;

/// A schedule, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub struct ScheduleState {
    /// Its name.
    pub id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What is done.
    pub job: Job,
    /// Whose; absent: of all targets, or of the repository as a whole.
    pub target: Option<String>,
    /// The targets that this means now.
    pub targets: Vec<String>,
    /// Job `backup`: tier of the snapshots.
    pub tier: Option<String>,
    /// Job `backup`: backup type.
    pub backup_type: Option<String>,
    /// Job `backup`: a snapshot only when something changed.
    pub on_change: bool,
    /// When.
    pub cron: String,
    /// On a clock that hangs there.
    pub timezone: String,
    /// Up to how much later it begins.
    pub jitter_seconds: u64,
    /// Whether it is in force.
    pub enabled: bool,
    /// When it last began.
    pub last_run: Option<String>,
    /// How that ended; `running` while it goes on.
    pub last_status: Option<String>,
    /// When it begins next; absent while it is not in force.
    pub next_run: Option<String>,
}

/// All schedules of a workplace, and what is known of them from before.
#[derive(Clone, Debug)]
pub struct Schedules {
    /// The schedules.
    pub all: Vec<Schedule>,
    rows: BTreeMap<String, ScheduleRow>,
    /// Of the ids among them that mean all targets, or the repository as a whole.
    whole: Vec<String>,
}

impl Schedules {
    /// Reads all of them.
    pub fn read(workplace: &Workplace, state: &State) -> Result<Self> {
        let repository = key(workplace);
        let rows = state.schedule_rows(&repository)?;
        merge::merged(workplace, state.schedules(&repository)?, rows)
    }

    /// Reads all of them for the one who carries them out: notes which are in force from now on.
    pub fn watch(workplace: &Workplace, state: &State, now: Timestamp) -> Result<Self> {
        let mut schedules = Self::read(workplace, state)?;
        let forms: Vec<(String, String)> = schedules.all.iter().map(|s| (s.id.clone(), form(s))).collect();
        let seen: Vec<(&str, &str)> = forms.iter().map(|(id, form)| (id.as_str(), form.as_str())).collect();
        schedules.rows = state.see_schedules(&key(workplace), &seen, now)?;
        Ok(schedules)
    }

    /// What planning needs to know; what runs is said by whoever runs it.
    pub fn memories(&self, is_running: impl Fn(&str) -> bool) -> Memories {
        let memory = |(id, row): (&String, &ScheduleRow)| {
            let memory = Memory { since: row.since, due: row.due, is_running: is_running(id) };
            (id.clone(), memory)
        };
        self.rows.iter().map(memory).collect()
    }

    /// The schedule of an id.
    pub fn get(&self, id: &str) -> Option<&Schedule> {
        self.all.iter().find(|s| s.id == id)
    }

    /// As they are listed.
    pub fn states(&self, now: Timestamp) -> Vec<ScheduleState> {
        let upcoming = plan(&self.all, &self.memories(|_| false), now);
        // What is due now begins as soon as somebody looks.
        let next = |id: &str| {
            let due = upcoming.due.iter().any(|due| due.id == id).then_some(now);
            due.or_else(|| upcoming.upcoming.iter().find(|u| u.id == id).map(|u| u.starts))
        };
        self.all.iter().map(|schedule| self.state(schedule, next(&schedule.id))).collect()
    }

    fn state(&self, schedule: &Schedule, next: Option<Timestamp>) -> ScheduleState {
        let row = self.rows.get(&schedule.id);
        let of_backup = |text: &String| (schedule.job == Job::Backup).then(|| text.clone());
        let is_whole = self.whole.contains(&schedule.id);
        ScheduleState {
            id: schedule.id.clone(),
            origin: schedule.origin,
            job: schedule.job,
            target: if is_whole { None } else { schedule.targets.first().cloned() },
            targets: schedule.targets.clone(),
            tier: of_backup(&schedule.tier),
            backup_type: of_backup(&schedule.backup_type),
            on_change: schedule.on_change,
            cron: schedule.times.text().to_owned(),
            timezone: schedule.times.zone_name().to_owned(),
            jitter_seconds: schedule.jitter.as_secs(),
            enabled: schedule.enabled,
            last_run: row.and_then(|row| row.last_run).map(|time| time.to_string()),
            last_status: row.and_then(|row| row.last_status.clone()),
            next_run: next.map(|time| time.to_string()),
        }
    }
}

/// Lists all schedules.
pub fn list(workplace: &Workplace) -> Result<Vec<ScheduleState>> {
    let state = State::open(&workplace.places.state)?;
    Ok(Schedules::read(workplace, &state)?.states(now(workplace)?))
}

/// The repository, as the state of this host knows it before it is opened.
pub fn key(workplace: &Workplace) -> String {
    workplace.key()
}

fn now(workplace: &Workplace) -> Result<Timestamp> {
    Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))
}

/// What makes a schedule another one when it changes: nothing is made up for of the time before.
fn form(schedule: &Schedule) -> String {
    if schedule.enabled {
        format!("{} {} {}", schedule.job.word(), schedule.times.zone_name(), schedule.times.text())
    } else {
        "off".to_owned()
    }
}
