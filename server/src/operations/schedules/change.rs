//! Schedules made, changed and removed by command or over HTTP.

use chronos_snapshot::{BACKUP_TYPES, TIERS, check_name};

use crate::config::{NOWHERE, SYNC_OF_ALL};
use crate::error::{Error, Result};
use crate::operations::schedules::merge::{jitter, of_stored, value};
use crate::operations::schedules::{ScheduleState, Schedules, form, key, now};
use crate::schedule::{JITTER_MAX, Job, Origin, parse_timezone};
use crate::state::{State, StoredSchedule};
use crate::values::nearest;
use crate::workplace::Workplace;

/// A schedule to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSchedule {
    /// Its name; made of what it does if absent.
    pub id: Option<String>,
    /// What is done.
    pub job: Job,
    /// Whose, by name or alias; of all targets, or of the repository as a whole, if absent.
    pub target: Option<String>,
    /// Job `backup`: tier of the snapshots; `scheduled` if absent.
    pub tier: Option<String>,
    /// Job `backup`: backup type; `full` if absent.
    pub backup_type: Option<String>,
    /// Job `backup`: a snapshot only when something changed.
    pub on_change: bool,
    /// When.
    pub cron: String,
    /// On a clock that hangs there; UTC if absent.
    pub timezone: Option<String>,
    /// Up to how much later it begins, such as `10min`.
    pub jitter: Option<String>,
    /// Whether it is in force.
    pub enabled: bool,
}

/// What is to be another way; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// What is done.
    pub job: Option<Job>,
    /// Whose; `all` for all targets.
    pub target: Option<String>,
    /// Tier of the snapshots.
    pub tier: Option<String>,
    /// Backup type.
    pub backup_type: Option<String>,
    /// Whether only changes count.
    pub on_change: Option<bool>,
    /// When.
    pub cron: Option<String>,
    /// On a clock that hangs there.
    pub timezone: Option<String>,
    /// Up to how much later it begins.
    pub jitter: Option<String>,
    /// Whether it is in force.
    pub enabled: Option<bool>,
}

impl ScheduleChange {
    /// Switched on or off, and nothing else.
    pub fn switch(enabled: bool) -> Self {
        Self { enabled: Some(enabled), ..Self::default() }
    }
}

/// Makes a schedule.
///
/// # Errors
/// [`Error::Value`] with the field, [`Error::ScheduleExists`].
pub fn add(workplace: &Workplace, new: &NewSchedule) -> Result<ScheduleState> {
    let state = State::open(&workplace.places.state)?;
    let schedules = Schedules::read(workplace, &state)?;
    let mut stored = StoredSchedule {
        id: new.id.clone().unwrap_or_default(),
        job: new.job.word().to_owned(),
        target: new.target.clone(),
        tier: new.tier.clone(),
        backup_type: new.backup_type.clone(),
        on_change: new.on_change,
        cron: new.cron.clone(),
        timezone: new.timezone.clone(),
        jitter: jitter(new.jitter.as_deref())?,
        enabled: new.enabled,
    };
    check(workplace, &stored)?;
    let taken = |id: &str| schedules.get(id).is_some();
    if let Some(id) = &new.id {
        check_name("schedule's name", id)?;
        if taken(id) || !state.add_schedule(&key(workplace), &stored)? {
            return Err(Error::ScheduleExists { id: id.clone() });
        }
    } else {
        let name = made_name(&stored);
        let mut number = 1;
        // Another process may take a name between the look and the attempt.
        loop {
            stored.id = if number == 1 { name.clone() } else { format!("{name}-{number}") };
            if !taken(&stored.id) && state.add_schedule(&key(workplace), &stored)? {
                break;
            }
            number += 1;
        }
    }
    seen(workplace, &state, &stored.id)
}

/// Changes a schedule: whatever it says if it was added, whether it is in force if it belongs to the usual ones.
///
/// # Errors
/// [`Error::UnknownSchedule`], [`Error::ScheduleFixed`], [`Error::Value`] with the field.
pub fn change(workplace: &Workplace, id: &str, change: &ScheduleChange) -> Result<ScheduleState> {
    let state = State::open(&workplace.places.state)?;
    let schedules = Schedules::read(workplace, &state)?;
    match schedules.get(id).map(|s| s.origin) {
        Some(Origin::Config) => return Err(fixed(workplace, id, Origin::Config)),
        Some(Origin::BuiltIn) => match change.enabled {
            Some(enabled) if *change == ScheduleChange::switch(enabled) => {
                state.switch_schedule(&key(workplace), id, enabled, now(workplace)?)?;
            }
            _ => return Err(fixed(workplace, id, Origin::BuiltIn)),
        },
        // One that can no longer be read may be mended.
        Some(Origin::Added) | None => {
            let changed = state.change_schedule(&key(workplace), id, |stored| {
                let changed = applied(stored, change)?;
                check(workplace, &changed)?;
                Ok(changed)
            })?;
            if changed.is_none() {
                return Err(unknown(&schedules, id));
            }
        }
    }
    seen(workplace, &state, id)
}

