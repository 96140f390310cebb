//! What is read and stored again, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Stage, assert_whole, newest, noise};
use crate::backup::{BackupOptions, ChangeTest, Outcome, ParentChoice};

fn many(stage: &Stage) {
    for n in 0..200_u32 {
        stage.write(&format!("d{}/f{n}", n % 7), noise(n as u8, 3000 + n as usize));
    }
}

/// Waits until new files are older than the clock's tick, by making files until one has a later time.
fn settle(stage: &Stage) {
    let probe = stage.dir.path().with_extension("probe");
    let time = |p: &std::path::Path| fs::metadata(p).unwrap().modified().unwrap();
    fs::write(&probe, "").unwrap();
    let first = time(&probe);
    while time(&probe).duration_since(first).unwrap().as_millis() < 60 {
        fs::write(&probe, "").unwrap();
    }
    fs::remove_file(&probe).unwrap();
}

#[test]
fn an_unchanged_second_backup_reads_nothing_and_writes_no_pack() {
    let stage = Stage::new();
    many(&stage);
    settle(&stage);
    let first = stage.run();
    assert_eq!((first.status.as_str(), first.files_new, first.unchanged), ("completed", 200, false));
    assert!(first.packs_written >= 1 && first.bytes_added > 600_000);
    let second = stage.run();
    assert_eq!((second.status.as_str(), second.unchanged), ("unchanged", true));
    assert_eq!((second.files_new, second.files_changed, second.files_unmodified), (0, 0, 200));
    assert_eq!((second.packs_written, second.chunks_new, second.bytes_read), (0, 0, 0));
    assert_eq!(second.parent, first.snapshot);
    assert_ne!(second.backup_id, first.backup_id);
    assert_eq!(newest(&stage.open()).manifest.status, "completed");
    assert_whole(&stage);
}

#[test]
fn one_changed_file_of_many_is_read_alone_and_costs_one_pack() {
    let stage = Stage::new();
    many(&stage);
    settle(&stage);
    stage.run();
    stage.write("d3/f3", "new content");
    let second = stage.run();
    assert_eq!((second.files_new, second.files_changed, second.files_unmodified), (0, 1, 199));
    assert_eq!((second.packs_written, second.bytes_read), (1, 11));
    assert_whole(&stage);
}

