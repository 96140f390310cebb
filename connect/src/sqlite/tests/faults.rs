//! What cannot be read is said in a sentence, and leaves nothing behind.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::*;
use crate::sqlite::scratch::Scratch;

#[test]
fn a_missing_database_is_named() {
    let stage = Stage { dir: tempfile::tempdir().unwrap() };
    let error = SqliteSource::new(stage.options()).unwrap().open().err().unwrap().to_string();
    assert!(error.contains("agents.sqlite\" not found"), "{error}");
}

#[test]
fn what_is_no_database_is_told_apart_from_damage() {
    let stage = Stage { dir: tempfile::tempdir().unwrap() };
    fs::write(stage.live(), vec![0x5a; 8192]).unwrap();
    let said = stage.refusal(stage.options());
    assert!(said.contains("agents.sqlite") && said.contains("encrypted"), "{said}");

    let stage = Stage::new("delete", 2_000);
    let mut bytes = fs::read(stage.live()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xee);
    fs::write(stage.live(), bytes).unwrap();
    let said = stage.refusal(stage.options());
    assert!(said.contains("agents.sqlite is damaged") && !said.contains("chronos-copy"), "{said}");
}

#[test]
fn an_index_that_does_not_fit_its_table_is_damage() {
    let stage = Stage::new("delete", 200);
    let database = stage.connect();
    // The index is made to be that of a column of other values.
    database
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX mirrored ON mirror(id)' WHERE name = 'mirrored'",
        )
        .unwrap();
    drop(database);
    let said = stage.refusal(stage.options());
    assert!(said.contains("mirrored"), "{said}");
}

#[test]
fn a_database_that_stays_locked_is_not_waited_for_for_ever() {
    let stage = Stage::new("delete", 10);
    let writer = stage.connect();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let patience = Duration::from_millis(600);
    let said = stage.refusal(SqliteOptions { patience, ..stage.options() });
    assert!(said.contains("could not be read for 0.6 s") && said.contains("locked"), "{said}");
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&stage.read()), (10, 10));
}

#[test]
fn a_backup_that_ends_early_leaves_no_copy() {
    let stage = Stage::new("wal", 50_000);
    let items = SqliteSource::new(stage.options()).unwrap().open().unwrap();
    drop(items.last());
    assert_eq!(fs::read_dir(stage.scratch()).map_or(0, Iterator::count), 0);
}

#[test]
fn the_copies_of_killed_processes_are_removed_and_those_of_others_stay() {
    let stage = Stage::new("wal", 10);
    let other = Scratch::new(&stage.scratch()).unwrap();
    let dead = stage.scratch().join("chronos-copy-00.db");
    fs::write(&dead, "x").unwrap();
    fs::write(stage.scratch().join("chronos-copy-00.db-wal"), "x").unwrap();
    fs::write(stage.scratch().join("of-somebody-else.db"), "x").unwrap();
    stage.read();
    assert!(!dead.exists() && other.path().exists());
    assert_eq!(fs::read_dir(stage.scratch()).unwrap().count(), 2);
    let locked = flock(File::open(other.path()).unwrap(), FlockOperation::NonBlockingLockExclusive);
    assert!(locked.is_err());
}

#[test]
fn an_empty_file_is_an_empty_database() {
    let stage = Stage { dir: tempfile::tempdir().unwrap() };
    fs::write(stage.live(), "").unwrap();
    assert!(stage.read().is_empty());
    let mut source = SqliteSource::new(stage.options()).unwrap();
    read(&mut source).unwrap();
    assert!(source.outcome().notes[0].contains("empty database") && !source.holds("a"));
}