/// Removes a schedule that was added.
///
/// # Errors
/// [`Error::UnknownSchedule`], [`Error::ScheduleFixed`].
pub fn remove(workplace: &Workplace, id: &str) -> Result<()> {
    let state = State::open(&workplace.places.state)?;
    // One that the configuration names too, or that can no longer be read, is removed here all the same.
    if state.remove_schedule(&key(workplace), id)? {
        return Ok(());
    }
    let schedules = Schedules::read(workplace, &state)?;
    Err(match schedules.get(id) {
        Some(schedule) => fixed(workplace, id, schedule.origin),
        None => unknown(&schedules, id),
    })
}

/// Notes that it alone is in force as it is from now on, and tells it.
fn seen(workplace: &Workplace, state: &State, id: &str) -> Result<ScheduleState> {
    let now = now(workplace)?;
    let schedules = Schedules::read(workplace, state)?;
    let unknown = || Error::UnknownSchedule { id: id.to_owned(), near: None };
    let form = form(schedules.get(id).ok_or_else(unknown)?);
    state.see_schedules(&key(workplace), &[(id, &form)], now)?;
    let states = Schedules::read(workplace, state)?.states(now);
    states.into_iter().find(|s| s.id == id).ok_or_else(unknown)
}

fn applied(stored: StoredSchedule, change: &ScheduleChange) -> Result<StoredSchedule> {
    let job = change.job.map_or(stored.job, |job| job.word().to_owned());
    let backup = job == Job::Backup.word();
    // What belongs to backups alone goes with them, unless it was asked for.
    let kept = |old: Option<String>, new: &Option<String>| new.clone().or(old.filter(|_| backup));
    Ok(StoredSchedule {
        target: change.target.clone().or(stored.target),
        tier: kept(stored.tier, &change.tier),
        backup_type: kept(stored.backup_type, &change.backup_type),
        on_change: change.on_change.unwrap_or(stored.on_change && backup),
        cron: change.cron.clone().unwrap_or(stored.cron),
        timezone: change.timezone.clone().or(stored.timezone),
        jitter: change.jitter.as_deref().map_or(Ok(stored.jitter), |text| jitter(Some(text)))?,
        enabled: change.enabled.unwrap_or(stored.enabled),
        id: stored.id,
        job,
    })
}

fn check(workplace: &Workplace, stored: &StoredSchedule) -> Result<()> {
    if let Some(zone) = &stored.timezone {
        parse_timezone(zone).map_err(|why| value("timezone", why))?;
    }
    let schedule = of_stored(workplace, stored)?;
    if schedule.jitter > JITTER_MAX {
        return Err(value("jitter", "is longer than a day".to_owned()));
    }
    if schedule.job == Job::Sync {
        if stored.target.as_deref().is_some_and(|target| target != "all") {
            return Err(value("target", SYNC_OF_ALL.to_owned()));
        }
        if workplace.config.offsite.is_empty() {
            return Err(value("job", NOWHERE.to_owned()));
        }
    }
    if stored.on_change && schedule.job != Job::Backup {
        return Err(value("on_change", "belongs to the job backup".to_owned()));
    }
    for (field, given, read, known) in [
        ("tier", &stored.tier, &schedule.tier, TIERS),
        ("backup_type", &stored.backup_type, &schedule.backup_type, BACKUP_TYPES),
    ] {
        if given.is_some() && schedule.job != Job::Backup {
            return Err(value(field, "belongs to the job backup".to_owned()));
        }
        if given.is_some() && !known.contains(&read.as_str()) {
            return Err(value(field, format!("{read:?} is not known; there are {}", known.join(", "))));
        }
    }
    match stored.target.as_deref() {
        Some(name) if name != "all" && workplace.config.target(name).is_none() => {
            let names = || workplace.config.targets.iter().map(|t| t.name.as_str());
            let known = match (nearest(name, names()), names().collect::<Vec<_>>()) {
                (Some(near), _) => format!("did you mean {near:?}?"),
                (None, all) if all.is_empty() => "none is configured".to_owned(),
                (None, all) => format!("there are {}", all.join(", ")),
            };
            Err(value("target", format!("there is no target {name:?}: {known}")))
        }
        _ => Ok(()),
    }
}

/// Such as `shop-daily`, `all-hourly`, `cleanup`.
fn made_name(stored: &StoredSchedule) -> String {
    let target = stored.target.as_deref();
    if stored.job == Job::Backup.word() {
        format!("{}-{}", target.unwrap_or("all"), stored.tier.as_deref().unwrap_or("scheduled"))
    } else {
        target.map_or_else(|| stored.job.clone(), |target| format!("{target}-{}", stored.job))
    }
}

fn unknown(schedules: &Schedules, id: &str) -> Error {
    let near = nearest(id, schedules.all.iter().map(|s| s.id.as_str())).map(str::to_owned);
    Error::UnknownSchedule { id: id.to_owned(), near }
}

fn fixed(workplace: &Workplace, id: &str, origin: Origin) -> Error {
    let file = workplace.config_file.as_deref().map(crate::values::shown);
    Error::ScheduleFixed { id: id.to_owned(), file: file.filter(|_| origin == Origin::Config) }
}
