//! Damage to the log and its states: repair makes the newest state anew, and everything listed is as it was.

use std::sync::Arc;

use chronos_store::backend::{Backend, BackendExt, Fault, FaultBackend, FaultRule};
use chronos_store::{Change, ErrorKind, Marks, ReadData, Repository, SnapshotRow};

use super::kept::{Kept, assert_whole, forget, prune, snapshot};
use crate::fixture::Fixture;

/// A repository with a history of every kind of record, and its snapshots that can be restored.
fn prepared() -> (Fixture, Vec<Kept>) {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let mut kept = vec![snapshot(&repository, 0..60), snapshot(&repository, 40..80)];
    let gone = snapshot(&repository, 200..260);
    forget(&repository, &gone);
    prune(&repository);
    repository.repair_index(false).unwrap();
    kept.push(snapshot(&repository, 70..110));
    let held = Marks { held: true, tags: Some(vec!["good".into()]), ..Marks::default() };
    let mark = Change::Mark { marks: vec![(kept[0].session.clone(), held)] };
    repository.change(&|_| Ok(Some(mark.clone()))).unwrap();
    let trash = snapshot(&repository, 300..320);
    forget(&repository, &trash);
    let half = snapshot(&repository, 400..430);
    forget(&repository, &half);
    let undelete = Change::Undelete { snapshots: vec![half.session.clone()] };
    repository.change(&|_| Ok(Some(undelete.clone()))).unwrap();
    kept.push(half);
    (fixture, kept)
}

fn names(fixture: &Fixture, area: &str) -> Vec<String> {
    fixture.backend.list_all(area).unwrap().into_iter().map(|e| e.name).collect()
}

fn flip(fixture: &Fixture, name: &str) {
    let mut bytes = fixture.backend.read(name, None).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fixture.backend.damage(name, Some(&bytes));
}

/// Takes an object away, or changes a byte of it.
fn spoil(fixture: &Fixture, name: &str, lost: bool) {
    if lost {
        fixture.backend.damage(name, None);
    } else {
        flip(fixture, name);
    }
}

/// The state that the newest record names.
fn newest_state(fixture: &Fixture) -> String {
    let before = names(fixture, "state/");
    // Every state but the newest can go without anybody noticing.
    let mut needed = before.into_iter().filter(|name| {
        let fork = fixture.fork();
        fork.backend.damage(name, None);
        fork.open().view().is_err()
    });
    needed.next().unwrap()
}

fn rows(repository: &Repository) -> (Vec<SnapshotRow>, Vec<SnapshotRow>) {
    let view = repository.view().unwrap();
    (view.snapshots().cloned().collect(), view.trash().cloned().collect())
}

/// Repairs, then everything can be done again.
fn works_again(fixture: &Fixture, kept: &[Kept]) -> Vec<String> {
    let all: Vec<_> = kept.iter().collect();
    let found = fixture.open().check(ReadData::None).unwrap();
    assert!(!found.errors.is_empty(), "the damage is noticed");
    let before = fixture.backend.content();
    assert!(!fixture.open().repair_index(true).unwrap().actions.is_empty());
    assert_eq!(fixture.backend.content(), before, "a dry run writes nothing");
    let report = fixture.open().repair_index(false).unwrap();
    for (name, bytes) in &before {
        assert_eq!(fixture.backend.content().get(name), Some(bytes), "{name} was deleted or changed");
    }
    assert_whole(&fixture.open(), &all);
    let found = fixture.open().check(ReadData::All).unwrap();
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    report.errors.into_iter().map(|finding| finding.object).collect()
}

fn goes_on(fixture: &Fixture, kept: &[Kept]) {
    let repository = fixture.open();
    let mut all: Vec<_> = kept.iter().collect();
    let later = snapshot(&repository, 30..130);
    all.push(&later);
    prune(&repository);
    prune(&fixture.open());
    assert_whole(&fixture.open(), &all);
    let found = fixture.open().check(ReadData::All).unwrap();
    assert!(found.errors.is_empty(), "{:?}", found.errors);
}

#[test]
fn the_newest_state_is_made_anew_from_the_one_before_and_its_record() {
    let (fixture, kept) = prepared();
    let (expected, state) = (rows(&fixture.open()), newest_state(&fixture));
    for lost in [true, false] {
        let fixture = fixture.fork();
        spoil(&fixture, &state, lost);
        assert_eq!(fixture.open().view().unwrap_err().kind(), ErrorKind::Damaged);
        assert!(works_again(&fixture, &kept).is_empty());
        assert_eq!(rows(&fixture.open()), expected);
        goes_on(&fixture, &kept);
    }
}

