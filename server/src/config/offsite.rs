//! `[[offsite]]`: where copies of the whole repository are kept.

use std::path::Path;
use std::time::Duration;

use chronos_remote::Location;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Place, Problems};
use crate::config::repository::make_location_absolute;
use crate::values::parse_duration;

/// What the repository has deleted stays at a copy so long (contract: 30 days).
const DELETE_AFTER: Duration = Duration::from_hours(30 * 24);
/// How long a snapshot may be at one place alone: a day, and time for a daily sync to end.
const MAX_LAG: Duration = Duration::from_hours(26);

/// A place for a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OffsiteConfig {
    /// Where: an empty place, or one that a sync has filled.
    pub to: String,
    /// What the repository has deleted goes from the copy so long after the copy first saw that; 30 days if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<String>,
    /// Whether the service copies after every backup; if absent, it does unless a schedule has the job `sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_backup: Option<bool>,
    /// Everything at the copy is read, and what is damaged replaced, so often; only when asked for if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_every: Option<String>,
    /// How old a snapshot may be that the copy does not have; 26 hours if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<String>,
}

impl OffsiteConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        match Location::parse(&self.to) {
            _ if self.to.is_empty() => {
                problems.value(&at.key("to"), "is missing: it says where the copy is kept");
            }
            Err(why) => problems.value(&at.key("to"), why.to_string()),
            Ok(_) => {}
        }
        for (key, time) in [
            ("delete_after", &self.delete_after),
            ("check_every", &self.check_every),
            ("max_lag", &self.max_lag),
        ] {
            match time.as_deref().map(parse_duration) {
                Some(Ok(0)) if key == "max_lag" => problems.value(&at.key(key), "0 leaves no time"),
                Some(checked) => problems.check(&at.key(key), checked),
                None => {}
            }
        }
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        make_location_absolute(&mut self.to, folder);
    }

    /// How long what the repository has deleted stays there.
    pub(crate) fn delete_after(&self) -> Duration {
        duration(self.delete_after.as_deref()).unwrap_or(DELETE_AFTER)
    }

    /// How often everything is read, if at all by itself.
    pub(crate) fn check_every(&self) -> Option<Duration> {
        duration(self.check_every.as_deref())
    }

    /// How old a snapshot may be that is not there.
    pub(crate) fn max_lag(&self) -> Duration {
        duration(self.max_lag.as_deref()).unwrap_or(MAX_LAG)
    }
}

/// A time that was checked when the file was read.
fn duration(text: Option<&str>) -> Option<Duration> {
    text.and_then(|text| parse_duration(text).ok()).map(Duration::from_secs)
}
