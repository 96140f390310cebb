//! Sessions from outside: what is put comes back, counts are exact, undecided sessions have no effect.

use std::sync::Arc;

use crate::fixture::{Fixture, KEY, noise, readable, snapshot};

use chronos_store::backend::MemoryBackend;
use chronos_store::{ChunkKind, Error, Repository, Secret};

fn begin(repository: &Repository) -> chronos_store::Session {
    crate::fixture::begin(repository).unwrap()
}

#[test]
fn what_is_put_comes_back() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..200).map(|i| noise(i, 1000 + i as usize * 500)).collect();
    let (ids, stats) = snapshot(&fixture.open(), &chunks, "one");
    assert_eq!((stats.chunks_new, stats.packs_written), (201, 1));
    readable(&fixture.open(), &ids, &chunks);
}

#[test]
fn a_session_with_many_packs_writes_runs() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..170).map(|i| noise(i, 1 << 20)).collect();
    let (ids, stats) = snapshot(&fixture.open(), &chunks, "big");
    assert!(stats.packs_written > 8);
    readable(&fixture.open(), &ids, &chunks);
    let (_, again) = snapshot(&fixture.open(), &chunks, "again");
    assert_eq!((again.chunks_new, again.packs_written), (0, 0));
}

#[test]
fn the_same_again_writes_no_pack() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..20).map(|i| noise(i, 5000)).collect();
    snapshot(&fixture.open(), &chunks, "one");
    let (ids, stats) = snapshot(&fixture.open(), &chunks, "two");
    assert_eq!((stats.chunks_new, stats.chunks_reused, stats.packs_written), (0, 21, 0));
    readable(&fixture.open(), &ids, &chunks);
    assert_eq!(fixture.open().view().unwrap().snapshots().count(), 2);
}

#[test]
fn an_undecided_session_has_no_effect_and_is_closed_by_the_next() {
    let fixture = Fixture::new();
    let chunk = noise(1, 17 << 20 >> 2);
    let parts: Vec<_> = chunk.chunks(1 << 20).map(<[u8]>::to_vec).collect();
    let repository = fixture.open();
    let session = begin(&repository);
    let mut writer = session.writer(ChunkKind::Data);
    for part in &parts {
        writer.put(part).unwrap();
    }
    writer.finish().unwrap();
    session.close().unwrap();
    assert_eq!(fixture.open().view().unwrap().snapshots().count(), 0);
    let (_, stats) = snapshot(&fixture.open(), &parts, "next");
    assert_eq!(stats.chunks_new, 1, "only the list is new");
}

#[test]
fn a_wrong_key_is_told_from_damage() {
    let fixture = Fixture::new();
    let wrong = Repository::open(Arc::new(fixture.backend.clone()), &Secret::Key([8; 32]), fixture.options());
    assert!(matches!(wrong, Err(Error::WrongKey { slots: 1 })), "{wrong:?}");
    let empty = Repository::open(Arc::new(MemoryBackend::new()), &KEY, fixture.options());
    assert!(matches!(empty, Err(Error::NoRepository(_))), "{empty:?}");
}

#[test]
fn a_name_is_claimed_once() {
    let fixture = Fixture::new();
    assert!(fixture.open().claim_name("a").unwrap());
    assert!(!fixture.open().claim_name("a").unwrap());
    assert!(fixture.open().claim_name("b").unwrap());
}

#[test]
fn many_snapshots_become_part_of_the_table() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    for i in 0..150 {
        snapshot(&repository, &[noise(i, 100)], "x");
    }
    let view = repository.view().unwrap();
    assert_eq!(view.snapshots().count(), 150);
    assert!(view.log_len() >= 2, "checkpoints were made");
}
