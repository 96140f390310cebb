//! Databases that are read while others write to them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chronos_snapshot::TreePath;

use super::*;
use crate::sqlite::Check;

/// Reads `times` while another connection writes; gives what was read.
fn under_writes(stage: &Stage, times: usize) -> Vec<Vec<u8>> {
    let (done, written) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let database = stage.connect();
            while !done.load(Ordering::SeqCst) {
                add(&database, 1);
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        let read = (0..times)
            .map(|_| {
                let before = written.load(Ordering::SeqCst);
                while written.load(Ordering::SeqCst) == before {
                    std::thread::yield_now();
                }
                stage.read()
            })
            .collect();
        done.store(true, Ordering::SeqCst);
        read
    })
}

#[test]
fn a_database_with_a_log_is_one_transactions_view_whoever_writes() {
    let stage = Stage::new("wal", 3_000);
    let mut last = 0;
    for bytes in under_writes(&stage, 4) {
        let (entries, mirror) = rows(&bytes);
        assert!(entries == mirror && entries > last.max(3_000), "{entries} {mirror} {last}");
        last = entries;
    }
    assert_eq!(fs::read_dir(stage.scratch()).unwrap().count(), 0);
}

#[test]
fn a_database_without_a_log_is_copied_however_often_it_is_written_to() {
    let stage = Stage::new("delete", 3_000);
    for bytes in under_writes(&stage, 2) {
        let (entries, mirror) = rows(&bytes);
        assert!(entries == mirror && entries > 3_000, "{entries} {mirror}");
    }
}

#[test]
fn what_is_in_the_log_only_is_read() {
    let stage = Stage::new("wal", 10);
    let writer = stage.connect();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    add(&writer, 500);
    assert_eq!(rows(&stage.read()), (510, 510));
}

#[test]
fn an_untouched_database_gives_the_same_bytes() {
    for journal in ["wal", "delete"] {
        let stage = Stage::new(journal, 2_000);
        let first = stage.read();
        assert!(stage.read() == first, "{journal}");
        // What was written and taken back is a change of the file, but not of its content.
        let database = stage.connect();
        database.execute_batch("BEGIN; INSERT INTO entries(text) VALUES ('x'); ROLLBACK").unwrap();
        assert!(stage.read() == first, "{journal}");
        add(&database, 1);
        assert!(stage.read() != first, "{journal}");
    }
}

#[test]
fn a_source_tells_what_it_read() {
    let stage = Stage::new("wal", 10);
    let mut source = SqliteSource::new(stage.options()).unwrap();
    assert_eq!(source.paths(), ["/bus/agents.db"]);
    let bytes = read(&mut source).unwrap();
    let outcome = source.outcome();
    assert!(outcome.incomplete.is_none() && outcome.notes[0].contains("integrity_check ok"), "{outcome:?}");
    let part = &outcome.parts[0];
    assert_eq!((part.count, part.size), (Some(2), Some(bytes.len() as u64)));

    assert!(source.holds("mirror") && !source.holds("users"));

    let mut source = SqliteSource::new(SqliteOptions { check: Check::Quick, ..stage.options() }).unwrap();
    read(&mut source).unwrap();
    assert!(source.outcome().notes[0].contains("quick_check"));
}

#[test]
fn the_file_in_the_snapshot_has_the_owner_and_the_mode_of_the_live_one() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new("wal", 1);
    fs::set_permissions(stage.live(), fs::Permissions::from_mode(0o640)).unwrap();
    let items: Vec<_> = SqliteSource::new(stage.options()).unwrap().open().unwrap().collect();
    let Item::Entry(file) = &items[1] else { panic!("no file") };
    assert_eq!((file.node.mode, &file.path), (0o640, &TreePath::new("bus/agents.db").unwrap()));
}
