//! Looks at a database file that nobody writes to: whether it is whole, and which tables it has.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result, shown};
use crate::sqlite::stop::Stop;

/// How every database file that is not encrypted begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Findings that are told; the rest is the same damage again.
const FINDINGS_MAX: usize = 5;

/// How closely a database is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// `PRAGMA integrity_check`: every page, every index entry against its row.
    #[default]
    Full,
    /// `PRAGMA quick_check`: every page; for databases whose indexes are too big to be compared each time.
    Quick,
}

/// What a check found in a whole database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Names of its tables.
    pub tables: Vec<String>,
    /// Length in pages, and bytes of a page.
    pub pages: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// How closely it was looked at in the end.
    pub check: Check,
}

/// Fails if the file at `path` cannot be a database: `None` if it is empty, which is an empty database.
pub(super) fn check_head(path: &Path) -> Result<Option<()>> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head))
        .map_err(|e| Error::file(path, e))?;
    if head.is_empty() {
        return Ok(None);
    }
    if head != MAGIC {
        let what = format!("database {}", shown(path));
        let why = "it does not begin like an SQLite database: it is none, or it is encrypted".to_owned();
        return Err(Error::Damaged { what, why });
    }
    Ok(Some(()))
}

/// Checks the database at `path`, which nobody writes to. Nothing is written, not even beside it.
pub(super) fn check(path: &Path, check: Check, stop: &Stop) -> Result<Checked> {
    let what = format!("database {}", shown(path));
    if check_head(path)?.is_none() {
        return Ok(Checked { tables: Vec::new(), pages: 0, page_size: 0, check });
    }
    let failed = |e| failure(&what, e);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(unchanging(path), flags).map_err(failed)?;
    let _watched = stop.watch(&database)?;
    let (findings, check) = match run(&database, check) {
        // An index may need an order or a function that only its application has.
        Err(e) if check == Check::Full && is_unknown_to_us(&e) => {
            (run(&database, Check::Quick).map_err(failed)?, Check::Quick)
        }
        other => (other.map_err(failed)?, check),
    };
    if findings != ["ok"] {
        return Err(Error::Damaged { what, why: findings.join("; ") });
    }
    Ok(Checked {
        tables: tables(&database).map_err(failed)?,
        pages: number(&database, "page_count").map_err(failed)?,
        page_size: number(&database, "page_size").map_err(failed)?,
        check,
    })
}

/// Fails if one of `required` is not among the tables.
pub(super) fn missing(required: &[String], tables: &[String]) -> Option<String> {
    let missing: Vec<&str> = required.iter().filter(|r| !tables.contains(r)).map(String::as_str).collect();
    (!missing.is_empty()).then(|| format!("required tables are missing: {}", missing.join(", ")))
}

/// What SQLite said, as an error of the database `what`.
pub(super) fn failure(what: &str, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let why = match &error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(Code::OperationInterrupted) => Error::Interrupted,
        Some(Code::NotADatabase) => Error::Damaged {
            what: what.to_owned(),
            why: format!("{why}: it is damaged at its beginning, or encrypted"),
        },
        Some(Code::DatabaseCorrupt) => Error::Damaged { what: what.to_owned(), why },
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => Error::Busy(format!("{what}: {why}")),
        _ => Error::Upstream { system: what.to_owned(), status: None, why },
    }
}

pub(super) fn number(database: &Connection, pragma: &str) -> rusqlite::Result<u64> {
    database
        .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
        .map(|n| u64::try_from(n).unwrap_or(0))
}

fn run(database: &Connection, check: Check) -> rusqlite::Result<Vec<String>> {
    let name = match check {
        Check::Full => "integrity_check",
        Check::Quick => "quick_check",
    };
    let mut statement = database.prepare(&format!("PRAGMA {name}({FINDINGS_MAX})"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn tables(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let list =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name";
    database.prepare(list)?.query_map([], |row| row.get(0))?.collect()
}

fn is_unknown_to_us(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    ["no such collation sequence", "no such function", "unknown function", "no such module"]
        .iter()
        .any(|known| text.contains(known))
}

/// The address of a file that does not change, so that neither locks nor files beside it are needed.
pub(super) fn unchanging(path: &Path) -> String {
    let escaped = path.as_os_str().as_bytes().iter().map(|b| match b {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(*b).to_string(),
        other => format!("%{other:02X}"),
    });
    format!("file:{}?immutable=1", escaped.collect::<String>())
}
