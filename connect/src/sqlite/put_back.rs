//! A stored database over the live one: written beside it, checked, and swapped in while its users are stopped.
//!
//! Until the swap nothing of the live database is changed. The swap is one rename, so that whoever looks finds the old one or the new
//! one; a log of the old one is taken into it, or set aside with it, before that, since SQLite would apply it to the new one. What
//! fails is undone, and whoever was stopped is started again in every outcome.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chronos_store::durable::{self, Taken};
use rusqlite::{Connection, OpenFlags};

use crate::entry::PRIVATE;
use crate::error::{Error, Result, shown};
use crate::names::random_name;
use crate::process::Process;
use crate::sqlite::check::{Check, Checked, check, check_head, failure, missing};
use crate::sqlite::scratch::{BESIDE, beside, check_space};
use crate::sqlite::stop::Stop;
use crate::sqlite::unfinished::Unfinished;

/// How long the last users of a database may take to let it go once they were stopped.
const LET_GO: Duration = Duration::from_secs(10);
/// What a command that stops or starts something may say.
const ANSWER_MAX: usize = 1 << 20;

/// What happens to the database that was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// It is removed when all is well.
    #[default]
    Nothing,
    /// It stays beside the new one, under a name that the report tells.
    Old,
}

/// Where a database goes back to.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// The live database; it may be missing.
    pub database: PathBuf,
    /// Bytes of the stored one, for a look at the space; 0 if not known.
    pub size: u64,
    /// Mode, owner and group if there is no live one to take them from.
    pub attributes: Option<(u32, u32, u32)>,
    /// Stops those who use it.
    pub stop: Option<Process>,
    /// Starts them again.
    pub start: Option<Process>,
    /// What happens to the old one.
    pub kept: Kept,
    /// How both are checked.
    pub check: Check,
    /// Tables that the new one must have.
    pub required: Vec<String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBackReport {
    /// The new database.
    pub checked: Checked,
    /// Where the old one is.
    pub old: Option<PathBuf>,
}