#[test]
fn without_any_state_everything_is_made_anew_from_records_and_decisions() {
    let (fixture, kept) = prepared();
    let expected = rows(&fixture.open());
    for lost in [true, false] {
        let fixture = fixture.fork();
        for state in names(&fixture, "state/") {
            spoil(&fixture, &state, lost);
        }
        assert!(works_again(&fixture, &kept).is_empty());
        assert_eq!(rows(&fixture.open()), expected);
        goes_on(&fixture, &kept);
    }
}

#[test]
fn the_state_of_a_damaged_newest_record_is_found() {
    let (fixture, kept) = prepared();
    let expected = rows(&fixture.open());
    let newest = names(&fixture, "log/").remove(0);
    flip(&fixture, &newest);
    assert!(works_again(&fixture, &kept).is_empty());
    assert_eq!(rows(&fixture.open()), expected);
    goes_on(&fixture, &kept);
}

#[test]
fn a_record_that_is_lost_with_its_state_is_named_and_nothing_else_is_lost() {
    let (fixture, kept) = prepared();
    for n in 0..names(&fixture, "log/").len() {
        let fixture = fixture.fork();
        let record = names(&fixture, "log/").remove(n);
        flip(&fixture, &record);
        names(&fixture, "state/").iter().for_each(|state| fixture.backend.damage(state, None));
        let found = fixture.open().repair_index(false).unwrap();
        assert_eq!(found.errors.first().map(|f| f.object.clone()), Some(record.clone()), "{found:?}");
        let view = fixture.open().view().unwrap();
        // What was forgotten by the lost record may be listed again, what was undeleted by it is in the trash.
        let known = |k: &&Kept| view.snapshots().chain(view.trash()).any(|row| row.session == k.session);
        assert!(kept.iter().all(|k| known(&k)), "{record}");
        let reader = view.reader();
        assert!(
            view.snapshots()
                .filter(|row| kept.iter().any(|k| k.session == row.session))
                .all(|row| { row.roots.iter().all(|root| reader.refs(root).is_ok()) })
        );
    }
}

#[test]
fn a_damaged_old_record_is_named_once_and_known_from_then_on() {
    let (fixture, kept) = prepared();
    let expected = rows(&fixture.open());
    let records = names(&fixture, "log/");
    let old = &records[records.len() / 2];
    flip(&fixture, old);
    let found = fixture.open().check(ReadData::None).unwrap();
    assert!(found.errors.iter().any(|f| f.object == *old));
    assert!(works_again(&fixture, &kept).is_empty());
    assert_eq!(rows(&fixture.open()), expected);
    let found = fixture.open().check(ReadData::None).unwrap();
    assert!(found.notes.iter().any(|f| f.object == *old), "{:?}", found.notes);
    goes_on(&fixture, &kept);
}

#[test]
fn a_damaged_block_of_a_run_is_named_and_the_index_made_anew() {
    let (fixture, kept) = prepared();
    let run = names(&fixture, "index/").remove(0);
    let mut bytes = fixture.backend.read(&run, None).unwrap();
    bytes[100] ^= 1;
    fixture.backend.damage(&run, Some(&bytes));
    let found = fixture.open().check(ReadData::None).unwrap();
    assert!(found.errors.iter().any(|f| f.object == run), "{found:?}");
    fixture.open().repair_index(false).unwrap();
    let found = fixture.open().check(ReadData::All).unwrap();
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    goes_on(&fixture, &kept);
}

#[test]
fn a_repair_that_is_stopped_anywhere_can_be_run_again() {
    let (whole, kept) = prepared();
    let expected = rows(&whole.open());
    for state in names(&whole, "state/").into_iter().chain(names(&whole, "index/")) {
        whole.backend.damage(&state, None);
    }
    for n in 0.. {
        let fixture = whole.fork();
        let faulty = FaultBackend::new(fixture.shared());
        let repository = fixture.open_through(Arc::new(faulty.clone()));
        faulty.add(FaultRule::at_call(n, if n % 2 == 0 { Fault::StopBefore } else { Fault::StopAfter }));
        let done = repository.repair_index(false).is_ok();
        let struck = faulty.stopped();
        drop(repository);
        fixture.open().repair_index(false).unwrap();
        assert_eq!(rows(&fixture.open()), expected, "stopped at {n}");
        assert_whole(&fixture.open(), &kept.iter().collect::<Vec<_>>());
        if !struck {
            assert!(done && n > 20);
            goes_on(&fixture, &kept);
            break;
        }
    }
}

#[test]
fn a_log_that_is_shorter_than_a_session_saw_it_is_noticed() {
    let (fixture, _) = prepared();
    snapshot(&fixture.open(), 500..505);
    assert!(fixture.open().check(ReadData::None).unwrap().errors.is_empty());
    let newest = names(&fixture, "log/").remove(0);
    fixture.backend.damage(&newest, None);
    let found = fixture.open().check(ReadData::None).unwrap();
    assert!(found.errors.iter().any(|f| f.object == "the log"), "{found:?}");
}
