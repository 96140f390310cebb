//! What goes and what stays.

use chronos_store::PruneOptions;

use super::kept::{assert_sound, assert_whole, begin, chunks, forget, prune, snapshot};
use crate::fixture::Fixture;
use chronos_store::ChunkKind;

#[test]
fn what_only_forgotten_snapshots_need_goes() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let (one, two) = (snapshot(&repository, 0..50), snapshot(&repository, 100..150));
    let before = fixture.pack_bytes();
    forget(&repository, &one);
    let report = prune(&repository);
    assert_eq!((report.packs_before, report.packs_deleted, report.snapshots_purged), (2, 1, 1));
    assert_eq!(report.bytes_freed as usize, before - fixture.pack_bytes());
    assert_eq!(fixture.packs(), 1);
    assert_whole(&fixture.open(), &[&two]);
    assert_eq!(fixture.open().view().unwrap().trash().count(), 0);
}

#[test]
fn with_nothing_to_do_nothing_is_written() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let before = fixture.backend.content();
    let report = prune(&repository);
    assert_eq!((report.packs_deleted, report.packs_repacked, report.bytes_dead), (0, 0, 0));
    assert_eq!(fixture.backend.content(), before);
    assert_whole(&repository, &[&one]);
}

#[test]
fn a_worn_pack_is_repacked() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..300);
    let two = snapshot(&repository, 100..160);
    let before = fixture.pack_bytes();
    forget(&repository, &one);
    let report = prune(&repository);
    assert!(report.packs_repacked >= 1 && report.packs_deleted >= 1, "{report:?}");
    assert!(fixture.pack_bytes() < before / 3, "{} of {before} bytes", fixture.pack_bytes());
    assert_whole(&fixture.open(), &[&two]);
    let again = prune(&fixture.open());
    assert_eq!(
        (again.packs_repacked, again.packs_deleted),
        (0, 0),
        "a second prune finds nothing: {again:?}"
    );
}

#[test]
fn what_is_left_is_hardly_more_than_a_fresh_repository() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..1000);
    // A tenth of the pack is dead, and nothing of most of its frames.
    let two = snapshot(&repository, (0..700).chain(800..1000));
    forget(&repository, &one);
    let before = fixture.pack_bytes();
    let lenient = PruneOptions { dead_share_max: 0.15, ..PruneOptions::default() };
    assert_eq!(repository.prune(&lenient).unwrap().packs_repacked, 0, "so much may stay");
    assert_eq!(fixture.pack_bytes(), before);
    assert_eq!(prune(&repository).packs_repacked, 1);
    let fresh = Fixture::new();
    snapshot(&fresh.open(), (0..700).chain(800..1000));
    let (left, least) = (fixture.pack_bytes(), fresh.pack_bytes());
    assert!(left as f64 <= 1.05 * least as f64, "{left} bytes are left, {least} would do");
    assert_whole(&fixture.open(), &[&two]);
    assert_sound(&fixture.open(), 1);
    assert_eq!(prune(&fixture.open()).packs_repacked, 0, "a second prune finds nothing");
}

#[test]
fn a_budget_limits_repacking() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..300);
    let two = snapshot(&repository, 100..160);
    forget(&repository, &one);
    let options = PruneOptions { repack_bytes_max: Some(1000), ..PruneOptions::default() };
    assert_eq!(repository.prune(&options).unwrap().packs_repacked, 0);
    assert_whole(&fixture.open(), &[&two]);
}

#[test]
fn small_packs_are_joined_once_there_are_many() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let all: Vec<_> = (0..40).map(|i| snapshot(&repository, i * 10..i * 10 + 3)).collect();
    assert_eq!(fixture.packs(), 40);
    prune(&repository);
    assert!(fixture.packs() <= 2, "{} packs", fixture.packs());
    assert_sound(&fixture.open(), 40);
    assert_whole(&fixture.open(), &all.iter().collect::<Vec<_>>());
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let (one, _two) = (snapshot(&repository, 0..50), snapshot(&repository, 100..150));
    forget(&repository, &one);
    let before = fixture.backend.content();
    let told = repository.prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(fixture.backend.content(), before);
    let done = prune(&repository);
    assert_eq!(
        (told.packs_deleted, told.bytes_freed, told.snapshots_purged),
        (done.packs_deleted, done.bytes_freed, done.snapshots_purged)
    );
}

#[test]
fn closed_sessions_and_orphans_go() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let session = begin(&repository);
    let mut writer = session.writer(ChunkKind::Data);
    for chunk in chunks(500..550) {
        writer.put(&chunk).unwrap();
    }
    writer.finish().unwrap();
    session.close().unwrap();
    let orphan = fixture.backend.content().values().next().unwrap().clone();
    fixture.backend.damage(&format!("packs/{}/0000000f-00000001", one.session), Some(&orphan));
    assert_eq!(fixture.packs(), 3);
    prune(&repository);
    assert_eq!(fixture.packs(), 1);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn forgotten_snapshots_stay_as_long_as_asked_for() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    forget(&repository, &one);
    let options = PruneOptions { keep_deleted: 3_600_000_000_000, ..PruneOptions::default() };
    let report = repository.prune(&options).unwrap();
    assert_eq!((report.packs_deleted, report.snapshots_purged), (0, 0));
    let change = chronos_store::Change::Undelete { snapshots: vec![one.session.clone()] };
    repository.change(&|_| Ok(Some(change.clone()))).unwrap();
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn old_states_go_and_the_log_stays_readable() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..5);
    for held in [true, false].into_iter().cycle().take(120) {
        let marks = chronos_store::Marks { held, ..chronos_store::Marks::default() };
        let change = chronos_store::Change::Mark { marks: vec![(one.session.clone(), marks)] };
        repository.change(&|_| Ok(Some(change.clone()))).unwrap();
    }
    prune(&repository);
    let count = |area: &str| fixture.backend.content().keys().filter(|n| n.starts_with(area)).count();
    assert_eq!((count("state/"), count("log/")), (64, 120));
    assert_whole(&fixture.open(), &[&one]);
}
