//! `[[target.source]]`: one thing inside a target, of which kind, and what it has to give.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chronos_snapshot::{COMPONENTS, Requirement};
use serde::{Deserialize, Serialize};

use crate::config::drill::DrillRules;
use crate::config::hook::check_limit;
use crate::config::problems::{Place, Problems};
use crate::config::share::Share;
use crate::config::web;
use crate::secret::{SecretRef, serialize_address, without_password};
use crate::targets::check_target_name;
use crate::values::{parse_duration, parse_size};

/// One source of a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// Which component of its target it is; that of its kind if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,

    /// It may be absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// So many files at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_files: Option<u64>,
    /// So many bytes at least, as a text such as `10M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<String>,
    /// By which share its files or bytes may be fewer than in the last good snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<Share>,
    /// Workflows (by id or name), tables, databases or files that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// How many things may be unreadable; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_errors_max: Option<u64>,

    /// Kinds `command`, `n8n` and `postgres`: how long the command, each request, each dump may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,

    /// Kinds `postgres`, `sqlite` and `command`: what the database has to hold when a restore of it is tried.
    #[serde(rename = "drill", skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<DrillRules>,

    /// Kind `files`: files and folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Kind `files`: only what fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Kind `files`: nothing that fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,

    /// Kind `command`: its standard output becomes a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Kind `command`: name of that file; the source's name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,

    /// Kind `n8n`: its address. Kind `postgres`: the whole of where it is and who asks, which may hold a password.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_address")]
    pub url: Option<SecretRef>,
    /// Kind `n8n` without `url`: where it answers, so that no drill takes it for a server that is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Kind `n8n`: the key of its public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretRef>,
    /// Kind `n8n`: user of a proxy in front of it. Kind `postgres`: role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Their password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Kinds `n8n` and `postgres`: words before each command, such as `["docker", "exec", "db"]`. An n8n without `url` is read by
    /// its command line behind them; one with `url` gets workflows back by it, so that they keep their ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    /// Kind `n8n` without `url`: the credentials also with their values, encrypted with the key of the instance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub encrypted_credentials: bool,

    /// Kind `postgres`: host, or folder of its socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Kind `postgres`: port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Kind `postgres`: databases; the one of `url` if absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Kind `postgres`: whether roles and other globals are taken; they are if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub globals: Option<bool>,

    /// Kind `postgres`: how a stored database takes the place of one that is there; by a swap where that can be, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreWay>,
    /// Kind `postgres`: whether sessions of others are ended for that. If absent, a swap ends those of its database, and a restore in
    /// place none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_sessions: Option<bool>,

    /// Kind `sqlite`: the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Kind `sqlite`: command that stops what uses it, before one is put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// Kind `sqlite`: command that starts it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// How a stored database takes the place of one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreWay {
    /// It is restored into a new database, which then takes the name.
    Swap,
    /// What is there is dropped and what is stored restored, in one transaction.
    InPlace,
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
    /// The workflows of an n8n.
    N8n,
    /// A PostgreSQL server.
    Postgres,
    /// An SQLite file.
    Sqlite,
}

impl SourceKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Command => "command",
            Self::N8n => "n8n",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    /// The component of a source that names none.
    pub fn component(self) -> &'static str {
        match self {
            Self::Files | Self::Command => "files",
            Self::N8n => "workflows",
            Self::Postgres | Self::Sqlite => "database",
        }
    }

    /// Keys that belong to some kinds only.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Files => &["paths", "include", "exclude"],
            Self::Command => &["command", "filename", "time_limit", "drill"],
            Self::N8n => &[
                "url",
                "address",
                "api_key",
                "user",
                "password",
                "prefix",
                "encrypted_credentials",
                "time_limit",
            ],
            Self::Postgres => &[
                "url",
                "host",
                "port",
                "user",
                "password",
                "databases",
                "globals",
                "prefix",
                "time_limit",
                "drill",
                "restore",
                "end_sessions",
            ],
            Self::Sqlite => &["path", "stop", "start", "drill"],
        }
    }
}

/// All kinds.
const KINDS: [SourceKind; 5] =
    [SourceKind::Files, SourceKind::Command, SourceKind::N8n, SourceKind::Postgres, SourceKind::Sqlite];

impl Source {
    /// Which component of its target it is.
    pub fn component(&self) -> &str {
        self.component.as_deref().unwrap_or(self.kind.component())
    }

    /// What it has to give.
    pub fn requirement(&self) -> Requirement {
        Requirement {
            optional: self.optional,
            min_files: self.min_files,
            min_bytes: self.min_bytes.as_deref().and_then(|text| parse_size(text).ok()),
            max_drop: self.max_drop.map(Share::get),
            required: self.required.clone(),
            read_errors_max: self.read_errors_max.unwrap_or_default(),
        }
    }

