//! A restored database on trial: whether it is whole, whether what its rows refer to is there, and what it has to hold.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::assertions::{Asked, Assertions, Proof};
use crate::error::{Error, Result, shown};
use crate::sqlite::check::{self, Check, failure, unchanging};
use crate::sqlite::copy::copy;
use crate::sqlite::scratch::Scratch;
use crate::sqlite::source::PATIENCE;
use crate::sqlite::stop::Stop;

/// Rows without what they refer to that are told; the rest is counted.
const SHOWN: usize = 5;

/// Looks at the database at `path`, which nobody else uses; gives also how many rows each table has. Nothing is written.
///
/// # Errors
/// It cannot be read as a database, or is damaged.
pub fn prove(path: &Path, assertions: &Assertions) -> Result<(Proof, BTreeMap<String, u64>)> {
    let checked = check::check(path, Check::Full, &Stop::default())?;
    let word = match checked.check {
        Check::Full => "integrity_check",
        Check::Quick => "quick_check",
    };
    let mut proof = Proof::default();
    proof.facts.push(format!("{word}: ok; {} tables", checked.tables.len()));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let what = format!("database {}", shown(path));
    let connection = Connection::open_with_flags(unchanging(path), flags).map_err(|e| failure(&what, e))?;
    let database = Database { what, connection };
    match database.dangling() {
        Ok(found) if found.is_empty() => proof.facts.push("foreign_key_check: ok".to_owned()),
        Ok(found) => {
            let first = found.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            proof
                .failures
                .push(format!("foreign_key_check: {} rows refer to what is not there: {first}", found.len()));
        }
        Err(e) => proof.failures.push(format!("foreign_key_check: {}", database.wrong(e))),
    }
    assertions.check(&database, &mut proof);
    let rows = database.all_rows().map_err(|e| database.wrong(e))?;
    Ok((proof, rows))
}

/// The same of a copy, which is made in `folder`, of a database that others may use.
///
/// # Errors
/// As [`prove`]; it cannot be copied.
pub fn prove_live(
    live: &Path,
    folder: &Path,
    assertions: &Assertions,
) -> Result<(Proof, BTreeMap<String, u64>)> {
    let scratch = Scratch::new(folder)?;
    copy(live, scratch.path(), PATIENCE, &Stop::default())?;
    prove(scratch.path(), assertions)
}

struct Database {
    what: String,
    connection: Connection,
}

impl Database {
    fn wrong(&self, error: rusqlite::Error) -> Error {
        failure(&self.what, error)
    }

    /// Its tables but for those of SQLite and of its modules, and how many rows each has.
    fn all_rows(&self) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut names = self.connection.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?;
        let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        names.into_iter().map(|name| Ok((name.clone(), self.count(&name)?))).collect()
    }

    fn count(&self, table: &str) -> rusqlite::Result<u64> {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let counted = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    /// Rows that refer to rows that are not there.
    fn dangling(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare("PRAGMA foreign_key_check")?;
        let read = |row: &rusqlite::Row<'_>| {
            let (table, number, parent): (String, Option<i64>, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let number = number.map_or_else(|| "a row".to_owned(), |n| format!("row {n}"));
            Ok(format!("{number} of {table} to {parent}"))
        };
        statement.query_map([], read)?.collect()
    }
}

impl Asked for Database {
    fn rows(&self, table: &str) -> Result<u64> {
        self.count(table).map_err(|e| self.wrong(e))
    }

    fn has(&self, object: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
        self.connection.query_row(sql, [object], |row| row.get(0)).map_err(|e| self.wrong(e))
    }

    fn answer(&self, sql: &str) -> Result<String> {
        let rows = || {
            let mut statement = self.connection.prepare(sql)?;
            let width = statement.column_count();
            let line = |row: &rusqlite::Row<'_>| {
                let cells = (0..width).map(|n| row.get_ref(n).map(text));
                Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
            };
            statement.query_map([], line)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(rows().map_err(|e| self.wrong(e))?.join("\n"))
    }
}

/// A value as the shell of SQLite writes it.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    }
}
