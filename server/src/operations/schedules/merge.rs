//! From what the configuration says and what is stored to schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{ScheduleConfig, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::backup::ALL;
use crate::operations::schedules::Schedules;
use crate::schedule::{Job, Origin, Schedule, TargetParts, Times, built_in};
use crate::sources::{Selection, components_of, has_any};
use crate::state::{ScheduleRow, StoredSchedule};
use crate::values::parse_duration;
use crate::workplace::Workplace;

/// Tier of a schedule that names none.
const TIER: &str = "scheduled";
/// Backup type of one that names none.
const BACKUP_TYPE: &str = "full";

/// All of them; one that can no longer be read is told of and left out.
pub(super) fn merged(
    workplace: &Workplace,
    stored: Vec<StoredSchedule>,
    rows: BTreeMap<String, ScheduleRow>,
) -> Result<Schedules> {
    let mut all = match &*workplace.config.schedules {
        [] => usual(workplace, &rows)?,
        configured => configured.iter().map(|s| of_config(workplace, s)).collect::<Result<_>>()?,
    };
    let mut whole: Vec<String> = match &*workplace.config.schedules {
        [] => all.iter().filter(|s| !is_recovery(s)).map(|s| s.id.clone()).collect(),
        configured => configured
            .iter()
            .filter(|s| is_whole(s.job, s.target.as_deref()))
            .map(|s| s.name.clone())
            .collect(),
    };
    for stored in stored {
        if all.iter().any(|s| s.id == stored.id) {
            let id = &stored.id;
            workplace.monitor.problem(&format!(
                "schedule {id:?} was added and stands in the configuration too, which holds; `chronos schedule remove {id}` \
                 removes the one that was added"
            ));
            continue;
        }
        match of_stored(workplace, &stored) {
            Ok(schedule) => {
                whole.extend(is_whole(schedule.job, stored.target.as_deref()).then_some(stored.id));
                all.push(schedule);
            }
            Err(e) => workplace.monitor.problem(&format!("schedule {:?} is not carried out: {e}", stored.id)),
        }
    }
    Ok(Schedules { all, rows, whole })
}

/// Whether all targets are meant, or the repository as a whole. A drill of `all` is one of the whole recovery.
fn is_whole(job: Job, target: Option<&str>) -> bool {
    target.is_none_or(|name| name == ALL && job != Job::Drill)
}

fn is_recovery(schedule: &Schedule) -> bool {
    schedule.job == Job::Drill && schedule.targets == [ALL]
}

fn usual(workplace: &Workplace, rows: &BTreeMap<String, ScheduleRow>) -> Result<Vec<Schedule>> {
    let parts = |target: &TargetConfig| TargetParts {
        name: target.name.clone(),
        components: components_of(target).into_iter().collect(),
    };
    let targets: Vec<TargetParts> = workplace.config.targets.iter().map(parts).collect();
    let own = workplace.config.own().map(|own| &*own.name);
    let mut schedules = built_in(&targets, own, None).map_err(|why| value("timezone", why))?;
    for schedule in &mut schedules {
        if let Some(enabled) = rows.get(&schedule.id).and_then(|row| row.switched) {
            schedule.enabled = enabled;
        }
    }
    Ok(schedules)
}

fn of_config(workplace: &Workplace, schedule: &ScheduleConfig) -> Result<Schedule> {
    let stored = StoredSchedule {
        id: schedule.name.clone(),
        job: schedule.job.word().to_owned(),
        target: schedule.target.clone(),
        tier: schedule.tier.clone(),
        backup_type: schedule.backup_type.clone(),
        on_change: schedule.on_change,
        cron: schedule.cron.clone(),
        timezone: schedule.timezone.clone(),
        jitter: jitter(schedule.jitter.as_deref())?,
        enabled: schedule.enabled,
    };
    Ok(Schedule { origin: Origin::Config, ..of_stored(workplace, &stored)? })
}

/// Seconds of a text.
pub(super) fn jitter(text: Option<&str>) -> Result<u32> {
    let seconds = text.map_or(Ok(0), parse_duration).map_err(|why| value("jitter", why))?;
    u32::try_from(seconds).map_err(|_| value("jitter", "is longer than a day".to_owned()))
}

/// Reads what is stored.
pub(super) fn of_stored(workplace: &Workplace, stored: &StoredSchedule) -> Result<Schedule> {
    let job =
        Job::of_word(&stored.job).ok_or_else(|| value("job", format!("{:?} is not known", stored.job)))?;
    let times = Times::parse(&stored.cron, stored.timezone.as_deref()).map_err(|why| value("cron", why))?;
    let word = |text: &Option<String>, usual: &str| text.as_deref().unwrap_or(usual).replace('_', "-");
    let (tier, backup_type) = match job {
        Job::Backup => (word(&stored.tier, TIER), word(&stored.backup_type, BACKUP_TYPE)),
        _ => (String::new(), String::new()),
    };
    Ok(Schedule {
        id: stored.id.clone(),
        origin: Origin::Added,
        job,
        targets: targets(workplace, job, &backup_type, stored.target.as_deref()),
        tier,
        backup_type,
        on_change: stored.on_change,
        times,
        jitter: Duration::from_secs(stored.jitter.into()),
        enabled: stored.enabled,
    })
}

/// The targets that are meant: the one that is named, or those that have what a backup takes.
fn targets(workplace: &Workplace, job: Job, backup_type: &str, name: Option<&str>) -> Vec<String> {
    let config = &workplace.config;
    if let Some(name) = name.filter(|name| !is_whole(job, Some(name))) {
        // One that is no longer configured fails when it is due, and is seen.
        return vec![config.target(name).map_or_else(|| name.to_owned(), |target| target.name.clone())];
    }
    if job != Job::Backup {
        return Vec::new();
    }
    let selection = Selection { backup_type: backup_type.to_owned(), ..Selection::default() };
    config
        .targets
        .iter()
        .filter(|target| has_any(target, &selection))
        .map(|target| target.name.clone())
        .collect()
}

pub(super) fn value(field: &str, why: String) -> Error {
    Error::Value { place: format!("schedule: {field}"), why }
}
