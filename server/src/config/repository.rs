//! `[repository]` and `[limits]`: where the repository is, what opens it, how fast it is used, how much is done at once.

use std::path::{Path, PathBuf};

use chronos_remote::Location;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Place, Problems};
use crate::values::{parse_duration, parse_size};

/// Where the repository is and what opens it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepositoryConfig {
    /// A path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// File whose first line is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Command that prints the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_command: Option<String>,
    /// Key file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// Limits of speed in bytes per second, as texts such as `10M`, and of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Into the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// Out of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<String>,
    /// Jobs of the service at once; 2 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// How long a job may take, such as `12h`; a day if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_timeout: Option<String>,
    /// How often a job is begun that finds something busy or out of reach; 3 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_attempts: Option<u32>,
    /// Pause before the second attempt, such as `30s`; each further one is four times as long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_pause: Option<String>,
    /// Within which time scheduled verifications read everything once, such as `28d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_within: Option<String>,
}

impl RepositoryConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        let parsed = self.location.as_deref().map(Location::parse);
        if let Some(Err(why)) = parsed {
            problems.value(&at.key("location"), why.to_string());
        }
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        for path in self.password_file.iter_mut().chain(&mut self.key_file) {
            *path = folder.join(&*path);
        }
        if let Some(location) = &mut self.location {
            make_location_absolute(location, folder);
        }
    }
}

/// Makes the path of a folder absolute; other places are it already.
pub(super) fn make_location_absolute(location: &mut String, folder: &Path) {
    if let Ok(Location::Local(path)) = Location::parse(location) {
        *location = folder.join(path).display().to_string();
    }
}

impl Limits {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        for (key, size) in [("upload", &self.upload), ("download", &self.download)] {
            match size.as_deref().map(parse_size) {
                Some(Ok(0)) => {
                    problems.value(&at.key(key), "0 would stop everything; leave it out for no limit");
                }
                Some(checked) => problems.check(&at.key(key), checked),
                None => {}
            }
        }
        for (key, number) in [("jobs", self.jobs), ("job_attempts", self.job_attempts)] {
            if number == Some(0) {
                problems.value(&at.key(key), "0 would let nothing be done");
            }
        }
        for (key, time) in [
            ("job_timeout", &self.job_timeout),
            ("job_pause", &self.job_pause),
            ("verify_within", &self.verify_within),
        ] {
            match time.as_deref().map(parse_duration) {
                Some(Ok(0)) if key != "job_pause" => problems.value(&at.key(key), "0 leaves no time"),
                Some(checked) => problems.check(&at.key(key), checked),
                None => {}
            }
        }
    }
}
