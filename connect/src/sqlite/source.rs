//! A live database as one file of a snapshot.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chronos_snapshot::{Item, Source, SourceOutcome, SourcePart, Time, TreePath};

use crate::entry::{Attributes, above, streamed};
use crate::error::{Error, Result, shown};
use crate::sqlite::check::{Check, Checked, check};
use crate::sqlite::copy::{Copied, copy};
use crate::sqlite::scratch::Scratch;
use crate::sqlite::stop::Stop;
use crate::stream::{Feed, Pump};

/// Endings of database files, which are `.db` in a snapshot.
const ENDINGS: [&str; 4] = ["db", "sqlite", "sqlite3", "db3"];
/// How long a locked database is waited for if nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Which database is read, and how.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The live database.
    pub database: PathBuf,
    /// Name of the source: the folder in the snapshot.
    pub source: String,
    /// Folder for the copy, which is as long as the database.
    pub scratch: PathBuf,
    /// Modification time of the file in the snapshot.
    pub mtime: Time,
    /// How the copy is checked.
    pub check: Check,
    /// How long locks are waited for.
    pub patience: Duration,
}

impl SqliteOptions {
    /// With the usual checks and limits.
    pub fn new(database: impl Into<PathBuf>, source: impl Into<String>, scratch: impl Into<PathBuf>) -> Self {
        Self {
            database: database.into(),
            source: source.into(),
            scratch: scratch.into(),
            mtime: Time::default(),
            check: Check::Full,
            patience: PATIENCE,
        }
    }

    /// Where the database is in a snapshot: `{source}/{name}.db`.
    pub fn path(&self) -> Result<TreePath> {
        Ok(TreePath::new(format!("{}/{}", self.source, file_name(&self.database)?))?)
    }
}

/// Reads a live database; see [`SqliteOptions`].
#[derive(Debug)]
pub struct SqliteSource {
    options: SqliteOptions,
    path: TreePath,
    done: Arc<Mutex<Option<Done>>>,
}

#[derive(Debug)]
struct Done {
    copied: Copied,
    checked: Checked,
}

impl SqliteSource {
    /// Reads nothing yet.
    pub fn new(options: SqliteOptions) -> Result<Self> {
        let path = options.path()?;
        Ok(Self { options, path, done: Arc::default() })
    }
}

impl Source for SqliteSource {
    fn name(&self) -> String {
        self.options.source.clone()
    }

    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn component(&self) -> String {
        "database".to_owned()
    }

    fn paths(&self) -> Vec<String> {
        vec![format!("/{}", self.path)]
    }

    fn open(&mut self) -> chronos_snapshot::Result<Box<dyn Iterator<Item = Item> + Send>> {
        let attributes = attributes(&self.options.database, self.options.mtime)?;
        let (options, done) = (self.options.clone(), Arc::clone(&self.done));
        let stop = Arc::new(Stop::default());
        let ends = Arc::clone(&stop);
        let work = move |feed: &mut Feed| {
            let scratch = Scratch::new(&options.scratch)?;
            let copied = copy(&options.database, scratch.path(), options.patience, &stop)?;
            let checked = check(scratch.path(), options.check, &stop)
                .map_err(|e| named(e, scratch.path(), &options.database))?;
            *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(Done { copied, checked });
            feed.copy(&mut scratch.into_reader()?)
        };
        let pump = Pump::of_awaited_work(work, move || ends.stop());
        let file = streamed(self.path.clone(), attributes, pump);
        Ok(Box::new(above(&self.path).into_iter().chain([file])))
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    /// A table.
    fn holds(&self, name: &str) -> bool {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.as_ref().is_some_and(|done| done.checked.tables.iter().any(|table| table == name))
    }

    fn outcome(&self) -> SourceOutcome {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Done { copied, checked }) = &*done else { return SourceOutcome::default() };
        let part = SourcePart {
            file: self.path.to_string(),
            kind: "database".to_owned(),
            count: Some(checked.tables.len() as u64),
            size: Some(copied.bytes),
            error: None,
        };
        SourceOutcome { incomplete: None, parts: vec![part], notes: vec![note(copied, checked)] }
    }
}

/// What the snapshot says of the copy.
fn note(copied: &Copied, checked: &Checked) -> String {
    let how = match (copied.journal.as_str(), copied.restarts) {
        ("none", _) => "an empty database".to_owned(),
        ("wal", _) => "one transaction's view, write-ahead log included".to_owned(),
        (_, 0) => "one state between two transactions".to_owned(),
        (_, n) => format!("one state between two transactions, begun {} times because of writers", n + 1),
    };
    let check = match checked.check {
        Check::Full => "integrity_check",
        Check::Quick => "quick_check",
    };
    format!("SQLite online backup: {how}; {check} ok; {} tables", checked.tables.len())
}

/// Errors name the database, not its copy, which is gone by then.
fn named(error: Error, copy: &Path, database: &Path) -> Error {
    match error {
        Error::Damaged { what, why } => {
            Error::Damaged { what: what.replace(&shown(copy), &shown(database)), why }
        }
        other => other,
    }
}

/// Owner and mode of the live file, so that they come back with it.
fn attributes(database: &Path, mtime: Time) -> Result<Attributes> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(database).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { what: "database", name: shown(database) },
        _ => Error::file(database, e),
    })?;
    Ok(Attributes { mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid(), mtime })
}

fn file_name(database: &Path) -> Result<String> {
    let name = database.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| Error::Invalid(format!("{} has no name", shown(database))))?;
    let stem = name.rsplit_once('.').filter(|(stem, end)| !stem.is_empty() && ENDINGS.contains(end));
    Ok(format!("{}.db", stem.map_or(name, |(stem, _)| stem)))
}
