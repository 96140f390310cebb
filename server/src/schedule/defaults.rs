//! The usual schedule, where the configuration file has none.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::schedule::{Job, Origin, Schedule, Times};

/// What is known of a target: its name, and the components that its sources are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetParts {
    /// Name.
    pub name: String,
    /// Components.
    pub components: BTreeSet<String>,
}

/// Name, when, tier, backup type, the component that a target has to have, whether only changes count.
type Backup = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>, bool);

/// Snapshots.
const BACKUPS: [Backup; 6] = [
    ("hourly", "0 * * * *", "hourly", "incremental", None, false),
    ("daily", "0 2 * * *", "daily", "full", None, false),
    ("database", "0 */6 * * *", "auto", "database", Some("database"), false),
    ("weekly", "0 3 * * SUN", "weekly", "full", None, false),
    ("monthly", "0 4 1 * *", "monthly", "full", None, false),
    // Seldom enough to cost a server nothing, often enough that hardly a change is lost.
    ("workflows", "*/5 * * * *", "auto", "workflows", Some("workflows"), true),
];

/// The configuration and the state of this host: name, when, tier, backup type, whether only changes count. The state has become another
/// with every run of a day.
const OWN: [(&str, &str, &str, &str, bool); 2] = [
    ("chronos-config", "20 * * * *", "auto", "config", true),
    ("chronos", "30 4 * * *", "daily", "full", false),
];

/// The repository as a whole: name and job, when. Verified, and restored for trial, after the snapshots and the cleanup of its day.
const UPKEEP: [(&str, Job, &str); 3] = [
    ("cleanup", Job::Cleanup, "0 5 * * *"),
    ("verify", Job::Verify, "0 6 * * SUN"),
    ("drill", Job::Drill, "0 7 1 * *"),
];

/// The whole recovery, each quarter: name, when, and whose it is.
const RECOVERY: (&str, &str, &str) = ("recovery-drill", "0 8 1 1,4,7,10 *", "all");

/// The usual schedule of these targets, and of the built-in one of this name, on a clock that hangs in `timezone` (UTC if absent).
///
/// # Errors
/// A sentence about the time zone.
pub fn built_in(
    targets: &[TargetParts],
    own: Option<&str>,
    timezone: Option<&str>,
) -> Result<Vec<Schedule>, String> {
    let mut schedules = Vec::new();
    for (id, cron, tier, backup_type, component, on_change) in BACKUPS {
        let has_it = |t: &&TargetParts| component.is_none_or(|c| t.components.contains(c));
        let targets: Vec<String> = targets.iter().filter(has_it).map(|t| t.name.clone()).collect();
        if !targets.is_empty() {
            let (tier, backup_type) = (tier.to_owned(), backup_type.to_owned());
            let schedule = schedule(id, Job::Backup, cron, timezone)?;
            schedules.push(Schedule { targets, tier, backup_type, on_change, ..schedule });
        }
    }
    for (own, (id, cron, tier, backup_type, on_change)) in
        own.into_iter().flat_map(|own| OWN.map(|o| (own, o)))
    {
        let (targets, tier, backup_type) = (vec![own.to_owned()], tier.to_owned(), backup_type.to_owned());
        let schedule = schedule(id, Job::Backup, cron, timezone)?;
        schedules.push(Schedule { targets, tier, backup_type, on_change, ..schedule });
    }
    for (id, job, cron) in UPKEEP {
        schedules.push(schedule(id, job, cron, timezone)?);
    }
    if !targets.is_empty() {
        let (id, cron, target) = RECOVERY;
        let schedule = schedule(id, Job::Drill, cron, timezone)?;
        schedules.push(Schedule { targets: vec![target.to_owned()], ..schedule });
    }
    Ok(schedules)
}

fn schedule(id: &str, job: Job, cron: &str, timezone: Option<&str>) -> Result<Schedule, String> {
    Ok(Schedule {
        id: id.to_owned(),
        origin: Origin::BuiltIn,
        job,
        targets: Vec::new(),
        tier: String::new(),
        backup_type: String::new(),
        on_change: false,
        times: Times::parse(cron, timezone)?,
        jitter: Duration::ZERO,
        enabled: true,
    })
}
