//! What a backup is asked to do, and the rules that names, tiers and types obey (contract §2).

use std::collections::BTreeMap;

use chronos_store::{SessionId, SessionOptions};

use crate::backup::requirements::Requirement;
use crate::error::{Error, Result};

/// Tiers that a snapshot can have.
pub const TIERS: &[&str] = &[
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
];

/// Backup types that a snapshot can have.
pub const BACKUP_TYPES: &[&str] = &["full", "workflows", "database", "config", "incremental"];

/// Longest target, name, tag, host, user, metadata key in bytes; so that lists stay readable and names fit a file name.
pub const NAME_BYTES_MAX: usize = 200;

/// Longest description or metadata value in bytes; a manifest is read with every listing.
pub const TEXT_BYTES_MAX: usize = 16 << 10;

/// Most tags, and most metadata entries.
pub const TAGS_MAX: usize = 100;

/// The snapshot that the source is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ParentChoice {
    /// The newest listed one of the same target, host and paths.
    #[default]
    Newest,
    /// This one.
    Given(SessionId),
    /// None: everything is read.
    None,
}

/// What happens with the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// A snapshot is made.
    #[default]
    Snapshot,
    /// A snapshot is made unless nothing differs from the newest good one.
    SnapshotIfChanged,
    /// Everything is read and counted, nothing is written.
    DryRun,
}

/// When a file counts as unchanged without being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeTest {
    /// Its inode number must be the same.
    pub inode: bool,
    /// Its inode change time must be the same.
    pub ctime: bool,
    /// It never does: every file is read.
    pub read_all: bool,
}

impl Default for ChangeTest {
    fn default() -> Self {
        Self { inode: true, ctime: true, read_all: false }
    }
}

/// How a backup is made.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// Target that the snapshot belongs to.
    pub target: String,
    /// Why it is made.
    pub tier: String,
    /// Which components it takes.
    pub backup_type: String,
    /// Name given by the user.
    pub name: Option<String>,
    /// Description.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Free metadata.
    pub metadata: BTreeMap<String, String>,
    /// Host that the sources are of.
    pub host: String,
    /// User that runs it.
    pub user: String,
    /// Time of the snapshot in nanoseconds since 1970, if it is not now.
    pub time: Option<i128>,
    /// Limited to these components or workflows; empty: everything of the target.
    pub scope: Vec<String>,
    /// What sources have to give, by their names. For a source without one, what cannot be read makes a snapshot partial.
    pub requirements: BTreeMap<String, Requirement>,
    /// What it is compared with.
    pub parent: ParentChoice,
    /// When a file counts as unchanged.
    pub changes: ChangeTest,
    /// What happens with the outcome.
    pub outcome: Outcome,
    /// How the session is begun.
    pub session: SessionOptions,
    /// Threads that read, cut and store.
    pub threads: usize,
    /// Name and version of the program.
    pub program: String,
}

impl Default for BackupOptions {
    fn default() -> Self {
        Self {
            target: "files".to_owned(),
            tier: "manual".to_owned(),
            backup_type: "full".to_owned(),
            name: None,
            description: String::new(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            host: "localhost".to_owned(),
            user: String::new(),
            time: None,
            scope: Vec::new(),
            requirements: BTreeMap::new(),
            parent: ParentChoice::default(),
            changes: ChangeTest::default(),
            outcome: Outcome::default(),
            session: SessionOptions { client: "local".to_owned(), level: 3 },
            threads: 2,
            program: concat!("chronos ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl BackupOptions {
    /// The same with `-` for `_` in tier and type; refuses what contract §2 does not allow.
    pub fn checked(mut self) -> Result<Self> {
        self.tier = normalised(&self.tier, TIERS, "tier")?;
        self.backup_type = normalised(&self.backup_type, BACKUP_TYPES, "backup type")?;
        check_target(&self.target)?;
        let scoped = self.scope.iter().map(|s| ("scope", s));
        let tags = self.tags.iter().map(|t| ("tag", t));
        for (what, text) in self.name.iter().map(|n| ("name", n)).chain(tags).chain(scoped) {
            check_name(what, text)?;
        }
        for (what, text) in [("host", &self.host), ("user", &self.user)] {
            check_text(what, text, NAME_BYTES_MAX)?;
        }
        check_text("description", &self.description, TEXT_BYTES_MAX)?;
        for (key, value) in &self.metadata {
            check_name("metadata key", key)?;
            check_text("metadata value", value, TEXT_BYTES_MAX)?;
        }
        for (source, requirement) in &self.requirements {
            requirement.check(source)?;
        }
        if self.tags.len() > TAGS_MAX || self.metadata.len() > TAGS_MAX {
            return Err(Error::Invalid(format!("more than {TAGS_MAX} tags or metadata entries")));
        }
        Ok(self)
    }
}

fn normalised(text: &str, known: &[&str], what: &str) -> Result<String> {
    let wanted = text.replace('_', "-");
    if known.contains(&wanted.as_str()) {
        return Ok(wanted);
    }
    Err(Error::Invalid(format!("{text:?} is no {what}; there are {}", known.join(", "))))
}

/// Refuses a target that does not match `[a-z0-9][a-z0-9._-]*`.
pub fn check_target(text: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut bytes = text.bytes();
    let ok = bytes.next().is_some_and(plain)
        && bytes.all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
        && text.len() <= NAME_BYTES_MAX;
    if ok {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{text:?} cannot name a target: lower-case letters, digits, '.', '_' and '-', not beginning with a mark, \
         at most {NAME_BYTES_MAX}"
    )))
}

/// Refuses a name or tag that is empty, too long, or holds control characters, `/` or `,`. `what` is for the message.
pub fn check_name(what: &str, text: &str) -> Result<()> {
    if !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.chars().any(|c| c.is_control() || matches!(c, '/' | ','))
    {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{text:?} cannot be a {what}: 1 to {NAME_BYTES_MAX} bytes without control characters, '/' and ','"
    )))
}

fn check_text(what: &str, text: &str, max: usize) -> Result<()> {
    if text.len() <= max && !text.contains('\0') {
        return Ok(());
    }
    Err(Error::Invalid(format!("the {what} is longer than {max} bytes or holds a zero byte")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tiers_and_types_take_both_marks_and_nothing_unknown() {
        let options = |tier: &str, backup_type: &str| {
            let (tier, backup_type) = (tier.to_owned(), backup_type.to_owned());
            BackupOptions { tier, backup_type, ..BackupOptions::default() }.checked()
        };
        assert_eq!(options("restore_point", "full").unwrap().tier, "restore-point");
        options("fortnightly", "full").unwrap_err();
        options("daily", "everything").unwrap_err();
    }

    #[test]
    fn names_that_would_break_a_list_or_a_path_are_refused() {
        for good in ["a", "prod", "control-plane", "0.x_y"] {
            check_target(good).unwrap();
        }
        for bad in ["", "-a", "A", "a/b", "a b", ".", "é"] {
            check_target(bad).unwrap_err();
        }
        check_name("tag", "before the move, no").unwrap_err();
        check_name("tag", "a/b").unwrap_err();
        check_name("tag", "a\nb").unwrap_err();
        check_name("tag", "").unwrap_err();
        check_name("tag", "vor dem Umzug é").unwrap();
    }
}
