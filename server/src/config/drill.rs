//! `[drill]` and `[[target.source.drill]]`: where restores are tried, and what a restored database has to hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronos_connect::Assertions;
use serde::{Deserialize, Serialize};

use crate::config::hook::check_limit;
use crate::config::problems::{Place, Problems};

/// Where restores are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrillConfig {
    /// Folder for what is restored for trial; one of the user's below `/var/tmp` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<PathBuf>,
    /// Folder of the programs of a PostgreSQL server (`initdb`, `pg_ctl`); looked for if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_programs: Option<PathBuf>,
    /// Account that runs it, where the program itself runs as root; `nobody` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long each restore into it and each query may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
}

/// What a restored database has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrillRules {
    /// The one of several databases that is meant; each of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Tables, and how many rows each has at least.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, u64>,
    /// Tables, views, functions and other objects that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Statements, and what they answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<DrillQuery>,
}

/// A statement, and what it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrillQuery {
    /// The statement.
    pub sql: String,
    /// Its answer: values of a row separated by `|`, rows by line ends.
    pub answer: String,
}

impl DrillConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        if self.user.as_deref() == Some("root") {
            problems.value(&at.key("user"), "a PostgreSQL server does not run as root");
        }
        check_limit("time_limit", self.time_limit.as_deref(), at, problems);
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        for path in [&mut self.scratch, &mut self.postgres_programs].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
}

impl DrillRules {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        if self.rows.is_empty() && self.objects.is_empty() && self.queries.is_empty() {
            problems.value(&at.key("rows"), "say nothing, nor do objects and queries");
        }
        if self.queries.iter().any(|query| query.sql.trim().is_empty()) {
            problems.value(&at.key("queries"), "an sql is empty");
        }
    }

    /// What a database of this name has to hold by some rules.
    pub(crate) fn of_database(rules: &[Self], name: &str) -> Assertions {
        let mut all = Assertions::default();
        for rules in rules.iter().filter(|r| r.database.as_deref().is_none_or(|d| d == name)) {
            all.rows.extend(rules.rows.iter().map(|(table, floor)| (table.clone(), *floor)));
            all.objects.extend(rules.objects.iter().cloned());
            all.queries.extend(rules.queries.iter().map(|q| (q.sql.clone(), q.answer.clone())));
        }
        all
    }
}