    /// How long whatever it asks may take, if somebody chose.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.time_limit.as_deref().and_then(|text| parse_duration(text).ok()).map(Duration::from_secs)
    }

    /// What is missing that an n8n will not do without, with the way to get it.
    pub fn lacks_key(&self) -> Option<String> {
        (self.kind == SourceKind::N8n && self.api_key.is_none()).then(|| {
            "n8n wants an API key: in n8n, Settings, n8n API, create one; then set api_key here or N8N_API_KEY (a user and a \
             password only open a proxy in front of n8n)"
                .to_owned()
        })
    }

    /// Where its secrets are, with their keys.
    pub(super) fn references(&self) -> impl Iterator<Item = (&'static str, &SecretRef)> {
        let all = [("url", &self.url), ("api_key", &self.api_key), ("password", &self.password)];
        all.into_iter().filter_map(|(key, secret)| Some((key, secret.as_ref()?)))
    }

    /// Keys of secrets that stand in the configuration itself. An address is one if it holds a password.
    pub(super) fn plain_secrets(&self) -> impl Iterator<Item = &'static str> {
        let is_plain = |(key, secret): &(&str, &SecretRef)| match secret {
            SecretRef::Plain(text) => *key != "url" || without_password(text.reveal()) != text.reveal(),
            _ => false,
        };
        self.references().filter(is_plain).map(|(key, _)| key)
    }

    /// Refuses keys of other kinds, whatever their values are.
    pub(super) fn check_keys(table: &toml::Table, at: &Place, problems: &mut Problems<'_>) {
        let kind = table.get("kind").and_then(toml::Value::as_str).unwrap_or("files");
        // An unknown kind is told when the value is read.
        let Some(kind) = KINDS.into_iter().find(|k| k.name() == kind) else { return };
        for key in table.keys().filter(|key| !kind.keys().contains(&key.as_str())) {
            let of: Vec<String> = KINDS
                .iter()
                .filter(|k| k.keys().contains(&key.as_str()))
                .map(|k| format!("{:?}", k.name()))
                .collect();
            if !of.is_empty() {
                problems.value(&at.key(key), format!("belongs to kind = {}", of.join(" and ")));
            }
        }
    }

    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        let name = check_target_name(&self.name).map_err(|why| why.replace("target's", "source's"));
        problems.check(&at.key("name"), name);
        if let Some(other) = self.component.as_deref().filter(|c| !COMPONENTS.contains(c)) {
            let why = format!("{other:?} is not known; there are {}", COMPONENTS.join(", "));
            problems.value(&at.key("component"), why);
        }
        if let Some(size) = &self.min_bytes {
            problems.check(&at.key("min_bytes"), parse_size(size));
        }
        check_limit("time_limit", self.time_limit.as_deref(), at, problems);
        if self.required.iter().any(String::is_empty) {
            problems.value(&at.key("required"), "a name is empty");
        }
        if self.prefix.first().is_some_and(String::is_empty) {
            problems.value(&at.key("prefix"), "its first word is empty");
        }
        for (number, rules) in self.drills.iter().enumerate() {
            rules.check(&at.nth("drill", number, &format!("{}", number + 1)), problems);
        }
        for (key, secret) in self.references() {
            if let Some(why) = secret.wrong() {
                problems.value(&at.key(key), why);
            }
        }
        match self.kind {
            SourceKind::Files if self.paths.is_empty() => problems.value(&at.key("paths"), "are missing"),
            SourceKind::Command if self.command.as_deref().unwrap_or_default().trim().is_empty() => {
                problems.value(&at.key("command"), "is missing");
            }
            SourceKind::Sqlite if self.path.as_ref().is_none_or(|p| p.as_os_str().is_empty()) => {
                problems.value(&at.key("path"), "is missing");
            }
            SourceKind::N8n => self.check_n8n(at, problems),
            SourceKind::Postgres => self.check_postgres(at, problems),
            _ => {}
        }
    }

    fn check_n8n(&self, at: &Place, problems: &mut Problems<'_>) {
        match &self.address {
            Some(_) if self.url.is_some() => problems.value(&at.key("address"), "is for an n8n without url"),
            Some(address) => problems.check(&at.key("address"), web::check_url(address)),
            None => {}
        }
        match &self.url {
            None if self.prefix.is_empty() => problems.value(
                &at.key("url"),
                "is missing; without one, `prefix` has to say how the command line of n8n is reached (of this host: [\"env\"])",
            ),
            None if self.api_key.is_some() || self.user.is_some() => {
                problems.value(&at.key("api_key and user"), "are for an n8n with url");
            }
            Some(_) if self.encrypted_credentials => problems.value(
                &at.key("encrypted_credentials"),
                "needs `prefix` in place of url: the API does not show them",
            ),
            Some(SecretRef::Plain(url)) => problems.check(&at.key("url"), web::check_url(url.reveal())),
            _ => {}
        }
        if self.user.is_some() != self.password.is_some() {
            problems
                .value(&at.key("user and password"), "belong together: they open a proxy in front of n8n");
        }
    }

    fn check_postgres(&self, at: &Place, problems: &mut Problems<'_>) {
        if self.url.is_some() && (self.host.is_some() || self.port.is_some() || self.user.is_some()) {
            problems.value(&at.key("url"), "already says host, port and user");
        }
        if self.url.is_none() && self.databases.is_empty() {
            problems.value(&at.key("databases"), "are missing, and there is no url");
        }
        if self.databases.iter().any(String::is_empty) {
            problems.value(&at.key("databases"), "a name is empty");
        }
        if let Some(SecretRef::Plain(url)) = &self.url
            && !["postgres://", "postgresql://"].iter().any(|scheme| url.reveal().starts_with(scheme))
        {
            problems.value(&at.key("url"), "is no address such as postgres://user@host:5432/database");
        }
    }

    pub(super) fn make_absolute(&mut self, folder: &Path) {
        for path in self.paths.iter_mut().chain(&mut self.path) {
            *path = folder.join(&*path);
        }
        for secret in [&mut self.url, &mut self.api_key, &mut self.password].into_iter().flatten() {
            secret.make_absolute(folder);
        }
    }
}
