//! The configuration file `chronos.toml`: strict, so that a mistyped key cannot silently change what is backed up.
//!
//! One file here per section. What is wrong is told all at once, with its line, and never with a line of the file itself,
//! since secrets may stand there.

mod drill;
mod events;
mod health;
mod hook;
mod keys;
mod offsite;
mod own;
mod problems;
mod repository;
mod retention;
mod schedule;
mod service;
mod share;
mod source;
mod target;
#[cfg(test)]
mod tests;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use drill::{DrillConfig, DrillQuery, DrillRules};
pub use events::{EVENT_BUS_URL, EventsConfig, NotifyConfig, NotifyKind, Occasion};
pub use health::HealthConfig;
pub use hook::{HookConfig, HookMoment, HookPolicy};
pub use offsite::OffsiteConfig;
use own::OwnParts;
pub use own::{OWN_CONFIG, OWN_TARGET};
pub use repository::{Limits, RepositoryConfig};
pub use retention::{Retention, TierRule};
pub(crate) use schedule::SYNC_OF_ALL;
pub use schedule::ScheduleConfig;
pub use service::ServiceConfig;
pub use share::Share;
pub use source::{RestoreWay, Source, SourceKind};
pub use target::TargetConfig;
pub(crate) use web::check_url;
pub use web::{Network, parse_listen};

use crate::config::problems::{Place, Problems};
use crate::error::{Error, Result};
use crate::schedule::Job;
use crate::secret::SecretRef;
use crate::targets::canonical_target;

/// Largest configuration file that is read; a thousand targets fit.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why nothing can be copied.
pub(crate) const NOWHERE: &str =
    "no place for a copy is configured: name one by [[offsite]] in the configuration file, or by S3_BUCKET";

