//! The keys that a configuration file may hold; anything else is an error that names the nearest one.

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::values::nearest;

/// Sections of the file.
const TOP: &[&str] = &["repository", "limits", "retention", "target"];
/// Keys of `[repository]`.
const REPOSITORY: &[&str] = &["location", "password_file", "password_command", "key_file"];
/// Keys of `[limits]`.
const LIMITS: &[&str] = &["upload", "download"];
/// Keys of a rule of `[retention]`.
const RULE: &[&str] = &["count", "age"];
/// Keys of `[retention]` and `[target.retention]`: the tiers, the kinds, and the age of everything else.
pub(super) const RETENTION: &[&str] = &[
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "manual",
    "pre-deploy",
    "scheduled",
    "emergency",
    "restore-point",
    "auto",
    "database-only",
    "workflows-only",
    "other",
];
/// Keys of `[[target]]`.
const TARGET: &[&str] = &[
    "name",
    "aliases",
    "preset",
    "paths",
    "include",
    "exclude",
    "exclude_if_present",
    "exclude_caches",
    "one_file_system",
    "retention",
    "retention_days",
    "max_backups",
    "source",
];
/// Keys of `[[target.source]]`.
const SOURCE: &[&str] = &["name", "kind", "component", "paths", "include", "exclude", "command", "filename"];

/// Refuses every key that is not known.
pub(super) fn check(path: &str, file: &Table) -> Result<()> {
    let checker = Checker { path };
    checker.table("", file, TOP)?;
    checker.section(file, "repository", REPOSITORY)?;
    checker.section(file, "limits", LIMITS)?;
    checker.retention("retention", file)?;
    for target in tables(file, "target") {
        checker.table("target.", target, TARGET)?;
        checker.retention("target.retention", target)?;
        for source in tables(target, "source") {
            checker.table("target.source.", source, SOURCE)?;
        }
    }
    Ok(())
}

struct Checker<'a> {
    path: &'a str,
}

impl Checker<'_> {
    fn table(&self, prefix: &str, table: &Table, known: &[&str]) -> Result<()> {
        match table.keys().find(|k| !known.contains(&k.as_str())) {
            None => Ok(()),
            Some(key) => Err(Error::UnknownKey {
                path: self.path.to_owned(),
                key: format!("{prefix}{key}"),
                nearest: nearest(key, known.iter().copied()).map(|n| format!("{prefix}{n}")),
            }),
        }
    }

    fn section(&self, file: &Table, name: &str, known: &[&str]) -> Result<()> {
        match file.get(name).and_then(Value::as_table) {
            Some(table) => self.table(&format!("{name}."), table, known),
            None => Ok(()),
        }
    }

    fn retention(&self, name: &str, holder: &Table) -> Result<()> {
        let Some(table) = holder.get("retention").and_then(Value::as_table) else { return Ok(()) };
        self.table(&format!("{name}."), table, RETENTION)?;
        for (tier, rule) in table {
            if let Some(rule) = rule.as_table() {
                self.table(&format!("{name}.{tier}."), rule, RULE)?;
            }
        }
        Ok(())
    }
}

fn tables<'a>(holder: &'a Table, name: &str) -> impl Iterator<Item = &'a Table> {
    holder.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}
