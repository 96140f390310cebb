//! Damaged decisions: repair goes on without them, nothing of what they may have said is deleted, and what comes back counts.

use chronos_store::backend::{Backend, BackendExt};
use chronos_store::{ChunkKind, ErrorKind, ReadData, RepairReport};

use super::kept::{Kept, assert_sound, assert_whole, begin, chunks, forget, prune, snapshot};
use crate::fixture::Fixture;

fn decision(kept: &Kept) -> String {
    format!("snap/{}", kept.session)
}

/// Cuts an object in half; returns what it was.
fn cut(fixture: &Fixture, name: &str) -> Vec<u8> {
    let good = fixture.backend.read(name, None).unwrap();
    fixture.backend.damage(name, Some(&good[..good.len() / 2]));
    good
}

fn packs_of(fixture: &Fixture, kept: &Kept) -> usize {
    fixture.backend.list_all(&format!("packs/{}/", kept.session)).unwrap().len()
}

/// A snapshot whose decision was damaged before any record held it, and one that relies on it.
fn unreadable() -> (Fixture, [Kept; 2], Vec<u8>) {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..50);
    let two = snapshot(&fixture.open(), 20..60);
    let good = cut(&fixture, &decision(&one));
    // As hosts see it that have not read it before.
    (fixture.fork(), [one, two], good)
}

fn is_named(report: &RepairReport, name: &str) {
    assert!(report.errors.iter().any(|f| f.object == name), "{report:?}");
}

#[test]
fn repair_goes_on_without_a_decision_that_nothing_else_holds_and_keeps_its_packs() {
    for by_packs in [false, true] {
        let (fixture, [one, two], good) = unreadable();
        let options = chronos_store::PruneOptions::default();
        assert_eq!(fixture.open().prune(&options).unwrap_err().kind(), ErrorKind::Damaged);
        let before = fixture.backend.content();
        let repair = |dry: bool| {
            let repository = fixture.open();
            if by_packs {
                repository.repair_packs(dry).unwrap()
            } else {
                repository.repair_index(dry).unwrap()
            }
        };
        is_named(&repair(true), &decision(&one));
        assert_eq!(fixture.backend.content(), before, "a dry run writes nothing");
        is_named(&repair(false), &decision(&one));
        let again = repair(false);
        assert!(again.errors.is_empty(), "{again:?}");
        let mine = |name: &String| !name.starts_with("index/") && !name.starts_with("sess/");
        let now = fixture.backend.content();
        assert!(
            before.iter().filter(|(n, _)| mine(n)).all(|(n, b)| now.get(n) == Some(b)),
            "nothing was deleted"
        );

        assert_whole(&fixture.open(), &[&two]);
        assert_sound(&fixture.open(), 1);
        let notes = fixture.open().check(ReadData::None).unwrap().notes;
        assert!(notes.iter().any(|n| n.object == decision(&one)), "{notes:?}");
        // Nobody relies on what a slow prune may be about to delete, should the session have been revoked.
        let session = begin(&fixture.open());
        let mut writer = session.writer(ChunkKind::Data);
        assert!(chunks(0..20).iter().all(|c| writer.put(c).unwrap().new));
        writer.finish().unwrap();
        session.close().unwrap();
        forget(&fixture.open(), &two);
        prune(&fixture.open());
        prune(&fixture.open());
        assert_eq!((packs_of(&fixture, &one), packs_of(&fixture, &two)), (1, 0));

        // The decision comes back from a copy.
        fixture.backend.damage(&decision(&one), Some(&good));
        assert_whole(&fixture.open(), &[&one]);
        assert_sound(&fixture.open(), 1);
        prune(&fixture.open());
        assert_whole(&fixture.open(), &[&one]);
        forget(&fixture.open(), &one);
        prune(&fixture.open());
        assert_eq!(fixture.packs(), 0);
    }
}

#[test]
fn packs_of_a_decision_that_is_given_up_go_with_the_next_prune() {
    let (fixture, [one, two], _) = unreadable();
    fixture.open().repair_index(false).unwrap();
    prune(&fixture.open());
    assert_whole(&fixture.open(), &[&two]);
    fixture.backend.damage(&decision(&one), None);
    forget(&fixture.open(), &two);
    prune(&fixture.open());
    assert_eq!(fixture.packs(), 0);
    assert_sound(&fixture.open(), 0);
}

#[test]
fn an_index_and_a_state_made_anew_keep_what_an_unreadable_decision_may_have_said() {
    let (fixture, [one, two], good) = unreadable();
    fixture.open().repair_index(false).unwrap();
    prune(&fixture.open());
    for area in ["index/", "state/"] {
        for entry in fixture.backend.list_all(area).unwrap() {
            fixture.backend.damage(&entry.name, None);
        }
    }
    fixture.open().repair_index(false).unwrap();
    assert_whole(&fixture.open(), &[&two]);
    prune(&fixture.open());
    fixture.backend.damage(&decision(&one), Some(&good));
    assert_whole(&fixture.open(), &[&one, &two]);
    assert_sound(&fixture.open(), 2);
}

#[test]
fn what_the_state_holds_of_a_damaged_decision_is_written_anew() {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..50);
    let gone = snapshot(&fixture.open(), 100..130);
    forget(&fixture.open(), &gone);
    prune(&fixture.open());
    fixture.open().repair_index(false).unwrap();
    let two = snapshot(&fixture.open(), 20..60);
    for kept in [&one, &gone] {
        cut(&fixture, &decision(kept));
    }
    assert_eq!(fixture.open().check(ReadData::None).unwrap().errors.len(), 2);
    let report = fixture.open().repair_index(false).unwrap();
    assert!(report.errors.is_empty(), "{report:?}");
    assert_sound(&fixture.open(), 2);
    let actions = fixture.open().repair_index(false).unwrap().actions;
    assert!(!actions.iter().any(|a| a.contains("snap/")), "{actions:?}");
    // It is all there is once the states are lost.
    for entry in fixture.backend.list_all("state/").unwrap() {
        fixture.backend.damage(&entry.name, None);
    }
    let report = fixture.open().repair_index(false).unwrap();
    assert!(report.errors.is_empty(), "{report:?}");
    assert_whole(&fixture.open(), &[&one, &two]);
    assert_sound(&fixture.open(), 2);
    for kept in [&one, &two] {
        forget(&fixture.open(), kept);
    }
    prune(&fixture.open());
    assert_eq!(fixture.packs(), 0);
}

#[test]
fn what_lies_before_the_records_of_the_log_is_left_alone_and_named() {
    let fixture = Fixture::new();
    let strays = ["log/-", "log/00", "log/0000000000x", "log/a0", "log/zz"];
    for stray in strays {
        fixture.backend.damage(stray, Some(b"stray"));
    }
    let one = snapshot(&fixture.open(), 0..10);
    let gone = snapshot(&fixture.open(), 20..30);
    forget(&fixture.open(), &gone);
    prune(&fixture.open());
    fixture.open().repair_index(false).unwrap();
    assert_whole(&fixture.open(), &[&one]);
    assert_sound(&fixture.open(), 1);
    let notes = fixture.open().check(ReadData::None).unwrap().notes;
    for stray in strays {
        assert!(notes.iter().any(|n| n.object == stray), "{notes:?}");
        assert!(fixture.backend.read(stray, None).unwrap() == b"stray");
    }
}
