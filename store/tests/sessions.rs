//! Sessions from outside: what is put comes back, counts are exact, undecided sessions have no effect.

#![expect(clippy::unwrap_used, reason = "a failed step fails its test")]

use std::sync::Arc;

use chronos_store::backend::MemoryBackend;
use chronos_store::{
    ChunkId, ChunkKind, CreateOptions, Env, Error, LocalDirs, OpenOptions, RefList, Repository, Secret, Session,
    SessionOptions, Silent, Wanted,
};

struct Fixture {
    backend: MemoryBackend,
    dir: tempfile::TempDir,
}

const KEY: Secret = Secret::Key([7; 32]);

impl Fixture {
    fn new() -> Self {
        let fixture = Self { backend: MemoryBackend::new(), dir: tempfile::tempdir().unwrap() };
        Repository::create(Arc::new(fixture.backend.clone()), &KEY, &CreateOptions::default(), fixture.options()).unwrap();
        fixture
    }

    fn options(&self) -> OpenOptions {
        let dirs = LocalDirs { cache: self.dir.path().join("cache"), state: self.dir.path().join("state") };
        OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
    }

    fn open(&self) -> Repository {
        Repository::open(Arc::new(self.backend.clone()), &KEY, self.options()).unwrap()
    }
}

fn begin(repository: &Repository) -> Session {
    repository.begin(SessionOptions { client: "test".into(), level: 3 }).unwrap()
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// Puts chunks and a list of them; commits.
fn snapshot(repository: &Repository, chunks: &[Vec<u8>], name: &str) -> (Vec<ChunkId>, chronos_store::SessionStats) {
    let session = begin(repository);
    let mut writer = session.writer(ChunkKind::Data);
    let ids: Vec<ChunkId> = chunks.iter().map(|c| writer.put(c).unwrap().id).collect();
    writer.finish().unwrap();
    let mut refs = session.writer(ChunkKind::Refs);
    let root = refs.put(&RefList { meta: None, children: Vec::new(), data: ids.clone() }.encode()).unwrap().id;
    refs.finish().unwrap();
    let (_, stats) = session.commit(&[root], format!("{{\"name\": \"{name}\"}}").as_bytes()).unwrap();
    (ids, stats)
}

fn readable(repository: &Repository, ids: &[ChunkId], chunks: &[Vec<u8>]) {
    let view = repository.view().unwrap();
    let reader = view.reader();
    for (id, chunk) in ids.iter().zip(chunks) {
        assert_eq!(&reader.read(ChunkKind::Data, id).unwrap()[..], &chunk[..]);
    }
    let wanted: Vec<Wanted> = (0..).zip(ids).map(|(token, id)| Wanted { id: *id, token }).collect();
    let got = std::sync::Mutex::new(vec![Vec::new(); ids.len()]);
    let failed = reader
        .fetch(&wanted, 2, &|token, bytes| {
            got.lock().unwrap().get_mut(token as usize).unwrap().extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
    assert!(failed.is_empty());
    assert!(got.into_inner().unwrap() == chunks);
}

#[test]
fn what_is_put_comes_back() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..200).map(|i| noise(i, 1000 + usize::from(i) * 500)).collect();
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
