//! `[drill]` and `[[target.source.drill]]`: where restores are tried, and what a restored database has to hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chronos_connect::Assertions;
use serde::{Deserialize, Serialize};

use crate::config::hook::check_limit;
use crate::config::problems::{Place, Problems};
use crate::config::share::Share;
use crate::config::web::check_url;
use crate::secret::SecretRef;

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
    /// Address of an n8n that is nobody's, into which workflows are imported for trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n8n_url: Option<String>,
    /// The key of its public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n8n_api_key: Option<SecretRef>,
    /// How long each restore of a dump and each query may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
}

/// What a restored database has to hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrillRules {
    /// The one of several databases that is meant; each of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Tables, and how many rows each has at least.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, u64>,
    /// By which share the rows of each table may be fewer than in the last earlier snapshot that passed. If absent, a database that
    /// had rows must have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<Share>,
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
        if self.n8n_url.is_some() != self.n8n_api_key.is_some() {
            problems.value(&at.key("n8n_url and n8n_api_key"), "belong together");
        }
        if let Some(url) = &self.n8n_url {
            problems.check(&at.key("n8n_url"), check_url(url));
        }
        if let Some(why) = self.n8n_api_key.as_ref().and_then(SecretRef::wrong) {
            problems.value(&at.key("n8n_api_key"), why);
        }
        check_limit("time_limit", self.time_limit.as_deref(), at, problems);
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        for path in [&mut self.scratch, &mut self.postgres_programs].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self.n8n_api_key.iter_mut().for_each(|key| key.make_absolute(folder));
    }
}

impl DrillRules {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        let is_silent = self.rows.is_empty() && self.objects.is_empty() && self.queries.is_empty();
        if is_silent && self.max_drop.is_none() {
            problems.value(&at.key("rows"), "say nothing, nor do max_drop, objects and queries");
        }
        if self.queries.iter().any(|query| query.sql.trim().is_empty()) {
            problems.value(&at.key("queries"), "an sql is empty");
        }
    }

    /// Those that are of a database.
    fn of<'r>(rules: &'r [Self], name: &'r str) -> impl Iterator<Item = &'r Self> {
        rules.iter().filter(move |r| r.database.as_deref().is_none_or(|d| d == name))
    }

    /// By which share the tables of a database of this name may shrink, if some rules say it; the smallest counts.
    pub(crate) fn max_drop(rules: &[Self], name: &str) -> Option<f64> {
        Self::of(rules, name).filter_map(|r| Some(r.max_drop?.get())).min_by(f64::total_cmp)
    }

    /// What a database of this name has to hold by some rules.
    pub(crate) fn of_database(rules: &[Self], name: &str) -> Assertions {
        let mut all = Assertions::default();
        for rules in Self::of(rules, name) {
            all.rows.extend(rules.rows.iter().map(|(table, floor)| (table.clone(), *floor)));
            all.objects.extend(rules.objects.iter().cloned());
            all.queries.extend(rules.queries.iter().map(|q| (q.sql.clone(), q.answer.clone())));
        }
        all
    }
}
