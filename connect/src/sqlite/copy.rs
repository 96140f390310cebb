//! A consistent copy of a live database by the online backup of SQLite.
//!
//! A database with a write-ahead log is copied from one read transaction, which no writer disturbs. Others are copied in steps
//! that let writers in between; after each write the copy begins anew, and after too many of those the last one is made in one
//! step, for which writers wait. Two copies of an untouched database have the same bytes: SQLite numbers the changes of the copy,
//! not those of its original.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result, shown};
use crate::sqlite::check::{check_head, failure, number};
use crate::sqlite::scratch::check_space;
use crate::sqlite::stop::Stop;

/// Pages of one step: 4 MiB of the usual size.
const STEP: i32 = 1 << 10;
/// How often a copy begins anew before writers have to wait for it.
const RESTARTS_MAX: u32 = 4;
/// How long one attempt waits for a lock; then whoever wants to stop is heard.
const ATTEMPT: Duration = Duration::from_millis(250);

/// How a copy was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// `wal`, `delete`, …
    pub(super) journal: String,
    /// How often a writer came in between.
    pub(super) restarts: u32,
    /// Bytes that the database has.
    pub(super) bytes: u64,
}

/// Copies the database `live` to the empty file `copy`; waits at most `patience` for its locks.
pub(super) fn copy(live: &Path, copy: &Path, patience: Duration, stop: &Stop) -> Result<Copied> {
    let what = format!("database {}", shown(live));
    let found = fs::metadata(live).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::NotFound { what: "database", name: shown(live) },
        _ => Error::file(live, e),
    })?;
    if !found.is_file() {
        return Err(Error::Invalid(format!("{what} is not a regular file")));
    }
    if check_head(live)?.is_none() && !log_beside(live) {
        return Ok(Copied { journal: "none".to_owned(), ..Copied::default() });
    }
    let mut waiting = Waiting { what: &what, until: Instant::now() + patience, patience, stop };
    let source = open(live, &what)?;
    let journal: String = waiting.on(|| source.query_row("PRAGMA journal_mode", [], |row| row.get(0)))?;
    if journal == "wal" {
        // The first read fixes what is seen.
        let fix = "BEGIN; SELECT count(*) FROM sqlite_schema";
        waiting.on(|| source.execute_batch(fix))?;
    }
    let bytes = waiting.on(|| Ok(number(&source, "page_count")? * number(&source, "page_size")?))?;
    if let Some(folder) = copy.parent() {
        check_space(folder, bytes)?;
    }
    let failed = |e| failure(&format!("copy of {}", shown(live)), e);
    let mut target = Connection::open_with_flags(
        copy,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    // If anything happens to the copy it is thrown away.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(failed)?;
    let restarts = steps(&source, &mut target, &mut waiting, copy)?;
    target.close().map_err(|(_, e)| failed(e))?;
    Ok(Copied { journal, restarts, bytes })
}

fn open(live: &Path, what: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(live, flags).map_err(|e| failure(what, e))?;
    source.busy_timeout(ATTEMPT).map_err(|e| failure(what, e))?;
    Ok(source)
}

/// Whether the whole database may still be in its log.
fn log_beside(live: &Path) -> bool {
    fs::metadata(super::scratch::beside(live, "-wal")).is_ok_and(|m| m.len() > 0)
}

fn steps(
    source: &Connection,
    target: &mut Connection,
    waiting: &mut Waiting<'_>,
    copy: &Path,
) -> Result<u32> {
    let backup = Backup::new(source, target).map_err(|e| failure(waiting.what, e))?;
    let (mut restarts, mut done) = (0, 0);
    loop {
        waiting.stop.check()?;
        let pages = if restarts > RESTARTS_MAX { i32::MAX } else { STEP };
        match backup.step(pages) {
            Ok(StepResult::Done) => return Ok(restarts),
            Ok(StepResult::More) => {
                let progress = backup.progress();
                let now = progress.pagecount - progress.remaining;
                restarts += u32::from(now < done);
                done = now;
            }
            Ok(_) => waiting.again("another process has locked it")?,
            Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                return Err(Error::file(copy, io::ErrorKind::StorageFull.into()));
            }
            Err(e) => return Err(failure(waiting.what, e)),
        }
    }
}

/// Tries again until a lock is free, the time is over, or somebody wants to stop.
struct Waiting<'w> {
    what: &'w str,
    until: Instant,
    patience: Duration,
    stop: &'w Stop,
}

impl Waiting<'_> {
    fn on<T>(&mut self, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> Result<T> {
        loop {
            match attempt().map_err(|e| failure(self.what, e)) {
                Err(Error::Busy(why)) => self.again(&why)?,
                other => return other,
            }
        }
    }

    fn again(&self, why: &str) -> Result<()> {
        self.stop.check()?;
        if Instant::now() < self.until {
            return Ok(());
        }
        Err(Error::Busy(format!(
            "{} could not be read for {} s: {why}",
            self.what,
            self.patience.as_secs_f64()
        )))
    }
}
