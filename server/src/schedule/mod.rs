//! What is done by itself: when something is due, what is due now, and who has not been seen for too long. Pure: values in, values
//! out; the clock, the memory and the work are the caller's.

mod cron;
mod defaults;
mod overdue;
mod plan;
mod spread;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use cron::{Times, parse_timezone};
pub use defaults::{TargetParts, built_in};
pub use overdue::{GoodTimes, Overdue, overdue};
pub use plan::{Due, Memories, Memory, Plan, Upcoming, plan};

/// Longest spread of runs: beyond a day one would fall into the next.
pub const JITTER_MAX: Duration = Duration::from_hours(24);

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobKind)]
pub enum Job {
    /// A snapshot.
    #[default]
    Backup,
    /// Stored data are read back.
    Verify,
    /// Retention is applied, and the space given back.
    Cleanup,
    /// The repository is copied offsite.
    Sync,
    /// A restore is tried.
    Drill,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Backup, Self::Verify, Self::Cleanup, Self::Sync, Self::Drill];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Verify => "verify",
            Self::Cleanup => "cleanup",
            Self::Sync => "sync",
            Self::Drill => "drill",
        }
    }

    /// The job of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job| job.word() == word)
    }
}

/// Where a schedule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The configuration file, which alone can change it.
    Config,
    /// Made by command or over HTTP.
    Added,
    /// In force where the configuration file has none; can be switched off and on.
    BuiltIn,
}

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What is done.
    pub job: Job,
    /// Whose; empty where the whole repository is meant.
    pub targets: Vec<String>,
    /// Job `backup`: why, which decides how long the snapshot stays.
    pub tier: String,
    /// Job `backup`: which components.
    pub backup_type: String,
    /// Job `backup`: looks whether something changed, and makes a snapshot only then.
    pub on_change: bool,
    /// When.
    pub times: Times,
    /// Up to how much later it begins, differently each time.
    pub jitter: Duration,
    /// Whether it is in force.
    pub enabled: bool,
}