/// What the configuration file says. Relative paths are made absolute against the folder of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The repository.
    pub repository: RepositoryConfig,
    /// Limits of speed.
    pub limits: Limits,
    /// Where copies of it are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offsite: Vec<OffsiteConfig>,
    /// The HTTP service.
    #[serde(skip_serializing_if = "is_default")]
    pub service: ServiceConfig,
    /// Where restores are tried.
    #[serde(skip_serializing_if = "is_default")]
    pub drill: DrillConfig,
    /// The Event Bus.
    #[serde(skip_serializing_if = "is_default")]
    pub events: EventsConfig,
    /// Which snapshots stay, for targets that say nothing else; the built-in tiers where empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: Retention,
    /// What is done by itself; the usual schedule if empty.
    #[serde(rename = "schedule", skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleConfig>,
    /// Commands and webhooks before and after.
    #[serde(rename = "hook", skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookConfig>,
    /// Who is told.
    #[serde(rename = "notify", skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<NotifyConfig>,
    /// The targets.
    #[serde(rename = "target", skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetConfig>,
    /// The target `chronos`: built in where there is a configuration file, and none of those that `all` means.
    #[serde(skip)]
    pub(crate) own: Option<TargetConfig>,
    /// What that is made of.
    #[serde(skip)]
    pub(crate) own_parts: Option<OwnParts>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self> {
        let file = |source| Error::File { path: path.display().to_string(), source };
        let size = std::fs::metadata(path).map_err(file)?.len();
        if size > FILE_BYTES_MAX {
            return Err(Error::Value {
                place: format!("configuration {}", path.display()),
                why: format!("{size} bytes are too many for a configuration file"),
            });
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        let full = std::path::absolute(path).map_err(file)?;
        Self::parse(&text, &full)
    }

    /// Checks a text; `path` names it in errors, and relative paths in it start from its folder.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let mut problems = Problems::new(&shown, text);
        let mut table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                problems.syntax(&error);
                problems.finish()?;
                return Ok(Self::default());
            }
        };
        keys::check(&mut table, &mut problems);
        // With its places if it can be read as it is, else without the keys that are not known.
        let read = if problems.any() {
            Self::deserialize(toml::Value::Table(table))
        } else {
            toml::from_str::<Self>(text)
        };
        let config = match read {
            Ok(config) => config,
            Err(error) => {
                problems.syntax(&error);
                problems.finish()?;
                return Ok(Self::default());
            }
        };
        config.check(&mut problems);
        problems.finish()?;
        let mut config = config;
        config.make_absolute(path.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// The file as text, with marks in place of secrets.
    pub fn to_toml(&self) -> String {
        // Only map keys that are not strings could fail, and there are none.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The target of this name or alias.
    pub fn target(&self, name: &str) -> Option<&TargetConfig> {
        let configured = self.position(name).and_then(|number| self.targets.get(number));
        configured.or_else(|| self.own.as_ref().filter(|own| own.name == name))
    }

    /// The same, to be changed.
    pub(crate) fn target_mut(&mut self, name: &str) -> Option<&mut TargetConfig> {
        let number = self.position(name)?;
        self.targets.get_mut(number)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let canonical = canonical_target(name);
        let of = |name: &str| {
            self.targets.iter().position(|t| t.name == name || t.aliases.iter().any(|a| a == name))
        };
        of(name).or_else(|| of(canonical))
    }

    /// What is allowed and yet should be seen to; `file` is where the configuration comes from.
    pub fn warnings(&self, file: Option<&Path>) -> Vec<String> {
        let mut said = Vec::new();
        let plain = self.plain_secrets();
        let mode = file.and_then(|f| std::fs::metadata(f).ok()).map(|m| m.permissions().mode());
        if let (Some(file), Some(mode), Some(first)) = (file, mode, plain.first())
            && mode & 0o077 != 0
        {
            said.push(format!(
                "{} holds a secret ({first}) and can be read by others (mode {:o}): chmod 600, or name the secret by a \
                 file or a variable",
                file.display(),
                mode & 0o777
            ));
        }
        for target in &self.targets {
            for source in &target.sources {
                if let Some(why) = source.lacks_key() {
                    said.push(format!("target {:?}: source {:?}: {why}", target.name, source.name));
                }
            }
        }
        said
    }

    /// Environment variables that secrets are taken from.
    pub(crate) fn secret_variables(&self) -> Vec<String> {
        let named = self.secrets().filter_map(|secret| match secret {
            SecretRef::Env(name) => Some(name.clone()),
            _ => None,
        });
        named.collect()
    }

    /// Where its secrets are.
    fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let sources = self.targets.iter().flat_map(|target| &target.sources);
        let of_sources = sources.flat_map(Source::references).map(|(_, secret)| secret);
        let hooks = self.hooks.iter().filter_map(|hook| hook.token.as_ref());
        let notify = self.notify.iter().filter_map(|notify| notify.token.as_ref());
        of_sources.chain(hooks).chain(notify).chain(&self.events.token).chain(&self.drill.n8n_api_key)
    }

    /// Which secrets stand in the file itself.
    fn plain_secrets(&self) -> Vec<String> {
        let mut all = Vec::new();
        for target in &self.targets {
            for source in &target.sources {
                let place = |key| format!("target {:?}: source {:?}: {key}", target.name, source.name);
                all.extend(source.plain_secrets().map(place));
            }
        }
        let hooks = self.hooks.iter().map(|h| ("hook: token".to_owned(), &h.token));
        let notify = self.notify.iter().map(|n| (format!("notify {:?}: token", n.name), &n.token));
        let events = [
            ("events.token".to_owned(), &self.events.token),
            ("drill.n8n_api_key".to_owned(), &self.drill.n8n_api_key),
        ];
        let is_plain =
            |(_, token): &(String, &Option<SecretRef>)| token.as_ref().is_some_and(SecretRef::is_plain);
        all.extend(hooks.chain(notify).chain(events).filter(is_plain).map(|(place, _)| place));
        all
    }

    fn check(&self, problems: &mut Problems<'_>) {
        let top = Place::default();
        self.limits.check(&top.key("limits"), problems);
        self.repository.check(&top.key("repository"), problems);
        self.check_offsite(&top, problems);
        self.service.check(&top.key("service"), problems);
        self.drill.check(&top.key("drill"), problems);
        self.events.check(&top.key("events"), problems);
        retention::check(&self.retention, &top.key("retention"), problems);
        let mut names = BTreeSet::new();
        for (number, schedule) in self.schedules.iter().enumerate() {
            let at = top.nth("schedule", number, &schedule.name);
            schedule.check(&at, problems);
            if !names.insert(&schedule.name) {
                problems.value(&at.key("name"), format!("{:?} names two schedules", schedule.name));
            }
        }
        for (number, hook) in self.hooks.iter().enumerate() {
            hook.check(&top.nth("hook", number, &format!("{}", number + 1)), problems);
        }
        let mut names = BTreeSet::new();
        for (number, notify) in self.notify.iter().enumerate() {
            let at = top.nth("notify", number, &notify.name);
            notify.check(&at, problems);
            if !names.insert(&notify.name) {
                problems.value(&at.key("name"), format!("{:?} names two of them", notify.name));
            }
        }
        let mut names = BTreeSet::new();
        for (number, target) in self.targets.iter().enumerate() {
            let at = top.nth("target", number, &target.name);
            target.check(&at, problems);
            for name in std::iter::once(&target.name).chain(&target.aliases) {
                if !names.insert(name) {
                    problems.value(&at.key("name"), format!("{name:?} names two targets"));
                }
            }
        }
    }

    /// Each copy lies at a place of its own.
    fn check_offsite(&self, top: &Place, problems: &mut Problems<'_>) {
        let mut places = BTreeSet::new();
        for (number, offsite) in self.offsite.iter().enumerate() {
            let at = top.nth("offsite", number, &offsite.to);
            offsite.check(&at, problems);
            if self.repository.location.as_ref() == Some(&offsite.to) {
                problems.value(&at.key("to"), "is the repository itself: a copy belongs elsewhere");
            }
            if !places.insert(&offsite.to) {
                problems.value(&at.key("to"), format!("{:?} is named twice", offsite.to));
            }
        }
    }

    /// Names of targets that something is said of and that there are not. Asked for when the environment was laid over it,
    /// which may define targets too.
    pub fn check_references(&self) -> Result<()> {
        let named = self.schedules.iter().filter_map(|s| Some(("schedule", s.target.as_ref()?)));
        let hooks = self.hooks.iter().flat_map(|h| h.targets.iter().map(|t| ("hook", t)));
        let notify = self.notify.iter().flat_map(|n| n.targets.iter().map(|t| ("notify", t)));
        let events = self.events.targets.iter().map(|t| ("events", t));
        for (section, name) in
            named.chain(hooks).chain(notify).chain(events).filter(|(_, name)| *name != "all")
        {
            if self.target(name).is_none() && name != OWN_TARGET {
                let known = self.targets.iter().map(|t| t.name.as_str());
                let hint = crate::values::nearest(name, known).map(|n| format!("; did you mean {n:?}?"));
                return Err(Error::Value {
                    place: format!("configuration: {section}.target"),
                    why: format!("there is no target {name:?}{}", hint.unwrap_or_default()),
                });
            }
        }
        let sync = self.schedules.iter().find(|schedule| schedule.job == Job::Sync);
        if let Some(schedule) = sync.filter(|_| self.offsite.is_empty()) {
            return Err(Error::Value {
                place: format!("configuration: schedule {:?}: job", schedule.name),
                why: NOWHERE.to_owned(),
            });
        }
        self.check_destinations()
    }

    /// Drills go into another target, which is marked for them.
    fn check_destinations(&self) -> Result<()> {
        let named = self.targets.iter().filter_map(|target| Some((target, target.drill_into.as_ref()?)));
        for (target, into) in named {
            let why = match self.target(into) {
                None => format!("there is no target {into:?}"),
                Some(found) if found.name == target.name => "is the target itself".to_owned(),
                Some(found) if !found.drill_destination => {
                    format!("target {into:?} is not marked drill_destination = true")
                }
                Some(_) => continue,
            };
            let place = format!("configuration: target {:?}: drill_into", target.name);
            return Err(Error::Value { place, why });
        }
        Ok(())
    }

    fn make_absolute(&mut self, folder: &Path) {
        self.repository.make_absolute(folder);
        self.offsite.iter_mut().for_each(|offsite| offsite.make_absolute(folder));
        self.service.make_absolute(folder);
        self.drill.make_absolute(folder);
        self.targets.iter_mut().for_each(|target| target.make_absolute(folder));
        let hooks = self.hooks.iter_mut().filter_map(|h| h.token.as_mut());
        let notify = self.notify.iter_mut().filter_map(|n| n.token.as_mut());
        hooks.chain(notify).chain(self.events.token.as_mut()).for_each(|token| token.make_absolute(folder));
    }
}
