//! `[[target]]`: a name, and what belongs to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::health::HealthConfig;
use crate::config::own::OWN_TARGET;
use crate::config::problems::{Place, Problems};
use crate::config::retention::{self, Retention};
use crate::config::source::Source;
use crate::targets::check_target_name;

/// One target: a name, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// Name.
    pub name: String,
    /// Other names for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `project`: the excludes and limits of project trees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Files and folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Only what fits one of these patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Nothing that fits one of these patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// No folder that holds a file of this name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_if_present: Vec<String>,
    /// No folder that is tagged as a cache.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclude_caches: bool,
    /// Stay in the file systems of `paths`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_file_system: bool,
    /// Which snapshots stay; replaces the general rules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: Retention,
    /// Preset `project`: what is older goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Preset `project`: what is more goes, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backups: Option<u32>,
    /// Command that starts again what uses it: in an emergency, and when its configuration or databases were recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// How it is seen that it works, once it was recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthConfig>,
    /// Whether drills of other targets may restore into it: what it holds is expendable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drill_destination: bool,
    /// The target so marked that its own drills restore into; a scratch place if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill_into: Option<String>,
    /// Further sources.
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

impl TargetConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        for name in std::iter::once(&self.name).chain(&self.aliases) {
            problems.check(&at.key("name"), check_target_name(name));
            if name == OWN_TARGET {
                let why = format!(
                    "{name:?} is the built-in target of the configuration and state of this host; name it otherwise"
                );
                problems.value(&at.key("name"), why);
            }
        }
        match self.preset.as_deref() {
            None if self.retention_days.is_some() || self.max_backups.is_some() => {
                problems.value(&at.key("retention_days and max_backups"), "belong to preset = \"project\"");
            }
            None | Some("project") => {}
            Some(other) => {
                problems.value(&at.key("preset"), format!("{other:?} is not known; there is \"project\""));
            }
        }
        if self.paths.is_empty() && self.sources.is_empty() {
            problems.value(&at.key("paths"), "a target needs paths or a source");
        }
        if self.restart.as_ref().is_some_and(|line| line.trim().is_empty()) {
            problems.value(&at.key("restart"), "is empty");
        }
        if let Some(health) = &self.health {
            health.check(&at.key("health"), problems);
        }
        retention::check(&self.retention, &at.key("retention"), problems);
        let mut names = BTreeSet::new();
        if !self.paths.is_empty() {
            // What `paths` are called among the sources of a snapshot.
            names.insert("files");
        }
        for (number, source) in self.sources.iter().enumerate() {
            source.check(&at.nth("source", number, &source.name), problems);
            if !names.insert(&source.name) {
                problems.value(
                    &at.nth("source", number, &source.name),
                    format!("two sources are named {:?}", source.name),
                );
            }
        }
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        self.paths.iter_mut().for_each(|path| *path = folder.join(&*path));
        self.sources.iter_mut().for_each(|source| source.make_absolute(folder));
    }
}
