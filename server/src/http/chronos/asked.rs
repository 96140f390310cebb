//! What `POST /backup` is asked for, in the dialects of all existing callers, and what they mean by it.

use std::collections::BTreeMap;

use chronos_snapshot::{BackupOptions, COMPONENTS, FileOptions, TIERS};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::catalog::target_name;
use crate::config::Config;
use crate::error::Error;
use crate::http::common::words::{dashed, given, is_tier, is_type};
use crate::http::fields::shortened;
use crate::http::problem::Problem;
use crate::operations::backup::{ALL, BackupRequest, default_description};
use crate::sources::{LIST_THREADS, Selection};

/// The pattern that stands for everything.
const EVERYTHING: &str = "**/*";
/// Most patterns, modules and components of one request.
pub(in crate::http) const LIST_MAX: usize = 1000;

/// A backup, in the words of any caller. Without `target` and `component` every configured target is taken.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Backup)]
pub(super) struct Asked {
    /// A target or one of its aliases; `all` is every configured one.
    target: Option<String>,
    /// The same, by the name that others know; also the kind of sources that are taken.
    component: Option<String>,
    /// Which sources are taken (`full`, `incremental`, `workflows`, `database`, `config`), or the tier.
    backup_type: Option<String>,
    /// Why it is made: `manual` if nobody says it.
    tier: Option<String>,
    /// The tier, or the backup type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Kinds of sources that are taken, or targets.
    components: Option<Vec<String>>,
    /// For people.
    description: Option<String>,
    /// The same, by the name that others know.
    reason: Option<String>,
    /// Name of the snapshot.
    name: Option<String>,
    /// Only files that fit one of these patterns.
    include_patterns: Option<Vec<String>>,
    /// No files that fit one of these patterns.
    exclude_patterns: Option<Vec<String>>,
    /// Only these folders and files directly below the target's paths.
    target_modules: Option<Vec<String>>,
    /// Free metadata.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Tags.
    tags: Option<Vec<String>>,
    /// Whether the answer waits for the snapshot. `false`: it is a job.
    wait: Option<bool>,
}

/// What is meant.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    /// The targets; empty: every configured one.
    pub(super) targets: Vec<String>,
    /// What is asked of each.
    pub(super) request: BackupRequest,
    /// Whether the answer waits for it.
    pub(super) wait: bool,
}

impl Asked {
    /// A snapshot before a change: of one workflow, or of everything.
    pub(super) fn before_deploy(target: Option<String>, workflow: Option<&str>, wait: Option<bool>) -> Self {
        let what = workflow.map_or_else(String::new, |id| format!(" for workflow {id}"));
        Self {
            target,
            wait,
            tier: Some("pre-deploy".to_owned()),
            description: Some(format!("Pre-deploy backup{what}")),
            ..Self::default()
        }
    }

    /// What is meant by it.
    ///
    /// # Errors
    /// 422 for values that are none and for those that exclude each other, 404 for a target that nobody configured.
    pub(super) fn meant(self, config: &Config) -> Result<Meant, Problem> {
        for (field, list) in [
            ("components", &self.components),
            ("include_patterns", &self.include_patterns),
            ("exclude_patterns", &self.exclude_patterns),
            ("target_modules", &self.target_modules),
        ] {
            if list.as_ref().is_some_and(|l| l.len() > LIST_MAX) {
                return Err(Problem::invalid(field, format!("{field} has more than {LIST_MAX} entries")));
            }
        }
        let (tier, backup_type) = self.tier_and_type()?;
        let (targets, components) = self.targets_and_components(config)?;
        let (description, reason) = (given(self.description), given(self.reason));
        for (field, text) in [("description", &description), ("reason", &reason)] {
            let description = text.clone().unwrap_or_default();
            checked(field, BackupOptions { description, ..BackupOptions::default() })?;
        }
        let description = description.or(reason).unwrap_or_else(|| default_description(&tier));
        let request = BackupRequest {
            tier,
            selection: Selection { backup_type, components, workflow: None },
            name: given(self.name),
            description,
            tags: self.tags.unwrap_or_default(),
            metadata: self
                .metadata
                .unwrap_or_default()
                .into_iter()
                .map(|(k, v)| (k, plain(v)))
                .collect::<BTreeMap<_, _>>(),
            rules: FileOptions {
                includes: patterns(self.include_patterns),
                excludes: self.exclude_patterns.unwrap_or_default(),
                modules: self.target_modules.unwrap_or_default(),
                threads: LIST_THREADS,
                ..FileOptions::default()
            },
            ..BackupRequest::default()
        };
        check(&request)?;
        Ok(Meant { targets, request, wait: self.wait.unwrap_or(true) })
    }

