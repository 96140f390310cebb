//! SQLite on file systems that have no room, and through a whole backup.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chronos_connect::sqlite::{Check, Kept, PutBack, SqliteOptions, SqliteSource, put_back};
use chronos_connect::{Error, Process};
use chronos_snapshot::{BackupOptions, ErrorKind, Source, backup, listed};
use chronos_store::backend::MemoryBackend;
use chronos_store::{CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Silent};
use chronos_tests::Mounted;
use rusqlite::Connection;

fn repository(local: &Path) -> Repository {
    let dirs = LocalDirs { cache: local.join("cache"), state: local.join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let backend = Arc::new(MemoryBackend::new());
    Repository::create(backend, &Secret::Key([7; 32]), &CreateOptions::default(), options).unwrap()
}

/// A database of a few MiB.
fn make(path: &Path) {
    let sql = "PRAGMA journal_mode = wal; CREATE TABLE events(id INTEGER PRIMARY KEY, text TEXT);
        INSERT INTO events(text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            SELECT hex(randomblob(60)) FROM n;";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_copy_that_has_no_room_is_told_before_it_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("events.db");
    make(&live);
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &dir.path().join("small"));
    let source = |scratch: &Path| -> Vec<Box<dyn Source>> {
        vec![Box::new(SqliteSource::new(SqliteOptions::new(&live, "bus", scratch)).unwrap())]
    };
    let repository = repository(dir.path());
    let scratch = dir.path().join("small");
    let error = backup(&repository, source(&scratch), &BackupOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(error.to_string().contains("bytes are left") && error.to_string().contains("/small"), "{error}");
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    assert!(listed(&repository.view().unwrap()).0.is_empty());
    drop(small);

    let report = backup(&repository, source(&dir.path().join("scratch")), &BackupOptions::default()).unwrap();
    assert_eq!((report.status.as_str(), report.files_new), ("completed", 1));
    let again = backup(&repository, source(&dir.path().join("scratch")), &BackupOptions::default()).unwrap();
    assert!(again.unchanged && again.packs_written == 0, "{again:?}");
}

#[test]
fn a_database_that_has_no_room_to_come_back_leaves_the_live_one() {
    let dir = tempfile::tempdir().unwrap();
    let stored = dir.path().join("stored.db");
    make(&stored);
    let at = dir.path().join("small");
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], &at);
    fs::File::create(at.join("live.db")).unwrap();
    let options = |size| PutBack {
        database: at.join("live.db"),
        size,
        attributes: None,
        stop: Some(Process::new(["false"])),
        start: None,
        kept: Kept::Nothing,
        check: Check::Full,
        required: Vec::new(),
    };
    let bytes = fs::read(&stored).unwrap();
    // Known before, and found out on the way.
    for size in [bytes.len() as u64, 0] {
        let write = |into: &mut dyn std::io::Write| {
            into.write_all(&bytes).map_err(|e| Error::from(chronos_snapshot::Error::file("the output", e)))
        };
        let error = put_back(&options(size), write).unwrap_err();
        assert_eq!(error.kind(), chronos_connect::ErrorKind::NoSpace, "{error}");
        let names: Vec<_> = fs::read_dir(&at).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["live.db"]);
    }
    drop(small);
}
