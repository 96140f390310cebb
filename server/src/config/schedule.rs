//! `[[schedule]]`: what is done by itself, and when.

use chronos_snapshot::{BACKUP_TYPES, TIERS};
use serde::{Deserialize, Serialize};

use crate::config::problems::{Place, Problems};
use crate::schedule::{JITTER_MAX, Job, Times, parse_timezone};
use crate::values::parse_duration;

/// Why a sync has no target.
pub(crate) const SYNC_OF_ALL: &str = "belongs to other jobs: a sync copies the whole repository";

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Name, by which it is listed and changed.
    pub name: String,
    /// The target; all of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What is done.
    pub job: Job,
    /// Job `backup`: why, which decides how long it is kept; `scheduled` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Job `backup`: which components; `full` if absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<String>,
    /// Job `backup`: looks whether something changed, and makes a snapshot only then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_change: bool,
    /// When: minute, hour, day of the month, month, day of the week; or a word such as `@daily`.
    pub cron: String,
    /// Where the clock hangs, such as `Europe/Berlin`; UTC if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Up to how much later it begins by chance, such as `10min`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    /// Whether it is in force.
    #[serde(skip_serializing_if = "is_true")]
    pub enabled: bool,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            target: None,
            job: Job::default(),
            tier: None,
            backup_type: None,
            on_change: false,
            cron: String::new(),
            timezone: None,
            jitter: None,
            enabled: true,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_true(value: &bool) -> bool {
    *value
}

impl ScheduleConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        if let Err(e) = chronos_snapshot::check_name("schedule's name", &self.name) {
            problems.value(&at.key("name"), e.to_string());
        }
        match self.timezone.as_deref().map(parse_timezone) {
            Some(Err(why)) => problems.value(&at.key("timezone"), why),
            _ => problems.check(&at.key("cron"), Times::parse(&self.cron, self.timezone.as_deref())),
        }
        match self.jitter.as_deref().map(parse_duration) {
            Some(Ok(seconds)) if seconds > JITTER_MAX.as_secs() => {
                problems.value(&at.key("jitter"), "is longer than a day");
            }
            Some(checked) => problems.check(&at.key("jitter"), checked),
            None => {}
        }
        if self.job == Job::Sync && self.target.as_deref().is_some_and(|target| target != "all") {
            problems.value(&at.key("target"), SYNC_OF_ALL);
        }
        for (key, value, known) in [("tier", &self.tier, TIERS), ("type", &self.backup_type, BACKUP_TYPES)] {
            let Some(value) = value else { continue };
            if self.job != Job::Backup {
                problems.value(&at.key(key), "belongs to job = \"backup\"");
            } else if !known.contains(&value.replace('_', "-").as_str()) {
                problems
                    .value(&at.key(key), format!("{value:?} is not known; there are {}", known.join(", ")));
            }
        }
    }
}
