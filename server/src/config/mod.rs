//! The configuration file `chronos.toml`: strict, so that a mistyped key cannot silently change what is backed up.

mod keys;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chronos_snapshot::COMPONENTS;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::targets::{canonical_target, check_target_name};
use crate::values::{parse_duration, parse_size};

/// Largest configuration file that is read; a thousand targets fit.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Kinds of sources that existing deployments have and this version cannot read.
const KINDS_LATER: [&str; 3] = ["n8n", "postgres", "sqlite"];

/// What the configuration file says. Relative paths are made absolute against the folder of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The repository.
    pub repository: RepositoryConfig,
    /// Limits of speed.
    pub limits: Limits,
    /// Which snapshots stay, for targets that say nothing else; the built-in tiers where empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: Retention,
    /// The targets.
    #[serde(rename = "target", skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetConfig>,
}

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

/// Limits of speed in bytes per second, as texts such as `10M`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Into the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// Out of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<String>,
}

/// Rules by tier (`hourly` … `auto`), by kind (`database-only`, `workflows-only`), and `other` for the rest.
pub type Retention = BTreeMap<String, TierRule>;

/// How long snapshots of one tier stay: while any of the two keeps them. Neither: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TierRule {
    /// The newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Those that are younger, such as `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
}

impl TierRule {
    /// The age in seconds.
    pub fn age_seconds(&self) -> Option<u64> {
        self.age.as_deref().and_then(|a| parse_duration(a).ok())
    }
}

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
    /// Further sources.
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