#[test]
fn attributes_and_removals_are_changes_too() {
    let stage = Stage::new();
    many(&stage);
    stage.run();
    fs::set_permissions(stage.path("d1/f1"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(stage.path("d2/f2")).unwrap();
    let second = stage.run();
    assert_eq!((second.files_changed, second.files_unmodified, second.unchanged), (1, 198, false));
    assert_eq!(second.chunks_new - second.packs_written.min(second.chunks_new), second.chunks_new - 1);
    assert_whole(&stage);
}

#[test]
fn rehash_reads_everything_and_stores_nothing_twice() {
    let stage = Stage::new();
    many(&stage);
    stage.run();
    let changes = ChangeTest { read_all: true, ..ChangeTest::default() };
    let second = stage.run_with(&BackupOptions { changes, ..BackupOptions::default() });
    assert_eq!(second.bytes_read, second.bytes_processed);
    assert_eq!((second.files_unmodified, second.unchanged, second.packs_written), (200, true, 0));
}

#[test]
fn content_that_changed_behind_the_same_size_and_time_is_seen_by_the_change_time() {
    let stage = Stage::new();
    stage.write("a", "one");
    settle(&stage);
    let time = fs::metadata(stage.path("a")).unwrap().modified().unwrap();
    stage.run();
    stage.write("a", "two");
    fs::File::options().write(true).open(stage.path("a")).unwrap().set_modified(time).unwrap();
    let changes = ChangeTest { ctime: false, ..ChangeTest::default() };
    let blind = stage.run_with(&BackupOptions { changes, ..BackupOptions::default() });
    assert_eq!(blind.bytes_read, 0, "as asked for");
    let seeing = stage.run();
    assert_eq!((seeing.files_changed, seeing.bytes_read), (1, 3));
    assert_whole(&stage);
}

#[test]
fn a_replaced_inode_is_a_change_unless_it_is_to_be_ignored() {
    let stage = Stage::new();
    stage.write("a", "one");
    settle(&stage);
    let time = fs::metadata(stage.path("a")).unwrap().modified().unwrap();
    stage.run();
    stage.write("b", "one");
    fs::File::options().write(true).open(stage.path("b")).unwrap().set_modified(time).unwrap();
    fs::rename(stage.path("b"), stage.path("a")).unwrap();
    let changes = ChangeTest { inode: false, ctime: false, read_all: false };
    let blind = stage.run_with(&BackupOptions { changes, ..BackupOptions::default() });
    assert_eq!(blind.bytes_read, 0, "as asked for");
}

#[test]
fn the_parent_is_of_the_same_target_host_and_paths() {
    let stage = Stage::new();
    stage.write("a", "one");
    let first = stage.run();
    let other = |o: BackupOptions| stage.run_with(&o).parent;
    assert_eq!(other(BackupOptions { host: "elsewhere".to_owned(), ..BackupOptions::default() }), None);
    assert_eq!(other(BackupOptions { target: "prod".to_owned(), ..BackupOptions::default() }), None);
    assert_eq!(other(BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() }), None);
    let given = ParentChoice::Given(first.session.clone().unwrap());
    let found = other(BackupOptions { parent: given, target: "prod".to_owned(), ..BackupOptions::default() });
    assert_eq!(found, first.snapshot);
}

#[test]
fn skip_if_unchanged_leaves_no_snapshot() {
    let stage = Stage::new();
    stage.write("a", "one");
    let options = BackupOptions { outcome: Outcome::SnapshotIfChanged, ..BackupOptions::default() };
    let first = stage.run_with(&options);
    let second = stage.run_with(&options);
    assert_eq!((second.status.as_str(), &second.backup_id), ("unchanged", &first.backup_id));
    assert_eq!(stage.open().view().unwrap().snapshots().count(), 1);
    stage.write("a", "two");
    stage.run_with(&options);
    assert_eq!(stage.open().view().unwrap().snapshots().count(), 2);
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let stage = Stage::new();
    many(&stage);
    let before = stage.memory.content();
    let options = BackupOptions { outcome: Outcome::DryRun, ..BackupOptions::default() };
    let report = stage.run_with(&options);
    assert!(report.dry_run && report.snapshot.is_none() && report.backup_id.is_empty());
    assert_eq!((report.files_new, report.bytes_read), (200, report.bytes_processed));
    assert!(report.bytes_added > 600_000 && report.packs_written == 0);
    assert_eq!(stage.memory.content(), before);
    stage.run();
    stage.write("d1/f1", "new content");
    let report = stage.run_with(&BackupOptions { changes: ALL, ..options });
    assert_eq!((report.files_changed, report.files_unmodified, report.bytes_added), (1, 199, 11));
}

const ALL: ChangeTest = ChangeTest { inode: true, ctime: true, read_all: true };

#[test]
fn a_time_that_is_given_hides_no_change_within_a_tick_of_the_clock() {
    let stage = Stage::new();
    // The last change has the time of the one before, as within one tick.
    let time = std::time::SystemTime::now() + std::time::Duration::from_hours(1);
    let write = |bytes: &str| {
        stage.write("file", bytes);
        fs::File::options().write(true).open(stage.path("file")).unwrap().set_modified(time).unwrap();
    };
    write("one");
    let changes = ChangeTest { inode: false, ctime: false, read_all: false };
    let next_year = i128::from(jiff::Timestamp::now().as_second() + 365 * 86_400) * 1_000_000_000;
    stage.run_with(&BackupOptions { changes, time: Some(next_year), ..BackupOptions::default() });
    write("two");
    let second = stage.run_with(&BackupOptions { changes, ..BackupOptions::default() });
    assert_eq!((second.files_changed, second.bytes_read), (1, 3));
}