    /// `type` and `backup_type` may each mean the one or the other; the tier's own field only a tier.
    fn tier_and_type(&self) -> Result<(String, String), Problem> {
        let (mut tier, mut backup_type): (Option<String>, Option<String>) = (None, None);
        let fields = [("tier", &self.tier), ("type", &self.kind), ("backup_type", &self.backup_type)];
        for (field, word) in fields {
            let Some(word) = given(word.clone()).map(|w| dashed(&w)) else { continue };
            let place = if is_tier(&word) {
                &mut tier
            } else if is_type(&word) && field != "tier" {
                &mut backup_type
            } else {
                let types =
                    if field == "tier" { "" } else { ", full, incremental, workflows, database, config" };
                let shown = shortened(&word);
                return Err(Problem::invalid(
                    field,
                    format!("{field}: {shown:?} is not known; there are {}{types}", TIERS.join(", ")),
                ));
            };
            match place {
                Some(other) if *other != word => {
                    return Err(Problem::invalid(
                        field,
                        format!("{field} {word:?} excludes {other:?}, which is also there"),
                    ));
                }
                _ => *place = Some(word),
            }
        }
        Ok((tier.unwrap_or_else(|| "manual".to_owned()), backup_type.unwrap_or_else(|| "full".to_owned())))
    }

    fn targets_and_components(&self, config: &Config) -> Result<(Vec<String>, Vec<String>), Problem> {
        let (mut targets, mut components): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let target = given(self.target.clone());
        if let Some(name) = target.as_deref().filter(|name| *name != ALL) {
            targets.push(configured(config, name)?);
        }
        let one = given(self.component.clone());
        let several = self.components.iter().flatten().cloned();
        for name in one.clone().into_iter().chain(several) {
            let is_component = COMPONENTS.contains(&&*name);
            if name == ALL || name == "full" {
                continue;
            }
            if is_component && config.target(&name).is_none() {
                components.push(name);
                continue;
            }
            let found = configured(config, &name)?;
            if target.as_deref().is_some_and(|t| t != ALL) && !targets.contains(&found) {
                let target = targets.first().cloned().unwrap_or_default();
                return Err(Problem::invalid(
                    "component",
                    format!("component {found} excludes target {target}, which is also there"),
                ));
            }
            if !targets.contains(&found) {
                targets.push(found);
            }
        }
        Ok((targets, components))
    }
}

/// The target of this name, which is configured.
fn configured(config: &Config, name: &str) -> Result<String, Problem> {
    match config.target(name) {
        Some(_) => Ok(target_name(config, name)),
        None => Err(Error::UnknownTarget { target: shortened(name) }.into()),
    }
}

/// What is wrong with labels is said before anything is begun.
fn check(request: &BackupRequest) -> Result<(), Problem> {
    let (name, tags, metadata) = (request.name.clone(), request.tags.clone(), request.metadata.clone());
    checked("name", BackupOptions { name, ..BackupOptions::default() })?;
    checked("tags", BackupOptions { tags, ..BackupOptions::default() })?;
    checked("metadata", BackupOptions { metadata, ..BackupOptions::default() })?;
    let FileOptions { includes, excludes, modules, .. } = request.rules.clone();
    for (field, rules) in [
        ("include_patterns", FileOptions { includes, ..FileOptions::default() }),
        ("exclude_patterns", FileOptions { excludes, ..FileOptions::default() }),
        ("target_modules", FileOptions { modules, ..FileOptions::default() }),
    ] {
        rules.check().map_err(|e| Problem::invalid(field, format!("{field}: {e}")))?;
    }
    Ok(())
}