/// Puts the database that `content` writes in the place of the live one.
pub fn put_back(
    options: &PutBack,
    content: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<PutBackReport> {
    put_back_noting(options, content, &mut |_| Ok(()))
}

/// The same. `note` is told what would be left if the process ended, before the new database is begun and before anybody is stopped;
/// its error ends it.
pub fn put_back_noting(
    options: &PutBack,
    content: impl FnOnce(&mut dyn Write) -> Result<()>,
    note: &mut dyn FnMut(&Unfinished) -> Result<()>,
) -> Result<PutBackReport> {
    let live = &options.database;
    let (new, old) = (hidden(live, "new")?, hidden(live, "old")?);
    let mut unfinished = Unfinished { database: live.clone(), new, inode: None, old };
    note(&unfinished)?;
    let staged = Staged::write(options, &unfinished.new, content)?;
    let checked = check(&staged.path, options.check, &Stop::default())?;
    if let Some(why) = missing(&options.required, &checked.tables) {
        return Err(Error::Refused(format!("{}: {why}; nothing was changed", shown(&options.database))));
    }
    unfinished.inode = Some(staged.inode);
    note(&unfinished)?;
    let swapped = run(options.stop.as_ref()).and_then(|()| Swap::make(options, staged, &unfinished.old));
    let swap = match swapped {
        Ok(swap) => swap,
        Err(cause) => return Err(started(options, Error::Undone(Box::new(cause)))),
    };
    let whole = check(&options.database, options.check, &Stop::default());
    match whole.and_then(|_| run(options.start.as_ref())) {
        Ok(()) => Ok(PutBackReport { checked, old: swap.finish(options.kept)? }),
        Err(cause) => Err(swap.undo(options, cause)),
    }
}

/// The error to tell after everything was undone: those who were stopped are started.
fn started(options: &PutBack, error: Error) -> Error {
    match run(options.start.as_ref()) {
        Ok(()) => error,
        Err(undo) => Error::NotUndone { cause: Box::new(error), undo: Box::new(undo) },
    }
}

pub(super) fn run(command: Option<&Process>) -> Result<()> {
    command.map_or(Ok(()), |command| command.output(ANSWER_MAX).map(drop))
}

/// The new database beside the live one.
struct Staged {
    path: PathBuf,
    inode: u64,
}

impl Staged {
    fn write(
        options: &PutBack,
        path: &Path,
        content: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Self> {
        if let Some(folder) = path.parent() {
            check_space(folder, options.size)?;
        }
        let failed = |e| Error::file(path, e);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path).map_err(failed)?;
        let mut staged = Self { path: path.to_owned(), inode: 0 };
        staged.inode = file.metadata().map_err(failed)?.ino();
        content(&mut file)?;
        let attributes = match fs::metadata(&options.database) {
            Ok(live) => Some((live.mode() & 0o7777, live.uid(), live.gid())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => options.attributes,
            Err(e) => return Err(Error::file(&options.database, e)),
        };
        if let Some(attributes) = attributes {
            give(&file, path, attributes).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Swapped in: then there is nothing of that name.
        let _ = fs::remove_file(&self.path);
    }
}

fn give(file: &File, path: &Path, (mode, uid, gid): (u32, u32, u32)) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (uid, gid) {
        chown(path, Some(uid), Some(gid))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// A name beside the live database that nothing else has.
fn hidden(database: &Path, what: &str) -> Result<PathBuf> {
    let name = database.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| Error::Invalid(format!("{} has no name", shown(database))))?;
    Ok(database.with_file_name(format!(".{name}.chronos-{what}-{}", random_name()?)))
}

/// The new database is in place; the old one waits beside it.
struct Swap {
    /// Where the old one is, if there was one.
    old: Option<PathBuf>,
    /// Files of the old one that went with it: where they are, where they were.
    moved: Vec<(PathBuf, PathBuf)>,
}

impl Swap {
    fn make(options: &PutBack, staged: Staged, old: &Path) -> Result<Self> {
        let live = &options.database;
        let mut swap = Self { old: None, moved: Vec::new() };
        if fs::exists(live).map_err(|e| Error::file(live, e))? {
            settle(live)?;
            fs::hard_link(live, old).map_err(|e| Error::file(old, e))?;
            swap.old = Some(old.to_owned());
        }
        let done = swap.set_aside(live, old).and_then(|()| {
            durable::publish(&staged.path, live, Taken::Replace)
                .map_err(|e| Error::from(chronos_snapshot::Error::from(e)))
        });
        match done {
            Ok(()) => Ok(swap),
            Err(cause) => Err(match swap.restore(live) {
                Ok(()) => cause,
                Err(undo) => Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) },
            }),
        }
    }

    /// Takes what lies beside the live database away from it.
    fn set_aside(&mut self, live: &Path, old: &Path) -> Result<()> {
        for ending in BESIDE {
            let from = beside(live, ending);
            if !fs::exists(&from).map_err(|e| Error::file(&from, e))? {
                continue;
            }
            let to = beside(old, ending);
            rename(&from, &to)?;
            self.moved.push((to, from));
        }
        Ok(())
    }

    /// Everything as it was.
    fn restore(&self, live: &Path) -> Result<()> {
        for ending in BESIDE {
            remove(&beside(live, ending))?;
        }
        match &self.old {
            Some(old) => rename(old, live)?,
            None => remove(live)?,
        }
        self.moved.iter().try_for_each(|(now, before)| rename(now, before))
    }

    fn undo(self, options: &PutBack, cause: Error) -> Error {
        // Those who use it may have been started; whether they can be stopped shows in whether the old one comes back.
        let stopped = run(options.stop.as_ref());
        match stopped.and_then(|()| self.restore(&options.database)) {
            Ok(()) => started(options, Error::Undone(Box::new(cause))),
            Err(undo) => {
                let place = self.old.as_deref().map_or_else(|| "there was none".to_owned(), shown);
                let undo = Error::Refused(format!("{undo}; the old database: {place}"));
                started(options, Error::NotUndone { cause: Box::new(cause), undo: Box::new(undo) })
            }
        }
    }

    fn finish(self, kept: Kept) -> Result<Option<PathBuf>> {
        if kept == Kept::Old {
            return Ok(self.old);
        }
        for file in self.moved.iter().map(|(now, _)| now).chain(&self.old) {
            remove(file)?;
        }
        Ok(None)
    }
}

/// Takes the log into the live database, and makes sure that nobody has it open. One that is too damaged for that stays as it is.
fn settle(live: &Path) -> Result<()> {
    let what = format!("database {}", shown(live));
    if !matches!(check_head(live), Ok(Some(()))) {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let settled = Connection::open_with_flags(live, flags).and_then(|database| {
        database.busy_timeout(LET_GO)?;
        // Alone from the first look on: with a log, others keep a shared lock as long as they have it open.
        database.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK")?;
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        database.close().map_err(|(_, e)| e)
    });
    match settled.map_err(|e| failure(&what, e)) {
        Err(Error::Busy(_)) => Err(Error::Busy(format!(
            "{what} is still in use by another process: it has to be stopped before another can take its place"
        ))),
        // Damage is why it is replaced.
        _ => Ok(()),
    }
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    durable::publish(from, to, Taken::Replace).map_err(|e| Error::from(chronos_snapshot::Error::from(e)))
}

pub(super) fn remove(path: &Path) -> Result<()> {
    durable::remove(path).map_err(|e| Error::from(chronos_snapshot::Error::from(e)))
}
