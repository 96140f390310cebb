//! Damage: every changed byte is noticed and the object is named; what is undamaged stays readable.

use std::sync::Arc;

use crate::fixture::{Fixture, KEY, all_readable, noise, readable, snapshot};

use chronos_store::backend::{Backend, BackendExt, CacheBackend};
use chronos_store::{ChunkId, ChunkKind, ErrorKind, OpenOptions, ReadData, Repository, Secret};

fn only(fixture: &Fixture, prefix: &str) -> String {
    let entries = fixture.backend.list_all(prefix).unwrap();
    assert_eq!(entries.len(), 1);
    entries[0].name.clone()
}

/// Places in an object: all of a small one, a sample of a larger one with both its ends.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |n| *n < 120 || len - n < 200 || n % 37 == 0)
}

#[test]
fn every_byte_of_a_decision_counts() {
    let fixture = Fixture::new();
    snapshot(&fixture.open(), &[noise(1, 1000)], "one");
    let name = only(&fixture, "snap/");
    let good = fixture.backend.read(&name, None).unwrap();
    for place in 0..good.len() {
        let copy = fixture.fork();
        let mut bad = good.clone();
        bad[place] ^= 1;
        copy.backend.damage(&name, Some(&bad));
        let (repository, monitor) = copy.open_watched();
        match repository.view() {
            Ok(view) => {
                assert_eq!(view.snapshots().count(), 0, "byte {place}");
                assert!(monitor.problems().iter().any(|p| p.contains(&name)), "byte {place}");
            }
            Err(e) => assert_eq!(e.kind(), ErrorKind::TooNew, "byte {place}: {e}"),
        }
    }
}

#[test]
fn every_byte_of_a_pack_counts() {
    let fixture = Fixture::new();
    let chunks = [noise(1, 3000), b"text ".repeat(400)];
    let (ids, _) = snapshot(&fixture.open(), &chunks, "one");
    let name = only(&fixture, "packs/");
    let good = fixture.backend.read(&name, None).unwrap();
    let (mut unreadable, mut harmless) = (0, 0);
    for place in places(good.len()) {
        let copy = fixture.fork();
        let mut bad = good.clone();
        bad[place] ^= 0x40;
        copy.backend.damage(&name, Some(&bad));
        let (repository, monitor) = copy.open_watched();
        let view = repository.view().unwrap();
        let (reader, root) = (view.reader(), view.snapshots().next().unwrap().roots[0]);
        let outcomes = [
            reader.refs(&root).map(|_| ()),
            reader.read(ChunkKind::Data, &ids[0]).map(|bytes| assert_eq!(bytes[..], chunks[0])),
            reader.read(ChunkKind::Data, &ids[1]).map(|bytes| assert_eq!(bytes[..], chunks[1][..])),
        ];
        let mut failed = false;
        for error in outcomes.into_iter().filter_map(Result::err) {
            failed = true;
            let named =
                error.to_string().contains(&name) || monitor.problems().iter().any(|p| p.contains(&name));
            assert!(named || error.kind() == ErrorKind::TooNew, "byte {place}: {error}");
        }
        if failed { unreadable += 1 } else { harmless += 1 }
    }
    // Reading frames alone does not look at the head, whose copy in the footer counts, nor at the hash of the whole pack.
    assert!(unreadable > 100 && harmless < 250, "{unreadable} {harmless}");
}

#[test]
fn a_damaged_decision_does_not_hide_the_others_and_is_never_taken_for_decided() {
    let fixture = Fixture::new();
    snapshot(&fixture.open(), &[noise(1, 1000)], "one");
    let name = only(&fixture, "snap/");
    fixture.backend.damage(&name, Some(b"garbage"));
    let copy = fixture.fork();
    for n in 0..3 {
        snapshot(&copy.open(), &[noise(n, 1000)], "later");
    }
    assert_eq!(all_readable(&copy.open()), 3);
}

#[test]
fn a_lost_pack_is_missing_by_name_and_the_rest_is_read() {
    let fixture = Fixture::new();
    let (lost, _) = snapshot(&fixture.open(), &[noise(1, 1000)], "one");
    let pack = only(&fixture, "packs/");
    let (kept, _) = snapshot(&fixture.open(), &[noise(2, 1000)], "two");
    fixture.backend.damage(&pack, None);
    let (repository, monitor) = fixture.fork().open_watched();
    let reader = repository.view().unwrap().reader();
    assert!(reader.read(ChunkKind::Data, &kept[0]).is_ok());
    assert_eq!(reader.read(ChunkKind::Data, &lost[0]).unwrap_err().kind(), ErrorKind::Damaged);
    assert!(monitor.problems().iter().any(|p| p.contains(&pack)));
}

#[test]
fn a_lost_run_is_named_and_its_chunks_are_stored_anew() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..150).map(|i| noise(i, 1 << 20)).collect();
    snapshot(&fixture.open(), &chunks, "one");
    let run = only(&fixture, "index/");
    fixture.backend.damage(&run, None);
    let (repository, monitor) = fixture.open_watched();
    let (ids, stats) = snapshot(&repository, &chunks[..3], "two");
    assert_eq!(stats.chunks_new, 4);
    assert!(monitor.problems().iter().any(|p| p.contains(&run)));
    readable(&repository, &ids, &chunks[..3]);
}

