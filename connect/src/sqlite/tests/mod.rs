//! Tests with real databases, some of them written to meanwhile.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests lay out and damage files directly")]

mod faults;
mod live;
mod prove;
mod put_back;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use chronos_snapshot::{Item, Origin, Source};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteOptions, SqliteSource};

/// A folder with a database `agents.sqlite` in it, and one for copies.
pub(super) struct Stage {
    pub(super) dir: TempDir,
}

impl Stage {
    /// A database with two tables of `rows` equal rows.
    pub(super) fn new(journal: &str, rows: u32) -> Self {
        let stage = Self { dir: tempfile::tempdir().unwrap() };
        let database = stage.connect();
        database.pragma_update(None, "journal_mode", journal).unwrap();
        database
            .execute_batch(
                "CREATE TABLE entries(id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE mirror(id INTEGER, text TEXT);
                 CREATE INDEX mirrored ON mirror(text)",
            )
            .unwrap();
        add(&database, rows);
        stage
    }

    pub(super) fn live(&self) -> PathBuf {
        self.dir.path().join("agents.sqlite")
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    pub(super) fn connect(&self) -> Connection {
        let database = Connection::open(self.live()).unwrap();
        database.busy_timeout(Duration::from_mins(1)).unwrap();
        database
    }

    pub(super) fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.live(), "bus", self.scratch())
    }

    /// What a backup of it reads; the copy is gone afterwards.
    pub(super) fn read(&self) -> Vec<u8> {
        read(&mut SqliteSource::new(self.options()).unwrap()).unwrap()
    }

    /// Why it cannot be read.
    pub(super) fn refusal(&self, options: SqliteOptions) -> String {
        let said = read(&mut SqliteSource::new(options).unwrap()).unwrap_err().to_string();
        let left = fs::read_dir(self.scratch()).map_or(0, Iterator::count);
        assert_eq!(left, 0, "a copy is left behind");
        said
    }

    /// Names in the folder of the database.
    pub(super) fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|n| n != "scratch").collect();
        names.sort();
        names
    }
}

/// Adds rows to both tables in one transaction.
pub(super) fn add(database: &Connection, rows: u32) {
    database
        .execute_batch(&format!(
            "BEGIN;
             INSERT INTO entries(text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                SELECT hex(randomblob(40)) FROM n;
             DELETE FROM mirror; INSERT INTO mirror SELECT id, text FROM entries;
             COMMIT"
        ))
        .unwrap();
}

/// Rows of both tables of the database whose bytes these are.
pub(super) fn rows(bytes: &[u8]) -> (u32, u32) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.db");
    fs::write(&path, bytes).unwrap();
    let database = Connection::open(path).unwrap();
    assert_eq!(database.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
    count(&database)
}

pub(super) fn count(database: &Connection) -> (u32, u32) {
    let sql = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM mirror)";
    database.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap()
}

/// The one file of a source, as the engine reads it.
pub(super) fn read(source: &mut dyn Source) -> io::Result<Vec<u8>> {
    let items = source.open().map_err(io::Error::other)?;
    let Some(Item::Entry(file)) = items.last() else { panic!("no file") };
    let Origin::Stream(mut stream) = file.origin else { panic!("no stream") };
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 100_000]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