/// Refuses what a field says, by its name.
fn checked(field: &str, says: BackupOptions) -> Result<(), Problem> {
    says.checked().map(drop).map_err(|e| Problem::invalid(field, format!("{field}: {e}")))
}

fn patterns(given: Option<Vec<String>>) -> Vec<String> {
    given.unwrap_or_default().into_iter().filter(|p| p != EVERYTHING).collect()
}

/// A value of metadata as text.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use std::path::Path;

    use super::*;

    fn config() -> Config {
        let text = "[[target]]\nname = \"prod\"\npaths = [\"/a\"]\n[[target]]\nname = \"supabase\"\naliases = [\"db\"]\npaths = [\"/b\"]\n";
        Config::parse(text, Path::new("/etc/chronos.toml")).unwrap()
    }

    fn meant(text: &str) -> Result<Meant, Problem> {
        serde_json::from_str::<Asked>(text).unwrap().meant(&config())
    }

    #[test]
    fn every_dialect_means_what_its_callers_mean() {
        let a =
            meant(r#"{"target": "prod-n8n", "backup_type": "full", "tier": "daily", "description": "why"}"#)
                .unwrap();
        assert_eq!((&*a.targets[0], &*a.request.tier, &*a.request.description), ("prod", "daily", "why"));
        let b = meant(r#"{"type": "pre_deploy", "component": "db", "reason": "why"}"#).unwrap();
        assert_eq!(
            (&*b.targets[0], &*b.request.tier, &*b.request.description),
            ("supabase", "pre-deploy", "why")
        );
        let c = meant(r#"{"type": "incremental", "components": ["database", "workflows"], "reason": "r"}"#)
            .unwrap();
        assert!(c.targets.is_empty() && c.request.tier == "manual");
        assert_eq!(c.request.selection.backup_type, "incremental");
        assert_eq!(c.request.selection.components, ["database", "workflows"]);
        let e = meant(
            r#"{"name": "n", "backup_type": "restore_point", "include_patterns": ["**/*"], "exclude_patterns": ["*.o"],
                "target_modules": ["src"], "metadata": {"k": 1, "s": "t"}}"#,
        );
        let e = e.unwrap().request;
        assert_eq!(
            (&*e.tier, &*e.selection.backup_type, e.name.as_deref()),
            ("restore-point", "full", Some("n"))
        );
        assert!(e.rules.includes.is_empty() && e.rules.excludes == ["*.o"] && e.rules.modules == ["src"]);
        assert_eq!((&*e.metadata["k"], &*e.metadata["s"]), ("1", "t"));
        let mixed = meant(
            r#"{"target": "prod", "component": "database", "type": "emergency", "backup_type": "database"}"#,
        );
        let mixed = mixed.unwrap();
        assert_eq!((mixed.targets.len(), &*mixed.request.tier), (1, "emergency"));
        assert_eq!(mixed.request.selection.components, ["database"]);
        assert!(meant(r#"{"target": "all"}"#).unwrap().targets.is_empty());
        assert_eq!(meant("{}").unwrap().request.description, "Manual backup");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let status = |text: &str| meant(text).unwrap_err().status().as_u16();
        assert_eq!(status(r#"{"target": "nowhere"}"#), 404);
        assert_eq!(status(r#"{"components": ["nowhere"]}"#), 404);
        for bad in [
            r#"{"tier": "fortnightly"}"#,
            r#"{"tier": "full"}"#,
            r#"{"tier": "daily", "type": "hourly"}"#,
            r#"{"type": "full", "backup_type": "database"}"#,
            r#"{"target": "prod", "component": "db"}"#,
            r#"{"name": "a/b"}"#,
            r#"{"description": "a\u0000b"}"#,
            r#"{"reason": "a\u0000b"}"#,
            r#"{"description": "why", "reason": "a\u0000b"}"#,
            r#"{"metadata": {"a/b": 1}}"#,
            r#"{"tags": ["a,b"]}"#,
            r#"{"tags": [""]}"#,
            r#"{"target_modules": [""]}"#,
            r#"{"target_modules": ["src/a"]}"#,
        ] {
            assert_eq!(status(bad), 422, "{bad}");
        }
    }
}
