//! Sessions of the dead: who counts as dead, what is kept of what they uploaded, and what is left alone.

use std::io;
use std::sync::Arc;

use crate::fixture::{Fixture, all_readable, begin, noise, snapshot, try_snapshot};
use crate::meanwhile::Meanwhile;

use chronos_store::backend::{Backend, BackendExt, CacheBackend, Fault, FaultBackend, FaultRule, Method};
use chronos_store::{ChunkKind, Env, ErrorKind, Random, RefList, Repository, Result, Session, SystemRandom};

/// Random bytes, except where four are asked for: numbers.
#[derive(Debug)]
struct Numbers([u8; 4]);

impl Random for Numbers {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        if let Ok(four) = <&mut [u8; 4]>::try_from(&mut *bytes) {
            *four = self.0;
            return Ok(());
        }
        SystemRandom.fill(bytes)
    }
}

/// Two chunks, each in a pack of its own.
fn upload_two_packs(session: &Session) -> [Vec<u8>; 2] {
    [noise(1, 100_000), noise(2, 100_000)].map(|chunk| {
        let mut writer = session.writer(ChunkKind::Data);
        assert!(writer.put(&chunk).unwrap().new);
        writer.finish().unwrap();
        session.flush().unwrap();
        chunk
    })
}

fn locks(fixture: &Fixture) -> usize {
    std::fs::read_dir(fixture.locks()).unwrap().count()
}

/// Which of the chunks a session finds.
fn found(repository: &Repository, chunks: &[Vec<u8>]) -> Vec<bool> {
    let session = begin(repository).unwrap();
    let writer = session.writer(ChunkKind::Data);
    let found = chunks.iter().map(|c| writer.usable(&writer.hash(c).unwrap().id()).unwrap()).collect();
    drop(writer);
    session.close().unwrap();
    found
}

#[test]
fn of_a_session_that_died_before_it_was_announced_nothing_is_left() {
    let fixture = Fixture::new();
    let running = begin(&fixture.open()).unwrap();
    let fault = Fault::Error(io::ErrorKind::StorageFull);
    let full = FaultBackend::with_rule(fixture.shared(), FaultRule::always(Method::WriteNew, "sess/", fault));
    begin(&fixture.open_through(Arc::new(full))).unwrap_err();
    assert_eq!(locks(&fixture), 2, "the announcement might stand");
    begin(&fixture.open()).unwrap().close().unwrap();
    assert_eq!(locks(&fixture), 1, "the running one's");
    running.close().unwrap();
    assert_eq!(locks(&fixture), 0);
}

#[test]
fn a_pack_that_was_torn_is_stored_anew_and_the_rest_is_reused() {
    let fixture = Fixture::new();
    let session = begin(&fixture.open()).unwrap();
    let chunks = upload_two_packs(&session);
    drop(session);
    let packs = fixture.backend.list_all("packs/").unwrap();
    let bytes = fixture.backend.content()[&packs[0].name].clone();
    fixture.backend.damage(&packs[0].name, bytes.get(..bytes.len() / 2));
    assert_eq!(found(&fixture.open(), &chunks), [false, true]);
    assert_eq!(fixture.backend.list_all("sess/").unwrap(), []);
    snapshot(&fixture.open(), &chunks, "after");
    assert_eq!(all_readable(&fixture.open()), 1);
}

#[test]
fn while_packs_of_the_dead_cannot_be_read_nothing_is_decided_about_them() {
    let fixture = Fixture::new();
    let session = begin(&fixture.open()).unwrap();
    let chunks = upload_two_packs(&session);
    drop(session);
    for area in ["packs/", "sess/"] {
        let rule = FaultRule::always(Method::Read, area, Fault::Error(io::ErrorKind::Other));
        let faulty = FaultBackend::with_rule(fixture.shared(), rule);
        let error = begin(&fixture.open_through(Arc::new(faulty))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert_eq!(fixture.backend.list_all("snap/").unwrap(), []);
    }
    assert_eq!(found(&fixture.open(), &chunks), [true, true]);
}

#[test]
fn a_session_that_ends_while_it_is_looked_at_is_not_taken_for_dead() {
    let fixture = Fixture::new();
    let repository = fixture.open_elsewhere();
    let session = begin(&repository).unwrap();
    let mut refs = session.writer(ChunkKind::Refs);
    let root = refs.put(&RefList { meta: None, children: Vec::new(), data: Vec::new() }.encode()).unwrap().id;
    refs.finish().unwrap();
    let name = format!("sess/{}", session.id());
    let ends = move || assert_eq!(session.commit(&[root], b"{}").unwrap().1.packs_written, 1);
    let backend = Meanwhile::new(fixture.shared(), Method::Read, &name, 0, ends);
    try_snapshot(&fixture.open_through(backend.clone()), &[noise(1, 1000)], "beside").unwrap();
    assert!(backend.is_done());
    assert_eq!(all_readable(&fixture.open()), 2);
}

#[test]
fn the_runs_of_a_session_and_those_of_whoever_closes_it_never_meet() {
    let chunks: Vec<_> = (0..270_000_u32).map(u32::to_le_bytes).collect();
    let fixture = Fixture::new();
    let session = begin(&fixture.open()).unwrap();
    let mut writer = session.writer(ChunkKind::Data);
    chunks.iter().for_each(|chunk| assert!(writer.put(chunk).unwrap().new));
    writer.finish().unwrap();
    session.flush().unwrap();
    let runs = |fixture: &Fixture| fixture.backend.list_all("index/").unwrap();
    assert_eq!(runs(&fixture).len(), 1, "of two full packs");
    assert!(knows(&session, &chunks), "what a run holds is known to its session");
    for number in [0, 1 << 31] {
        // A copy in which nobody holds the lock.
        let fork = fixture.fork_of_this_host();
        let env = Env { random: Arc::new(Numbers(u32::to_le_bytes(number))), ..Env::system() };
        let next = begin(&fork.open_with(env, "host")).unwrap();
        assert!(knows(&next, &chunks), "{number}");
        next.close().unwrap();
        assert_eq!(runs(&fork).len(), 3, "{number}: the session's own and two of whoever closed it");
    }
    session.close().unwrap();
    assert_eq!(runs(&fixture).len(), 2);
    assert!(knows(&begin(&fixture.open()).unwrap(), &chunks));
}

/// Whether the session knows some of the chunks: the first, the last and one between.
fn knows(session: &Session, chunks: &[[u8; 4]]) -> bool {
    let writer = session.writer(ChunkKind::Data);
    [0, 140_000, chunks.len() - 1]
        .iter()
        .all(|at| writer.usable(&writer.hash(&chunks[*at]).unwrap().id()).unwrap())
}

#[test]
fn what_a_dead_session_uploaded_counts_as_it_is_stored_not_as_it_was_read_before() {
    let fixture = Fixture::new();
    let copies = fixture.dir.path().join("copies");
    let cache: Arc<dyn Backend> = Arc::new(CacheBackend::new(fixture.shared(), &copies, 1 << 30));
    let session = begin(&fixture.open_through(Arc::clone(&cache))).unwrap();
    let chunks = upload_two_packs(&session);
    drop(session);
    let packs = fixture.backend.list_all("packs/").unwrap();
    // As long as it was, and its copy is whole.
    fixture.backend.damage(&packs[0].name, Some(&vec![0; packs[0].size as usize]));
    assert_eq!(found(&fixture.open_through(cache), &chunks), [false, true]);
}