#[test]
fn every_byte_of_config_and_key_slot_counts() {
    let fixture = Fixture::new();
    let open = |fixture: &Fixture, secret: &Secret, options: OpenOptions| {
        Repository::open(Arc::new(fixture.backend.clone()), secret, options)
    };
    let slot = only(&fixture, "keys/");
    for name in ["config", &slot] {
        let good = fixture.backend.read(name, None).unwrap();
        for place in 0..good.len() {
            let copy = fixture.fork();
            let mut bad = good.clone();
            bad[place] ^= 1;
            copy.backend.damage(name, Some(&bad));
            let options = copy.options();
            let error = open(&copy, &KEY, options).unwrap_err();
            assert!(error.to_string().contains(name), "{name}, byte {place}: {error}");
            assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::TooNew), "byte {place}: {error}");
        }
    }
}

#[test]
fn a_damaged_slot_does_not_keep_another_one_from_opening() {
    let fixture = Fixture::new();
    let first = only(&fixture, "keys/");
    let other = Secret::Key([9; 32]);
    let added = fixture.open().add_key(&other, "spare").unwrap();
    fixture.backend.damage(&first, Some(b"{}"));
    let repository = Repository::open(fixture.shared(), &other, fixture.options()).unwrap();
    assert!(repository.remove_key(&added).is_err(), "the last whole slot stays");
    let wrong = Repository::open(fixture.shared(), &KEY, fixture.options()).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Damaged, "it may be the damaged one's: {wrong}");
}

#[test]
fn a_check_does_not_believe_what_was_read_before() {
    let fixture = Fixture::new();
    snapshot(&fixture.open(), &[noise(1, 3000)], "one");
    assert_eq!(all_readable(&fixture.open()), 1);
    let name = only(&fixture, "packs/");
    let mut bytes = fixture.backend.read(&name, None).unwrap();
    let place = bytes.len() - 170;
    bytes[place] ^= 1;
    fixture.backend.damage(&name, Some(&bytes));
    let report = fixture.open().check(ReadData::None).unwrap();
    assert!(report.errors.iter().any(|e| e.object == name), "{report:?}");
}

/// Opens it through copies of this host.
fn open_cached(fixture: &Fixture) -> Repository {
    let copies = fixture.dir.path().join("copies");
    fixture.open_through(Arc::new(CacheBackend::new(fixture.shared(), &copies, 1 << 30)))
}

fn is_whole(repository: &Repository, ids: &[ChunkId]) -> bool {
    let Ok(view) = repository.view() else { return false };
    let reader = view.reader();
    view.snapshots().count() == 1 && ids.iter().all(|id| reader.read(ChunkKind::Data, id).is_ok())
}

#[test]
fn what_was_read_damaged_is_asked_for_once_more_after_it_was_mended() {
    let mut noticed = std::collections::BTreeSet::new();
    for sizes in [vec![3000], vec![1 << 20; 3]] {
        for merged in [false, true] {
            let fixture = Fixture::new();
            let chunks: Vec<_> = (1..).zip(&sizes).map(|(seed, size)| noise(seed, *size)).collect();
            let (ids, _) = snapshot(&fixture.open(), &chunks, "one");
            if merged {
                fixture.open().repair_index(false).unwrap();
            }
            for (name, good) in fixture.backend.content() {
                let area = name.split_once('/').map_or("", |(area, _)| area);
                if !["snap", "packs", "index", "state"].contains(&area) {
                    continue;
                }
                let copy = fixture.fork();
                let bad: Vec<u8> = good.iter().map(|byte| byte ^ 0x40).collect();
                copy.backend.damage(&name, Some(&bad));
                if !is_whole(&open_cached(&copy), &ids) {
                    noticed.insert((merged, area.to_owned()));
                }
                copy.backend.damage(&name, Some(&good));
                let repository = open_cached(&copy);
                assert!(is_whole(&repository, &ids), "{name}");
                readable(&repository, &ids, &chunks);
            }
        }
    }
    let areas: Vec<_> = noticed.iter().map(|(merged, area)| (*merged, area.as_str())).collect();
    let read = [(false, "packs"), (false, "snap"), (true, "index"), (true, "packs"), (true, "state")];
    assert_eq!(areas, read);
}

#[test]
fn what_is_asked_for_as_stored_is_not_answered_from_what_was_read_before() {
    let fixture = Fixture::new();
    let chunks = [noise(1, 3000)];
    let (ids, _) = snapshot(&fixture.open(), &chunks, "one");
    let repository = fixture.open();
    readable(&repository, &ids, &chunks);
    let decision = only(&fixture, "snap/");
    fixture.backend.damage(&decision, Some(b"other"));
    assert!(is_whole(&repository, &ids), "the catalogue has it");
    assert_eq!(repository.as_stored().view().unwrap().unreadable().count(), 1);
}