/// One source of a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// Which component of its target it is; `files` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Kind `files`: files and folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Kind `files`: only what fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Kind `files`: nothing that fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Kind `command`: its standard output becomes a file; if it fails there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Kind `command`: name of that file; the source's name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// Kinds of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Files and folders.
    #[default]
    Files,
    /// The output of a command.
    Command,
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
        let syntax = |why: String| Error::Syntax { path: shown.clone(), why: why.trim_end().to_owned() };
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| syntax(e.to_string()))?;
        keys::check(&shown, &table)?;
        refuse_later_kinds(&shown, &table)?;
        let mut config: Self = toml::from_str(text).map_err(|e| syntax(e.to_string()))?;
        config.check(&shown)?;
        config.make_absolute(path.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// The file as text.
    pub fn to_toml(&self) -> String {
        // Only map keys that are not strings could fail, and there are none.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The target of this name or alias.
    pub fn target(&self, name: &str) -> Option<&TargetConfig> {
        let canonical = canonical_target(name);
        self.targets.iter().find(|t| t.name == name || t.aliases.iter().any(|a| a == name)).or_else(|| {
            self.targets.iter().find(|t| t.name == canonical || t.aliases.iter().any(|a| a == canonical))
        })
    }

    fn check(&self, path: &str) -> Result<()> {
        let value =
            |key: &str, why: String| Error::Value { place: format!("configuration {path}: {key}"), why };
        for (key, size) in
            [("limits.upload", &self.limits.upload), ("limits.download", &self.limits.download)]
        {
            if let Some(text) = size {
                let bytes = parse_size(text).map_err(|why| value(key, why))?;
                if bytes == 0 {
                    return Err(value(key, "0 would stop everything; leave it out for no limit".into()));
                }
            }
        }
        if let Some(location) = &self.repository.location
            && (location.starts_with("s3://") || location.starts_with("sftp://"))
        {
            return Err(value(
                "repository.location",
                format!("{location}: not in this version; name a folder"),
            ));
        }
        check_retention(&self.retention, "retention").map_err(|(k, why)| value(&k, why))?;
        let mut names = BTreeSet::new();
        for target in &self.targets {
            target.check().map_err(|(key, why)| value(&key, why))?;
            for name in std::iter::once(&target.name).chain(&target.aliases) {
                if !names.insert(name) {
                    return Err(value("target.name", format!("{name:?} names two targets")));
                }
            }
        }
        Ok(())
    }

    fn make_absolute(&mut self, folder: &Path) {
        let absolute = |p: &mut PathBuf| *p = folder.join(&*p);
        self.repository.password_file.iter_mut().for_each(absolute);
        self.repository.key_file.iter_mut().for_each(absolute);
        if let Some(location) = &mut self.repository.location {
            *location = folder.join(&*location).display().to_string();
        }
        for target in &mut self.targets {
            target.paths.iter_mut().for_each(absolute);
            target.sources.iter_mut().flat_map(|s| &mut s.paths).for_each(absolute);
        }
    }
}

impl TargetConfig {
    fn check(&self) -> Result<(), (String, String)> {
        let bad = |key: &str, why: String| Err((format!("target {:?}: {key}", self.name), why));
        for name in std::iter::once(&self.name).chain(&self.aliases) {
            if let Err(why) = check_target_name(name) {
                return bad("name", why);
            }
        }
        match self.preset.as_deref() {
            None if self.retention_days.is_some() || self.max_backups.is_some() => {
                return bad("retention_days and max_backups", "belong to preset = \"project\"".into());
            }
            None | Some("project") => {}
            Some(other) => return bad("preset", format!("{other:?} is not known; there is \"project\"")),
        }
        if self.paths.is_empty() && self.sources.is_empty() {
            return bad("paths", "a target needs paths or a source".into());
        }
        check_retention(&self.retention, "retention").or_else(|(k, why)| bad(&k, why))?;
        let mut names = BTreeSet::new();
        for source in &self.sources {
            if let Err((key, why)) = source.check() {
                return bad(&format!("source {:?}: {key}", source.name), why);
            }
            if !names.insert(&source.name) {
                return bad("source", format!("two sources are named {:?}", source.name));
            }
        }
        Ok(())
    }
}

impl Source {
    /// Which component of its target it is.
    pub fn component(&self) -> &str {
        self.component.as_deref().unwrap_or("files")
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        check_target_name(&self.name).map_err(|why| ("name", why.replace("target's", "source's")))?;
        if let Some(other) = self.component.as_deref().filter(|c| !COMPONENTS.contains(c)) {
            return Err((
                "component",
                format!("{other:?} is not known; there are {}", COMPONENTS.join(", ")),
            ));
        }
        match self.kind {
            SourceKind::Files if self.command.is_some() || self.filename.is_some() => {
                Err(("command", "belongs to kind = \"command\"".into()))
            }
            SourceKind::Files if self.paths.is_empty() => Err(("paths", "are missing".into())),
            SourceKind::Command if self.command.as_deref().unwrap_or_default().trim().is_empty() => {
                Err(("command", "is missing".into()))
            }
            SourceKind::Command
                if !(self.paths.is_empty() && self.include.is_empty() && self.exclude.is_empty()) =>
            {
                Err(("paths, include and exclude", "belong to kind = \"files\"".into()))
            }
            _ => Ok(()),
        }
    }
}

fn check_retention(rules: &Retention, key: &str) -> Result<(), (String, String)> {
    for (tier, rule) in rules {
        if let Some(age) = &rule.age {
            parse_duration(age).map_err(|why| (format!("{key}.{tier}.age"), why))?;
        }
    }
    Ok(())
}

/// Kinds that existing deployments have in their files get a sentence of their own.
fn refuse_later_kinds(path: &str, table: &toml::Table) -> Result<()> {
    let array = |holder: &toml::Table, key: &str| {
        holder.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default()
    };
    for target in array(table, "target").iter().filter_map(toml::Value::as_table) {
        for source in array(target, "source").iter().filter_map(toml::Value::as_table) {
            let kind = source.get("kind").and_then(toml::Value::as_str).unwrap_or("files");
            if KINDS_LATER.contains(&kind) {
                return Err(Error::Value {
                    place: format!("configuration {path}: target.source.kind"),
                    why: format!(
                        "sources of kind {kind:?} are not in this version; a command source can take a dump"
                    ),
                });
            }
        }
    }
    Ok(())
}
